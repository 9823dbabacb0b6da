"""Which store the settings ask for, and by which clock its leases are kept."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from shelfwire.clock import Clock, DatabaseClock, SystemClock
from shelfwire.jobs.outbox import Announce
from shelfwire.jobs.store import EncodeTerminal, JobStore
from shelfwire.settings import Settings, SettingsError
from shelfwire.stores.sqlite.data_folder import DataFolderBusyError
from shelfwire.stores.sqlite.store import SqliteStore


class OpenStore(Protocol):
    """Makes the store of an application, such as the class `shelfwire.testing.MemoryStore`."""

    def __call__(
        self, *, encode_terminal: EncodeTerminal, steady: Callable[[], int], announce: Announce
    ) -> AbstractAsyncContextManager[JobStore]:
        """Return the store; it is open within the context.

        Args:
            encode_terminal: encodes the terminal message when a job ends.
            steady: the time by which leases are kept; see `worker_transitions.claimable`.
            announce: makes what is to be told when a job ends.
        """
        ...


def clock_for(settings: Settings) -> Clock:
    """Return the clock of the machine, or that of the database where several processes share one."""
    return SystemClock() if settings.database is None else DatabaseClock()


def opener(settings: Settings, clock: Clock, random_bytes: Callable[[int], bytes]) -> OpenStore:
    """Return what opens the store.

    Args:
        settings: they name the database, or else the data folder.
        clock: the time; a `DatabaseClock` is set by the database.
        random_bytes: a source that returns the given number of bytes.

    Raises:
        SettingsError: there is a database, and the package for it is not installed.
    """
    if settings.database is None:
        return partial(SqliteStore, settings.data, inline_limit=settings.inline_results)
    try:
        from shelfwire.stores.postgres.address import Database  # noqa: PLC0415 - it may not be installed
        from shelfwire.stores.postgres.store import PostgresStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise SettingsError(
            "database is set, and the package for PostgreSQL is not installed. "
            "Install it with: pip install 'shelfwire[postgres]'"
        ) from None
    listen = settings.database_listen
    database = Database(
        settings.database.reveal(),
        listen=None if listen is None else listen.reveal(),
        pool_size=settings.database_pool,
        node=settings.node or f"{socket.gethostname()}-{random_bytes(2).hex()}",
    )
    make = partial(PostgresStore, database, inline_limit=settings.inline_results, clock=clock)

    def open_store(
        *, encode_terminal: EncodeTerminal, steady: Callable[[], int], announce: Announce
    ) -> AbstractAsyncContextManager[JobStore]:
        store = make(encode_terminal=encode_terminal, steady=steady, announce=announce)
        return _with_folder(settings.data, store)

    return open_store


@asynccontextmanager
async def _with_folder(folder: Path, store: AbstractAsyncContextManager[JobStore]) -> AsyncIterator[JobStore]:
    """Open a store in a database; the data folder, which holds the address of this server, is this process's alone.

    Raises:
        DataFolderBusyError: another process holds the folder.
        OSError: the folder cannot be used.
    """
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise DataFolderBusyError(folder) from None
    try:
        async with store as opened:
            yield opened
    finally:
        lock.release()
