from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects import sqlite

from shelfwire.jobs.listing import JobFilter, Position
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.stores.sqlite import finding
from shelfwire.stores.sqlite.finding import Order
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import NOW, encode_terminal
from shelfwire.testing.operators import IDS, add, canceled

Open = Callable[[], AbstractAsyncContextManager[SqliteStore]]
FIRST = Order(None, 100, oldest_first=False)
MIDDLE = Order(Position(NOW, IDS[0]), 100, oldest_first=False)


@pytest.fixture
def make_store(tmp_path: Path) -> Open:
    return lambda: SqliteStore(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10_000)


async def plan(store: SqliteStore, query: Any) -> Sequence[str]:
    compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    explain = text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", "\\:"))

    def work(connection: Connection) -> list[str]:
        return [row.detail for row in connection.execute(explain)]

    return await store._read(work)


@pytest.mark.parametrize("order", [FIRST, MIDDLE, MIDDLE._replace(oldest_first=True)])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "job_seen"),
        ({"since": NOW, "until": NOW + 9}, "job_seen"),
        ({"status": ["failed"]}, "job_by_status"),
        ({"status": ["failed", "running"], "since": NOW}, "job_by_status"),
        ({"pipeline": "ai_scan"}, "job_by_pipeline"),
        ({"pipeline": "ai_scan", "status": ["failed"]}, "job_by_pipeline"),
        ({"q": "E_INTERNAL"}, "job_by_code"),
        ({"q": "holiday"}, "job_seen"),
        ({"q": "holiday", "status": ["failed"], "pipeline": "ai_scan"}, "job_seen"),
    ],
)
async def test_a_page_is_found_by_an_index_without_reading_a_row(
    make_store: Open, wanted: dict[str, Any], index: str, order: Order
) -> None:
    async with make_store() as store:
        steps = await plan(store, finding.places(msgspec.convert(wanted, JobFilter), order))
    looks = [step for step in steps if step.startswith(("SCAN job", "SEARCH job"))]
    assert looks
    assert all(f"USING COVERING INDEX {index}" in step for step in looks), steps


async def test_a_tag_is_found_by_its_own_key_and_an_id_by_its_beginning(make_store: Open) -> None:
    async with make_store() as store:
        (tagged, *_) = await plan(store, finding.places(JobFilter(tag="user:17"), MIDDLE))
        (by_id, *_) = await plan(store, finding.places(JobFilter(q=IDS[0][:8]), FIRST))
    assert tagged.startswith("SEARCH job_tag USING PRIMARY KEY (tag=?")
    assert by_id.startswith("SEARCH job USING PRIMARY KEY (id>? AND id<?)")


async def test_a_search_that_finds_little_goes_on_behind_the_jobs_that_it_has_looked_at(
    make_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MAX_LOOKED_AT", 3)
    monkeypatch.setattr(finding, "MAX_TAGGED", 3)
    for wanted in (JobFilter(q="rare"), JobFilter(tag="mine", status=(Status.CANCELED,))):
        async with make_store() as store:
            if not (await store.jobs(JobFilter(), limit=1)).states:
                for number in range(7):
                    await add(store, number, made=number, file="rare" if number == 1 else "often", tags=("mine",))
                await store.request(IDS[1], canceled, NOW)
            pages, after = [], None
            for _ in range(3):
                page = await store.jobs(wanted, after=after, limit=2)
                pages.append([IDS.index(state.id) for state in page.states])
                after = page.next
            assert pages == [[], [1], []]
            assert after is None


async def test_counts_stop_at_the_bound(make_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MAX_COUNT", 2)
    async with make_store() as store:
        for number in range(5):
            await add(store, number)
        await store.request(IDS[0], canceled, NOW)
        for wanted in (JobFilter(), JobFilter(pipeline="csv_import"), JobFilter(q="books")):
            assert await store.count_jobs(wanted) == {Status.QUEUED: 3, Status.CANCELED: 1}


@pytest.mark.parametrize("state", ["'{'", "CAST(x'7bff' AS TEXT)"])
async def test_a_damaged_row_is_listed_as_far_as_it_can_be_read(make_store: Open, state: str) -> None:
    async with make_store() as store:
        await add(store, 0)
        await add(store, 1)
        damage = text(f"UPDATE job SET state = {state}, status = 'unknown' WHERE id = :id")  # noqa: S608
        await store._write(lambda connection: connection.execute(damage, {"id": IDS[0]}))
        page = await store.jobs(JobFilter(), limit=10)
        assert await store.count_jobs(JobFilter(pipeline="csv_import")) == {Status.QUEUED: 1}
    assert [state.id for state in page.states] == [IDS[1], IDS[0]]


async def test_a_job_is_found_by_the_name_that_its_worker_gives_it_later(make_store: Open) -> None:
    def named(state: JobState, _: int) -> JobState:
        return msgspec.structs.replace(state, metadata=Metadata(file_name="Später.csv"), seq=state.seq + 1)

    async with make_store() as store:
        await add(store, 0)
        await store.request(IDS[0], named, NOW)
        assert [state.id for state in (await store.jobs(JobFilter(q="SPÄTER"), limit=9)).states] == [IDS[0]]
        assert (await store.jobs(JobFilter(q="books"), limit=9)).states == []
