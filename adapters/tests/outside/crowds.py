"""Crowds: keep-alives of thousands of streams, all of them due at one moment too; and a herd over a restart."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

from clients import Loop, Session, Stream, served, share, unharmed
from machine import Failed, Server, Skip, descriptors

SPARE = 200  # descriptors beside those of the clients
LATE = 0.066  # how much later than asked a deadline is served, at most


def herd_size(wanted):
    """As many clients as the machine has descriptors for, on each side."""
    most = descriptors(wanted + SPARE) - SPARE
    if most < 500:
        raise Skip(f"descriptors for {most} clients only")
    return min(wanted, most)


def options(crowd):
    return ("--max-connections", str(crowd + 100), "--max-sessions", str(crowd + 100))


def connect(loop, address, count, last=None):
    """So many event streams, a few hundred under way at a time; how long it took."""
    began = time.monotonic()
    streams, opened = [], []
    for _ in range(count):
        stream = Stream(loop, address, last)
        stream.opened = lambda: opened.append(True)
        streams.append(stream)
        while len(streams) - len(opened) > 100:
            if broken := next((s.ended for s in streams[-200:] if s.ended), None):
                raise Failed(f"stream {len(streams)} of {count}: {broken}")
            if time.monotonic() - began > 60:
                raise Failed(f"{len(opened)} of {count} streams are open after 60 s")
            loop.turn()
    loop.until(lambda: len(opened) == count, 30, lambda: f"{len(opened)} of {count} streams are open")
    return streams, time.monotonic() - began


class Pinger:
    """A session of a process of its own, which pings: what its pings take is not what this process is busy with."""

    def __init__(self, server):
        command = [sys.executable, pathlib.Path(__file__).with_name("clients.py"), str(server.port), "0.02"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        if self.process.stdout.readline() != b"ready\n":
            raise Failed("the session that pings is not served")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def took(self):
        """Ends it; how long its pings took."""
        said, _ = self.process.communicate(timeout=70)
        said = json.loads(said)
        if said["broken"]:
            raise Failed(f"the session that pings is cut: {said['broken']}")
        return said["took"]


def storm(run):
    """Thousands of silent streams get their keep-alives in time, and after a stop of the whole program once each."""
    crowd, every = (2_000, 1) if run.quick else (10_000, 5)
    crowd = herd_size(crowd)
    slow = 1.0  # how much later all may be on a busy machine
    with Server(
        run.program, run.runtime, run.work, "--keep-alive-interval", str(every), *options(crowd)
    ) as server:
        loop = Loop()
        served(loop, server.address)
        server.rest()
        with Pinger(server) as pinger:
            streams, opening = connect(loop, server.address, crowd)
            used, began = server.cpu(), time.monotonic()
            loop.until(
                lambda: all(stream.comments >= 1 for stream in streams), every + slow + 10, "the first keep-alives"
            )
            loop.until(
                lambda: all(stream.comments >= 2 for stream in streams), every + slow + 10, "the second keep-alives"
            )
            took, used = time.monotonic() - began, server.cpu() - used
            beside = unharmed(pinger.took())
        silences = [silence for stream in streams for silence in stream.silences]
        if max(silences) > every + LATE + slow + loop.lag or min(silences) < every * 0.95 - loop.lag:
            raise Failed(f"keep-alives after {min(silences):.2f} to {max(silences):.2f} s of silence")

        # All at once: the process stands still until every one of them is due.
        before = [stream.comments for stream in streams]
        server.signal(signal.SIGSTOP)
        try:
            loop.during(every + LATE)
        finally:
            server.signal(signal.SIGCONT)
        went_on, cpu = time.monotonic(), server.cpu()
        loop.until(
            lambda: all(stream.comments > was for stream, was in zip(streams, before)), 15, "keep-alives after a stop"
        )
        burst, cpu = time.monotonic() - went_on, server.cpu() - cpu
        # What one gets before its next is due must be one.
        if burst < every / 2:
            loop.during(every / 2 - burst)
            most = max(stream.comments - was for stream, was in zip(streams, before))
            # Those that were on their way when it stopped came beside.
            twice = sum(stream.comments - was == 2 for stream, was in zip(streams, before))
            if most > 2 or twice > crowd / 10:
                raise Failed(f"up to {most} keep-alives on a stream after a stop")
        if ended := next((stream.ended for stream in streams if stream.ended), None):
            raise Failed(f"a stream is cut: {ended}")
        for stream in streams:
            stream.close()
        fresh = served(loop, server.address)
        left = time.monotonic()
        server.settle()
        left = time.monotonic() - left
        server.stop()
    return (
        f"{crowd} streams opened in {opening:.1f} s, keep-alives after {min(silences):.2f} to {max(silences):.2f} s "
        f"(asked {every} s), p99 {share(silences, 0.99):.2f} s, {used / took:.1%} of a core, "
        f"{beside}; all at once after a stop: "
        f"within {burst:.2f} s, {cpu:.2f} s of CPU; gone within {left:.1f} s, a new client in {fresh * 1e3:.0f} ms"
    )


class Member:
    """One of a herd: comes back whenever its stream ends, a little later, and pings once it is back."""

    def __init__(self, loop, address, resumes):
        self.loop, self.address, self.resumes = loop, address, resumes
        self.refused = 0
        self.told_over = 0
        self.due = None
        self.session = None
        self.last = None
        self.come()

    def come(self):
        self.due = None
        self.session = Session(self.loop, self.address, 1, self.last)

    def look(self, now):
        """Whether it is served, or has been told to come later, and does."""
        if self.due is not None:
            if now >= self.due:
                self.come()
        elif self.session.broken:
            if self.session.broken == "stream: status 204":
                self.told_over += 1
                self.last = None
            else:
                self.refused += 1
                self.last = self.session.stream.last if self.resumes else None
            self.due = now + random.uniform(0.375, 0.625)
        return self.due is None and self.session.done()


def restart(run):
    """A herd is connected; the program ends and starts again on the same port: all are served again."""
    crowd, within = herd_size(2 * (1_000 if run.quick else 5_000)) // 2, 10
    loop = Loop()
    with Server(run.program, run.runtime, run.work, *options(2 * crowd)) as server:
        served(loop, server.address)
        herd = []
        serving = []

        def all_served():
            now = time.monotonic()
            serving[:] = [member for member in herd if not member.look(now)]
            return not serving

        began = time.monotonic()
        for number in range(crowd):
            # A tenth comes back with the last id that it saw, for a session that ended with the program.
            herd.append(Member(loop, server.address, number % 10 == 0))
            if number % 50 == 0:
                loop.turn(0)
        loop.until(all_served, 60, lambda: f"{crowd - len(serving)} of {crowd} clients are served")
        connected = time.monotonic() - began
        refused = sum(member.refused for member in herd)
        stopped_at = time.monotonic()
        server.alive()
        server.signal(signal.SIGTERM)
        loop.until(lambda: server.process.poll() is not None, 20, "it does not end")
        stopping = time.monotonic() - stopped_at
        if server.process.returncode:
            raise Failed(f"exit code {server.process.returncode} after SIGTERM: {server.complaint()}")
        loop.until(lambda: all(m.session.broken for m in herd), 10, "streams that outlive the program")
        cut = sum(not member.session.stream.whole for member in herd)
        if cut:
            raise Failed(f"{cut} of {crowd} streams were cut, not finished")
    port = server.port
    with Server(run.program, run.runtime, run.work, *options(2 * crowd), port=port) as server:
        began = time.monotonic()
        loop.until(all_served, within * 3, lambda: f"{crowd - len(serving)} of {crowd} are served again")
        again, used = time.monotonic() - began, server.cpu()
        if again > within:
            raise Failed(f"all are served again after {again:.1f} s only")
        told_over = sum(member.told_over for member in herd)
        if told_over < crowd // 10:
            raise Failed(f"{told_over} were told that their session is over")
        for member in herd:
            member.session.close()
        served(loop, server.address)
        loop.until(lambda: server.files() < 100, 20, lambda: f"{server.files()} descriptors")
        server.rest()
        server.stop()
    return (
        f"{crowd} clients connected in {connected:.1f} s ({refused} refused), ended in {stopping:.1f} s, "
        f"all streams whole; all served again within {again:.1f} s, {told_over} told by 204 that their session is "
        f"over, {used:.2f} s of CPU, {server.at_rest} descriptors in the end"
    )
