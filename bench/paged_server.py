"""A server with the import, and with jobs that wait until they are canceled; `bench/compressed_pages.py` runs it."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.servers import serve

from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline


class Waiting(Pipeline):
    """Does nothing, so that a follower can attach and ping."""

    name = "waiting"

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        await job.start(total=1)
        await asyncio.Event().wait()
        return "never"


if __name__ == "__main__":
    serve(CsvImport(), Waiting())
