"""Book lists as a source of a local catalogue: read as a stream, whatever their length."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Final, TextIO

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue.rows import BadLine
from shelfwire.books.csv_import.dialect import Layout, find_layout
from shelfwire.books.csv_import.encoding import decode
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.mapper import BookMapper
from shelfwire.books.csv_import.problems import RowProblem, UnreadableCsv
from shelfwire.books.csv_import.raw_rows import MAX_CELLS, RawRow

MAX_LINE: Final = 8 * 1024 * 1024
"""Characters of a line that are read: a packed list may have one that is larger than memory."""
_SAMPLE_BYTES: Final = 65_536
_NO_HEADER: Final = "Its first row must name the columns, and one of them must be called Title."


def find_books(head: bytes) -> "BookRows":
    """Find the encoding, the layout and the columns of a list by its first 64 KiB.

    Raises:
        UnreadableCsv: it is no list of books with a header; the message tells a person why.
    """
    whole_lines = head[: head.rfind(b"\n") + 1] if len(head) >= _SAMPLE_BYTES else head
    text, encoding = decode(whole_lines or head)
    layout = find_layout(text)
    if not layout.header_row or "title" not in _titles(layout):
        raise UnreadableCsv(_NO_HEADER)
    return BookRows(layout, encoding)


class BookRows:
    """Reads a list of books; see `shelfwire.books.catalogue.sources.BookList`."""

    def __init__(self, layout: Layout, encoding: str) -> None:
        self._layout = layout
        self._encoding = encoding
        self._mapper = BookMapper(layout)

    def __reduce__(self) -> tuple[type["BookRows"], tuple[Layout, str]]:
        """Pickle the arguments: the mapper holds functions, which cannot be pickled."""
        return BookRows, (self._layout, self._encoding)

    def rows(self, stream: BinaryIO) -> Iterator[tuple[int, Sequence[str] | BadLine]]:
        """Read the list from its beginning."""
        text = io.TextIOWrapper(stream, self._encoding, errors="replace")
        try:
            text.read(self._layout.start)
            reader = csv.reader(_lines(text), delimiter=self._layout.delimiter, skipinitialspace=True)
            number = 0
            while True:
                number += 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield number, BadLine(f"cannot be read: {error}")
                    continue
                if number > self._layout.header_row and any(cell.strip() for cell in cells[:MAX_CELLS]):
                    yield number, cells
        finally:
            text.detach()

    def books(self, rows: Iterable[tuple[int, Sequence[str] | BadLine]]) -> Iterator[tuple[int, BookRecord | BadLine]]:
        """Make books of rows; the reader's own ratings, reviews and notes are left out."""
        for number, cells in rows:
            yield number, cells if isinstance(cells, BadLine) else self._book(RawRow(number, cells))

    def _book(self, raw: RawRow) -> BookRecord | BadLine:
        try:
            book = self._mapper.book(raw)
        except RowProblem as problem:
            return BadLine(str(problem).removeprefix(f"Row {raw.row} "))
        return record_of(book, is_export=self._layout.columns.source != "generic")


def record_of(book: ImportedBook, *, is_export: bool) -> BookRecord:
    """The record that a catalogue keeps of a book.

    Args:
        book: the book.
        is_export: whether the list is a reader's own, whose tags are shelves and not subjects.
    """
    year = book.year if book.year is not None else book.original_year
    return BookRecord(
        title=book.title,
        authors=book.authors,
        subtitle=book.subtitle,
        isbn13s=(book.isbn13,) if book.isbn13 else (),
        publisher=book.publisher,
        published=None if year is None else str(year),
        pages=book.pages,
        language=book.language,
        subjects=() if is_export else book.tags,
        identifiers=book.identifiers,
    )


def _lines(text: TextIO) -> Iterator[str]:
    """The lines of a list without NULs, those that are too long cut off."""
    while line := text.readline(MAX_LINE):
        rest = line
        while len(rest) == MAX_LINE and not rest.endswith("\n"):
            rest = text.readline(MAX_LINE)
        yield line.replace("\0", "")


def _titles(layout: Layout) -> set[str]:
    return {"title" for _, field in layout.columns.fields if field in ("title", "title_with_series")}
