"""A server with two defects: asking for results breaks it, and so does a file that holds the word Explode."""

from starlette.exceptions import HTTPException

from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.jobs.job import Job
from shelfwire.jobs.service import JobService
from tests.servers import serve

DEFECT = "a defect in http://host/path?token=quoted-in-an-exception"


class Explosive(CsvImport):
    """The import, but for one word."""

    async def run(self, job: Job) -> str:
        """Break off, or import."""
        if b"Explode" in await job.input("file"):
            raise RuntimeError("the pipeline broke")
        return await super().run(job)


async def _broken(*_: object, **__: object) -> None:
    raise HTTPException(500, DEFECT)


if __name__ == "__main__":
    JobService.results = _broken  # type: ignore[assignment, method-assign]
    serve(Explosive())
