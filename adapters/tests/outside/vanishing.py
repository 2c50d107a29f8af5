"""A client whose machine is gone: no FIN, no RST, nothing. In a network namespace of this process's own."""

import pathlib
import subprocess
import time

from clients import Connection, Loop, Pulse, Session, Stream, ask, pong, unharmed
from machine import Failed, Server, Skip, need

KEEP_ALIVE = 1
SEND_TIMEOUT = 1
REQUEST_TIMEOUT = 2
DETACHED = 3
# The operating system gives up after twice the send time-out; it looks when it sends again, which it does ever later.
STREAM_WITHIN = KEEP_ALIVE + 2 * SEND_TIMEOUT + 2
SLOW = 2  # how much later all may be on a busy machine


def tool(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    if done.returncode:
        raise Skip(f"{' '.join(map(str, command[:3]))}: {done.stderr.decode().strip().splitlines()[-1]}")


def sockets(port, states=("01", "08")):
    """The clients' ports of connections that the server still holds: those established, and those closed by half."""
    found = set()
    for line in pathlib.Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if int(local.split(":")[1], 16) == port and state in states:
            found.add(int(remote.split(":")[1], 16))
    return found


def vanish(run):
    nft = need("nft")
    tool(need("ip"), "link", "set", "lo", "up")
    tool(nft, "add table inet fault; add set inet fault gone { type inet_service; }")
    tool(nft, "add chain inet fault out { type filter hook output priority 0; }")
    tool(nft, "add rule inet fault out tcp sport @gone drop; add rule inet fault out tcp dport @gone drop")

    options = (
        *("--keep-alive-interval", KEEP_ALIVE, "--send-timeout", SEND_TIMEOUT, "--detached-timeout", DETACHED),
        *("--head-timeout", REQUEST_TIMEOUT, "--body-timeout", REQUEST_TIMEOUT),
    )
    with Server(run.program, run.runtime, run.work, *map(str, options)) as server:
        loop = Loop()
        first = Session(loop, server.address, 1)
        loop.until(first.over, 10, "the first client")
        first.close()
        server.rest()
        neighbours = [Session(loop, server.address, 1) for _ in range(5)]
        loop.until(lambda: all(session.done() for session in neighbours), 10, "the neighbours")

        # After so many bytes of the server's packets nothing reaches these any more: a stream's head is lost, its first
        # keep-alive, its second.
        counted = {}
        for quota, port in ((150, 20_150), (500, 20_500), (560, 20_560)):
            tool(nft, f"add rule inet fault out tcp dport {port} quota over {quota} bytes drop")
            counted[quota] = Stream(loop, server.address, port=port)

        idle, returning, busy = (Session(loop, server.address, 1) for _ in range(3))
        host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
        silent = Connection(loop, server.address)
        head = Connection(loop, server.address, b"GET /sse HTTP/1.1\r\n" + host)
        loop.until(lambda: all(session.done() for session in (idle, returning, busy)), 10, "those that will vanish")
        body = Connection(
            loop,
            server.address,
            f"POST {idle.endpoint} HTTP/1.1\r\n".encode()
            + host
            + b"Content-Type: application/json\r\nContent-Length: 40\r\n\r\n{",
        )
        loop.until(lambda: not head.out and not body.out, 10, "what is sent by half")
        loop.until(lambda: {silent.port, head.port, body.port} <= sockets(server.port), 10, "they are connected")
        streams = {"idle": idle.stream, "returning": returning.stream, "busy": busy.stream}
        requests = {"silent": silent, "half a head": head, "half a body": body}
        gone = [*streams.values(), *requests.values()]
        tool(nft, f"add element inet fault gone {{ {', '.join(str(c.port) for c in gone)} }}")
        cut_at = time.monotonic()
        last = returning.stream.last
        # What is said to a client that is gone waits for it.
        for session in (busy, returning):
            if (status := ask(loop, server.address, session.endpoint)) != 202:
                raise Failed(f"a message to a session whose client is silent gets {status}")

        ends = {}
        bounds = {name: (STREAM_WITHIN, stream.port, cut_at) for name, stream in streams.items()}
        bounds |= {name: (REQUEST_TIMEOUT + 1, c.port, c.began) for name, c in requests.items()}
        bounds |= {f"{quota} bytes": (STREAM_WITHIN + KEEP_ALIVE, c.port, c.began) for quota, c in counted.items()}
        back, heard = [], []
        pulses = [Pulse(session) for session in neighbours]

        def all_ended():
            now = time.monotonic()
            held = sockets(server.port)
            for name, (_, port, since) in bounds.items():
                if port not in held:
                    ends.setdefault(name, now - since)
            # The session waits for its client: here it comes, from another port.
            if "returning" in ends and not back:
                back.append(Stream(loop, server.address, last))
                back[0].message = heard.append
            for pulse in pulses:
                pulse()
            return len(ends) == len(bounds)

        longest = max(bound for bound, *_ in bounds.values())
        loop.until(all_ended, longest * SLOW, lambda: f"still open: {', '.join(sorted(bounds.keys() - ends))}")
        late = {name: took for name, took in ends.items() if took > bounds[name][0] * SLOW}
        if late:
            raise Failed(f"late: {late}")

        loop.until(lambda: heard or back[0].ended, 10, "what was said meanwhile")
        if heard != [pong()]:
            raise Failed(f"who comes back gets {heard} and {back[0].ended}")

        def forgotten():
            return ask(loop, server.address, idle.endpoint) == 404

        loop.until(forgotten, (DETACHED + 1) * SLOW, "the session of a client that does not come back is still there")
        loop.until(lambda: all(session.done() for session in neighbours), 10, "the neighbours' last pings")
        beside = unharmed([seconds for session in neighbours for seconds in session.took])
        for connection in [*back, *gone, *counted.values(), *neighbours, idle, returning, busy]:
            connection.close()
        server.settle()
        server.stop(sessions=None)
    streams_took = [ends[name] for name in ends if name not in requests]
    return (
        f"{len(streams_took)} streams ended after {min(streams_took):.1f} to {max(streams_took):.1f} s "
        f"(keep-alive {KEEP_ALIVE} s, send time-out {SEND_TIMEOUT} s), {len(requests)} requests after "
        f"{max(ends[name] for name in requests):.1f} s at most, {beside}"
    )
