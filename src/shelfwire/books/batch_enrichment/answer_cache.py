"""A cache of JSON answers on disk that all services share: keys and values in SQLite, each with its time of expiry."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec
import structlog

from shelfwire.clock import Clock

T = TypeVar("T")
MAX_BYTES: Final = 512 * 1024 * 1024
MIN_FREE_BYTES: Final = 192 * 1024 * 1024
"""Of the disk, left to what cannot be fetched again: the store stops growing with less than 128 MiB."""
CREATE: Final = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS answers_expires ON answers (expires);
"""
EVICT: Final = """
DELETE FROM answers WHERE expires <=
  (SELECT expires FROM answers ORDER BY expires LIMIT 1 OFFSET (SELECT count(*) / 8 FROM answers))
"""
"""Removes the eighth that would expire first."""

log = structlog.get_logger(__name__)


class AnswerCache:
    """Keeps answers until they expire. A file that is damaged or full costs requests, never an error.

    All work is done in one thread, so that any number of tasks may use it at once.

    Args:
        path: the file; it and its folder are created with the first answer. One process at a time may use it.
        clock: the time.
        max_bytes: size of the file at most; the answers that would expire first make room for new ones.
    """

    def __init__(self, path: Path, clock: Clock, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._clock = clock
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answer-cache")
        self._connection: sqlite3.Connection | None = None
        self._has_failed = False

    async def __aenter__(self) -> Self:
        """Return the cache; the file is opened when it is first needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file."""
        await self.close()

    async def get(self, key: str) -> Any:
        """Return the answer under a key; None if there is none, or it has expired."""
        return await self._run(lambda: self._get(key))

    async def put(self, key: str, answer: Any, seconds: int) -> None:
        """Keep an answer, any JSON value but null, for `seconds`. It is on disk once this returns."""
        await self._run(lambda: self._put(key, msgspec.json.encode(answer), self._now() + seconds))

    async def close(self) -> None:
        """Close the file once all work on it is done."""
        await self._run(lambda: self._connection.close() if self._connection else None)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            if not self._has_failed:
                log.warning("the cache of book data cannot be used", path=str(self._path), reason=str(error))
            self._has_failed = True
            return None

    def _get(self, key: str) -> Any:
        statement = "SELECT value FROM answers WHERE key = ? AND expires > ?"
        row = self._opened().execute(statement, (key, self._now())).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def _put(self, key: str, value: bytes, expires: int) -> None:
        connection = self._opened()
        if shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES:
            return
        for may_evict in (True, False):
            try:
                connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, value, expires))
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL or not may_evict:
                    raise
                connection.execute(EVICT)
            else:
                return

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + CREATE)
                connection.execute("DELETE FROM answers WHERE expires <= ?", (self._now(),))
                page_size = connection.execute("PRAGMA page_size").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {self._max_bytes // page_size}")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _now(self) -> int:
        return self._clock.now() // 1000
