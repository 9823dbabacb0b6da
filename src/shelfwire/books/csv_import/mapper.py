"""Rows to books: a plan of how to read the columns is made once for a file and applied to each row."""

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from shelfwire.books.bibliography import dates
from shelfwire.books.bibliography.isbn import is_shortened, looks_like_isbn
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.dialect import Layout
from shelfwire.books.csv_import.fields import DATES, Draft, Take, field_of
from shelfwire.books.csv_import.headers import column_of
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.safe_text import text_of_cell

# So that Excel keeps a number's zeros, Goodreads writes a formula; any other formula is data.
_WRAPPED: Final = re.compile(r'^="([^"]*)"$')
_MAX_SHOWN_CELLS: Final = 5
_MAX_SHOWN_CHARACTERS: Final = 100
_DIGIT: Final = re.compile(r"\d")


class BookMapper:
    """Makes books of the rows of one file.

    Args:
        layout: The file's layout; its sample shows the order of day and month, and the scale of ratings.
    """

    def __init__(self, layout: Layout) -> None:
        columns, sample = layout.columns, layout.sample
        index_of = {field: index for index, field in reversed(columns.fields)}
        self._width = max(1, len(columns.names))
        self._delimiter = layout.delimiter
        self._title = index_of.get("title")
        self._author = index_of.get("author")
        self._isbn = index_of.get("isbn13", index_of.get("isbn"))
        day_first = dates.is_day_first(
            (cell for index, field in columns.fields if field in DATES for cell in column_of(sample, index)),
            default=columns.language != "en",
        )
        scale = values.STARS
        if columns.source == "generic" and "rating" in index_of:
            scale = values.rating_scale(column_of(sample, index_of["rating"]))
        self._field = partial(field_of, day_first=day_first, scale=scale)
        self._plan: list[tuple[int, int, Take]] = []
        for index, name in columns.fields:
            field = self._field(name)
            self._plan.append((index, field.most, field.take))
        self._names = columns.names
        self._header = list(columns.names) if layout.header_row else None

    def book(self, raw: RawRow) -> ImportedBook:
        """Make a book of a row.

        Raises:
            RowProblem: The row cannot be read, has neither title nor identifier, has a title of more than 2,000
                characters, or is no book.
        """
        draft: Draft = {"row": raw.row}
        cells = raw.cells
        if len(cells) != self._width or raw.problem or cells == self._header:
            cells = self._fitted(raw, draft)
        for index, most, take in self._plan:
            cell = cells[index].strip()
            if cell:
                if cell[0] in "='" or len(cell) > most:
                    cell = self._cut(_unwrapped(cell), most, index, draft)
                    if not cell:
                        continue
                take(cell, draft)
        return _finished(draft)

    def compose(self, row: int, cells: Iterable[tuple[str, str]]) -> ImportedBook:
        """Make a book of given fields, by the same rules as `book`.

        Args:
            row: The number of its row.
            cells: Fields and their cells.

        Raises:
            RowProblem: As `book`.
        """
        draft: Draft = {"row": row}
        for name, cell in cells:
            field = self._field(name)
            if text := cell.strip()[: field.most]:
                field.take(text, draft)
        return _finished(draft)

    def text_of(self, raw: RawRow) -> Sequence[str]:
        """The cells of a row for a reader who does not know the columns: of a list with one column, the whole line."""
        return raw.cells if self._width > 1 else [self._delimiter.join(raw.cells)]

    def _cut(self, cell: str, most: int, index: int, draft: Draft) -> str:
        if len(cell) <= most:
            return cell
        name = self._names[index][:_MAX_SHOWN_CHARACTERS]
        draft["warnings"] = (
            *draft.get("warnings", ()),
            f'The cell in column "{name}" is longer than {most:,} characters; the rest was left out.',
        )
        return cell[:most].rstrip()

    def _fitted(self, raw: RawRow, draft: Draft) -> Sequence[str]:
        """As many cells as the header has: short rows are padded, long ones repaired where it is clear how.

        Raises:
            RowProblem: The row cannot be read, or is the header once more.
        """
        cells, width = raw.cells, self._width
        if raw.problem:
            raise RowProblem(raw.problem, row=raw.row)
        if cells == self._header:
            raise RowProblem(f"Row {raw.row} repeats the names of the columns; it holds no book.", row=raw.row)
        if len(cells) < width:
            return [*cells, *[""] * (width - len(cells))]
        if width == 1:
            # A list of titles alone has no delimiter, so what looks like one belongs to the title.
            return [self._delimiter.join(cells).rstrip(self._delimiter + " ")]
        surplus = [cell.strip() for cell in cells[width:] if cell.strip()]
        if not surplus:
            return cells
        if repaired := self._with_unquoted_authors(list(cells)):
            return repaired
        shown = ", ".join(f'"{cell[:_MAX_SHOWN_CHARACTERS]}"' for cell in surplus[:_MAX_SHOWN_CELLS])
        draft["warnings"] = (
            f"The row has more cells than the header ({len(cells)} instead of {width}); left out: {shown}.",
        )
        return cells

    def _with_unquoted_authors(self, cells: list[str]) -> list[str] | None:
        """Repair `Title,First Author, Second Author,9781338099133`: the ISBN beyond its column gives it away."""
        author, isbn, surplus = self._author, self._isbn, len(cells) - self._width
        if author is None or isbn is None or isbn < author:
            return None
        if looks_like_isbn(cells[isbn].strip()) or not looks_like_isbn(cells[isbn + surplus].strip()):
            return None
        while surplus and self._title == author - 1 and cells[author].strip()[:1].islower():
            # No name begins in lower case where a title may go on: "The Lion, the Witch and the Wardrobe".
            cells[self._title : author + 1] = [f"{cells[self._title]},{cells[author]}"]
            surplus -= 1
        authors = "; ".join(cell.strip() for cell in cells[author : author + surplus + 1])
        return [*cells[:author], authors, *cells[author + surplus + 1 :]]


def _finished(draft: Draft) -> ImportedBook:
    if "title" not in draft:
        draft["title"] = _identifier(draft)
    if "authors" not in draft:
        draft["authors"] = ()
    draft.pop("roles", None)
    return ImportedBook(**draft)


def _identifier(draft: Draft) -> str:
    """The identifier that stands in for a missing title.

    Raises:
        RowProblem: The row has no identifier either.
    """
    as_given = draft.get("isbn_as_given", "")
    if is_shortened(as_given) or not _DIGIT.search(as_given):
        as_given = ""
    title = draft.get("isbn13") or as_given or next(iter(draft.get("identifiers", {}).values()), "")
    if not title:
        row = draft["row"]
        raise RowProblem(
            f"Row {row} has neither a title nor an ISBN. Add one and import the file again.",
            row=row,
        )
    return str(title)


def _unwrapped(cell: str) -> str:
    text = text_of_cell(cell)
    wrapped = _WRAPPED.match(text)
    return wrapped[1].strip() if wrapped else text
