"""A server whose imports wait for ever."""

import asyncio

from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from tests.servers import serve


class Waiting(Pipeline):
    """Starts, and goes on until it is canceled."""

    name = "csv_import"

    async def run(self, job: Job) -> str:
        """Wait."""
        await job.start(1)
        await asyncio.Event().wait()
        raise AssertionError


if __name__ == "__main__":
    serve(Waiting())
