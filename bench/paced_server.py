"""A server whose jobs record at a steady rate; `bench/followers.py` runs it.

A job's input is JSON, `{"rate": updates a second, "seconds": for how long}`. All jobs wait for SIGUSR1, then begin
together. Its summary: how many milliseconds of processor time the longest garbage collection took since the first job.
"""

import asyncio
import gc
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.servers import serve

from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline


class Pace(msgspec.Struct, frozen=True):
    """What a job's input asks for."""

    rate: int
    seconds: int


class Paced(Pipeline):
    """Stands in for `csv_import`, the pipeline that can be started over HTTP."""

    name = "csv_import"

    def __init__(self) -> None:
        self._go: asyncio.Event | None = None
        self._collecting = self._longest = 0.0

    def _collect(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._longest = max(self._longest, time.thread_time() - self._collecting)

    async def run(self, job: Job) -> str:
        """See `jobs.context.Pipeline`."""
        if self._collect not in gc.callbacks:
            gc.callbacks.append(self._collect)
        pace = msgspec.json.decode(await job.input("file"), type=Pace)
        total = pace.rate * pace.seconds
        await job.start(total, job.metadata)
        await self._told_to_go()
        loop = asyncio.get_running_loop()
        due = loop.time() + random.random() / pace.rate  # noqa: S311 - jobs are not in step with each other
        async for index, number in job.pending(range(total)):
            await asyncio.sleep(due - loop.time())
            job.record(index, {"row": number}, title=f"The Lantern of Tromsø, volume {number}", author="Zofia Sjöberg")
            due += 1 / pace.rate
        return f"{1000 * self._longest:.1f}"

    async def _told_to_go(self) -> None:
        if self._go is None:
            self._go = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._go.set)
        await self._go.wait()


PIPELINE: Final = Paced()

if __name__ == "__main__":
    serve(PIPELINE)
