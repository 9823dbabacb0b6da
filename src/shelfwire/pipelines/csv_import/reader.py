"""The one door to book lists: `read` bytes, then ask the file for its rows and their books."""

from collections.abc import Iterator
from itertools import dropwhile

from shelfwire.pipelines.csv_import.books import Book
from shelfwire.pipelines.csv_import.dialect import find_layout
from shelfwire.pipelines.csv_import.encoding import decode
from shelfwire.pipelines.csv_import.mapper import BookMapper
from shelfwire.pipelines.csv_import.rows import RawRow, raw_rows


class BookFile:
    """A book list whose encoding, layout and columns are known; its rows are read on demand.

    Attributes:
        source: The export it comes from, such as "goodreads", or "generic".
        encoding: Python's name of its encoding.
        delimiter: One character.
        columns: The header's cells, or names given to the columns of a file without header.
        header_row: The header's row number, from 1; 0 if there is none.
    """

    def __init__(self, data: bytes) -> None:
        self._text, self.encoding = decode(data)
        layout = find_layout(self._text)
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


def read(data: bytes) -> BookFile:
    """Decode a file and find its layout.

    Raises:
        UnreadableCsv: The file is no text, a web page or JSON; the message tells a person what to do.
    """
    return BookFile(data)
