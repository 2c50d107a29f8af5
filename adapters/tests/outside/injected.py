"""System calls that fail: by strace on the running server, and by libfiu between it and the C library."""

import pathlib
import re
import subprocess
import time

from clients import Loop, Pulse, Session, ask, served
from machine import Failed, Server, Skip, need, until

PEER = re.compile(r"TCP(?:v6)?:\[.*?->.*?:(\d+)\]")


class Faults:
    """strace on a running server: some of its calls fail from now on, and none once this is left."""

    def __init__(self, server, error, when, work):
        """`when`: which of each thread's calls fail, by the calls' names."""
        self.prefix = work / f"trace-{time.monotonic_ns()}"
        command = [need("strace"), "-ff", "-qq", "-yy", "-o", self.prefix, "-p", str(server.pid)]
        command += ["-e", f"trace={','.join(when)}", "-e", "signal=none"]
        for name, which in when.items():
            command += ["-e", f"inject={name}:error={error}:when={which}"]
        self.said = self.prefix.with_suffix(".said")
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            until(lambda: self.attached(server), 20, "strace does not attach")
        except BaseException:
            self.detach()
            raise

    def attached(self, server):
        if self.process.poll() is not None:
            raise Skip(f"strace can't: {self.said.read_text().strip().splitlines()[-1]}")
        status = (pathlib.Path(f"/proc/{server.pid}/task/{tid}/status").read_text() for tid in server.threads())
        return all(f"TracerPid:\t{self.process.pid}\n" in text for text in status)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.detach()

    def detach(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def lines(self):
        """The calls that were made; complete once it is left."""
        for path in self.prefix.parent.glob(self.prefix.name + ".[0-9]*"):
            yield from path.read_text(errors="replace").splitlines()

    def hits(self):
        return [line for line in self.lines() if "(INJECTED)" in line]


def accepting(error, times=None, seconds=0.0):
    """Accepting fails, so many times or for so long: who comes is served in the end, who is there goes on."""

    def check(run):
        crowd, when = 20, f"1..{times}" if times else "1+"
        with Server(run.program, run.runtime, run.work, "--keep-alive-interval", "1") as server:
            loop = Loop()
            served(loop, server.address)
            server.rest()
            quiet, busy = (Session(loop, server.address, 1) for _ in range(2))
            loop.until(lambda: quiet.done() and busy.done(), 10, "the first clients")
            comments, pulse = quiet.stream.comments, Pulse(busy)
            used, began = server.cpu(), time.monotonic()
            with Faults(server, error, {"accept4": when}, run.work) as faults:
                late = [Session(loop, server.address, 1) for _ in range(crowd)]
                loop.during(seconds, pulse)
                if not times and any(session.is_open() for session in late):
                    raise Failed("a client is served while accepting fails")
                if not times:
                    faults.detach()
                loop.until(
                    lambda: pulse() or all(session.over() for session in late),
                    30,
                    lambda: f"{sum(session.done() for session in late)} of {crowd} clients are served",
                )
                took, used = time.monotonic() - began, server.cpu() - used
            loop.until(busy.done, 10, "the last ping")
            for session in [quiet, busy, *late]:
                if session.broken:
                    raise Failed(f"a client was cut: {session.broken}")
            calls, hits = len(list(faults.lines())), len(faults.hits())
            if times:
                # The next connection may be fine: there is nothing to wait for.
                if hits != times or took > 5:
                    raise Failed(f"{hits} of {times} errors in {calls} calls, and all served after {took:.1f} s only")
            elif not 2 <= hits <= 5 + 20 * seconds or used > 0.3 + took / 4:
                raise Failed(f"{hits} errors and {used:.2f} s of CPU in {took:.1f} s: it spins, or never tries")
            comments = quiet.stream.comments - comments
            if comments < int(took) - 1:
                raise Failed(f"{comments} keep-alives in {took:.1f} s on an open stream")
            fresh = served(loop, server.address)
            for session in [quiet, busy, *late]:
                session.close()
            server.settle()
            server.stop()
        return (
            f"{hits} errors in {calls} calls, {crowd} late clients served within {took:.1f} s, "
            f"{busy.answered} pings meanwhile, {comments} keep-alives, {used * 1e3:.0f} ms of CPU, "
            f"a new client in {fresh * 1e3:.0f} ms"
        )

    return check


# Both runtimes write a message by the first, and several at once by one of the others.
WRITES = {"sendto": "7+29", "sendmsg": "2+5", "writev": "2+5"}


def writing(error, harmless=False):
    """Writes to sockets fail, now and then: exactly the connections that are hit end, and with a stream its session."""

    def check(run):
        crowd, pings = (20, 6) if run.quick else (40, 10)
        with Server(run.program, run.runtime, run.work) as server:
            loop = Loop()
            served(loop, server.address)
            server.rest()
            with Faults(server, error, WRITES, run.work) as faults:
                # Half of them ask ahead, for what needs several writes.
                sessions = [Session(loop, server.address, pings) for _ in range(crowd // 2)]
                for _ in range(crowd // 2):
                    sessions.append(Session(loop, server.address, pings * 2, at_once=pings, longer=20_000))
                loop.until(
                    lambda: all(session.over() for session in sessions),
                    30,
                    lambda: f"{sum(session.over() for session in sessions)} of {crowd} clients are done",
                )
            hits = faults.hits()
            if not hits:
                raise Failed(f"no write has failed, in {len(list(faults.lines()))}")
            peers = [PEER.search(line) for line in hits]
            if not all(peers):
                raise Skip("strace does not tell the connections' ports")
            hit = {int(peer[1]) for peer in peers}
            connections = [connection for session in sessions for connection in session.connections]
            ended = {c.port for c in connections if c.ended}
            if harmless:
                if ended:
                    raise Failed(f"{len(ended)} connections ended over {len(hits)} errors that mean nothing")
            else:
                if ended - hit:
                    raise Failed(f"{len(ended - hit)} connections ended that were not hit")
                # One that was hit may have been closed by its client first, whose other one was hit.
                still = [c for c in connections if c.port in hit and not c.closed]
                loop.until(lambda: all(c.closed for c in still), 10, "a connection that was hit is still open")
                for session in sessions:
                    if session.stream.port in hit and session.endpoint:
                        status = ask(loop, server.address, session.endpoint)
                        if status != 404:
                            raise Failed(f"a session whose stream is gone says {status}, not 404")
            right = sum(session.done() for session in sessions)
            fresh = served(loop, server.address)
            for session in sessions:
                session.close()
            server.settle()
            server.stop()
        calls = {name: sum(line.startswith(name + "(") for line in hits) for name in WRITES}
        by_call = ", ".join(f"{count} {name}" for name, count in calls.items() if count)
        return (
            f"{len(hits)} errors ({by_call}), {len(ended)} connections ended, {right} of {crowd} sessions whole, "
            f"a new client in {fresh * 1e3:.0f} ms, {server.at_rest} descriptors as before"
        )

    return check


# What calls on sockets come back with; not EAGAIN, which no system says of a socket that is ready.
ERRORS = {"ECONNRESET": 104, "ETIMEDOUT": 110, "EPIPE": 32, "ENOBUFS": 105, "EINTR": 4}


def library(run):
    """One call in a hundred of the C library's calls on sockets fails, whatever it is."""
    crowd, pings, at_once = (50 if run.quick else 200), 4, 10
    prefix = run.work / "fiu"
    before = [need("fiu-run"), "-x", "-f", str(prefix)]
    # A call that timed out says that the client's machine is gone, and its session would wait for it.
    options = ["--resume", "off", "--keep-alive-interval", "1"]
    options += [word for name in ("head", "body", "send") for word in (f"--{name}-timeout", "3")]
    with Server(run.program, run.runtime, run.work, *options, before=before) as server:
        loop = Loop()
        served(loop, server.address)
        server.rest()
        control = [need("fiu-ctrl"), "-f", str(prefix)]

        def tell(*commands):
            words = [word for command in commands for word in ("-c", command)]
            told = subprocess.run([*control, *words, str(server.pid)], capture_output=True, timeout=20, check=False)
            if told.returncode:
                raise Skip(f"fiu-ctrl can't: {(told.stdout + told.stderr).decode().strip()}")

        points = ("posix/io/net/*", "posix/io/rw/writev")
        # Every call fails at first, to see whether this program's calls pass through there at all.
        tell(*(f"enable name={point},failinfo={ERRORS['ECONNRESET']}" for point in points[:1]))
        probe = Session(loop, server.address, 1)
        loop.until(probe.over, 10, "a session of which every call fails")
        tell(f"disable name={points[0]}")
        if not probe.broken:
            raise Skip("the program's calls do not pass through libfiu")

        right, broken = 0, []
        for name, number in ERRORS.items():
            tell(*(f"enable_random name={point},probability=0.01,failinfo={number}" for point in points))
            wave = []
            for _ in range(crowd // len(ERRORS)):
                wave.append(Session(loop, server.address, pings))
                loop.until(
                    lambda wave=wave: sum(not session.over() for session in wave) < at_once,
                    20,
                    lambda name=name: f"a session neither goes on nor fails, under {name}",
                )
            loop.until(
                lambda wave=wave: all(session.over() for session in wave), 20, f"the last sessions, under {name}"
            )
            tell(*(f"disable name={point}" for point in points))
            right += sum(session.done() for session in wave)
            broken += [session.broken for session in wave if session.broken]
            if name == "EINTR" and any(session.broken for session in wave):
                raise Failed(f"an interrupted call has ended a session: {broken[-1]}")
            for session in wave:
                session.close()
            server.alive()
        fresh = served(loop, server.address)
        server.settle()
        server.stop()
    how = ", ".join(f"{broken.count(why)} {why}" for why in sorted(set(broken)))
    return (
        f"{right} of {crowd} sessions whole, {len(broken)} failed cleanly{how and f' ({how})'}, "
        f"a new client in {fresh * 1e3:.0f} ms, {server.at_rest} descriptors as before"
    )
