"""A real server in a process of its own, to be killed, frozen or measured.

Run as a script it is that process; `Server` is the parent's handle on it.
"""

import asyncio
import json
import os
import signal
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
from shelfwire.server.serving import collect_rarely, serving
from shelfwire.settings import load
from tests.ports import free_port
from tests.processes import ROOT, UNMEASURED, Process

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0


class Server:
    """A server process. Use it as an asynchronous context manager; leaving kills whatever still runs.

    Args:
        data: its data folder; also takes its log.
        settings: other settings, by name.
        script: what to run instead of this file; it is given the settings as JSON and calls `serve`.
        cpus: the cores it may use; all of them if empty.
        fresh: whether it starts as a new interpreter, so that its memory is its own.

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
        fresh: bool = False,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = data / "server.log"
        flags = {"data": str(data), "port": port, "create_limit": 0, **(settings or {})}
        self._words = [str(script), json.dumps(flags)]
        self._cpus = cpus
        self._fresh = fresh
        self._process: Process | None = None
        self._alive = -1

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        if self._process is not None:
            await self.end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process that listens now."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, or start it again; returns when it listens."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        stdin, self._alive = os.pipe()  # nothing is ever written: the process sees in this way that we have died
        with self.log.open("ab") as log:
            env = {**os.environ, **UNMEASURED, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *filter(None, sys.path))))}
            self._process = Process(*self._words, env=env, stdin=stdin, stderr=log.fileno(), fresh=self._fresh)
        os.close(stdin)
        if self._cpus:
            os.sched_setaffinity(self.pid, self._cpus)
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.first_line()
        if not line:
            await self.end(signal.SIGKILL)
            raise RuntimeError(f"the server did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process and no other."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the process to be gone; return its exit status."""
        assert self._process is not None
        process, self._process = self._process, None
        with process:
            process.send_signal(number)
            async with asyncio.timeout(STOP_SECONDS):
                await process.ended()
        os.close(self._alive)
        return process.wait()


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
            collect_rarely()
            print(url, flush=True)  # noqa: T201 - the parent waits for it
            await told.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


if __name__ == "__main__":
    serve(CsvImport())
