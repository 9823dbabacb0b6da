import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from shelfwire.stores.sqlite.writer import GroupWriter


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}")

    @event.listens_for(engine, "connect")
    def on_connect(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (word TEXT UNIQUE)"))
    yield engine
    engine.dispose()


Work = Callable[[Connection], object]


def add(word: str) -> Work:
    return lambda connection: connection.execute(text("INSERT INTO note VALUES (:word)"), {"word": word})


def words(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.scalars(text("SELECT word FROM note")))


async def grouped(writer: GroupWriter, *works: Work) -> list[object]:
    """Queue all works while the writer is busy, so that they share one transaction."""
    busy, release = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        busy.set()
        release.wait()

    holding = asyncio.create_task(writer.run(hold))
    await asyncio.to_thread(busy.wait)
    tasks = [asyncio.create_task(writer.run(work)) for work in works]
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait({holding})
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_what_waits_shares_a_transaction(engine: Engine) -> None:
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    writer = GroupWriter(engine)
    await grouped(writer, *(add(f"word {number}") for number in range(20)))
    await writer.close()
    assert len(words(engine)) == 20
    assert len(commits) == 2


async def test_a_piece_that_fails_fails_alone(engine: Engine) -> None:
    writer = GroupWriter(engine)
    one, same, other = await grouped(writer, add("one"), add("one"), add("other"))
    await writer.close()
    assert isinstance(same, Exception)
    assert not isinstance(one, Exception)
    assert not isinstance(other, Exception)
    assert words(engine) == ["one", "other"]


async def test_a_commit_that_fails_fails_them_all_and_the_writer_goes_on(engine: Engine) -> None:
    def full(_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    writer = GroupWriter(engine)
    event.listen(engine, "commit", full)
    answers = await grouped(writer, add("one"), add("other"))
    event.remove(engine, "commit", full)
    assert [type(answer) for answer in answers] == [OperationalError, OperationalError]
    await writer.run(add("later"))
    await writer.close()
    assert words(engine) == ["later"]


async def test_a_disk_that_fills_up_within_a_group_fails_all_of_it(engine: Engine) -> None:
    def full(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # as SQLite does by itself when the disk is full
        raise OperationalError("INSERT", {}, Exception("disk full"))

    writer = GroupWriter(engine)
    answers = await grouped(writer, add("before"), full, add("after"))
    assert [type(answer) for answer in answers] == [OperationalError] * 3
    assert words(engine) == []
    await writer.run(add("later"))
    await writer.close()
    assert words(engine) == ["later"]


async def test_a_cancelled_caller_does_not_stop_the_others(engine: Engine) -> None:
    writer = GroupWriter(engine)
    busy, release = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        busy.set()
        release.wait()

    leaving = asyncio.create_task(writer.run(hold))
    await asyncio.to_thread(busy.wait)
    staying = asyncio.create_task(writer.run(add("stays")))
    await asyncio.sleep(0)
    leaving.cancel()
    release.set()
    await staying
    await writer.close()
    assert leaving.cancelled()
    assert words(engine) == ["stays"]
