"""Connections to a finished catalogue, for any number of threads."""

import queue
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import apsw
import msgspec

from shelfwire.books.catalogue.database import connect_to_read
from shelfwire.books.catalogue.problems import CatalogueError

_LOOK_AGAIN_SECONDS: Final = 0.1


class Connections:
    """As many as are asked for at once, all to the file that had the name first.

    Args:
        path: the file.

    Raises:
        CatalogueError: there is none, or it is not finished, or of another form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._closed = False
        self._file = _identity(path)  # first: what replaces it before it is opened must not be one of two
        self._idle.put(connect_to_read(path))

    def close(self) -> None:
        """Close those that are idle, and each other when it is given back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def take(self) -> apsw.Connection:
        """One that nobody else uses, until it is given back.

        Raises:
            CatalogueError: they have been closed.
        """
        if not self._closed:
            try:
                return self._idle.get_nowait()
            except queue.Empty:
                if self._file is not None and _identity(self.path) == self._file:
                    with suppress(CatalogueError):
                        db = connect_to_read(self.path)
                        if _identity(self.path) == self._file:
                            return db
                        db.close()
        # Another file or none has the name by now: one will be given back.
        while not self._closed:
            with suppress(queue.Empty):
                return self._idle.get(timeout=_LOOK_AGAIN_SECONDS)
        raise CatalogueError(f"{self.path} has been closed")

    def give_back(self, db: apsw.Connection) -> None:
        """Let others use it."""
        self._idle.put(db)
        if self._closed:
            self.close()


class Borrowed:
    """A connection for one question. What contextlib makes of a generator would cost a tenth of an answer's time.

    Args:
        connections: where it comes from, and goes back to.

    Raises:
        CatalogueError: the catalogue has been closed; on leaving, it has turned out to be damaged.
    """

    __slots__ = ("_connections", "_db")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> apsw.Connection:
        """Take it."""
        self._db = self._connections.take()
        return self._db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._connections.give_back(self._db)
        if isinstance(error, (apsw.Error, msgspec.DecodeError, UnicodeDecodeError)):
            raise CatalogueError(f"{self._connections.path} is damaged: {error}. Build it again") from None


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that has replaced it; None if there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
