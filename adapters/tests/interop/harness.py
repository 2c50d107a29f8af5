"""What the clients in Python have in common: targets, steps that are bounded in time, and the line that is printed."""

import json
import logging
import pathlib
from contextlib import AsyncExitStack

import anyio

STEP_SECONDS = 30

warnings = []  # what the SDK complained about
doing = "start"
overall = None


def target_named(name):
    return json.loads((pathlib.Path(__file__).parent / "targets.json").read_text())[name]


class Collect(logging.Handler):
    """Keeps what the SDK complains about, such as an event name that it does not know."""

    def __init__(self, bears):
        super().__init__(logging.WARNING)
        self.bears = bears

    def emit(self, record):
        if record.exc_info and isinstance(record.exc_info[1], self.bears):
            return
        detail = f": {record.exc_info[1]!r}" if record.exc_info else ""
        warnings.append(f"{record.name}: {record.getMessage()}{detail}")


def step(name):
    """Begins a step: gives it its time, and remembers its name for the report of a failure."""
    global doing
    doing = name
    overall.deadline = anyio.current_time() + STEP_SECONDS


async def all_at_once(count, name, connect):
    """So many clients: all are open before the first calls, and each must get its own answers.

    `connect` opens one on a stack, and gives what sends a text and checks its echo.
    """
    waiting = count
    everyone = anyio.Event()

    async def one(number):
        nonlocal waiting
        async with AsyncExitStack() as stack:
            echo = await connect(stack)
            waiting -= 1
            if waiting == 0:
                everyone.set()
            await everyone.wait()
            async with anyio.create_task_group() as calls:
                for turn in range(3):
                    calls.start_soon(echo, f"{name}-{number}-call-{turn}-of-python")

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


def run(*parts, note="", bears=()):
    """Does the parts one after the other and prints one line, the note if all held; the exit code.

    What the SDK logs counts as a failure, but for exceptions of the types that it `bears`.
    """
    logging.getLogger().addHandler(Collect(bears))

    async def all_of_it():
        global overall
        with anyio.CancelScope() as overall:
            for part in parts:
                await part()
        if overall.cancelled_caught:
            raise TimeoutError(f"not done after {STEP_SECONDS} s")

    try:
        anyio.run(all_of_it)
    except BaseException as error:
        print(f"{doing}: {innermost(error)!r}"[:400], *warnings[:1], sep="; the SDK logged ")
        return 1
    if warnings:
        print(f"the SDK logged {len(warnings)} warnings, first: {warnings[0]}"[:400])
        return 1
    print(note)
    return 0


def innermost(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
