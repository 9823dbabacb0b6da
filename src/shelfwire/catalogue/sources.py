"""The files a catalogue is made of: opened, unpacked, told apart, and read from where an earlier build stopped."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Protocol, Self, TypeVar, cast

from shelfwire.catalogue.dumps import FIRST_LINE, Author, BadLine, Edition, Work, read_line
from shelfwire.catalogue.entry import Entry
from shelfwire.catalogue.problems import CatalogueError

MOST_LINE_BYTES: Final = 8 * 1024 * 1024
HEAD_BYTES: Final = 65_536
_BUFFER_BYTES: Final = 262_144
_GZIP: Final = b"\x1f\x8b"

T = TypeVar("T")
Item = Author | Work | Edition | Entry | BadLine | None


class Record(NamedTuple):
    """What one line or row of a file holds.

    Attributes:
        line: its number, from 1.
        after: where to go on behind it: bytes for dumps, rows for lists.
        item: what it holds; None if that is of no use.
    """

    line: int
    after: int
    item: Item


class Rows(Protocol):
    """A list of books with one book a row, whose columns are known."""

    def entries(self, stream: BinaryIO) -> Iterator[tuple[int, Entry | BadLine]]:
        """Read a file from its beginning: the number of each row, and its book or what is wrong with it."""
        ...


FindRows = Callable[[bytes], Rows]
"""Finds the columns of a list of books by its first bytes, or raises ValueError with what the file is instead."""


class Source:
    """A file that is read once, from its beginning or from where it was left. Use it as a context manager.

    Args:
        path: the file, plain or gzip.
        find_rows: tells what kind of list it is, if it is no dump.

    Raises:
        CatalogueError: it cannot be read, or is neither a dump nor a list of books.
    """

    def __init__(self, path: Path, find_rows: FindRows) -> None:
        self.path = path
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise CatalogueError(f"{path} cannot be read: {error.strerror}. Check the name") from None
        try:
            packed = self._raw.read(2) == _GZIP
            self._raw.seek(0)
            self._stream = cast(
                "BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=self._raw), _BUFFER_BYTES) if packed else self._raw
            )
            head = self._guarded(lambda: self._stream.read(HEAD_BYTES))
            self._rows = self._told_apart(head, find_rows)
            self._guarded(lambda: self._stream.seek(0))
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._raw.close()

    @property
    def bytes_read(self) -> int:
        """How far into the file reading is; of a packed file, the bytes it has on the disk."""
        return self._raw.tell()

    def batches(self, lines: int, after: int, size: int) -> Iterator[list[Record]]:
        """Read on from where `after` of a record says, `lines` being its number; from the beginning if both are 0.

        Args:
            lines: as above.
            after: as above.
            size: records in a batch; the last one has fewer, and may have none.

        Raises:
            CatalogueError: the file is damaged, or ends too early.
        """
        found = self._lines(lines, after) if self._rows is None else self._listed(self._rows, after)
        batch = [Record(0, 0, None)] * size
        while len(batch) == size:
            batch = self._guarded(lambda: list(islice(found, size)))
            yield batch

    def _lines(self, number: int, offset: int) -> Iterator[Record]:
        readline = self._stream.readline
        self._stream.seek(offset)
        while line := readline(MOST_LINE_BYTES):
            number += 1
            offset += len(line)
            if len(line) == MOST_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := readline(MOST_LINE_BYTES)) and not rest.endswith(b"\n"):
                    offset += len(rest)
                offset += len(rest)
                yield Record(number, offset, BadLine(f"is longer than {MOST_LINE_BYTES:,} bytes"))
                continue
            try:
                item: Item = read_line(line)
            except BadLine as bad:
                item = bad if line.strip() else None
            yield Record(number, offset, item)

    def _listed(self, rows: Rows, after: int) -> Iterator[Record]:
        for count, (row, item) in enumerate(rows.entries(self._stream), 1):
            if count > after:
                yield Record(row, count, item)

    def _told_apart(self, head: bytes, find_rows: FindRows) -> Rows | None:
        if FIRST_LINE.match(head):
            return None
        if not head.strip():
            raise CatalogueError(f"{self.path} is empty. Name a dump of Open Library, or a list of books as CSV")
        try:
            return find_rows(head)
        except ValueError as error:
            raise CatalogueError(
                f"{self.path} is neither a dump of Open Library nor a list of books. {error}"
            ) from None

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CatalogueError(
                f"{self.path} is damaged, or was not downloaded to its end ({error}). Get it again, and start the "
                "build again"
            ) from None
        except OSError as error:
            raise CatalogueError(f"{self.path} cannot be read: {error.strerror or error}") from None
