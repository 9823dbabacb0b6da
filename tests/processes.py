"""Python processes that start at once, because they are forked from one that has imported what they need.

Each is a process like any other: a pid, standard streams, signals, an exit code, its own environment and folder. It
runs a module or a script just as `python` does, and is measured by coverage where `python` would be. Only the start of
the interpreter is missing; a fresh one can be had where that matters, as it does for `PYTHON…` variables.

Run as a script, this file is the process that forks the others.
"""

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

ROOT: Final = Path(__file__).parents[1]
UNMEASURED: Final = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
"""The environment of a process whose lines are not counted: one that is killed could not report them anyway."""
NUMBER: Final = struct.Struct("i")
MODULES: Final = (
    *("anyio._backends._asyncio", "coverage", "cyclopts", "rich.progress_bar", "rich.live", "rich.table", "uvloop"),
    *("shelfwire.books.composition", "shelfwire.cli.embedded_server", "shelfwire.client", "shelfwire.server.logs"),
    *("uvicorn.lifespan.off", "websockets.asyncio.client"),
)
"""What is imported once. The command line itself is not: it looks at the environment while it is imported."""


def share_certificates() -> None:
    """Read the world's certificates once for all HTTP clients of this process: that takes longer than most tests."""
    import httpcore2  # noqa: PLC0415 - it is not needed to start a process

    httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)


class Process:
    """A Python process, in the manner of `subprocess.Popen`; leaving its context kills it if it still runs.

    Args:
        words: what would follow `python`: a script or `-m` and a module, and its arguments.
        env: its environment.
        cwd: its folder.
        stdin: the file descriptor that it reads; nothing unless given.
        stdout: the one it writes to; a pipe unless given.
        stderr: likewise.
        fresh: whether to start a new interpreter after all.

    Attributes:
        pid: its id.
        stdout: the pipe that it writes to, as text.
        stderr: likewise.
    """

    def __init__(
        self,
        *words: str,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.stdout: TextIO | None
        self.stderr: TextIO | None
        with contextlib.ExitStack() as theirs:
            nothing = os.open(os.devnull, os.O_RDONLY)
            theirs.callback(os.close, nothing)
            self.stdout, out = _pipe(theirs) if stdout is None else (None, stdout)
            self.stderr, err = _pipe(theirs) if stderr is None else (None, stderr)
            request = {"words": words, "env": dict(env), "cwd": str(cwd), "fresh": fresh}
            self._status = _forker().fork(request, [nothing if stdin is None else stdin, out, err])
        self._code: int | None = None
        self.pid: int
        (self.pid,) = NUMBER.unpack(self._status.recv(NUMBER.size, socket.MSG_WAITALL))

    def __enter__(self) -> Self:
        """Nothing has to be done."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, wait for its end and close the pipes."""
        self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self._status.close()

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None while it runs."""
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self._take(self._status.recv(NUMBER.size, socket.MSG_WAITALL))
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Args:
            timeout: seconds to wait at most.

        Raises:
            TimeoutError: it still runs.
        """
        if self._code is None:
            self._status.settimeout(timeout)
            self._take(self._status.recv(NUMBER.size))
        assert self._code is not None
        return self._code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read both pipes to their ends and wait for its end.

        Args:
            timeout: seconds after which it is killed.

        Raises:
            TimeoutError: it was killed.
        """
        overdue = threading.Event()
        said = {"out": "", "err": ""}

        def give_up() -> None:
            overdue.set()
            self.kill()

        def read(name: str, stream: TextIO | None) -> None:
            said[name] = "" if stream is None else stream.read()

        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, give_up)
        errors = threading.Thread(target=read, args=("err", self.stderr))
        timer.start()
        errors.start()
        read("out", self.stdout)
        errors.join()
        self.wait()
        timer.cancel()
        timer.join()
        if overdue.is_set():
            raise TimeoutError(f"not done after {timeout} s; said:\n{said['out']}{said['err']}")
        return said["out"], said["err"]

    async def first_line(self) -> str:
        """Wait for the first line of its output without blocking the event loop; empty if there is none."""
        assert self.stdout is not None
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.stdout, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.stdout)
        return self.stdout.readline()

    async def ended(self) -> int:
        """Wait for its end without blocking the event loop."""
        if self._code is None:
            self._status.settimeout(0)
            self._take(await asyncio.get_running_loop().sock_recv(self._status, NUMBER.size))
        assert self._code is not None
        return self._code

    def _take(self, data: bytes) -> None:
        if not data:
            raise RuntimeError("the process that forks the others has died")
        (self._code,) = NUMBER.unpack(data)


def _pipe(theirs: contextlib.ExitStack) -> tuple[TextIO, int]:
    ours, end = os.pipe()
    theirs.callback(os.close, end)
    return os.fdopen(ours, encoding="utf-8"), end


class _Forker:
    """The process that forks the others, seen from here."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._lock = threading.Lock()
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this file
                [sys.executable, __file__, str(theirs.fileno())],
                env={**os.environ, **UNMEASURED, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, request: Mapping[str, Any], streams: Sequence[int]) -> socket.socket:
        """Start a process; what is returned gives its pid, then its exit code."""
        ours, theirs = socket.socketpair()
        data = json.dumps(request).encode()
        with self._lock, theirs:
            socket.send_fds(self._channel, [NUMBER.pack(len(data))], [*streams, theirs.fileno()])
            self._channel.sendall(data)
        return ours

    def close(self) -> None:
        """End it, and with it what it has forked."""
        self._channel.close()
        self._process.wait()


@functools.cache
def _forker() -> _Forker:
    forker = _Forker()
    atexit.register(forker.close)
    return forker


class _Fork(Exception):  # noqa: N818 - nothing is wrong
    """Raised in each new process, so that it leaves everything that the forking one was doing."""

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self.request = request


class _Forking:
    """What the process does that forks the others.

    Args:
        channel: gives what is asked for.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._awake, waker = socket.socketpair()
        self._children: dict[int, socket.socket] = {}
        self._own = [channel, self._awake, waker]
        waker.settimeout(0)  # as Python wants it
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno())

    def run(self) -> None:
        """Fork whatever is asked for, until the other end closes; then kill what still runs.

        Raises:
            _Fork: in each new process.
        """
        asked = True
        while asked:
            ready, _, _ = select.select([self._channel, self._awake], [], [])
            if self._awake in ready:
                self._awake.recv(4096)
                self._report()
            if self._channel in ready:
                asked = self._fork()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _fork(self) -> bool:
        head, streams, _, _ = socket.recv_fds(self._channel, NUMBER.size, 4)
        if not head:
            return False
        (length,) = NUMBER.unpack(head)
        request = json.loads(self._channel.recv(length, socket.MSG_WAITALL))
        status = socket.socket(fileno=streams.pop())
        pid = os.fork()
        if not pid:
            self._be_new(streams, status)
            raise _Fork(request)
        for stream in streams:
            os.close(stream)
        self._children[pid] = status
        status.send(NUMBER.pack(pid))
        return True

    def _be_new(self, streams: Sequence[int], status: socket.socket) -> None:
        """Let go of everything but the three streams."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Whoever runs the tests in the background has them ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        for end in (*self._own, status, *self._children.values()):
            end.close()

    def _report(self) -> None:
        for pid, code in _ended():
            with self._children.pop(pid) as status, contextlib.suppress(BrokenPipeError):
                status.send(NUMBER.pack(code))


def _ended() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found[0], os.waitstatus_to_exitcode(found[1])


def _run(words: Sequence[str], env: Mapping[str, str], cwd: str, *, fresh: bool) -> None:
    """Be `python` with these words."""
    os.chdir(cwd)
    if fresh:
        os.execve(sys.executable, [sys.executable, *words], env)  # noqa: S606 - there is no shell
    gc.enable()
    os.environ.clear()
    os.environ.update(env)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if any(env.get(name) for name in UNMEASURED):
        importlib.import_module("coverage").process_startup(force=True)
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    gc.disable()
    for module in MODULES:
        with contextlib.suppress(ImportError):  # whoever needs it says so
            importlib.import_module(module)
    share_certificates()
    for trust_env in (True, False):
        importlib.import_module("httpcore2").default_ssl_context(_trust_env=trust_env)
    gc.freeze()  # so that no collection copies what all of them share
    try:
        _Forking(socket.socket(fileno=int(sys.argv[1]))).run()
    except _Fork as fork:
        work = fork.request
    else:
        sys.exit()
    _run(**work)
