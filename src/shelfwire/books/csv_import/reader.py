"""The one door to book lists: `read` bytes, then ask the file for its rows and their books."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile
from typing import Final

from shelfwire.books.csv_import.books import Book
from shelfwire.books.csv_import.confidence import doubt_of, named_fields
from shelfwire.books.csv_import.dialect import Layout, find_layout
from shelfwire.books.csv_import.encoding import decode
from shelfwire.books.csv_import.headers import GENERIC, in_order
from shelfwire.books.csv_import.mapper import BookMapper
from shelfwire.books.csv_import.rows import RawRow, raw_rows

UNKNOWN_LANGUAGE: Final = "und"
"""That of a header of which we know no word; it is not English, so its dates begin with the day."""
_BESIDE_AN_EXPORT: Final = frozenset({"subtitle", "publisher", "year", "pages", "format", "language", "notes"})
"""What a column may hold that somebody has added to an export; everything else the export has in ways of its own."""


class BookFile:
    """A book list whose encoding, layout and columns are known; its rows are read on demand.

    Attributes:
        source: The export it comes from, such as "goodreads", or "generic".
        encoding: Python's name of its encoding.
        delimiter: One character.
        columns: The header's cells, or names given to the columns of a file without header.
        header_row: The header's row number, from 1; 0 if there is none.
        doubt: What cannot be told of it here with confidence, or None.
    """

    def __init__(self, data: bytes) -> None:
        self._text, self.encoding = decode(data)
        layout = find_layout(self._text)
        self.doubt = doubt_of(layout)
        self._plan(layout)

    @property
    def is_known_export(self) -> bool:
        """Whether a site or program that is known has written it; nothing of such a file leaves the machine."""
        return self.source != GENERIC

    def _plan(self, layout: Layout) -> None:
        self._layout = layout
        self.source = layout.columns.source
        self.delimiter = layout.delimiter
        self.columns = layout.columns.names
        self.header_row = layout.header_row
        self._start = layout.start
        self._mapper = BookMapper(layout)

    def rows(self) -> Iterator[RawRow]:
        """Read the rows below the header from the beginning, each time anew and one at a time.

        Blank rows are left out; a row that cannot be read is there with its problem. No step takes more than some
        twenty milliseconds, whatever the file.
        """
        everything = raw_rows(self._text, delimiter=self.delimiter, width=len(self.columns), start=self._start)
        header_row = self.header_row
        return dropwhile(lambda raw: raw.row <= header_row, everything)

    def book(self, raw: RawRow) -> Book:
        """Make a book of one of `rows`.

        Raises:
            RowProblem: The row holds no book; the message tells a person why and names the row.
        """
        return self._mapper.book(raw)

    def sample(self) -> list[list[str]]:
        """Its first rows, the header among them if it has one."""
        header = [list(self.columns)] if self.header_row else []
        return [*header, *self._layout.sample]

    def explain(self, fields: Iterable[tuple[int, str]], *, header: bool) -> None:
        """Take somebody else's word for what the columns hold; what their names tell goes before it.

        Args:
            fields: Columns (from 0), and what they hold.
            header: Whether the first row names the columns; of no consequence where that is known.
        """
        layout, columns = self._layout, self._layout.columns
        if header and not layout.header_row and (first := next(self.rows(), None)):
            names = tuple(cell.strip() for cell in first.cells)
            names += columns.names[len(names) :]
            columns = columns._replace(names=names, language=UNKNOWN_LANGUAGE)
            layout = layout._replace(header_row=first.row, sample=layout.sample[1:])
        known = named_fields(self._layout)
        told = {index: field for index, field in fields if index not in known and field not in known.values()}
        if columns.source == GENERIC:
            found = in_order(told | known)
        else:
            beside = {index: field for index, field in told.items() if field in _BESIDE_AN_EXPORT}
            found = (*columns.fields, *in_order(beside))
        self.doubt = None
        self._plan(layout._replace(columns=columns._replace(fields=found)))

    def text_of(self, raw: RawRow) -> Sequence[str]:
        """The cells of a row as they are to be read by somebody who does not know the columns."""
        return self._mapper.text_of(raw)

    def composed(self, row: int, told: Iterable[tuple[str, str]]) -> Book:
        """Make a book of what somebody else has found in a row; see `BookMapper.composed`."""
        return self._mapper.composed(row, told)


def read(data: bytes) -> BookFile:
    """Decode a file and find its layout.

    Raises:
        UnreadableCsv: The file is no text, a web page or JSON; the message tells a person what to do.
    """
    return BookFile(data)
