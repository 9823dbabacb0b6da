import asyncio
import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, func, select

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Change
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Status, create
from shelfwire.protocol.tokens import Grant
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.stores import schema
from shelfwire.stores.sqlite import room, statements
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import NOW, POLICY, add_job, claim, encode_terminal, encoded
from tests.full_disk import fill, small_disk

FULL = r"disk of the data folder is full\. Make room"
PART = bytes(range(256)) * 2048


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "data", encode_terminal=encode_terminal, inline_limit=10_000)


async def add_full_job(store: SqliteStore, job_id: str) -> None:
    """Add a job with an input of 1 MiB."""
    try:
        for number in range(2):
            await store.write_input(job_id, "file", number, PART)
    except ShelfwireError:
        await store.discard_input(job_id)
        raise
    await add_job(store, job_id)


def recorded(job_id: str, count: int, size: int, *, ends: bool = False) -> Change:
    """A change of a job's first attempt that records items."""

    def closing(state: JobState, now: int) -> JobState:
        return worker_transitions.complete(state, 1, "Done", POLICY, now=now)

    items = encoded(*((index, True, None, "x" * size) for index in range(count)))
    delta = ProgressDelta(succeeded=count)
    return Change(job_id=job_id, attempt=1, created_at=NOW, delta=delta, items=items, closing=closing if ends else None)


async def filled(store: SqliteStore) -> list[str]:
    """Add jobs until there is no room for one more."""
    made: list[str] = []
    with pytest.raises(ShelfwireError, match=FULL) as refused:  # noqa: PT012 - some are made first
        for number in range(100):
            await add_full_job(store, f"job-{number}")
            made.append(f"job-{number}")
    assert refused.value.code is Code.STORAGE_UNAVAILABLE
    assert 4 <= len(made) < 16
    return made


async def data_left(store: SqliteStore) -> int:
    def work(connection: Connection) -> int:
        tables = [table for table in schema.metadata.sorted_tables if table is not schema.meta]
        counts = [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
        return sum(counts)

    return await store._read(work)


async def test_a_store_that_filled_its_disk_is_emptied_job_by_job_and_takes_new_ones(disk: Path) -> None:
    async with store_in(disk) as store:
        made = await filled(store)
        fill(disk)
        with pytest.raises(ShelfwireError, match=FULL):
            await store.check()
        for job_id in made:
            assert await store.delete(job_id, POLICY, NOW) is not None
        assert await data_left(store) == 0
        await store.check()
        assert len(await filled(store)) >= len(made) - 1


async def test_a_full_disk_is_emptied_by_the_sweep(disk: Path) -> None:
    async with store_in(disk) as store:
        made = await filled(store)
        fill(disk)
        swept = await store.sweep(POLICY, NOW + 10**12)
        assert (swept.erased, swept.failure) == (len(made), None)
        assert await data_left(store) == 0


async def test_a_token_is_revoked_on_a_full_disk(disk: Path) -> None:
    async with store_in(disk) as store:
        await filled(store)
        fill(disk)
        await store.revoke(b"job-0".ljust(32))
        assert await store.grant(b"job-0".ljust(32), NOW) is None


async def test_a_log_that_has_to_grow_for_an_erasure_takes_the_room_that_is_kept(disk: Path) -> None:
    async with store_in(disk) as store:
        await add_full_job(store, "job-1")
    async with store_in(disk) as store:
        fill(disk)  # the log is as small as it can be
        with pytest.raises(ShelfwireError):
            await store.write_input("job-2", "file", 0, PART)
        assert (disk / "data" / room.FILE_NAME).exists()
        assert await store.delete("job-1", POLICY, NOW) is not None
        assert not (disk / "data" / room.FILE_NAME).exists()
        assert await data_left(store) == 0


async def test_the_reserve_is_made_again_when_there_is_room(disk: Path) -> None:
    async with store_in(disk) as store:
        await add_full_job(store, "job-1")
        others = fill(disk)
        assert store._folder.room.give_up()
        assert (await store.sweep(POLICY, NOW)).failure is None
        assert not (disk / "data" / room.FILE_NAME).exists(), "there is no room for it"
        others.unlink()
        assert (await store.sweep(POLICY, NOW)).failure is None
        found = (disk / "data" / room.FILE_NAME).stat()
        assert found.st_size == found.st_blocks * 512 == store._folder.room.size, "its blocks are its own"
        assert found.st_mode & 0o777 == 0o600


@pytest.mark.parametrize("reason", [errno.EOPNOTSUPP, None])
async def test_the_reserve_is_written_where_blocks_cannot_be_allocated_otherwise(
    disk: Path, monkeypatch: pytest.MonkeyPatch, reason: int | None
) -> None:
    def refusing(*_: object) -> None:
        raise OSError(reason, "not supported")

    if reason is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refusing, raising=False)
    async with store_in(disk) as store:
        found = (disk / "data" / room.FILE_NAME).stat()
        assert found.st_size == found.st_blocks * 512 == store._folder.room.size


async def test_a_store_opens_on_a_full_disk_and_is_emptied(disk: Path) -> None:
    async with store_in(disk) as store:
        made = await filled(store)
    fill(disk)
    async with store_in(disk) as store:
        for job_id in made:
            assert await store.delete(job_id, POLICY, NOW) is not None
        assert await data_left(store) == 0


async def test_a_store_that_cannot_open_for_want_of_room_says_what_to_do(disk: Path) -> None:
    async with store_in(disk) as store:
        await add_job(store)
    (disk / "data" / room.FILE_NAME).unlink()
    others = fill(disk)
    with pytest.raises(ShelfwireError, match=FULL) as refused:
        await store_in(disk).__aenter__()
    assert "delete jobs" not in refused.value.message, "nobody can while the store is not open"
    others.unlink()
    async with store_in(disk) as store:
        assert (await claim(store)).state.status is Status.RUNNING


async def test_a_store_opens_again_and_again_on_a_disk_that_others_fill_each_time(disk: Path) -> None:
    async with store_in(disk) as store:
        made = await filled(store)
    for time in range(3):
        async with store_in(disk) as store:
            fill(disk, f"of another program, {time}")
            await store.job("job-1")
        fill(disk, f"while it was stopped, {time}")
    async with store_in(disk) as store:
        for job_id in made:
            assert await store.delete(job_id, POLICY, NOW) is not None
        assert await data_left(store) == 0


async def test_items_that_find_no_room_are_committed_once_another_job_is_deleted(disk: Path) -> None:
    async with store_in(disk) as store:
        made = await filled(store)
        running = (await claim(store)).state.id
        change = recorded(running, 200, 10_000)
        with pytest.raises(ShelfwireError) as full:
            await store.commit([change], POLICY, NOW)
        assert full.value.code is Code.STORAGE_UNAVAILABLE
        for job_id in made[1:5]:
            await store.delete(job_id, POLICY, NOW)
        assert await store.commit([change], POLICY, NOW) != [None]


async def test_what_needs_little_room_does_not_fail_with_what_shares_its_transaction(disk: Path) -> None:
    async with store_in(disk) as store:
        await add_job(store)
        others = fill(disk)
        os.truncate(others, others.stat().st_size - 128 * 1024)
        writes = [store.write_input("job-2", "file", number, PART) for number in range(3)]
        *failed, claimed = await asyncio.gather(*writes, claim(store), return_exceptions=True)
        assert all(isinstance(error, ShelfwireError) for error in failed)
        assert not isinstance(claimed, BaseException)


# The rest needs no disk of its own.


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk whose figures a test decides."""
    figures = SimpleNamespace(total=10**12, free=10**12)
    monkeypatch.setattr("shutil.disk_usage", lambda _: figures)
    return figures


async def test_where_room_is_short_new_data_take_the_place_of_what_was_erased(
    tmp_path: Path, tight: SimpleNamespace
) -> None:
    async with store_in(tmp_path) as store:
        for number in range(4):
            await add_full_job(store, f"job-{number}")
        tight.free = 2 * room.MAX_BYTES - room.MAX_BYTES - 1
        with pytest.raises(ShelfwireError, match="full"):
            await add_full_job(store, "job-4")
        await store.delete("job-0", POLICY, NOW)
        await add_full_job(store, "job-4")
        with pytest.raises(ShelfwireError, match="full"):
            await add_full_job(store, "job-5")
        tight.free = 10**12
        await add_full_job(store, "job-5")


def rows_of(folder: Path, job_id: str) -> Sequence[int]:
    with closing(sqlite3.connect(folder / "data" / DATABASE_NAME)) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table} WHERE job_id = ?", [job_id]).fetchone()[0]  # noqa: S608
            for table in ("input_part", "item")
        ]


async def large_job(store: SqliteStore, job_id: str = "job-1") -> None:
    """A job that has ended, with 4 MiB of inputs and as much of items."""
    for number in range(8):
        await store.write_input(job_id, "file", number, PART)
    await add_job(store, job_id)
    await claim(store)
    assert await store.commit([recorded(job_id, 1000, 4000, ends=True)], POLICY, NOW) != [None]


async def test_the_log_has_room_for_each_step_of_erasing_a_large_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await large_job(store)
    async with store_in(tmp_path) as store:
        log, sizes = tmp_path / "data" / f"{DATABASE_NAME}-wal", list[int]()
        step = statements.erase_some

        def measured(connection: Connection, job_id: str) -> bool:
            sizes.append(log.stat().st_size)
            return step(connection, job_id)

        monkeypatch.setattr(statements, "erase_some", measured)
        await store.delete("job-1", POLICY, NOW)
        assert len(sizes) > 8
        assert max(after - before for before, after in pairwise(sizes)) < 2 * 1024 * 1024
    assert rows_of(tmp_path, "job-1") == [0, 0]


async def test_a_deletion_that_broke_off_goes_on_with_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await large_job(store)
        await large_job(store, "job-2")
        with monkeypatch.context() as broken:
            calls = iter(range(100))
            step = statements.erase_some

            def failing(connection: Connection, job_id: str) -> bool:
                if next(calls) == 2:
                    raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
                return step(connection, job_id)

            broken.setattr(statements, "erase_some", failing)
            assert await store.delete("job-1", POLICY, NOW) is not None
        assert await store.job("job-1") is None, "it is gone, whatever is left of it"
        assert rows_of(tmp_path, "job-1") != [0, 0]
        assert (await store.sweep(POLICY, NOW)).failure is None
        assert rows_of(tmp_path, "job-1") == [0, 0]
        assert rows_of(tmp_path, "job-2") == [8, 1000]


@pytest.mark.parametrize("reopened", [False, True])
async def test_what_is_left_of_an_erased_job_is_not_in_a_new_one_of_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reopened: bool
) -> None:
    async with store_in(tmp_path) as store:
        await large_job(store)
        with monkeypatch.context() as broken:
            broken.setattr(store, "_erase_rest", lambda _: asyncio.sleep(0))
            await store.delete("job-1", POLICY, NOW)
        assert rows_of(tmp_path, "job-1") != [0, 0]
        if not reopened:
            await store.write_input("upload", "file", 0, b"new")
            state = create("job-1", "csv_import", now=NOW)
            await store.create(state, Grant(digest=bytes(32), job_id="job-1"), upload_id="upload")
            store._leftovers.add("job-1")
            assert (await store.sweep(POLICY, NOW)).failure is None
            assert await store.read_input("job-1", "file") == b"new"
            assert rows_of(tmp_path, "job-1") == [1, 0]
    async with store_in(tmp_path):
        assert rows_of(tmp_path, "job-1") == ([0, 0] if reopened else [1, 0])
