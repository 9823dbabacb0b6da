"""A data folder copied into a PostgreSQL database: all that belongs to jobs, broken off anywhere, compared."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from filelock import FileLock

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.operator_store import AuditEntry, AuditFilter, Tally
from shelfwire.jobs.outbox import Room
from shelfwire.jobs.store import MIN_RETURN, Idempotency, JobStore, Mended, RemoteClaim
from shelfwire.protocol import job as jobs
from shelfwire.protocol.job import Status
from shelfwire.protocol.tokens import Grant, Scope
from shelfwire.protocol.worker_transitions import RemoteWorker
from shelfwire.stores import schema
from shelfwire.stores.postgres.address import Database
from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME, DataFolderBusyError
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.stores.transfer import copying, source, target
from shelfwire.stores.transfer.copying import Comparison, Step
from shelfwire.stores.transfer.source import Source
from shelfwire.stores.transfer.tables import known_columns
from shelfwire.stores.transfer.target import Target
from shelfwire.testing import NOW, POLICY, add_job, announce, claim, encode_terminal, encoded, ending

KEY = Idempotency(key=b"k" * 32, fingerprint=b"f" * 32)
RETRY_KEY = Idempotency(key=b"r" * 32, fingerprint=b"g" * 32)
ENDED, RETRY, RUNNING, REMOTE, PAUSED = "ended", "retry", "running", "remote", "paused"
ALL = (ENDED, RETRY, RUNNING, REMOTE, PAUSED)


def sqlite_store(folder: Path) -> SqliteStore:
    return SqliteStore(folder, encode_terminal=encode_terminal, inline_limit=10_000, announce=announce)


def postgres_store(url: str) -> PostgresStore:
    database = Database(url, node="test")
    return PostgresStore(database, encode_terminal=encode_terminal, inline_limit=10_000, announce=announce)


async def fill(store: JobStore) -> None:
    """Make jobs in many states, with something of everything that a store keeps."""
    made = jobs.create(ENDED, "csv_import", now=NOW)
    made = msgspec.structs.replace(made, tags=("a", "b:c"), callback_url="https://example.com/hook")
    for part, data in enumerate((b"\0\xff" * 999, b"two")):
        await store.write_input(ENDED, "file", part, data)
    await store.create(made, Grant(digest=b"1" * 32, job_id=ENDED), idempotency=KEY)
    watch = Grant(digest=b"2" * 32, job_id=ENDED, scopes=frozenset({Scope.WATCH}), expires_at=NOW + 5, ttl=9)
    await store.add_grant(watch, NOW)
    await claim(store)
    assert await store.keep(ENDED, 1, "answer", b"\0paid for")
    items = encoded((0, True, "Emma\0", {"title": "Emma\0"}), (1, False, None, {"code": "E_X"}), (2, True, "É", 2))
    (done,) = await store.commit([msgspec.structs.replace(ending([0]), job_id=ENDED, items=items)], POLICY, NOW)
    assert done is not None
    assert await store.correct(ENDED, {0: msgspec.Raw(b'{"title":"Emma"}')}, whole=False, limit=1000)
    mended = Mended(indices=[1], alone=False, name="mended", data=b"row")
    await store.retry(ENDED, RETRY, Grant(digest=b"3" * 32, job_id=RETRY), NOW, RETRY_KEY, mended=mended)
    await store.request(RETRY, lambda state, now: jobs.paused(state, now=now), NOW)
    await add_job(store, RUNNING)
    await claim(store)
    change = msgspec.structs.replace(
        ending([0]), job_id=RUNNING, closing=None, items=encoded((0, True, "Persuasion", 1))
    )
    await store.commit([change], POLICY, NOW)
    await add_job(store, REMOTE, pipeline="pdf_report")
    worker = RemoteClaim(digest=b"w" * 32, worker=RemoteWorker(lease=60_000, name="far"))
    assert await store.claim(("pdf_report",), POLICY, NOW, remote=worker)
    await add_job(store, PAUSED)
    await store.request(
        PAUSED, lambda state, now: jobs.paused(state, now=now), NOW, AuditEntry(at=NOW, key="k", action="pause")
    )
    await store.add_tallies(NOW, {"requests": Tally(1, 20)})


async def seen(store: JobStore) -> dict[str, Any]:
    """What a store answers of all that."""
    return {
        "jobs": {one: await store.job(one) for one in ALL},
        "inputs": {
            one: [(size, await store.read_input(one, size.name)) for size in await store.inputs(one)] for one in ALL
        },
        "items": {one: await store.items(one, after=-1, limit=99) for one in ALL},
        "kept": {one: await store.kept(one, "answer") for one in ALL},
        "tokens": {
            one: sorted(map(msgspec.structs.astuple, await store.tokens(one)), key=lambda t: t[0]) for one in ALL
        },
        "report": await store.grant(b"w" * 32, NOW),
        "corrections": await store.corrections(ENDED),
        "tagged": await store.jobs(JobFilter(tag="b:c"), limit=9),
        "audit": await store.audited(AuditFilter(), limit=9),
        "tallies": await store.tallies(0),
        "deliveries": await store.outbox.list(None, after=None, limit=9),
    }


def nobody(_step: Step) -> None:
    """Nobody looks."""


@contextmanager
def both(folder: Path, url: str) -> Iterator[tuple[Source, Target]]:
    with ExitStack() as stack:
        yield stack.enter_context(source.opened(folder, os.urandom)), stack.enter_context(target.opened(url))


def migrated(folder: Path, url: str) -> Comparison:
    with both(folder, url) as (here, there):
        there.begin(here)
        compared = copying.copy(here, there, nobody)
        assert compared.is_same
        there.finish(here)
    return compared


def run(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with sqlite_store(tmp_path / "data") as store:
        await fill(store)
    return tmp_path / "data"


def test_every_table_and_column_of_the_embedded_store_is_copied() -> None:
    tables = {table.name: set(table.columns.keys()) for table in schema.metadata.sorted_tables}
    del tables["meta"]  # it is about the file itself
    assert known_columns() == tables


async def test_what_the_old_store_answered_the_new_one_answers(folder: Path, database: str) -> None:
    async with sqlite_store(folder) as store:
        before = await seen(store)
    migrated(folder, database)
    async with postgres_store(database) as store:
        after = await seen(store)
    title = before["items"][ENDED][0]
    before["items"][ENDED][0] = msgspec.structs.replace(title, title="Emma")  # PostgreSQL has no place for NUL
    for answers in (before, after):
        remote = answers["jobs"][REMOTE]
        assert remote.state.lease_until > 0
        answers["jobs"][REMOTE] = msgspec.structs.replace(
            remote, state=msgspec.structs.replace(remote.state, lease_until=0)
        )
    assert after == before


async def test_a_running_job_is_claimed_at_once_and_goes_on_behind_what_is_recorded(
    folder: Path, database: str
) -> None:
    migrated(folder, database)
    async with postgres_store(database) as store:
        claimed = await claim(store)
    assert (claimed.state.id, claimed.state.attempt, claimed.recorded) == (RUNNING, 2, [0])


async def test_a_worker_elsewhere_has_time_to_come_back(folder: Path, database: str) -> None:
    with target.opened(database) as there:
        began = there.now()
    migrated(folder, database)
    async with postgres_store(database) as store:
        found = await store.job(REMOTE)
    assert found is not None
    assert found.state.status is Status.RUNNING
    assert found.state.lease_until >= began + max(60_000, MIN_RETURN)


async def test_an_idempotency_key_finds_its_job_and_a_retry_covers_what_it_did(folder: Path, database: str) -> None:
    migrated(folder, database)
    async with postgres_store(database) as store:
        again = jobs.create("other", "csv_import", now=NOW)
        assert await store.create(again, Grant(digest=b"9" * 32, job_id="other"), idempotency=KEY) == ENDED
        retry = await store.job(RETRY)
        assert retry is not None
        assert (await store.recorded(retry.state)).selection == [1, 3, 4]


async def test_new_audit_entries_come_after_the_old_ones(folder: Path, database: str) -> None:
    migrated(folder, database)
    async with postgres_store(database) as store:
        await store.audit(AuditEntry(at=NOW, key="k", action="later"))
        assert [entry.action for entry in await store.audited(AuditFilter(), limit=9)] == ["later", "pause"]


async def test_a_webhook_that_is_outstanding_can_be_taken_though_its_old_server_held_it(
    folder: Path, database: str
) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE outbox SET held_until = ?", [2**60])
    migrated(folder, database)
    async with postgres_store(database) as store:
        (webhook,) = await store.outbox.list(None, after=None, limit=9)
        assert webhook in await store.outbox.take(Room(total=9, each=9, under_way={}), webhook.due_at, NOW + 1)


@pytest.mark.parametrize("rows", range(12))
async def test_a_copy_that_is_broken_off_anywhere_goes_on_and_is_whole(
    folder: Path, database: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "ROWS_PER_STEP", 1)
    left = rows

    def break_off(_step: Step) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    with both(folder, database) as (here, there):
        assert not there.begin(here)
        with pytest.raises(KeyboardInterrupt):
            copying.copy(here, there, break_off)
    with both(folder, database) as (here, there):
        assert there.begin(here), "it is known"
        assert copying.copy(here, there, nobody).is_same


async def test_until_all_is_there_no_server_uses_the_database(folder: Path, database: str) -> None:
    with both(folder, database) as (here, there):
        there.begin(here)
    with pytest.raises(ShelfwireError, match=rf"jobs of {folder} are being copied .* `shelfwire migrate` again"):
        async with postgres_store(database):
            pass
    migrated(folder, database)
    async with postgres_store(database) as store:
        assert await store.job(ENDED)


async def test_what_has_changed_in_the_folder_since_is_copied_again(folder: Path, database: str) -> None:
    with both(folder, database) as (here, there):
        there.begin(here)
        assert copying.copy(here, there, nobody).is_same
    async with sqlite_store(folder) as store:
        await store.delete(PAUSED, POLICY, NOW)
        await store.add_grant(Grant(digest=b"n" * 32, job_id=ENDED), NOW)
        await claim(store)
    migrated(folder, database)
    async with postgres_store(database) as store:
        assert await store.job(PAUSED) is None
        assert await store.grant(b"n" * 32, NOW)
        running = await store.job(RUNNING)
    assert running is not None
    assert running.state.attempt == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE shelfwire.item SET body = '3' WHERE index = 2",
        "DELETE FROM shelfwire.input_part WHERE part = 1",
        "UPDATE shelfwire.token SET scopes = 'watch'",
        "UPDATE shelfwire.job SET seq = seq + 1 WHERE id = 'ended'",
        "DELETE FROM shelfwire.correction",
        "UPDATE shelfwire.kept SET data = ''",
        "DELETE FROM shelfwire.tag WHERE tag = 'a'",
        "DELETE FROM shelfwire.idempotency WHERE fingerprint = repeat('f', 32)::bytea",
        "DELETE FROM shelfwire.ending",
    ],
)
async def test_the_comparison_finds_what_is_not_the_same(folder: Path, database: str, damage: str) -> None:
    migrated(folder, database)
    run(database, damage)
    with both(folder, database) as (here, there):
        assert ENDED in copying.compare(here, there, nobody).differing


async def test_the_comparison_finds_what_differs_of_all_jobs_together(folder: Path, database: str) -> None:
    migrated(folder, database)
    run(database, "UPDATE shelfwire.tally SET bad = 2; UPDATE shelfwire.outbox SET tries = 5")
    with both(folder, database) as (here, there):
        assert copying.compare(here, there, nobody).differing_kinds == ["webhooks", "hourly figures"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE job SET state = '{' WHERE id = 'running'",
        "UPDATE item SET body = CAST(x'ff' AS TEXT) WHERE job_id = 'running'",
        "UPDATE item SET source = 'x' WHERE job_id = 'running'",
        "UPDATE \"grant\" SET scopes = 'x' WHERE job_id = 'running'",
    ],
)
async def test_a_damaged_job_is_named_and_all_others_are_copied(folder: Path, database: str, damage: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        connection.execute(damage)
    compared = migrated(folder, database)
    assert compared.damaged == {RUNNING}
    assert compared.target.jobs.keys() == {*ALL} - {RUNNING}


async def test_a_folder_that_is_served_is_refused(folder: Path, database: str) -> None:
    with FileLock(folder / "lock"), pytest.raises(DataFolderBusyError), both(folder, database):
        pass


def test_a_folder_without_jobs_is_refused_and_nothing_is_made_in_it(tmp_path: Path, database: str) -> None:
    with pytest.raises(ShelfwireError, match=f"There are no jobs in {tmp_path}"), both(tmp_path, database):
        pass
    assert list(tmp_path.iterdir()) == []


async def test_a_database_that_has_jobs_is_refused(folder: Path, database: str) -> None:
    async with postgres_store(database) as store:
        await add_job(store, "theirs")
    with both(folder, database) as (here, there), pytest.raises(ShelfwireError, match="Name an empty one"):
        there.begin(here)
    async with postgres_store(database) as store:
        assert await store.job("theirs")


async def test_a_database_to_which_a_server_is_connected_is_refused(folder: Path, database: str) -> None:
    async with postgres_store(database):
        with both(folder, database) as (here, there), pytest.raises(ShelfwireError, match="'shelfwire test'"):
            there.begin(here)


async def test_another_folder_is_refused_and_the_same_one_under_another_name_is_not(
    folder: Path, tmp_path: Path, database: str
) -> None:
    async with sqlite_store(tmp_path / "other") as store:
        await add_job(store)
    with both(folder, database) as (here, there):
        there.begin(here)
    with both(tmp_path / "other", database) as (here, there), pytest.raises(ShelfwireError, match=str(folder)):
        there.begin(here)
    moved = tmp_path / "moved"
    shutil.move(folder, moved)
    migrated(moved, database)
    with both(moved, database) as (here, there), pytest.raises(ShelfwireError, match="before, completely"):
        there.begin(here)


def test_the_state_of_a_job_is_not_changed_in_the_folder(folder: Path, database: str) -> None:
    def content() -> list[Any]:
        with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
            tables = [table.name for table in schema.metadata.sorted_tables if table.name != "meta"]
            return [connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in tables]  # noqa: S608

    before = content()
    migrated(folder, database)
    assert content() == before


async def test_it_goes_through_a_pooler_too(folder: Path, database: str, pooled: str) -> None:
    migrated(folder, pooled)
    async with postgres_store(database) as store:
        assert await store.job(ENDED)
