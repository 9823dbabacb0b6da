"""Connections to the database: a few that are kept open, deadlines for what is done on them, and transactions.

psycopg's own pool is not used: it begins again a second after a failed attempt, then after two, four and so on, while
workers have to renew their leases.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from shelfwire.clock import yield_to_loop
from shelfwire.stores.postgres.errors import REPEATABLE, translated, unavailable

T = TypeVar("T")
Params = Mapping[str, Any]
Statement = tuple[str, Params]
Connect = Callable[[], Awaitable[AsyncConnection]]

WAIT_SECONDS: Final = 2.0
"""How long work waits for a connection."""
MAX_RUNS: Final = 5
"""How often a transaction is run again that concurrent work has undone."""
ROWS_PER_TURN: Final = 500
"""Rows that are packed before others get a turn on the event loop."""
BEGIN: Final = (
    "BEGIN; SET LOCAL statement_timeout='4s'; SET LOCAL lock_timeout='1s'; "
    "SET LOCAL idle_in_transaction_session_timeout='1s'"
)
"""One round trip. Set for the transaction alone: behind a pooler the next client would inherit it.

A process that is frozen between two statements of a transaction keeps its locks no longer than that; for one that is
frozen within a statement that it sends in parts see `claims.FREE_LAPSED`.
"""


REFUSED: Final = (psycopg.Error, msgspec.DecodeError, UnicodeError)
"""What fails of the database, and of rows that cannot be read or written."""


READ_ONLY: Final = "25006"
"""The server can only be read, as one that is not the primary any more; new connections go to the one that is."""


class RunAgainError(Exception):
    """Concurrent work came first: the transaction is to be run again from its beginning."""


@contextmanager
def deadline(connection: AsyncConnection, seconds: float) -> Iterator[None]:
    """Shut the socket of a connection down unless the work within is done in time; the work fails then.

    Where the network swallows everything, neither cancelling the task nor the time-outs of TCP end the wait soon:
    psycopg asks the server, over the same network, to cancel.
    """

    def cut() -> None:
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, cut)
    try:
        yield
    finally:
        timer.cancel()


class Session:
    """Runs statements on one connection, each within a deadline. Values go in and come out in the binary format.

    Args:
        connection: the connection.
        seconds: the deadline.
    """

    def __init__(self, connection: AsyncConnection, seconds: float) -> None:
        self.connection = connection
        self._seconds = seconds

    async def rows(self, query: Any, params: Params | None = None) -> list[tuple[Any, ...]]:
        """Return all rows."""
        with deadline(self.connection, self._seconds):
            cursor = await self.connection.execute(query, params, binary=True)
            return await cursor.fetchall()

    async def row(self, query: Any, params: Params | None = None) -> tuple[Any, ...] | None:
        """Return the first row; None if there is none."""
        return next(iter(await self.rows(query, params)), None)

    async def value(self, query: Any, params: Params | None = None) -> Any:
        """Return the first value of the first row; None if there is none."""
        row = await self.row(query, params)
        return None if row is None else row[0]

    async def execute(self, query: Any, params: Params | None = None) -> int:
        """Return how many rows were changed."""
        with deadline(self.connection, self._seconds):
            cursor = await self.connection.execute(query, params)
            return cursor.rowcount

    async def together(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip; return the rows of each."""
        if not statements:
            return []
        with deadline(self.connection, self._seconds):
            async with self.connection.pipeline():
                cursors = [await self.connection.execute(query, params, binary=True) for query, params in statements]
            return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]

    async def copy(self, query: Any, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write rows with COPY in the binary format, the columns of these types."""
        with deadline(self.connection, self._seconds):
            async with self.connection.cursor() as cursor, cursor.copy(query) as copy:
                copy.set_types(types)
                for number, row in enumerate(rows):
                    await copy.write_row(row)
                    if number % ROWS_PER_TURN == ROWS_PER_TURN - 1:
                        await yield_to_loop()


class Connections:
    """A few connections, opened when they are needed and kept. Use it as an asynchronous context manager.

    Args:
        connect: opens one, which commits every statement by itself.
        size: the most that are open.
        seconds: the deadline of each statement.
        on_connect: is called after a connection was opened.
    """

    def __init__(
        self, connect: Connect, size: int, seconds: float, on_connect: Callable[[], None] = lambda: None
    ) -> None:
        self._connect = connect
        self._on_connect = on_connect
        self._seconds = seconds
        self._idle: list[AsyncConnection] = []
        self._free = asyncio.Semaphore(size)
        self._is_open = True

    async def close(self) -> None:
        """Close the connections that nobody uses; the others are closed when they are given back."""
        self._is_open = False
        while self._idle:
            await _closed(self._idle.pop())

    async def read(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that changes nothing, each statement by itself.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`, `E_INTERNAL`.
        """
        async with self._turn():
            while True:
                was_idle = bool(self._idle)
                connection = await self._opened()
                try:
                    async with self._given_back(connection):
                        return await work(Session(connection, self._seconds))
                except REFUSED as error:
                    if not (was_idle and connection.closed):
                        raise translated(error) from error

    async def write(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work in a transaction, and again where concurrent work came first.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`, `E_INTERNAL`; whatever the work raises. Nothing was changed, unless
                the answer to the commit was lost.
        """
        async with self._turn():
            for _ in range(MAX_RUNS):
                connection = await self._begun()
                try:
                    async with self._given_back(connection):
                        session = Session(connection, self._seconds)
                        done = await work(session)
                        await session.execute("COMMIT")
                        return done
                except RunAgainError:
                    continue
                except REFUSED as error:
                    if getattr(error, "sqlstate", None) not in REPEATABLE:
                        raise translated(error) from error
        raise unavailable("too much is changed at the same time")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise unavailable("all connections to it are busy") from None
        try:
            yield
        finally:
            self._free.release()

    async def _opened(self) -> AsyncConnection:
        if self._idle:
            return self._idle.pop()
        try:
            connection = await self._connect()
        except (psycopg.Error, OSError) as error:
            raise translated(error) from error
        self._on_connect()
        return connection

    async def _begun(self) -> AsyncConnection:
        """Begin a transaction on a connection that is alive; one that was lost while it was idle is found out here."""
        while True:
            was_idle = bool(self._idle)
            connection = await self._opened()
            try:
                await Session(connection, self._seconds).execute(BEGIN)
            except BaseException as error:
                await _closed(connection)
                if not isinstance(error, psycopg.Error):
                    raise
                if not was_idle:
                    raise translated(error) from error
            else:
                return connection

    @asynccontextmanager
    async def _given_back(self, connection: AsyncConnection) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            if getattr(error, "sqlstate", None) == READ_ONLY:
                await _closed(connection)
            with contextlib.suppress(psycopg.Error), deadline(connection, self._seconds):
                if connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                    await connection.execute("ROLLBACK")
            raise
        finally:
            if self._is_open and connection.info.transaction_status is TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                await _closed(connection)


async def _closed(connection: AsyncConnection) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.close()
