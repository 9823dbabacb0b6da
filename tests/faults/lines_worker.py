"""A process that runs a pipeline elsewhere, to be killed or stopped. What it is to do comes as JSON: see `Orders`.

It writes down which attempts it begins and ends: monotonic seconds, process, job, attempt and what.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from shelfwire.cli.running import Interrupted, run
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.remote import RemoteWorker
from shelfwire.server.logs import quiet_logs

NAME: Final = "lines"


@dataclass(frozen=True)
class Orders:
    """What a worker is to do.

    Attributes:
        url: the server.
        diary: the file to write attempts down in.
        pause: seconds from one item to the next.
        lease: whole seconds.
    """

    url: str
    diary: str
    pause: float
    lease: int

    def words(self) -> list[str]:
        """What follows `python`."""
        return [__file__, json.dumps(asdict(self))]


def result(index: int) -> dict[str, Any]:
    """The result of an item."""
    return {"line": index, "text": "lorem ipsum " * 9}


def title(index: int, attempt: int) -> str:
    """The title of an item, which says which attempt has recorded it."""
    return f"Line {index}, attempt {attempt}"


class Lines(Pipeline):
    """Records items, slowly. The name of its file says how many."""

    name = NAME

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def _note(self, job: Job, what: str) -> None:
        with Path(self._orders.diary).open("a", encoding="utf-8") as diary:
            diary.write(f"{time.monotonic()} {os.getpid()} {job.id} {job.attempt} {what}\n")

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        self._note(job, "begins")
        total = int(job.metadata.file_name or 0)
        await job.start(total, job.metadata)
        async for index, _ in job.pending(range(total)):
            job.record(index, result(index), title=title(index, job.attempt))
            await asyncio.sleep(self._orders.pause)
        self._note(job, "ends")
        return "Done"


def main() -> None:
    """Work until killed or stopped."""
    orders = Orders(**json.loads(sys.argv[1]))
    quiet_logs()
    try:
        run(RemoteWorker(orders.url, pipelines=[Lines(orders)], slots=2, lease=orders.lease).run())
    except Interrupted:
        sys.exit()


if __name__ == "__main__":
    main()
