"""Clocks that jump, of the server alone, by libfaketime."""

import datetime
import os
import re
import time

from clients import Loop, Posts, Pulse, Session, served
from machine import Failed, Server, Skip, need

KEEP_ALIVE = 1
HOUR = 3600
STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[.\d]*Z", re.M)


class Clock:
    """What the server takes for the time."""

    def __init__(self, run, **env):
        self.file = run.work / f"clock-{run.runtime}"
        self.set(0)
        self.env = {
            "LD_PRELOAD": need("libfaketimeMT.so.1"),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            **env,
        }

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self.file)


def ahead(server):
    """By how many seconds the last line of the server's log is ahead of this process's clock."""
    stamps = STAMP.findall(server.log.read_text(errors="replace"))
    if not stamps:
        raise Failed("the log has no times")
    said = datetime.datetime.fromisoformat(stamps[-1] + "+00:00")
    return (said - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def start(run, clock, loop, crowd):
    server = Server(run.program, run.runtime, run.work, "--keep-alive-interval", str(KEEP_ALIVE), env=clock.env)
    try:
        served(loop, server.address)
        server.rest()
        sessions = [Session(loop, server.address, 1) for _ in range(crowd)]
        loop.until(lambda: all(session.done() for session in sessions), 10, "the first pings")
    except BaseException:
        server.kill()
        raise
    return server, sessions


def watch(loop, sessions, times):
    """Until every silent stream has had so many keep-alives more. Another one is pinged all the while."""
    busy, *quiet = sessions
    wanted = [session.stream.comments + times for session in quiet]
    pulse = Pulse(busy)
    loop.until(
        lambda: pulse() or all(session.stream.comments >= count for session, count in zip(quiet, wanted)),
        KEEP_ALIVE * times + 10,
        "keep-alives",
    )
    loop.until(busy.done, 10, "a ping")
    if broken := next((session.broken for session in sessions if session.broken), None):
        raise Failed(f"a client is cut: {broken}")


def early(loop, session):
    """How many keep-alives a stream got before its time."""
    return sum(silence < KEEP_ALIVE * 0.95 - loop.lag for silence in session.stream.silences)


def silences_of(sessions):
    """How long nothing came on the silent streams, before each of their keep-alives."""
    return [silence for session in sessions[1:] for silence in session.stream.silences]


def end(server, sessions):
    """Lets all clients go: the server must hold nothing of them, and end when it is asked to."""
    for session in sessions:
        session.close()
    server.settle()
    server.stop()


def wall(run):
    """The wall clock jumps by an hour, ahead and back: nothing happens."""
    clock, loop = Clock(run, DONT_FAKE_MONOTONIC="1"), Loop()
    server, sessions = start(run, clock, loop, 6)
    with server:
        jumps = (HOUR, -HOUR) if run.quick else (HOUR, 0, -HOUR, 0)
        for jump in jumps:
            clock.set(jump)
            watch(loop, sessions, 2)
            served(loop, server.address)
            if abs(ahead(server) - jump) > 60:
                raise Failed(f"the clock was set to {jump:+d} s, but the log is at {ahead(server):+.0f} s")
        silences = silences_of(sessions)
        if any(early(loop, session) for session in sessions[1:]):
            raise Failed(f"a keep-alive after {min(silences):.2f} s of silence")
        end(server, sessions)
    return (
        f"{', '.join(f'{jump:+d}' for jump in jumps)} s, {len(silences)} keep-alives on {len(sessions) - 1} streams, "
        f"each after {min(silences):.2f} to {max(silences):.2f} s of silence, {sessions[0].answered} pings"
    )


def monotonic(run):
    """The clock that deadlines are counted on jumps ahead by an hour: what is due comes once, and all goes on."""
    if run.runtime == "smol":
        # Its thread naps on a futex until a time that it reckons by the clock that was set; the kernel has its own.
        raise Skip("libfaketime does not set the clock of futexes: smol's reactor would sleep for the hour")
    clock, loop = Clock(run), Loop()
    server, sessions = start(run, clock, loop, 6)
    with server:
        idle = Posts(loop, server.address)
        idle.post(sessions[1].endpoint, '{"jsonrpc":"2.0","method":"notifications/initialized"}')
        loop.until(lambda: idle.statuses == [202], 10, "a notification")
        loop.during(KEEP_ALIVE / 3)
        used = server.cpu()
        clock.set(HOUR)
        # They have waited for their next request for an hour.
        loop.until(
            lambda: idle.ended and all(session.posts is None for session in sessions),
            10,
            "connections that wait for requests are not closed after an hour: did the clock jump?",
        )
        watch(loop, sessions, 2)
        used = server.cpu() - used
        served(loop, server.address)
        if abs(ahead(server) - HOUR) > 60:
            raise Failed(f"the log is at {ahead(server):+.0f} s")
        if used > KEEP_ALIVE:
            raise Failed(f"{used:.2f} s of processor time: it spins")
        silences = silences_of(sessions)
        ahead_of_time = max(early(loop, session) for session in sessions[1:])
        if ahead_of_time > 1:
            raise Failed(f"{ahead_of_time} keep-alives came early on a stream, over one jump")
        end(server, sessions)
    return (
        f"+{HOUR} s, {len(silences)} keep-alives on {len(sessions) - 1} streams, {ahead_of_time} early on each, after "
        f"{max(silences):.2f} s of silence at most, {sessions[0].answered} pings, {used * 1e3:.0f} ms of CPU"
    )
