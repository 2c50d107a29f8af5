"""Clients on one selector: event streams, requests, and sessions of HTTP+SSE that are made of both.

Run by itself (`clients.py PORT SECONDS`), it is one session that pings with so long a pause between two, until its
standard input ends, and prints how long each took.
"""

import errno
import json
import selectors
import socket
import sys
import time

from machine import Failed

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LOOK_S = 0.02
UNHARMED_S = 1.0


def ping(name=1):
    """A request that the demo answers at once."""
    return f'{{"jsonrpc":"2.0","id":{name},"method":"ping"}}'


def pong(name=1):
    """Its answer."""
    return f'{{"jsonrpc":"2.0","id":{name},"result":{{}}}}'


class Loop:
    """Waits for all connections at once."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.looked_at = None
        self.lag = 0.0  # how long it has not looked, at most: so much is known of the times that it tells

    def turn(self, wait=LOOK_S):
        now = time.monotonic()
        if self.looked_at is not None:
            self.lag = max(self.lag, now - self.looked_at)
        self.looked_at = now
        for key, events in self.selector.select(wait):
            key.data.ready(events)

    def until(self, holds, within, what):
        """Serves the connections until it holds."""
        end = time.monotonic() + within
        while not holds():
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(f"not within {within} s: {what() if callable(what) else what}")
            self.turn(min(left, LOOK_S))

    def during(self, seconds, act=lambda: None):
        """Serves the connections for so long, because something must not happen meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            act()
            self.turn(min(left, LOOK_S))


class Connection:
    """One connection. `ended` says how the server or the system has ended it; what we close ourselves has not."""

    def __init__(self, loop, address, first=b"", port=0):
        self.loop = loop
        self.ended = None
        self.closed = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if port:
            self.socket.bind(("127.0.0.1", port))
        self.out = first
        self.events = READ | WRITE
        self.began = time.monotonic()
        code = self.socket.connect_ex(address)
        self.port = self.socket.getsockname()[1] if code in (0, errno.EINPROGRESS) else 0
        loop.selector.register(self.socket, self.events, self)
        if code not in (0, errno.EINPROGRESS):
            self.end(errno.errorcode[code])

    def send(self, data):
        self.out += data
        self.watch(READ | WRITE)

    def watch(self, events):
        if events != self.events and not self.closed:
            self.events = events
            self.loop.selector.modify(self.socket, events, self)

    def ready(self, events):
        if self.closed:
            return
        try:
            if events & WRITE:
                if self.out:
                    self.out = self.out[self.socket.send(self.out) :]
                if not self.out:
                    # A connection that was refused says so here, or at the next read.
                    self.watch(READ)
            if events & READ:
                got = self.socket.recv(1 << 16)
                if got:
                    self.received(got)
                else:
                    self.end("end of file")
        except BlockingIOError:
            pass
        except OSError as error:
            self.end(errno.errorcode.get(error.errno, str(error)))

    def received(self, data):
        """The server has sent something."""

    def gone(self):
        """The connection has ended, not by us."""

    def end(self, why):
        if not self.closed:
            self.ended = why
            self.close()
            self.gone()

    def close(self):
        if not self.closed:
            self.closed = True
            self.loop.selector.unregister(self.socket)
            self.socket.close()


class Stream(Connection):
    """An event stream."""

    def __init__(self, loop, address, last=None, port=0):
        header = f"Last-Event-ID: {last}\r\n" if last else ""
        get = f"GET /sse HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\nAccept: text/event-stream\r\n{header}\r\n"
        super().__init__(loop, address, get.encode(), port)
        self.status = None
        self.raw = b""
        self.text = b""
        self.comments = 0
        self.heard_at = None  # when anything came last
        self.silences = []  # how long nothing came, one for each comment
        self.last = last
        self.endpoint = None
        self.whole = False  # it came to its proper end

    def received(self, data):
        now = time.monotonic()
        self.raw += data
        if self.status is None:
            head, found, rest = self.raw.partition(b"\r\n\r\n")
            if not found:
                return
            self.status, self.raw = int(head[9:12]), rest
            if self.status != 200:
                self.end(f"status {self.status}")
                return
        while self.raw:
            line, found, rest = self.raw.partition(b"\r\n")
            if not found:
                break
            try:
                size = int(line, 16)
            except ValueError:
                raise Failed(f"the stream holds {line[:100]!r} where a chunk begins") from None
            if len(rest) < size + 2:
                break
            if size == 0:
                self.whole = True
            self.text += rest[:size]
            self.raw = rest[size + 2 :]
        while b"\n\n" in self.text:
            block, self.text = self.text.split(b"\n\n", 1)
            if block.startswith(b":"):
                self.comments += 1
                self.silences.append(now - self.heard_at)
            else:
                self.event(block.decode())
            self.heard_at = now

    def event(self, block):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        self.last = fields.get("id", self.last)
        if fields.get("event") == "endpoint":
            self.endpoint = fields["data"]
            self.opened()
        elif "data" in fields:
            self.message(fields["data"])

    def opened(self):
        """The server has said where to post to."""

    def message(self, data):
        """The server has sent a message."""


class Posts(Connection):
    """A connection for requests, one after the other."""

    def __init__(self, loop, address):
        super().__init__(loop, address)
        self.address = address
        self.raw = b""
        self.statuses = []

    def post(self, path, body):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.address[1]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.send((head + body).encode())

    def received(self, data):
        self.raw += data
        while True:
            head, found, rest = self.raw.partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if not found or len(rest) < length:
                return
            self.raw = rest[length:]
            self.statuses.append(int(head[9:12]))
            self.answered()

    def answered(self):
        """A request was answered."""


class Session:
    """A client of HTTP+SSE that pings `wanted` times, `at_once` of them before it waits for an answer, each of them
    longer by `longer` bytes.

    `broken` says what the server or the system did to it; it then closes what it has. A connection for requests that
    is closed between two is no loss: the next opens another. What must not be at all raises.
    """

    def __init__(self, loop, address, wanted=0, last=None, at_once=1, longer=0):
        self.loop, self.address = loop, address
        self.wanted, self.at_once, self.longer = wanted, at_once, longer
        self.asked = 0
        self.answered = 0
        self.accepted = 0
        self.took = []
        self.asked_at = []
        self.broken = None
        self.posts = None
        self.stream = Stream(loop, address, last)
        self.connections = [self.stream]
        self.stream.opened = self.go_on
        self.stream.message = self.message
        self.stream.gone = lambda: self.give_up(f"stream: {self.stream.ended}")

    @property
    def endpoint(self):
        return self.stream.endpoint

    def is_open(self):
        return self.endpoint is not None

    def done(self):
        """Everything that was asked is answered."""
        return self.is_open() and self.answered == self.accepted == self.wanted

    def over(self):
        return self.broken is not None or self.done()

    def ping(self):
        self.wanted += 1
        self.go_on()

    def go_on(self):
        if self.broken or not self.is_open():
            return
        # The next ones go out when all before are answered and accepted.
        if self.asked == self.answered == self.accepted:
            for _ in range(min(self.at_once, self.wanted - self.asked)):
                self.ask()

    def ask(self):
        if self.posts is None:
            self.posts = posts = Posts(self.loop, self.address)
            self.connections.append(posts)
            posts.answered = self.post_answered
            posts.gone = self.posts_gone
        self.asked += 1
        self.asked_at.append(time.monotonic())
        self.posts.post(self.endpoint, ping(self.name(self.asked)))

    def name(self, number):
        return f'"{number}{"-" * self.longer}"' if self.longer else number

    def message(self, data):
        if data != pong(self.name(self.answered + 1)) or self.answered == self.asked:
            raise Failed(f"after {self.answered} answers to {self.asked} pings came {data[:200]!r}")
        self.took.append(time.monotonic() - self.asked_at[self.answered])
        self.answered += 1
        self.go_on()

    def post_answered(self):
        if self.posts.statuses[-1] == 202:
            self.accepted += 1
            self.go_on()
        else:
            self.give_up(f"requests: status {self.posts.statuses[-1]}")

    def posts_gone(self):
        if self.accepted == self.asked:
            self.posts = None
        else:
            self.give_up(f"requests: {self.posts.ended}")

    def give_up(self, why):
        if self.broken is None:
            self.broken = why
            self.close()

    def close(self):
        for connection in self.connections:
            connection.close()


class Pulse:
    """Pings with a pause between two, for as long as it is called."""

    def __init__(self, session, pause=0.02):
        self.session, self.pause, self.next = session, pause, 0.0

    def __call__(self):
        if self.session.broken:
            raise Failed(f"a client is cut: {self.session.broken}")
        if self.session.done() and time.monotonic() >= self.next:
            self.next = time.monotonic() + self.pause
            self.session.ping()


def ask(loop, address, path, within=10):
    """The status that a ping gets on a connection of its own."""
    posts = Posts(loop, address)
    posts.post(path, ping())
    loop.until(lambda: posts.statuses or posts.ended, within, "no answer to a request")
    posts.close()
    return posts.statuses[-1] if posts.statuses else posts.ended


def served(loop, address, pings=3, within=10):
    """A new client is served; how many seconds that took."""
    began = time.monotonic()
    session = Session(loop, address, pings)
    loop.until(session.over, within, "a new client is not served")
    if session.broken:
        raise Failed(f"a new client is not served: {session.broken}")
    session.close()
    return time.monotonic() - began


def unharmed(took):
    """What pings took, beside others' trouble: little, but for a few."""
    if share(took, 0.99) > UNHARMED_S:
        raise Failed(f"of {len(took)} pings beside, 1 % took {share(took, 0.99):.2f} s or longer")
    return f"{len(took)} pings beside, p99 {share(took, 0.99) * 1e3:.1f} ms"


def share(values, part):
    """The value that this part of them does not exceed."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def main():
    port, pause = int(sys.argv[1]), float(sys.argv[2])
    loop = Loop()
    session = Session(loop, ("127.0.0.1", port), 1)
    ending = []

    class Input:
        def ready(self, _):
            ending.append(True)

    loop.until(session.over, 60, "the first ping")
    print("ready", flush=True)
    loop.selector.register(sys.stdin, READ, Input())
    while not ending and not session.broken:
        loop.during(pause)
        session.ping()
        loop.until(session.over, 60, "a ping")
    json.dump({"took": session.took, "broken": session.broken}, sys.stdout)


if __name__ == "__main__":
    main()
