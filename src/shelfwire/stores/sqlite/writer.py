"""Group commit: one thread owns the writing connection and puts all waiting work into one transaction."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from shelfwire.stores.sqlite.errors import code_of

T = TypeVar("T")
MAX_GROUP: Final = 64
"""The most pieces of work that share a transaction."""

_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class GroupWriter:
    """Runs pieces of work on one connection, in one thread, in the order they came.

    Work that was queued while the last transaction was synced to disk shares the next one. A piece that raises is
    rolled back to its savepoint and fails alone; a failed commit fails them all; on a full disk each is tried alone.

    Args:
        engine: makes connections whose `BEGIN` takes the write lock.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[tuple[Callable[[Connection], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="shelfwire-writer", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is durable."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((work, future))
        return await future

    async def close(self) -> None:
        """Finish queued work, then end the thread. The caller queues nothing more."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with self._engine.connect() as connection:
            open_ = True
            while open_:
                group = [self._queue.get()]
                while len(group) < MAX_GROUP and group[-1] is not None:
                    try:
                        group.append(self._queue.get_nowait())
                    except Empty:
                        break
                open_ = group[-1] is not None
                works = [work for work in group if work is not None]
                if works:
                    outcomes = _transact(connection, works)
                    self._loop.call_soon_threadsafe(_resolve, outcomes)


def _transact(
    connection: Connection, works: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]]
) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    try:
        if len(works) == 1:  # it fails alone without a savepoint
            ((work, future),) = works
            with connection.begin():
                result = work(connection)
            return [(future, result, None)]
        with connection.begin():
            for work, future in works:
                savepoint = connection.begin_nested()
                try:
                    result = work(connection)
                    savepoint.commit()
                except Exception as error:
                    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                        # A full disk makes SQLite roll back everything, the earlier pieces included.
                        raise
                    savepoint.rollback()
                    outcomes.append((future, None, error))
                else:
                    outcomes.append((future, result, None))
    except Exception as error:  # noqa: BLE001 - raised by `run`
        if len(works) > 1 and code_of(error) == sqlite3.SQLITE_FULL:
            # One that needs less, or only erases, must not fail with one that needs room.
            return [outcome for work in works for outcome in _transact(connection, [work])]
        return [(future, None, error) for _, future in works]
    return outcomes


def _resolve(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
