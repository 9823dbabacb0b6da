"""How long a claim and a creation take beside 100,000 queued jobs of one caller, and of many."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shelfwire.protocol import job as jobs
from shelfwire.protocol.job import Policy
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.sqlite import creation
from shelfwire.stores.sqlite.store import SqliteStore

QUEUED = 100_000
ROUNDS = 50
NOW = 1_700_000_000_000


async def main() -> None:
    for callers in (1, 1000):
        everybody = {"csv_import": {f"caller-{number}" for number in range(callers)}}
        with tempfile.TemporaryDirectory() as folder:
            async with SqliteStore(Path(folder), encode_terminal=lambda *_: "{}", inline_limit=0) as store:
                await _fill(store, callers)
                await _report(f"claim, {callers} callers", partial(_claim, store))
                await _report(f"all passed over, {callers} callers", partial(_claim, store, passing=everybody))
                await _report(f"create, {callers} callers", partial(_create, store))
                await _report(f"counts, {callers} callers", lambda _: store.counts(NOW))


async def _report(what: str, action: Callable[[int], Awaitable[Any]]) -> None:
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        await action(number)
        times.append((time.perf_counter() - start) * 1000)
    print(f"{what:40} median {statistics.median(times):7.2f} ms, most {max(times):7.2f} ms", flush=True)


async def _fill(store: SqliteStore, callers: int) -> None:
    def insert(connection: Any) -> None:
        for number in range(QUEUED):
            state = jobs.create(f"{number:06}", "csv_import", now=NOW, caller=f"caller-{number % callers}")
            state = msgspec.structs.replace(state, turn=number // callers)
            creation._insert(connection, state, Grant(digest=b"%32d" % number, job_id=state.id), None)  # noqa: SLF001 - quicker than one by one

    await store._write(insert)  # noqa: SLF001 - likewise


async def _claim(store: SqliteStore, number: int, **options: Any) -> None:
    await store.claim(("ai_scan", "batch_enrichment", "csv_import"), Policy(), NOW + number, **options)


async def _create(store: SqliteStore, number: int) -> None:
    state = jobs.create(f"new-{number}", "csv_import", now=NOW, caller="caller-0")
    await store.create(state, Grant(digest=b"new%29d" % number, job_id=state.id))


asyncio.run(main())
