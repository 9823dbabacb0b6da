"""A real server in a process of its own, to be killed, frozen or measured.

Run as a script it is that process; `Server` is the parent's handle on it.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import uvloop

from shelfwire.app import Shelfwire
from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.books.settings import BookSettings
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.server.logs import quiet_logs
from shelfwire.server.serving import serving
from shelfwire.settings import load

ROOT: Final = str(Path(__file__).parents[1])
"""Where the process finds this package, whoever starts it."""
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
UNMEASURED: Final = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
"""The environment of a process whose lines are not counted: one that is killed could not tell them anyway."""
PORTS: Final = range(20_000, 32_000)
"""Below the ephemeral range: a client that reconnects to a port of that range while nobody listens may meet itself."""


def free_port() -> int:
    """Find a port that a server can come back to after each kill."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - a port is no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """A server process. Use it as an asynchronous context manager; leaving kills whatever still runs.

    Args:
        data: its data folder; also takes its log.
        settings: other settings, by name.
        script: what to run instead of this file; it is given the settings as JSON and calls `serve`.
        cpus: the cores it may use; all of them if empty.

    Attributes:
        url: where it listens, over all restarts.
        log: what it wrote to standard error, over all restarts.
    """

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        script: Path = Path(__file__),
        cpus: Sequence[int] = (),
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = data / "server.log"
        flags = {"data": str(data), "port": port, "create_limit": 0, **(settings or {})}
        self._command = [sys.executable, str(script), json.dumps(flags)]
        self._cpus = cpus
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process that listens now."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, or start it again; returns when it listens."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={
                    **os.environ,
                    **UNMEASURED,
                    "PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")]),
                },
            )
        if self._cpus:
            os.sched_setaffinity(self.pid, self._cpus)
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            raise RuntimeError(f"the server did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process and no other."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the process to be gone; return its exit status."""
        assert self._process is not None
        self.send(number)
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()


def serve(*pipelines: Pipeline) -> None:
    """Be a server until SIGTERM, or until the parent is gone. Prints the URL once it listens."""
    settings = load(json.loads(sys.argv[1]), {}, [BookSettings])
    quiet_logs()

    async def until_told() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, told.set)
        loop.add_reader(sys.stdin.fileno(), told.set)  # the parent never writes: readable means that it has died
        async with serving(Shelfwire(settings, pipelines=pipelines), settings) as url:
            print(url, flush=True)  # noqa: T201 - the parent waits for it
            await told.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


if __name__ == "__main__":
    serve(CsvImport())
