"""A server whose jobs do what their input says; `tests/faults/drops.py` runs it."""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from tests.servers import serve

FAILS_EVERY: Final = 7


class Shape(StrEnum):
    """What becomes of a job."""

    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    """It would go on for long; somebody cancels it."""
    PAUSE = "pause"
    """Somebody pauses it and lets it go on."""
    STUMBLE = "stumble"
    """Its first attempt breaks off with an exception."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A job's input.

    Attributes:
        name: tells jobs apart.
        shape: see `Shape`.
        total: items.
        burst: items recorded at a time.
        pause: seconds before each burst.
        padding: characters of each result.
        turn: the item at which it fails or stumbles.
    """

    name: str
    shape: Shape = Shape.COMPLETE
    total: int = 3
    burst: int = 1
    pause: float = 0.01
    padding: int = 0
    turn: int = 0

    @property
    def failures(self) -> int:
        """How many items fail if it completes."""
        return len(range(FAILS_EVERY - 1, self.total, FAILS_EVERY))


class Scripted(Pipeline):
    """Stands in for `csv_import`, the pipeline that can be started over HTTP."""

    name = "csv_import"

    def __init__(self) -> None:
        self._stumbled: set[str] = set()

    async def run(self, job: Job) -> str:
        """See `jobs.context.Pipeline`."""
        script = msgspec.json.decode(await job.input("file"), type=Script)
        await asyncio.sleep(script.pause)
        await job.start(script.total, job.metadata)
        async for index, _ in job.pending(range(script.total)):
            if index % script.burst == 0:
                await asyncio.sleep(script.pause)
            if index >= script.turn:
                self._turn(script)
            title = f"The Lantern of Tromsø, volume {index}"
            if index % FAILS_EVERY == FAILS_EVERY - 1:
                job.fail(index, ShelfwireError(BookCode.ROW_INVALID), title=title)
            else:
                job.record(index, {"row": index, "notes": "x" * script.padding}, title=title, author="Zofia Sjöberg")
        self._turn(script)
        return "Done"

    def _turn(self, script: Script) -> None:
        if script.shape is Shape.FAIL:
            raise ShelfwireError(BookCode.CSV_UNREADABLE)
        if script.shape is Shape.STUMBLE and script.name not in self._stumbled:
            self._stumbled.add(script.name)
            raise RuntimeError("the script says so")


if __name__ == "__main__":
    serve(Scripted())
