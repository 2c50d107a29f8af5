"""The machine, and the program as a process on it: what it holds, what it costs, what it said."""

import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

STOP_S = 20  # for the server to end
START_S = 30  # for it to say where it listens
SETTLE_S = 20  # for it to let go of what clients have left
LOOK_S = 0.02  # between two looks at something that wakes nobody

# What a check needs, and the Debian package that has it.
PACKAGES = {
    "strace": "strace",
    "fiu-run": "fiu-utils",
    "fiu-ctrl": "fiu-utils",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "libfaketimeMT.so.1": "faketime",
}


class Failed(Exception):
    """The server did not do what it must."""


class Skip(Exception):
    """This machine can't do what the check needs."""


def find(tool):
    """Where a tool is, or None."""
    if ".so" in tool:
        return next((str(path) for path in pathlib.Path("/usr/lib").glob(f"*/faketime/{tool}")), None)
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def need(tool):
    """Where a tool is; without it, the check can't be done."""
    path = find(tool)
    if path is None:
        raise Skip(f"no {tool} (Debian's {PACKAGES[tool]})")
    return path


def install(tools):
    """Installs what is missing, where that is allowed. What can't be had is said by the checks that need it."""
    packages = sorted({PACKAGES[tool] for tool in tools if find(tool) is None})
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if subprocess.run(command, check=False, **quiet).returncode:
            subprocess.run(["apt-get", "update"], check=False, **quiet)
            subprocess.run(command, check=False, **quiet)


def descriptors(most):
    """Raises the limit of descriptors, for this process and those that it starts; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, hard)), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def until(holds, within, what):
    """Looks again and again until it holds; what it then said."""
    end = time.monotonic() + within
    while not (said := holds()):
        if time.monotonic() > end:
            raise Failed(f"not within {within} s: {what() if callable(what) else what}")
        time.sleep(LOOK_S)
    return said


def _let_be_traced():
    """Where only children may be traced (yama), lets any process of the same user trace this one."""
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)


class Server:
    """`mcp-sse serve` with the demo. Use it in a `with`, and `stop` it: what is left is killed."""

    def __init__(self, program, runtime, work, *options, before=(), env=None, port=0):
        self.log = work / f"log-{runtime}-{time.monotonic_ns()}"
        command = [*before, program, "serve", "--listen", f"127.0.0.1:{port}", "--runtime", runtime, *options]
        said = self.log.with_suffix(".said")
        with open(self.log, "wb") as err, open(said, "wb") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "RUST_BACKTRACE": "1", **(env or {})},
                preexec_fn=_let_be_traced,
            )
        self.pid = self.process.pid
        self.at_rest = None

        def listens():
            if self.process.poll() is not None:
                raise Failed(f"ended at once with {self.process.returncode}: {self.complaint()}")
            return re.search(r"http://127\.0\.0\.1:(\d+)/sse", said.read_text())

        try:
            self.port = int(until(listens, START_S, "no address was printed")[1])
        except BaseException:
            self.kill()
            raise
        self.address = ("127.0.0.1", self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def complaint(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:])[-500:]

    def signal(self, number):
        self.process.send_signal(number)

    def alive(self):
        """Says so if it has ended or a thread has panicked."""
        if self.process.poll() is not None:
            raise Failed(f"the server has ended with {self.process.returncode}: {self.complaint()}")
        if b"panicked" in self.log.read_bytes():
            raise Failed(f"a thread has panicked: {self.complaint()}")

    def descriptors(self):
        """What its descriptors are, without those that the check has given it."""
        found = []
        try:
            numbers = os.listdir(f"/proc/{self.pid}/fd")
        except FileNotFoundError:
            self.alive()
            raise
        for number in numbers:
            with contextlib.suppress(FileNotFoundError):  # It was closed meanwhile.
                found.append(os.readlink(f"/proc/{self.pid}/fd/{number}"))
        return [what for what in found if not what.startswith(str(self.log.parent))]

    def files(self):
        """How many they are."""
        return len(self.descriptors())

    def threads(self):
        return [int(tid) for tid in os.listdir(f"/proc/{self.pid}/task")]

    def cpu(self):
        """Seconds of processor time that its threads have used."""
        used = 0
        for tid in self.threads():
            with contextlib.suppress(OSError):
                used += int(pathlib.Path(f"/proc/{self.pid}/task/{tid}/schedstat").read_text().split()[0])
        return used / 1e9

    def rest(self):
        """Learns how many descriptors it has when nobody is there; somebody must have been there before."""
        seen = []

        def settled():
            seen.append(self.files())
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        until(settled, SETTLE_S, "the descriptors do not settle")
        self.at_rest = seen[-1]
        return self.at_rest

    def settle(self):
        """Waits until the descriptors are back to what they were at rest."""

        def what():
            left = self.descriptors()
            sockets = sum(what.startswith("socket:") for what in left)
            return f"{len(left)} descriptors, {sockets} of them sockets; at rest {self.at_rest}"

        until(lambda: self.files() <= self.at_rest, SETTLE_S, what)

    def stop(self, sessions=0):
        """Ends it properly: SIGTERM, exit code 0, no panic, and no session left but those that were open."""
        self.alive()
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running {STOP_S} s after SIGTERM") from None
        log = self.log.read_text(errors="replace")
        if code or "panicked" in log:
            raise Failed(f"exit code {code} after SIGTERM: {self.complaint()}")
        left = re.search(r"shutting down.* sessions=(\d+)", log)
        if sessions is not None and left and int(left[1]) != sessions:
            raise Failed(f"{left[1]} sessions at its end, not {sessions}")
