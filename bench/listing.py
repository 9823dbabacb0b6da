"""How long a page of 100 jobs and their counts take beside 100,000 jobs, by what they are found by."""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import JobFilter, Position
from shelfwire.protocol import job as jobs
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Metadata, error_of
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.sqlite import creation
from shelfwire.stores.sqlite.store import SqliteStore

JOBS = 100_000
ROUNDS = 15
NOW = 1_700_000_000_000
STATUSES = [*["complete"] * 82, *["failed"] * 10, *["canceled"] * 5, "queued", "queued", "running"]
PIPELINES = {"csv_import": 50, "ai_scan": 20, "batch_enrichment": 20, "pdf_report": 5, "video": 5}
CODES = [Code.ATTEMPTS_EXHAUSTED, Code.WORKER_LOST, Code.INTERNAL, Code.OVERLOADED]
WORDS = ["library", "export", "books", "mine", "holiday", "shelf", "list", "new", "old", "backup", "club", "school"]
MIDDLE = NOW - JOBS // 2 * 600
HOUR = 3600 * 1000
WANTED: dict[str, dict[str, Any]] = {
    "newest": {},
    "status=failed": {"status": ["failed"]},
    "status=running (1 %)": {"status": ["running"]},
    "status=failed, canceled": {"status": ["failed", "canceled"]},
    "pipeline=video (5 %)": {"pipeline": "video"},
    "pipeline=video, failed (0.5 %)": {"pipeline": "video", "status": ["failed"]},
    "pipeline=csv_import, running": {"pipeline": "csv_import", "status": ["running"]},
    "pipeline=csv_import, paused (none)": {"pipeline": "csv_import", "status": ["paused"]},
    "an hour": {"since": MIDDLE, "until": MIDDLE + HOUR},
    "tag": {"tag": "user:17"},
    "tag, failed": {"tag": "user:17", "status": ["failed"]},
    "tag of all, running": {"tag": "all", "status": ["running"]},
    "tag of all, paused (none)": {"tag": "all", "status": ["paused"]},
    "q=E_WORKER_LOST": {"q": "E_WORKER_LOST"},
    "q=id": {"q": "00000000"},
    "q=holiday (often)": {"q": "holiday"},
    "q=club 777 (rare)": {"q": "club 777"},
    "q=zzz (none)": {"q": "zzz"},
    "q=zzz, failed, video": {"q": "zzz", "status": ["failed"], "pipeline": "video"},
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder), encode_terminal=lambda *_: "{}", inline_limit=0) as store:
            await _fill(store)
            middle = Position(MIDDLE, "")
            for name, given in WANTED.items():
                wanted = msgspec.convert(given, JobFilter)
                first = await _measured(partial(store.jobs, wanted, limit=100))
                later = await _measured(partial(store.jobs, wanted, after=middle, limit=100))
                counts = await _measured(partial(store.count_jobs, wanted))
                print(f"{name:36} first {first}   middle {later}   counts {counts}", flush=True)


async def _measured(action: Callable[[], Awaitable[Any]]) -> str:
    """Return the median of how long it takes, and in brackets how much of that this process computes."""
    times, used = [], []
    for _ in range(ROUNDS):
        start, before = time.perf_counter(), time.process_time()
        await action()
        times.append((time.perf_counter() - start) * 1000)
        used.append((time.process_time() - before) * 1000)
    return f"{statistics.median(times):6.1f} ms ({statistics.median(used):5.1f})"


async def _fill(store: SqliteStore) -> None:
    chance = random.Random(1)  # noqa: S311 - nothing secret

    def insert(connection: Any) -> None:
        for number in range(JOBS):
            state = _state(chance, number)
            creation._insert(connection, state, Grant(digest=b"%32d" % number, job_id=state.id), None)  # noqa: SLF001 - quicker than one by one

    await store._write(insert)  # noqa: SLF001 - likewise


def _state(chance: random.Random, number: int) -> JobState:
    (pipeline,) = chance.choices(list(PIPELINES), list(PIPELINES.values()))
    name = f"{' '.join(chance.sample(WORDS, 3))} {chance.randint(1, 9999)}.csv"
    made = NOW - number * chance.randint(500, 700)
    state = jobs.create(
        f"{number:08x}-0000-4000-8000-000000000000", pipeline, now=made, metadata=Metadata(file_name=name)
    )
    status = Status(chance.choice(STATUSES))
    error = error_of(ShelfwireError(chance.choice(CODES))) if status is Status.FAILED else None
    tags = ("all", f"user:{chance.randint(1, 3000)}")
    return msgspec.structs.replace(state, status=status, error=error, tags=tags)


asyncio.run(main())
