import resource
import shutil
import sqlite3
import stat
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.outbox import announcer
from shelfwire.jobs.store import Item, JobStore, RemoteClaim
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.worker_transitions import RemoteWorker
from shelfwire.stores.sqlite import creation
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME, DataFolderBusyError
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import NOW, POLICY, StoreContract, add_job, announce, claim, encode_terminal, ending

Open = Callable[[], AbstractAsyncContextManager[JobStore]]


@pytest.fixture
def make_store(tmp_path: Path) -> Open:
    return lambda: SqliteStore(
        tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10_000, announce=announce
    )


@asynccontextmanager
async def full_disk(store: SqliteStore) -> AsyncIterator[None]:
    """Let the file of a store grow no more."""

    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await store._write(lambda connection: limit(connection, 1))
    try:
        yield
    finally:
        await store._write(lambda connection: limit(connection, 2**30))


class TestSqliteStore(StoreContract):
    pass


async def test_a_second_process_on_the_data_folder_is_refused(tmp_path: Path, make_store: Open) -> None:
    async with make_store():
        with pytest.raises(DataFolderBusyError, match=str(tmp_path / "data")):
            await make_store().__aenter__()


async def test_jobs_of_a_dead_process_are_claimable_at_once(make_store: Open) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
    async with make_store() as store:
        assert (await claim(store)).state.attempt == 2


async def test_inputs_without_a_job_are_swept_when_the_store_opens(make_store: Open) -> None:
    async with make_store() as store:
        await store.write_input("job-1", "file", 0, b"of a job")
        await store.write_input("job-2", "file", 0, b"of an upload that broke off")
        await add_job(store)
    async with make_store() as store:
        assert await store.read_input("job-1", "file") == b"of a job"
        assert await store.read_input("job-2", "file") == b""


async def test_only_the_owner_can_read_the_data(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        await add_job(store)
        folder = tmp_path / "data"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob(DATABASE_NAME + "*")} == {0o600}


async def test_every_commit_is_synced_to_disk(make_store: Open) -> None:
    async with make_store() as store:
        assert isinstance(store, SqliteStore)
        with store._folder._writing.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize("by_whom", ["UPDATE meta SET value = '9999'", "DELETE FROM meta", "DROP TABLE meta"])
async def test_data_of_a_newer_schema_is_refused_with_what_to_do(
    tmp_path: Path, make_store: Open, by_whom: str
) -> None:
    async with make_store():
        pass
    with sqlite3.connect(tmp_path / "data" / DATABASE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(by_whom)
    connection.close()
    with pytest.raises(ShelfwireError, match="newer shelfwire"):
        await make_store().__aenter__()


async def test_data_of_a_newer_schema_that_admits_older_versions_is_used_as_it_is(
    tmp_path: Path, make_store: Open
) -> None:
    async with make_store() as store:
        await add_job(store)
    by_hand(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    by_hand(tmp_path, "ALTER TABLE job ADD COLUMN region TEXT NOT NULL DEFAULT 'eu'")
    by_hand(tmp_path, "UPDATE job SET state = json_set(state, '$.region', 'us')")
    async with make_store() as store:
        await add_job(store, "job-2")
        claimed = await store.claim(("csv_import",), POLICY, NOW)
        assert claimed is not None
        assert claimed.state.rest == {"region": "us"}
        await store.request(claimed.state.id, lambda state, now: owner_transitions.pause(state, now=now), NOW)
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME)) as connection:
        kept = connection.execute("SELECT state ->> '$.region', state ->> '$.pausing' FROM job WHERE id = 'job-1'")
        assert kept.fetchall() == [("us", 1)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


async def test_a_status_of_a_newer_version_spoils_no_other_job(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        for number in range(3):
            await add_job(store, f"job-{number}", now=NOW + number)
        by_hand(tmp_path, "UPDATE job SET state = json_set(state, '$.status', 'archived') WHERE id = 'job-1'")
        assert [(await claim(store, now=NOW + 2)).state.id for _ in range(2)] == ["job-0", "job-2"]
        found = await store.jobs(JobFilter(), limit=9)
        assert [state.id for state in found.states] == ["job-2", "job-1", "job-0"]
        with pytest.raises(ShelfwireError):
            await store.job("job-1")


async def test_a_file_that_is_no_database_is_refused_and_the_folder_let_go(tmp_path: Path, make_store: Open) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATABASE_NAME).write_bytes(b"not a database" * 100)
    for _ in range(2):
        with pytest.raises(ShelfwireError) as refused:
            await make_store().__aenter__()
        assert refused.value.code is Code.STORAGE_UNAVAILABLE
        assert not isinstance(refused.value, DataFolderBusyError)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShelfwireError, match=str(tmp_path / "file")):
        await SqliteStore(tmp_path / "file" / "data", encode_terminal=encode_terminal, inline_limit=1).__aenter__()


async def test_a_commit_the_disk_cannot_take_changes_nothing_and_says_so(make_store: Open) -> None:
    async with make_store() as store:
        assert isinstance(store, SqliteStore)
        before = await add_job(store)
        async with full_disk(store):
            with pytest.raises(ShelfwireError, match="full") as refused:
                await store.write_input("upload", "file", 0, b"x" * 100_000)
            assert refused.value.code is Code.STORAGE_UNAVAILABLE
        found = await store.job("job-1")
        assert found is not None
        assert found.state == before
        assert (await claim(store)).state.status is Status.RUNNING


async def test_a_locked_file_is_a_matter_of_time(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        assert isinstance(store, SqliteStore)
        await add_job(store)
        await store._write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=0"))
        other = sqlite3.connect(tmp_path / "data" / DATABASE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ShelfwireError, match="locked") as refused:
            await claim(store)
        assert refused.value.code is Code.STORAGE_UNAVAILABLE
        other.execute("ROLLBACK")
        other.close()
        assert (await claim(store)).state.status is Status.RUNNING


async def test_the_head_of_a_long_log_stays_within_the_inline_limit(tmp_path: Path) -> None:
    heads: list[int] = []

    def counting(state: JobState, head: Sequence[Item], results: msgspec.Raw | None = None) -> str:
        del state, results
        heads.append(sum(len(bytes(item.body)) for item in head))
        return "{}"

    async with SqliteStore(tmp_path / "data", encode_terminal=counting, inline_limit=1000) as store:
        await add_job(store)
        await claim(store)
        await store.commit([ending(list(range(500)))], POLICY, NOW)
    assert 900 <= heads[0] <= 1000


DAMAGES = ("'{\"id\":'", "CAST(x'7b22ff' AS TEXT)", "'{}'", "x'00'")


def by_hand(tmp_path: Path, statement: str, *parameters: Any) -> None:
    """Change the database as a failing disk or a careless hand does."""
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME, isolation_level=None)) as connection:
        connection.execute(statement, parameters)


def damage(tmp_path: Path, state: str, job_id: str = "job-1") -> None:
    """Put SQL in place of a job's state."""
    by_hand(tmp_path, f"UPDATE job SET state = {state} WHERE id = ?", job_id)  # noqa: S608 - SQL of a test


@pytest.mark.parametrize("state", DAMAGES)
async def test_a_sweep_goes_past_a_damaged_job_and_erases_it_and_all_others(
    tmp_path: Path, make_store: Open, state: str
) -> None:
    async with make_store() as store:
        for number in range(3):
            await store.write_input(f"job-{number}", "file", 0, b"personal")
            made = await add_job(store, f"job-{number}")
        damage(tmp_path, state)
        swept = await store.sweep(POLICY, made.expires_at)
        assert (swept.erased, swept.damaged, swept.failure) == (3, ("job-1",), None)
        assert sorted(ending.state.id for ending in swept.endings) == ["job-0", "job-1", "job-2"]
        assert [await store.read_input(f"job-{number}", "file") for number in range(3)] == [b"", b"", b""]
        assert (await store.counts(NOW)).jobs == {}


async def test_a_sweep_that_breaks_off_reports_what_it_did(make_store: Open) -> None:
    async with make_store() as store:
        assert isinstance(store, SqliteStore)
        for number in range(3):
            made = await add_job(store, f"job-{number}")
        whole = store._write

        async def failing(work: Any, **options: Any) -> Any:
            if isinstance(work, partial) and work.keywords["job_id"] == "job-1":
                raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")
            return await whole(work, **options)

        store._write = failing
        swept = await store.sweep(POLICY, made.expires_at)
        store._write = whole
        assert [ending.state.id for ending in swept.endings] == ["job-0"], "its followers are not left waiting"
        assert swept.failure is not None
        assert (await store.sweep(POLICY, made.expires_at)).erased == 2


async def test_a_job_that_can_never_be_erased_keeps_no_other(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        for number in range(3):
            made = await add_job(store, f"job-{number}")
        with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME)) as connection:
            connection.execute(
                "CREATE TRIGGER stuck BEFORE DELETE ON job WHEN old.id = 'job-1' BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        swept = await store.sweep(POLICY, made.expires_at)
    assert (swept.erased, swept.damaged) == (2, ("job-1",))


@pytest.mark.parametrize("state", DAMAGES)
async def test_a_damaged_job_can_be_deleted(tmp_path: Path, make_store: Open, state: str) -> None:
    async with make_store() as store:
        await store.write_input("job-1", "file", 0, b"personal")
        await add_job(store)
        damage(tmp_path, state)
        with pytest.raises(ShelfwireError) as refused:
            await store.job("job-1")
        assert refused.value.code is Code.INTERNAL, "to wait would not help"
        deleted = await store.delete("job-1", POLICY, NOW)
        assert deleted is not None
        assert (deleted.state.status, deleted.terminal is None) == (Status.CANCELED, False)
        assert await store.read_input("job-1", "file") == b""
        assert await store.grant(b"job-1".ljust(32), NOW) is None


@pytest.mark.parametrize("state", DAMAGES)
async def test_a_damaged_job_keeps_no_other_from_being_claimed_nor_the_store_from_opening(
    tmp_path: Path, make_store: Open, state: str
) -> None:
    async with make_store() as store:
        await add_job(store, "job-1")
        await add_job(store, "job-2", now=NOW + 1)
        await claim(store)
        damage(tmp_path, state)
    async with make_store() as store:
        assert (await claim(store, now=NOW + 1)).state.id == "job-2"
        with capture_logs() as logs:
            assert await store.claim(("csv_import",), POLICY, NOW + 1) is None
            assert await store.claim(("csv_import",), POLICY, NOW + 1) is None
        assert logs == [], "it was said once"


@contextmanager
def files_that_grow_no_more(path: Path) -> Iterator[None]:
    """Let the system refuse whatever makes a file larger than this one, as it does where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_check_finds_that_nothing_more_can_be_written_and_that_it_can_again(
    tmp_path: Path, make_store: Open
) -> None:
    async with make_store() as store:
        await add_job(store)
        with files_that_grow_no_more(tmp_path / "data" / f"{DATABASE_NAME}-wal"):
            with pytest.raises(ShelfwireError) as refused:
                await store.check()
            assert await store.job("job-1") is not None
        assert refused.value.code is Code.STORAGE_UNAVAILABLE
        await store.check()


async def test_a_check_finds_a_full_disk_even_where_the_log_has_room(
    make_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_store() as store:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
        with pytest.raises(ShelfwireError, match="full"):
            await store.check()


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_written_into_a_file_that_is_no_longer_the_folders(
    tmp_path: Path, make_store: Open, *, replaced: bool
) -> None:
    async with make_store() as store:
        (tmp_path / "data").rename(tmp_path / "moved")
        if replaced:
            shutil.copytree(tmp_path / "moved", tmp_path / "data")
        for write in (store.check, partial(add_job, store)):
            with pytest.raises(ShelfwireError) as refused:
                await write()
            assert refused.value.code is Code.STORAGE_UNAVAILABLE
        if replaced:
            shutil.rmtree(tmp_path / "data")
        (tmp_path / "moved").rename(tmp_path / "data")
        await add_job(store)


async def test_the_order_of_the_queue_stays_where_the_clock_was_set_back_between_two_processes(tmp_path: Path) -> None:
    def make(steady: int) -> SqliteStore:
        return SqliteStore(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10, steady=lambda: steady)

    back = NOW - 3_600_000
    async with make(NOW) as store:
        await add_job(store, "second", now=NOW + 5, caller="one")
        await add_job(store, "first", now=NOW, caller="another")
    async with make(back) as store:
        await add_job(store, "third", now=back + 10, caller="a third")
        assert (await store.counts(back + 20)).waiting_since == back - 5
        claimed = [(await claim(store, now=back + 20)).state.id for _ in range(3)]
    assert claimed == ["first", "second", "third"]


async def test_a_worker_elsewhere_has_its_lease_anew_when_the_store_is_opened_again(tmp_path: Path) -> None:
    steady = NOW

    def opened() -> SqliteStore:
        return SqliteStore(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10, steady=lambda: steady)

    leases = {"short": 1000, "long": 60_000, "lapsed": 1000}
    async with opened() as store:
        for job_id, lease in leases.items():
            await add_job(store, job_id)
            worker = RemoteClaim(digest=job_id.encode().rjust(32), worker=RemoteWorker(lease=lease), job_id=job_id)
            assert await store.claim(("csv_import",), POLICY, NOW - (job_id == "lapsed"), remote=worker) is not None
        await store.lapse(POLICY, NOW + 999)
    steady = NOW + 3_600_000
    async with opened() as store:
        rows = [await store.job(job_id) for job_id in leases]
        claimable = await claim(store, now=steady)
    states = [row.state for row in rows if row is not None]
    assert [state.lease_until and state.lease_until - steady for state in states] == [5000, 60_000, 0]
    assert claimable.state.id == "lapsed", "it was free before"


def opened_at(tmp_path: Path, steady: int = NOW) -> SqliteStore:
    return SqliteStore(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10, steady=lambda: steady)


def cancel(state: JobState, now: int) -> JobState:
    return owner_transitions.cancel(state, POLICY, now=now)


async def ending_already(tmp_path: Path, store: JobStore) -> None:
    """Let the next claim of job-1 end it, where there is the message of an ending already."""
    await add_job(store, "job-1")
    await claim(store)
    await store.request("job-1", cancel, NOW)
    by_hand(tmp_path, "INSERT INTO ending VALUES ('job-1', '{}')")
    by_hand(tmp_path, "UPDATE job SET lease_until = 0, state = json_set(state, '$.lease_until', 0)")


async def of_an_unreadable_selection(tmp_path: Path, store: JobStore) -> None:
    await add_job(store, "job-1")
    by_hand(tmp_path, "UPDATE job SET state = json_set(state, '$.retry_of', 'job-0')")
    by_hand(tmp_path, "INSERT INTO input_part VALUES ('job-1', ?, 0, x'ff00')", creation.SELECTION)


async def whose_columns_contradict_it(tmp_path: Path, store: JobStore) -> None:
    await add_job(store, "job-1")
    by_hand(tmp_path, "UPDATE job SET state = json_set(state, '$.status', 'paused')")


async def whose_id_is_no_text(tmp_path: Path, store: JobStore) -> None:
    await add_job(store, "job-1")
    by_hand(tmp_path, "UPDATE job SET id = CAST(x'ff' AS TEXT)")


REFUSED = (ending_already, of_an_unreadable_selection, whose_columns_contradict_it, whose_id_is_no_text)


@pytest.mark.parametrize("job", REFUSED)
@pytest.mark.parametrize("remote", [False, True])
async def test_a_job_whose_claim_is_refused_keeps_no_other_from_being_claimed(
    tmp_path: Path, make_store: Open, job: Callable[[Path, JobStore], Awaitable[None]], *, remote: bool
) -> None:
    worker = RemoteClaim(digest=bytes(32), worker=RemoteWorker(lease=5000)) if remote else None
    async with make_store() as store:
        await job(tmp_path, store)
        before = await store.counts(NOW)
        await add_job(store, "job-2", now=NOW + 1)
        with capture_logs() as logs:
            claimed = await store.claim(("csv_import",), POLICY, NOW + 1, remote=worker)
            assert await store.claim(("csv_import",), POLICY, NOW + 1) is None
        assert claimed is not None
        assert claimed.state.id == "job-2"
        assert [entry["job"] for entry in logs] == ([] if job is whose_id_is_no_text else ["job-1"]), "it is said once"
        await store.delete("job-2", POLICY, NOW + 1)
        assert await store.counts(NOW) == before, "nothing of the refused claim is kept"


async def test_a_job_whose_lapse_is_refused_keeps_no_other_from_lapsing(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        for job_id in ("job-1", "job-2"):
            await add_job(store, job_id)
            worker = RemoteClaim(digest=job_id.encode().rjust(32), worker=RemoteWorker(lease=1000), job_id=job_id)
            assert await store.claim(("csv_import",), POLICY, NOW, remote=worker) is not None
            await store.request(job_id, cancel, NOW)
        by_hand(tmp_path, "INSERT INTO ending VALUES ('job-1', '{}')")
        with capture_logs() as logs:
            lapses = [await store.lapse(POLICY, NOW + 1000) for _ in range(2)]
        assert [[row.state.id for row in each.changed] for each in lapses] == [["job-2"], []]
        assert [entry["job"] for entry in logs] == ["job-1"]


@pytest.mark.parametrize("column", ["run_at", "lease_until", "expires_at", "turn", "lost_at"])
@pytest.mark.parametrize("status", ["queued", "running"])
async def test_text_in_a_column_of_numbers_keeps_no_store_from_working(
    tmp_path: Path, column: str, status: str
) -> None:
    async with opened_at(tmp_path) as store:
        await add_job(store, "job-1")
        await add_job(store, "job-2", now=NOW + 1)
        by_hand(tmp_path, f"UPDATE job SET {column} = 'abc', status = ? WHERE id = 'job-1'", status)  # noqa: S608
    async with opened_at(tmp_path, NOW - 1000) as store:
        await add_job(store, "job-3", now=NOW)
        await store.lapse(POLICY, NOW)
        await store.claimable(["csv_import"], NOW)
        await store.counts(NOW)
        claimed = [await store.claim(("csv_import",), POLICY, NOW + 1) for _ in range(4)]
    assert {"job-2", "job-3"} <= {one.state.id for one in claimed if one is not None}


@pytest.mark.parametrize("state", ["'{'", "'null'", "x'ff'", "'{\"id\": 1}'"])
async def test_a_damaged_job_keeps_no_other_from_being_looked_up(tmp_path: Path, make_store: Open, state: str) -> None:
    async with make_store() as store:
        for name in ("job-1", "job-2"):
            await add_job(store, name)
        by_hand(tmp_path, f"UPDATE job SET state = {state} WHERE id = 'job-1'")  # noqa: S608 - SQL of a test
        found = await store.look_up([b"job-1".ljust(32), b"job-2".ljust(32)], NOW)
    assert [grant.job_id for grant, _ in found.values()] == ["job-2"]


@pytest.mark.parametrize(
    "damaged",
    [
        "expires_at = 'abc'",
        "state = json_set(state, '$.expires_at', 9000000000000)",
        "expires_at = 'abc', state = '{}'",
        "pipeline = CAST(x'ff' AS TEXT), state = '{}'",
    ],
)
async def test_a_sweep_erases_a_job_whose_expiry_is_damaged(tmp_path: Path, make_store: Open, damaged: str) -> None:
    async with make_store() as store:
        await store.write_input("job-1", "file", 0, b"personal")
        made = await add_job(store)
        by_hand(tmp_path, f"UPDATE job SET {damaged}")  # noqa: S608 - SQL of a test
        swept = await store.sweep(POLICY, made.expires_at)
        assert (swept.erased, swept.failure) == (1, None)
        assert await store.read_input("job-1", "file") == b""


async def test_errors_have_no_content_of_rows(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        for number in range(3):
            await add_job(store, f"job-{number}")
        damage(tmp_path, "CAST(x'7b22' || 'Jane Doe' || x'ff' AS TEXT)", "job-0")
        damage(tmp_path, """'{"id": "job-1", "status": "Jane Doe"}'""", "job-1")
        by_hand(tmp_path, "UPDATE grant SET scopes = '[\"Jane Doe' || CAST(x'ff' AS TEXT) WHERE job_id = 'job-2'")
        for asked in (store.job("job-0"), store.job("job-1"), store.grant(b"job-2".ljust(32), NOW)):
            with pytest.raises(ShelfwireError) as refused:
                await asked
            assert refused.value.code is Code.INTERNAL
            assert "Jane" not in "".join(traceback.format_exception(refused.value))
        with capture_logs() as logs:
            await store.claim(("csv_import",), POLICY, NOW)
        assert len(logs) == 2
        assert "Jane" not in str(logs)


async def test_a_check_fails_once_the_file_is_found_damaged_and_the_log_says_so(
    tmp_path: Path, make_store: Open
) -> None:
    path = tmp_path / "data" / DATABASE_NAME
    async with make_store():
        pass
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'input_part'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    async with make_store() as store:
        await store.check()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
        with capture_logs() as logs, pytest.raises(ShelfwireError) as refused:
            await store.write_input("upload", "file", 0, b"Title")
        assert refused.value.code is Code.INTERNAL
        assert [(entry["log_level"], entry["reason"]) for entry in logs] == [("error", refused.value.message)]
        with pytest.raises(ShelfwireError, match="damaged") as refused:
            await store.check()
        assert refused.value.code is Code.STORAGE_UNAVAILABLE


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
async def test_nothing_is_written_into_a_log_that_nobody_will_find(
    tmp_path: Path, make_store: Open, suffix: str
) -> None:
    async with make_store() as store:
        await add_job(store, "job-1")
        (tmp_path / "data" / (DATABASE_NAME + suffix)).unlink()
        for write in (store.check, partial(add_job, store, "job-2")):
            with pytest.raises(ShelfwireError, match="removed or replaced") as refused:
                await write()
            assert refused.value.code is Code.STORAGE_UNAVAILABLE
    async with make_store() as store:
        assert await store.job("job-1") is not None, "the log was kept open until the store was closed"
        await store.check()


async def test_inputs_under_an_id_that_is_no_text_keep_no_store_from_opening(tmp_path: Path, make_store: Open) -> None:
    async with make_store() as store:
        await add_job(store)
        await store.write_input("upload", "file", 0, b"of an upload that broke off")
        by_hand(tmp_path, "INSERT INTO input_part VALUES (CAST(x'ff' AS TEXT), 'file', 0, x'00')")
    async with make_store() as store:
        assert await store.read_input("upload", "file") == b""
        assert (await claim(store)).state.status is Status.RUNNING


@pytest.mark.parametrize("how", ["sweep", "delete"])
async def test_a_job_whose_address_is_damaged_is_erased_all_the_same(tmp_path: Path, how: str) -> None:
    data = tmp_path / "data"
    store = SqliteStore(data, encode_terminal=encode_terminal, inline_limit=10, announce=announcer())
    async with store:
        made = await add_job(store)
        by_hand(tmp_path, "UPDATE job SET state = json_set(state, '$.callback_url', 'nowhere')")
        if how == "sweep":
            assert (await store.sweep(POLICY, made.expires_at)).erased == 1
        else:
            assert await store.delete("job-1", POLICY, NOW) is not None
        assert (await store.counts(NOW)).jobs == {}
