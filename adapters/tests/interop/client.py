"""The Python SDK's `sse_client` against one server: initialize, call, progress, 1 MiB, many sessions, close.

Usage: client.py BASE_URL TARGET SESSIONS ENDPOINTS_FILE

Each session's endpoint is appended to ENDPOINTS_FILE, so that the caller can look whether the server forgot it.
Prints one line; exits 0 if all held. A warning that the SDK logs counts as a failure.
"""

import functools
import sys
from contextlib import AsyncExitStack

from mcp import ClientSession
from mcp.client.sse import sse_client

from harness import all_at_once, run, step, target_named

MIB = 1024 * 1024

base, target_name, sessions, endpoints_file = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
target = target_named(target_name)


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
    async def open_one(stack):
        session = await connect(stack)
        await session.initialize()
        return functools.partial(echo, session)

    step(f"{sessions} sessions at once")
    await all_at_once(sessions, "session", open_one)


sys.exit(run(one_session, many_sessions, note="" if "progress" in target else "no progress: this server reports none"))
