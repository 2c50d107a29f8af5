"""The Python SDK, 1.x or 2.x, against one server over Streamable HTTP, in sessions or without (2026-07-28).

Usage: client_mcp.py BASE_URL TARGET SESSIONS SESSIONS_FILE sessions|stateless [CUTTING_URL]

CUTTING_URL is the same server behind a proxy that breaks a response in the middle. Each session's id is appended to
SESSIONS_FILE, so that the caller can look whether the server forgot it. Prints one line; exits 0 if all held. A
warning that the SDK logs counts as a failure.
"""

import importlib.metadata
import sys
from contextlib import AsyncExitStack

import anyio
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from harness import all_at_once, run, step, target_named, warnings

IS_FIRST = importlib.metadata.version("mcp").startswith("1.")
BIG = 1024 * 1024 - 4096  # 2.x bears no event of more than 1 MiB
BROKEN = 10  # steps of the call whose response breaks

base, target_name, sessions, sessions_file, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:6]
cutting = sys.argv[6] if len(sys.argv) > 6 else None
target = target_named(target_name)
is_stateless = mode == "stateless"


class Conversation:
    """One client: what it is asked and told, and which requests it makes."""

    def __init__(self):
        self.listening = anyio.Event()  # its GET stream is open
        self.changed = anyio.Event()  # it was told that the tools have changed
        self.roots_asked = anyio.Event()
        self.log = []
        self.resumed = 0
        self.deleted = None
        self.id = None

    async def open(self, stack, url, has_roots=False):
        http = create_mcp_http_client()
        http.event_hooks = {"request": [], "response": [self.note_response]}
        await stack.enter_async_context(http)
        transport = streamable_http_client(url, http_client=http)
        callbacks = {
            "sampling_callback": self.sample,
            "elicitation_callback": self.elicit,
            "list_roots_callback": self.roots if has_roots else None,
            "logging_callback": self.note_log,
            "message_handler": self.note_message,
        }
        if IS_FIRST:
            read, write, _ = await stack.enter_async_context(transport)
            self.client = await stack.enter_async_context(ClientSession(read, write, **callbacks))
            hello = await self.client.initialize()
            self.server, self.version = hello.serverInfo, hello.protocolVersion
        else:
            from mcp import Client

            negotiation = "auto" if is_stateless else "legacy"
            client = Client(transport, mode=negotiation, log_level="info", **callbacks)
            self.client = await stack.enter_async_context(client)
            self.server, self.version = client.server_info, client.protocol_version
        return self

    async def note_response(self, response):
        request = response.request
        session_id = response.headers.get("mcp-session-id")
        if session_id and self.id is None:
            self.id = session_id
            with open(sessions_file, "a") as file:
                file.write(f"/mcp {session_id}\n")
        if request.method == "GET" and response.status_code == 200:
            if "last-event-id" in request.headers:
                self.resumed += 1
            else:
                self.listening.set()
        elif request.method == "DELETE":
            self.deleted = response.status_code

    async def sample(self, context, params):
        content = types.TextContent(type="text", text="forty-two")
        return types.CreateMessageResult(role="assistant", content=content, model="a model")

    async def elicit(self, context, params):
        return types.ElicitResult(action="accept", content=target["form"])

    async def roots(self, context):
        self.roots_asked.set()
        return types.ListRootsResult(roots=[types.Root(uri="file:///interop", name="interop")])

    async def note_log(self, params):
        self.log.append(params.data)

    async def note_message(self, message):
        message = getattr(message, "root", message)
        if isinstance(message, types.ToolListChangedNotification):
            self.changed.set()
        elif isinstance(message, Exception):
            warnings.append(f"the session was given {message!r}")

    async def text_of(self, call, **options):
        result = await self.client.call_tool(call["name"], call["arguments"], **options)
        return result.content[0].text

    async def echo(self, text):
        echo = target["echo"]
        answer = await self.text_of({"name": echo["name"], "arguments": {echo["argument"]: text}})
        if echo["exact"]:
            assert answer == text, f"{len(answer)} characters came back, {len(text)} were sent"
        else:
            assert text in answer, f"the answer, {len(answer)} characters, lacks what was sent: {answer[:80]!r}"

    async def progress(self, call):
        """The steps that were told before the answer."""
        seen = []

        async def note(value, total, message):
            seen.append(value)

        await self.text_of(call, progress_callback=note)
        return seen


async def one_client():
    conversation = Conversation()
    async with AsyncExitStack() as stack:
        step("initialize")
        await conversation.open(stack, f"{base}/mcp", has_roots=True)
        assert conversation.server.name, "the server has no name"
        version = conversation.version
        assert (version == "2026-07-28") == is_stateless, f"the revision is {version}"
        step("list tools")
        names = {tool.name for tool in (await conversation.client.list_tools()).tools}
        missing = set(target["tools"]) - names
        assert not missing, f"tools not listed: {missing}"
        step("call a tool")
        answer = await conversation.text_of(target["call"])
        assert target["call"]["contains"] in answer, f"unexpected answer: {answer[:80]!r}"
        if "progress" in target:
            step("progress notifications")
            seen = await conversation.progress(target["progress"])
            steps = target["progress"]["steps"]
            assert len(seen) == steps, f"{len(seen)} notifications before the answer, not {steps}: {seen}"
            assert len(set(seen)) == len(seen), f"a notification came twice: {seen}"
        if "log" in target:
            step("log messages")
            await conversation.text_of(target["log"])
            assert len(conversation.log) == target["log"]["lines"], f"the log is {conversation.log}"
        if not is_stateless or target.get("asks_without_session"):
            for call in target["ask"]:
                step(f"a question of the server's: {call['name']}")
                answer = await conversation.text_of(call)
                assert call["contains"] in answer, f"unexpected answer: {answer[:200]!r}"
        step("echo 1 MiB")
        await conversation.echo("m" * BIG)
        if target["echo"]["unicode"]:
            step("echo what line splitters trip over")
            await conversation.echo("é \u2028 \u0085 \U0001f980 \r\n \n\n data: x \x00 end")
        if is_stateless:
            await without_session(conversation)
        else:
            await with_session(conversation)
        step("close")
    if is_stateless:
        assert conversation.id is None, "a session was opened"
        assert conversation.deleted is None, "DELETE was sent"
    else:
        assert conversation.deleted in (200, 202, 204), f"DELETE was answered with {conversation.deleted}"


async def with_session(conversation):
    """What the server says by itself comes on the GET stream; a response that ended early is taken up again."""
    step("GET stream")
    await conversation.listening.wait()
    if "change" in target:
        step("a change is announced on the GET stream")
        assert not conversation.changed.is_set(), "a change was announced before there was one"
        await conversation.text_of(target["change"])
        await conversation.changed.wait()
    if target.get("asks_for_roots"):
        step("the server asks by itself, on the GET stream")
        await conversation.roots_asked.wait()
    if "reconnect" in target:
        step("a response that the server ends early")
        before = conversation.resumed
        answer = await conversation.text_of(target["reconnect"])
        assert target["reconnect"]["contains"] in answer, f"unexpected answer: {answer[:80]!r}"
        assert conversation.resumed == before + 1, f"Last-Event-ID was sent {conversation.resumed - before} times"


async def without_session(conversation):
    """What changes is told to who has subscribed."""
    if "change" in target:
        step("a change is announced to a subscription")
        async with conversation.client.listen(tools_list_changed=True) as subscription:
            await conversation.text_of(target["change"])
            await anext(aiter(subscription))


async def broken_response():
    """A response breaks in the middle of an event: the rest of it comes, and nothing twice."""
    conversation = Conversation()
    async with AsyncExitStack() as stack:
        await conversation.open(stack, f"{cutting}/mcp?cut=1")
        call = {"name": "countdown", "arguments": {"from": BROKEN, "step_ms": 20}}
        seen = await conversation.progress(call)
        assert seen == list(range(1, BROKEN + 1)), f"the steps that came: {seen}"
        assert conversation.resumed == 1, f"Last-Event-ID was sent {conversation.resumed} times"
    assert conversation.deleted in (200, 202, 204), f"DELETE was answered with {conversation.deleted}"


async def many_clients():
    async def open_one(stack):
        conversation = await Conversation().open(stack, f"{base}/mcp")
        return conversation.echo

    step(f"{sessions} clients at once" + (", and a response that breaks" if cutting else ""))
    async with anyio.create_task_group() as group:
        if cutting:
            group.start_soon(broken_response)
        group.start_soon(all_at_once, sessions, "client", open_one)


# What comes on the GET stream while a client closes finds nobody any more, and the SDK tells of it.
bears = (anyio.BrokenResourceError, anyio.ClosedResourceError)
sys.exit(run(one_client, many_clients, bears=bears))
