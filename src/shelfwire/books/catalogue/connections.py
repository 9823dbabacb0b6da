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

MOST_CONNECTIONS: Final = 8
"""More threads than this wait for each other; a machine of usual size does not answer more questions at a time."""
_LOOK_AGAIN_SECONDS: Final = 0.1


class Connections:
    """A few connections, all to the file that had the name first, whatever replaces it.

    Args:
        path: the file.

    Raises:
        CatalogueError: there is none, or it is not finished, or of another form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._closed = False
        file = _identity(path)  # first: what replaces it before it is opened must not be one of two
        self._idle.put(connect_to_read(path))
        with suppress(CatalogueError):  # the first is enough where another file or none has the name by now
            while file is not None and self._idle.qsize() < MOST_CONNECTIONS:
                db = connect_to_read(path)
                if _identity(path) != file:
                    db.close()
                    return
                self._idle.put(db)

    def close(self) -> None:
        """Close those that are idle, and each other when it is given back."""
        self._closed = True
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def take(self) -> apsw.Connection:
        """Return one that nobody else uses until it is given back; wait for it if all are in use.

        Raises:
            CatalogueError: they have been closed.
        """
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
    """Device and inode of a file, by which it differs from one that has replaced it; None if there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
