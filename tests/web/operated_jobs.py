"""Jobs for an operator to look at: hundreds of the past, straight into a server's store, and some that run."""

import asyncio
import uuid
from typing import Any, Final

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.service import JobService
from shelfwire.protocol.job import JobState, Status, create
from shelfwire.protocol.messages import Metadata, error_of
from shelfwire.protocol.tokens import Grant
from tests.live import Server

HOSTILE: Final = (
    "<img src=x onerror=alert(1)>.csv",
    "\u202egpj.exe\u2066.csv",
    '=HYPERLINK("javascript:alert(1)").csv',
    "a" * 180 + ".csv",
)
"""Names of files that would harm a page that took them for more than text."""
_PIPELINES: Final = ("csv_import", "ai_scan", "batch_enrichment")
_CODES: Final = (Code.INTERNAL, Code.ATTEMPTS_EXHAUSTED)


class Stepping(Pipeline):
    """A pipeline whose jobs begin, record a few items and then wait until they are let go."""

    name = "csv_import"

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def run(self, job: Job) -> str:
        await job.start(total=400, metadata=job.metadata)
        for index in range(3):
            job.record(index, {"title": f"Book {index}"}, title=f"Book {index}")
        job.fail(3, ShelfwireError(Code.INTERNAL, "The row is broken"), title="Broken")
        await self.go.wait()
        return "Done"


def past(number: int, now: int) -> JobState:
    """A job of the past, which has ended or waits; the greater the number the older."""
    pipeline = _PIPELINES[number % 3]
    made = create(
        str(uuid.UUID(int=number + (number * 2654435761 % 2**32 << 96), version=4)),
        pipeline,
        now=now - number * 90_000,
        metadata=Metadata(
            file_name=HOSTILE[number] if number < len(HOSTILE) else f"library-{number}.csv", file_size=1234
        ),
    )
    total = 100 + number
    common: dict[str, Any] = {
        "attempt": 1,
        "total": total,
        "started_at": made.created_at + 500,
        "updated_at": made.created_at + 8_000,
        "ended_at": made.created_at + 8_000,
        "tags": (f"user:{number % 5}",),
    }
    if number % 7 == 2:
        error = error_of(ShelfwireError(_CODES[number % len(_CODES)], "It did not work"))
        return msgspec.structs.replace(made, status=Status.FAILED, error=error, succeeded=total // 3, **common)
    if number % 11 == 3:
        error = error_of(ShelfwireError(Code.JOB_CANCELED))
        return msgspec.structs.replace(made, status=Status.CANCELED, error=error, succeeded=total // 2, **common)
    return msgspec.structs.replace(
        made, status=Status.COMPLETE, succeeded=total - number % 4, failed=number % 4, **common
    )


def stuck(number: int, now: int) -> JobState:
    """A paused job."""
    made = create(
        str(uuid.UUID(int=10**6 + number, version=4)),
        "batch_enrichment",
        now=now - 3_600_000 - number,
        metadata=Metadata(file_name=f"paused-{number}.csv"),
    )
    return msgspec.structs.replace(
        made, status=Status.PAUSED, total=50, succeeded=10, started_at=made.created_at, attempt=1
    )


async def fill(server: Server, ended: int, paused: int) -> None:
    """Put jobs into a server's store: some that have ended, and paused ones."""
    now = server.app.service.now()
    await _store(
        server, *(past(number, now) for number in range(ended)), *(stuck(number, now) for number in range(paused))
    )


async def more(server: Server, number: int) -> None:
    """Put more paused jobs into a server's store that are older than those before."""
    now = server.app.service.now()
    await _store(server, *(stuck(1000 + place, now) for place in range(number)))


async def _store(server: Server, *states: JobState) -> None:
    service: JobService = server.app.service
    grants = (Grant(digest=uuid.UUID(state.id).bytes * 2, job_id=state.id) for state in states)
    await asyncio.gather(*(service._store.create(state, grant) for state, grant in zip(states, grants, strict=True)))
