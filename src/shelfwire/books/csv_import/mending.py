"""Rows that a person has mended, in a retry of their import."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.mended_book import MendedBook
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.csv_import.row_cells import with_cells
from shelfwire.books.csv_import.verdicts import Verdict

MAX_CELLS: Final = 500
MAX_CELL_CHARACTERS: Final = 32_767
"""Excel's limit."""


class RowMending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a row is mended: some of its cells, or a book in its place."""

    cells: Annotated[
        Annotated[dict[str, Annotated[str, Meta(max_length=MAX_CELL_CHARACTERS)]], Meta(max_length=MAX_CELLS)] | None,
        Meta(description="The cells that change, by the names of their columns as in `error.cells`."),
    ] = None
    book: Annotated[MendedBook | None, Meta(description="A book in place of the row.")] = None

    def __post_init__(self) -> None:
        """Refuse what does not say one thing."""
        if (self.cells is None) == (self.book is None):
            raise ValueError("give either cells or book")


class MendedRows:
    """Decides what becomes of the mended rows of a file.

    They are compared with all books of the file, as if they came last: what was imported already stays as it is. So a
    row that says more than an earlier one of its book is imported beside that, and not added to it.

    Args:
        file: the file; its columns are settled.
        mended: by index among the rows of the file.
        keep_duplicates: whether rows may repeat a book.
    """

    def __init__(self, file: BookFile, mended: Mapping[int, RowMending], *, keep_duplicates: bool) -> None:
        self._keep = keep_duplicates
        self._books = {
            index: _mended_book(file, raw, mended[index]) for index, raw in enumerate(file.rows()) if index in mended
        }
        self._verdicts: dict[int, Verdict] = {}

    def steps(self, verdicts: Iterable[Verdict]) -> Iterator[None]:
        """Compare them with what becomes of the rows as they stand; drive it to its end before `applied`."""
        seen = SeenBooks()
        for index, verdict in enumerate(verdicts):
            if index not in self._books and isinstance(verdict, ImportedBook):
                seen.remember(verdict)
            yield
        self._verdicts = {index: self._verdict(book, seen) for index, book in sorted(self._books.items())}

    def applied(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Return what becomes of all rows, by what becomes of them as they stand."""
        for index, verdict in enumerate(verdicts):
            yield self._verdicts.get(index, verdict)

    def _verdict(self, book: ImportedBook | RowProblem, seen: SeenBooks) -> Verdict:
        if isinstance(book, RowProblem) or self._keep:
            return book
        try:
            return seen.admit(book)
        except RepeatedBook as repeated:
            return repeated, book


def _mended_book(file: BookFile, raw: RawRow, mending: RowMending) -> ImportedBook | RowProblem:
    try:
        if mending.cells is not None:
            raw = with_cells(file.column_names, raw, file.text_of(raw), mending.cells)
            return file.book(raw)
        assert mending.book is not None  # noqa: S101 - one of the two is there
        cells = {"title": mending.book.title, "author": mending.book.author, "isbn": mending.book.isbn}
        return file.compose(raw.row, ((field, cell) for field, cell in cells.items() if cell))
    except RowProblem as problem:
        problem.raw = raw
        return problem
