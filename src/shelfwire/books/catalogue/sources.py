"""The input files of a catalogue: opened, unpacked, recognised, and read from where an earlier build stopped."""

import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Protocol, Self, TypeVar, cast

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue.dumps import FIRST_LINE, rows_of_block
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.catalogue.rows import BadLine, Rows, no_rows, rows_of_list

MOST_LINE_BYTES: Final = 8 * 1024 * 1024
LINE_BYTES: Final = 256
"""Of a line of a dump, about."""
HEAD_BYTES: Final = 65_536
_BUFFER_BYTES: Final = 262_144
_GZIP: Final = b"\x1f\x8b"

T = TypeVar("T")
Row = Sequence[str] | BadLine
"""The cells of a row, or the reason why it cannot be read."""


class Chunk(NamedTuple):
    """Some lines of a file, read but not understood yet.

    Attributes:
        lines: the number of the last of them, from 1; of a list, that row's.
        after: where to go on behind it: bytes of dumps, rows of lists.
        bytes_read: how far into the file that is; of a packed file, the bytes it has on the disk.
        read: returns their rows. It can be sent to another process.
        is_last: whether the file ends there.
    """

    lines: int
    after: int
    bytes_read: int
    read: Callable[[], Rows]
    is_last: bool = False


class BookList(Protocol):
    """How a list with one book a row is read, whose columns are known. It can be sent to another process."""

    def rows(self, stream: BinaryIO) -> Iterator[tuple[int, Row]]:
        """Read a file from its beginning: the number of each row, and its cells or the reason why it cannot be read."""
        ...

    def books(self, rows: Iterable[tuple[int, Row]]) -> Iterator[tuple[int, BookRecord | BadLine]]:
        """Make books of rows: the number of each, and its book or the reason why there is none."""
        ...


FindBooks = Callable[[bytes], BookList]
"""Finds the columns of a list of books by its first bytes, or raises ValueError with what the file is instead."""


class InputFile:
    """A file that is read once, from its beginning or from where it was left. Use it as a context manager.

    Args:
        path: the file, plain or gzip.
        find_books: recognises a list of books, if the file is no dump.

    Attributes:
        path: the file.

    Raises:
        CatalogueError: it cannot be read, or is neither a dump nor a list of books.
    """

    def __init__(self, path: Path, find_books: FindBooks) -> None:
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
            self._list = None if FIRST_LINE.match(head) else self._listed(head, find_books)
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

    def chunks(self, file: int, lines: int, after: int, size: int) -> Generator[Chunk]:
        """Read on from where `lines` and `after` of a chunk say; from the beginning if both are 0.

        Args:
            file: the number of the file among all.
            lines: as above.
            after: as above.
            size: rows of a list in a chunk, at most; lines of a dump, about.

        Raises:
            CatalogueError: the file is damaged, or ends too early.
        """
        if self._list is None:
            chunks = self._lines(lines, after, size)
        else:
            chunks = self._rows(self._list, file, lines, after, size)
        while not (chunk := self._guarded(lambda: next(chunks))).is_last:
            yield chunk
        yield chunk

    def _lines(self, number: int, offset: int, size: int) -> Iterator[Chunk]:
        self._stream.seek(offset)
        while block := self._block(min(size * LINE_BYTES, MOST_LINE_BYTES)):
            begun = _begun(block)
            first = number + 1
            number += block.count(b"\n") + bool(begun)
            offset += len(block)
            why = ""
            if begun >= MOST_LINE_BYTES:
                block = block[:-begun]
                offset += self._skip_line()
                why = f"is longer than {MOST_LINE_BYTES:,} bytes"
            yield Chunk(number, offset, self._raw.tell(), partial(rows_of_block, first, block, why))
        yield Chunk(number, offset, self._raw.tell(), no_rows, is_last=True)

    def _block(self, size: int) -> bytes:
        """Whole lines of about `size` bytes; of one that is too long its beginning, as the last."""
        block = self._stream.read(size)
        begun = _begun(block)
        return block + self._stream.readline(MOST_LINE_BYTES - begun) if begun else block

    def _skip_line(self) -> int:
        """Read to the end of a line; how many bytes that was."""
        skipped = 0
        while rest := self._stream.readline(MOST_LINE_BYTES):
            skipped += len(rest)
            if rest.endswith(b"\n"):
                break
        return skipped

    def _rows(self, books: BookList, file: int, number: int, after: int, size: int) -> Iterator[Chunk]:
        found = islice(books.rows(self._stream), after, None)
        while rows := list(islice(found, size)):
            number, after = rows[-1][0], after + len(rows)
            yield Chunk(number, after, self._raw.tell(), partial(_books_of, file, books, rows))
        yield Chunk(number, after, self._raw.tell(), no_rows, is_last=True)

    def _listed(self, head: bytes, find_books: FindBooks) -> BookList:
        if not head.strip():
            raise CatalogueError(f"{self.path} is empty. Name a dump of Open Library, or a list of books as CSV")
        try:
            return find_books(head)
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
        except SystemError as error:
            # What CPython 3.11 makes of one Ctrl-C in eight that comes while a packed file is read.
            raise _origin(error) from None


def _begun(block: bytes) -> int:
    """How many bytes of a line there are behind its last whole one."""
    return len(block) - block.rfind(b"\n") - 1


def _origin(error: BaseException) -> BaseException:
    """The first cause of an exception."""
    return error if error.__cause__ is None else _origin(error.__cause__)


def _books_of(file: int, books: BookList, rows: Sequence[tuple[int, Row]]) -> Rows:
    return rows_of_list(file, books.books(rows))
