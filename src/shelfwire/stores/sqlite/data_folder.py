"""The folder of the embedded store: its lock, its database file, the room on its disk, and transactions."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.sqlite import statements as sql
from shelfwire.stores.sqlite.errors import (
    WHILE_OPENING,
    cause_of,
    code_of,
    full,
    is_corrupt,
    translated,
    unavailable,
    wants_room,
)
from shelfwire.stores.sqlite.room import CHECKPOINT_PAGES, OPENING_BYTES, DiskRoom
from shelfwire.stores.sqlite.writer import GroupWriter

T = TypeVar("T")
DATABASE_NAME: Final = "shelfwire.sqlite3"
BESIDE: Final = ("-wal", "-shm")
"""What the names of the log and its index end with, which SQLite makes beside the database."""
READERS: Final = 2
MIN_FREE_BYTES: Final = 1024 * 1024
"""Bytes for new data below which the disk is full: a part of an upload, see `web.uploads`."""
PREPARED: Final = 256
"""Statements that a connection keeps prepared: those of `bulk` have one for each number of rows."""
MAX_PAGES: Final = 2**30
"""SQLite's own limit of a database."""
CORRUPTED: Final = "The database file is damaged. Stop the server, and put a backup in its place"
REPLACED: Final = (
    "The database, or a file beside it that SQLite keeps open, was removed or replaced. Restart the server"
)

log = structlog.get_logger(__name__)


class DataFolderBusyError(ShelfwireError):
    """Another process holds the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            Code.STORAGE_UNAVAILABLE,
            f"Another shelfwire process is using {folder}",
            user_message="Another shelfwire runs on this data folder. Use that one, or name another with --data.",
        )


class DataFolder:
    """A folder with one database, which belongs to the process that has opened it.

    Args:
        path: the folder; made with access for its owner alone.

    Attributes:
        room: the room on its disk.
    """

    def __init__(self, path: Path) -> None:
        self.room = DiskRoom(path)
        self._path = path
        self._database = path / DATABASE_NAME
        self._kept_open = [str(path / (DATABASE_NAME + suffix)) for suffix in ("", *BESIDE)]
        self._may_grow = True
        self._is_corrupt = False
        self._lock = FileLock(path / "lock", timeout=0, mode=0o600)

    async def open(self, prepare: Callable[[Connection], None]) -> None:
        """Lock the folder and open the database.

        Args:
            prepare: brings the database up to date, in one transaction. Called in a thread.

        Raises:
            DataFolderBusyError: another process holds the folder.
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: the folder or file cannot be used.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise DataFolderBusyError(self._path) from None
        except OSError as error:
            raise unavailable(error) from error
        with ExitStack() as undo:
            undo.callback(self._lock.release)
            try:
                self.room.measure()
                if self.room.free() < OPENING_BYTES:
                    self.room.give_up(OPENING_BYTES)
                self._writing = engine_of(self._database, "BEGIN IMMEDIATE", self.room.checkpoint_pages)
                undo.callback(self._writing.dispose)
                self._reading = engine_of(self._database, "BEGIN", self.room.checkpoint_pages)
                await asyncio.to_thread(self._begin_with, prepare)
                # From here on there are connections that keep the log and its index open.
                self._opened = self._identities()
            except (SQLAlchemyError, OSError) as error:
                if wants_room(error) and self.room.free() < MIN_FREE_BYTES:
                    raise full(WHILE_OPENING) from error
                raise unavailable(error) from _without_rows(error)
            undo.pop_all()
        self._writer = GroupWriter(self._writing)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="shelfwire-reader")

    async def close(self) -> None:
        """Finish queued work, then unlock the folder."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        log_bytes = self._log_bytes()
        self._reading.dispose()
        self._writing.dispose()
        # SQLite has erased the log and its index. Without room for new ones the store could not be opened.
        await asyncio.to_thread(self.room.keep, log_bytes)
        self._lock.release()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that only reads, in a thread.

        Raises:
            ShelfwireError: see `stores.sqlite.errors.translated`.
        """

        def transaction() -> T:
            with self._reading.begin() as connection:
                return work(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, transaction)
        except (SQLAlchemyError, msgspec.DecodeError) as error:
            self.look_at(error)
            raise translated(error) from _without_rows(error)

    async def write(self, work: Callable[[Connection], T], *, erasing: bool = False) -> T:
        """Run `work` in a transaction, which others may share, in the writer's thread; return once it is durable.

        Args:
            work: may be called twice where it erases.
            erasing: whether it erases, and so gets the room that is kept for that.

        Raises:
            ShelfwireError: see `stores.sqlite.errors.translated`.
        """

        def in_place(connection: Connection) -> T:
            if self._identities() != self._opened:
                raise ShelfwireError(Code.STORAGE_UNAVAILABLE, REPLACED)
            self._limit_growth(connection, erasing=erasing)
            return work(connection)

        try:
            return await self._writer.run(in_place)
        except (SQLAlchemyError, msgspec.DecodeError) as error:
            if erasing and wants_room(error) and self.room.give_up():
                log.warning("the disk is full: the room that is kept for erasing is given up", bytes=self.room.size)
                return await self.write(work, erasing=True)
            self.look_at(error)
            raise self._explained(error) or translated(error) from _without_rows(error)

    async def check(self) -> None:
        """Commit something, to see that new data can be written.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`.
        """
        if self._is_corrupt:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, CORRUPTED)
        # What SQLite writes here fits into an emptied log also where the disk is full.
        is_short, is_tight = await asyncio.to_thread(self._look_at_room)
        if is_short or (is_tight and await self.read(sql.reusable_bytes) < MIN_FREE_BYTES):
            raise full()
        await self.write(lambda connection: connection.exec_driver_sql("PRAGMA user_version = 0"))

    def look_at(self, error: Exception) -> None:
        """Take note of an error: once SQLite has found its file damaged, `check` fails, and the log says why."""
        if is_corrupt(error):
            log.error(CORRUPTED, reason=cause_of(error))
            self._is_corrupt = True

    def _identities(self) -> list[tuple[int, int] | None]:
        """Tell the database, its log and the index of that from other files of their names."""
        return [_identity(path) for path in self._kept_open]

    def _begin_with(self, prepare: Callable[[Connection], None]) -> None:
        try:
            with self._writing.begin() as connection:
                prepare(connection)
        except SQLAlchemyError as error:
            if not wants_room(error) or not self.room.give_up():
                raise
            self._begin_with(prepare)

    def _explained(self, error: Exception) -> ShelfwireError | None:
        """Say that the disk is full, if that is why; SQLite calls some of its consequences an I/O error."""
        return full() if wants_room(error) and self.room.free() < MIN_FREE_BYTES else None

    def _limit_growth(self, connection: Connection, *, erasing: bool) -> None:
        may_grow = erasing or not self.room.is_tight()
        if may_grow != self._may_grow:
            # No limit is below the present size.
            connection.exec_driver_sql(f"PRAGMA max_page_count = {MAX_PAGES if may_grow else 1}")
            self._may_grow = may_grow

    def _look_at_room(self) -> tuple[bool, bool]:
        """Whether the log has no room for more, and whether the database may not grow."""
        return self.room.free() + self._log_bytes("-wal") < MIN_FREE_BYTES, self.room.is_tight()

    def _log_bytes(self, *suffixes: str) -> int:
        """The size of the log and its index, or of one of them."""
        paths = (self._path / (DATABASE_NAME + suffix) for suffix in suffixes or BESIDE)
        return sum(path.stat().st_size for path in paths if path.exists())


def _without_rows(error: Exception) -> Exception | None:
    """Return the cause to show with an error; errors without a code of SQLite's have text of rows."""
    return None if code_of(error) is None else error


def _identity(path: str) -> tuple[int, int] | None:
    """Tell a file from another one of its name; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at each commit
    except OSError:
        return None
    return found.st_dev, found.st_ino


def engine_of(path: Path, begin: str, checkpoint_pages: int = CHECKPOINT_PAGES) -> Engine:
    """Return an engine of a database file, which is made if there is none.

    Args:
        path: the file.
        begin: the statement that begins a transaction.
        checkpoint_pages: see `room.DiskRoom.checkpoint_pages`.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    # Parameters are token digests and personal data; the text of an error goes to the log.
    kept = {"cached_statements": PREPARED}
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True, connect_args=kept)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "temp_store=MEMORY",
            f"wal_autocheckpoint={checkpoint_pages}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
