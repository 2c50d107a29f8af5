"""The Python SDK's `sse_client` against one server: initialize, call, progress, 1 MiB, many sessions, close.

Usage: client.py BASE_URL TARGET SESSIONS ENDPOINTS_FILE

Each session's endpoint is appended to ENDPOINTS_FILE, so that the caller can look whether the server forgot it.
Prints one line; exits 0 if all held. A warning that the SDK logs counts as a failure.
"""

import json
import logging
import pathlib
import sys
from contextlib import AsyncExitStack

import anyio
from mcp import ClientSession
from mcp.client.sse import sse_client

MIB = 1024 * 1024
STEP_SECONDS = 30

base, target_name, sessions, endpoints_file = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
target = json.loads((pathlib.Path(__file__).parent / "targets.json").read_text())[target_name]
warnings = []
doing = "start"
overall = None


class Collect(logging.Handler):
    """Keeps what the SDK complains about, such as an event name that it does not know."""

    def emit(self, record):
        detail = f": {record.exc_info[1]!r}" if record.exc_info else ""
        warnings.append(f"{record.name}: {record.getMessage()}{detail}")


def step(name):
    """Begins a step: gives it its time, and remembers its name for the report of a failure."""
    global doing
    doing = name
    overall.deadline = anyio.current_time() + STEP_SECONDS


def note_session(session_id):
    with open(endpoints_file, "a") as file:
        file.write(f"/message?session_id={session_id}\n")


async def connect(stack):
    streams = await stack.enter_async_context(sse_client(f"{base}/sse", on_session_created=note_session))
    return await stack.enter_async_context(ClientSession(*streams))


async def text_of(session, name, arguments, **options):
    result = await session.call_tool(name, arguments, **options)
    return result.content[0].text


async def echo(session, text):
    answer = await text_of(session, target["echo"]["name"], {target["echo"]["argument"]: text})
    if target["echo"]["exact"]:
        assert answer == text, f"{len(answer)} characters came back, {len(text)} were sent"
    else:
        assert text in answer, f"the answer, {len(answer)} characters, does not hold what was sent: {answer[:80]!r}"


async def one_session():
    async with AsyncExitStack() as stack:
        step("initialize")
        session = await connect(stack)
        hello = await session.initialize()
        assert hello.serverInfo.name, "the server has no name"
        step("list tools")
        names = {tool.name for tool in (await session.list_tools()).tools}
        missing = set(target["tools"]) - names
        assert not missing, f"tools not listed: {missing}"
        step("call a tool")
        call = target["call"]
        answer = await text_of(session, call["name"], call["arguments"])
        assert call["contains"] in answer, f"unexpected answer: {answer[:80]!r}"
        if "progress" in target:
            step("progress notifications")
            await progress(session)
        step("echo 1 MiB")
        await echo(session, "m" * MIB)
        if target["echo"]["unicode"]:
            step("echo what line splitters trip over")
            await echo(session, "é \u2028 \u0085 \U0001f980 \r\n \n\n data: x \x00 end")
        if "large" in target:
            step("receive 1 MiB")
            answer = await text_of(session, target["large"]["name"], target["large"]["arguments"])
            assert len(answer) == target["large"]["length"], f"{len(answer)} characters came"
        step("close")


async def progress(session):
    seen = []

    async def note(value, total, message):
        seen.append(value)

    call = target["progress"]
    await text_of(session, call["name"], call["arguments"], progress_callback=note)
    assert len(seen) == call["steps"], f"{len(seen)} notifications before the answer, not {call['steps']}: {seen}"
    assert len(set(seen)) == len(seen), f"a notification came twice: {seen}"


async def many_sessions():
    """All are open before the first calls, and each must get its own answers."""
    waiting = sessions
    everyone = anyio.Event()

    async def one(number):
        nonlocal waiting
        async with AsyncExitStack() as stack:
            session = await connect(stack)
            await session.initialize()
            waiting -= 1
            if waiting == 0:
                everyone.set()
            await everyone.wait()
            async with anyio.create_task_group() as calls:
                for turn in range(3):
                    calls.start_soon(echo, session, f"session-{number}-call-{turn}-of-python")

    step(f"{sessions} sessions at once")
    async with anyio.create_task_group() as group:
        for number in range(sessions):
            group.start_soon(one, number)


def innermost(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main():
    logging.getLogger().addHandler(Collect(logging.WARNING))

    async def all_of_it():
        global overall
        with anyio.CancelScope() as overall:
            await one_session()
            await many_sessions()
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
    print("" if "progress" in target else "no progress: this server reports none")
    return 0


sys.exit(main())
