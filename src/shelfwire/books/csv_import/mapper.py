"""Rows to books: a plan of how to read the columns is made once for a file and applied to each row."""

import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Final

from shelfwire.books.bibliography import dates
from shelfwire.books.bibliography.isbn import is_shortened
from shelfwire.books.csv_import import library_titles, values
from shelfwire.books.csv_import.columns import GENERIC, column_of
from shelfwire.books.csv_import.dialect import Layout
from shelfwire.books.csv_import.fields import WITH_DATES, Take, field_of
from shelfwire.books.csv_import.imported_book import ImportedBook, Read
from shelfwire.books.csv_import.joined_titles import JOINED, TITLES
from shelfwire.books.csv_import.no_books import Section, has_headings, is_heading, is_sum
from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.csv_import.reading_life import LIFE, Draft, settle, take_reads, warn
from shelfwire.books.csv_import.remarks import without_remarks
from shelfwire.books.csv_import.row_repair import HopelessRowError, RowRepair, unwrapped
from shelfwire.safe_text import text_of_cell

# So that Excel keeps a number's zeros, Goodreads writes a formula; any other formula is data.
_WRAPPED: Final = re.compile(r'^="([^"]*)"$')
# As Obsidian and Markdown link to other pages: "[[people/Jane Austen|Jane Austen]]", "[Emma](https://…)".
_LINKED: Final = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]|\[([^\[\]]*)\]\([^()\s]*\)")
_MAX_SHOWN_CELLS: Final = 5
_MAX_SHOWN_CHARACTERS: Final = 100
_WRAPPED_ROW: Final = "The row was in quotation marks as a whole, and was taken apart."
_DATES_OF_READING: Final = frozenset({"date_read", "dates_read", "read_period", "readings", "last_opened"})
_DIGIT: Final = re.compile(r"\d")


class BookMapper:
    """Makes books of the rows of one file.

    Args:
        layout: The file's layout; its sample shows the order of day and month, and the scale of ratings.
        more: Further cells that show these, by column.
        headings: Row numbers of headings, ascending, and what each says of the books below it.

    Attributes:
        may_have_headings: Whether rows may be headings that say something of the books below them.
    """

    def __init__(
        self,
        layout: Layout,
        more: Mapping[int, Collection[str]] = {},
        headings: Sequence[tuple[int, Section]] = (),
    ) -> None:
        columns, sample = layout.columns, layout.sample
        self._layout = layout
        self._width = max(1, len(columns.names))
        self._second = min(1, self._width - 1)
        self._delimiter = layout.delimiter
        cells = {index: [*column_of(sample, index), *more.get(index, ())] for index, _ in columns.fields}
        dated = [index for index, field in columns.fields if field in WITH_DATES]
        in_dates = [cell for index in dated for cell in cells[index]]
        is_dashed = dates.is_month_first_with_dashes(in_dates)
        day_first = not is_dashed and dates.is_day_first(in_dates, default=columns.language != "en")
        self._field = partial(field_of, day_first=day_first, scale=values.STARS)
        self._plan: list[tuple[int, int, Take]] = []
        for index, name in columns.fields:
            scale = _scale(columns.names[index], cells[index]) if name == "rating" else values.STARS
            field = field_of(name, day_first=day_first, scale=scale)
            take = _with_slashes(field.take) if is_dashed and name in WITH_DATES else field.take
            self._plan.append((index, field.most, take))
        self._names = columns.names
        self._header = list(columns.names) if layout.header_row else None
        fields = dict(reversed(columns.fields))
        self._title = next((index for index, name in fields.items() if name in TITLES), None)
        # Only a row without an author can be a sum or a heading, where other rows have one.
        self._has_authors = columns.source == GENERIC and any("author" in name for name in fields.values())
        # In a list of titles with their authors, a line without one may be a heading wherever it is.
        self.may_have_headings = self._title is not None and (
            fields[self._title] in JOINED or has_headings(sample, self._title, of_one_column=self._width == 1)
        )
        self._only_colons = self._width == 1 and self._title is not None and fields[self._title] not in JOINED
        has_dates = not _DATES_OF_READING.isdisjoint(fields.values())
        self._heading_rows = [row for row, _ in headings]
        self._sections = [section._replace(date=None) if has_dates else section for _, section in headings]
        self._author = next((index for index, name in columns.fields if "author" in name), 0)
        if any(cell[:1] == " " for row in sample for cell in row[self._author : self._author + 1]):
            self._author = 0  # it may begin with a space in this file

    @cached_property
    def _repair(self) -> RowRepair:
        return RowRepair(self._layout.columns, self._layout.sample, self._delimiter)

    def book(self, raw: RawRow) -> ImportedBook:
        """Make a book of a row.

        Raises:
            RowProblem: The row cannot be read, has neither title nor identifier, has a title of more than 2,000
                characters, is no book, or has cells that fit none of its columns.
        """
        cells = raw.cells
        if len(cells) != self._width or raw.problem or cells == self._header:
            cells, repairs = self._fitted(raw)
            draft = self._draft(raw.row, cells, repairs)
            self._refuse_other_rows(draft, cells)
            return self._finished(self._below_its_heading(draft))
        draft = self._draft(raw.row, cells)
        # Its author goes on from the cell before, or it may be in quotation marks as a whole.
        is_suspect = cells[self._author][:1] == " " or (not cells[self._second] and self._delimiter in cells[0])
        if "warnings" in draft or is_suspect:
            draft = self._doubted(raw.row, cells, draft)
        if "authors" not in draft or draft["authors"][0][0].isdecimal():
            self._refuse_other_rows(draft, cells)
        return self._finished(self._below_its_heading(draft) if self._heading_rows else draft)

    def _finished(self, draft: Draft) -> ImportedBook:
        title = draft.get("title")
        if title is None:
            draft["title"] = self._stand_in(draft)
        elif "[" in title or " / " in title:
            library_titles.take_apart(draft)
        if "authors" not in draft:
            draft["authors"] = ()
        return ImportedBook(**draft)

    def _stand_in(self, draft: Draft) -> str:
        """What stands in for a missing title: the series of a volume, or an identifier.

        Raises:
            RowProblem: the row has none of these.
        """
        if volume := _volume(draft):
            return volume
        identifier = _identifier(draft)
        if self._title is not None:
            warn(draft, f'The row has no title; "{identifier}" stands in for it.')
        return identifier

    def heading_of(self, raw: RawRow) -> str | None:
        """The heading that a row is, in a list whose headings may say something of the books below; else None."""
        if not self.may_have_headings or raw.problem:
            return None
        filled = [cell.strip() for cell in self.text_of(raw) if cell.strip()]
        if len(filled) != 1 or not self._is_heading(filled[0]) or without_remarks(filled[0]).mark:
            return None
        return filled[0]

    def _below_its_heading(self, draft: Draft) -> Draft:
        """Give a book what the heading above it says, unless its row says something else."""
        place = bisect(self._heading_rows, draft["row"]) - 1
        day, state, author = self._sections[place] if place >= 0 else Section()
        if state and "shelf" not in draft:
            draft["shelf"] = state
        if author and "authors" not in draft:
            draft["authors"] = (author,)
        if day and "reads" not in draft and draft.setdefault("shelf", "read") == "read":
            take_reads((Read(finished=day),), draft)
        return draft

    def _is_heading(self, text: str) -> bool:
        return text.endswith(":") if self._only_colons else is_heading(text)

    def _refuse_other_rows(self, draft: Draft, cells: Sequence[str]) -> None:
        """Refuse a row that is a sum or a heading.

        Raises:
            RowProblem: it is.
        """
        row, title = draft["row"], draft.get("title", "")
        if not title or not all(map(_is_figure, draft.get("authors", ()))):
            return
        is_alone = sum(bool(cell.strip()) for cell in cells) == 1
        if self.may_have_headings and is_alone and "rating" not in draft and self._is_heading(title):
            raise RowProblem(
                f'Row {row} has nothing but "{title}" and was taken for a heading, which is no book. '
                "If it is a book, add its author, and import the file again.",
                row=row,
                title=title,
            )
        # The word may stand in a column before that of titles, which has the figure then.
        texts = [cell for cell in cells if cell.strip() and not _is_figure(cell)] if _is_figure(title) else [title]
        if self._has_authors and texts and is_sum(texts[0]):
            raise RowProblem(
                f'Row {row} was taken for a sum or a remark below the list, which is no book: "{texts[0]}". If it is a '
                "book, add its author, and import the file again.",
                row=row,
                title=title,
            )

    def _draft(self, row: int, cells: Sequence[str], warnings: tuple[str, ...] = ()) -> Draft:
        draft: Draft = {"row": row}
        if warnings:
            draft["warnings"] = warnings
        for index, most, take in self._plan:
            cell = cells[index].strip()
            if cell:
                if cell[0] in "='[" or len(cell) > most:
                    cell = self._cut(_unwrapped(cell), most, index, draft)
                    if not cell:
                        continue
                take(cell, draft)
        if LIFE in draft:
            settle(draft)
        return draft

    def _doubted(self, row: int, cells: Sequence[str], draft: Draft) -> Draft:
        """Look again at a row with a cell that was not understood: its cells may be in the wrong columns."""
        if inner := unwrapped(cells, self._delimiter):
            return self._draft(row, *self._in_columns(row, inner, (_WRAPPED_ROW,)))
        if self._repair.fits(cells) and cells[self._author][:1] != " ":
            return draft
        fitted, repairs = self._in_columns(row, cells, ())
        return self._draft(row, fitted, repairs) if repairs else draft

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
        if LIFE in draft:
            settle(draft)
        return self._finished(draft)

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

    def _fitted(self, raw: RawRow) -> tuple[Sequence[str], tuple[str, ...]]:
        """As many cells as the header has, and what was done for that: short rows are padded, long ones repaired.

        Raises:
            RowProblem: The row cannot be read, is the header once more, or cannot be put in order.
        """
        cells, width = raw.cells, self._width
        if raw.problem:
            raise RowProblem(raw.problem, row=raw.row)
        if cells == self._header:
            raise RowProblem(f"Row {raw.row} repeats the names of the columns; it holds no book.", row=raw.row)
        if width == 1:
            # A list of titles alone has no delimiter, so what looks like one belongs to the title.
            return [self._delimiter.join(cells).rstrip(self._delimiter + " ")], ()
        repairs: tuple[str, ...] = ()
        if inner := unwrapped(cells, self._delimiter):
            cells, repairs = inner, (_WRAPPED_ROW,)
        return self._in_columns(raw.row, cells, repairs)

    def _in_columns(
        self, row: int, cells: Sequence[str], repairs: tuple[str, ...]
    ) -> tuple[Sequence[str], tuple[str, ...]]:
        """The cells of a row in their columns, and what was done for that.

        Raises:
            RowProblem: they fit in no order.
        """
        width = self._width
        padded = [*cells, *[""] * (width - len(cells))]
        surplus = [cell.strip() for cell in cells[width:] if cell.strip()]
        if not surplus and self._repair.fits(padded) and padded[self._author][:1] != " ":
            return padded[:width], repairs
        try:
            repaired = self._repair.repaired(cells)
        except HopelessRowError:
            raise RowProblem(
                f"The cells of row {row} do not fit their columns: it has {len(cells)} of them, the header {width}. "
                "Put texts that have commas in quotation marks, and import the file again.",
                row=row,
            ) from None
        if repaired is None:
            return padded[:width], (*repairs, *self._left_out(len(cells), surplus))
        if repaired.missing:
            names = ", ".join(f'"{self._names[index][:_MAX_SHOWN_CHARACTERS]}"' for index in repaired.missing)
            warning = (
                f"The row has {len(cells)} cells instead of {width}; that of {names} seems to be missing. Check it."
            )
            return repaired.cells, (*repairs, warning)
        joined = "; ".join(
            f'"{repaired.cells[index].strip()[:_MAX_SHOWN_CHARACTERS]}" is in the column '
            f'"{self._names[index][:_MAX_SHOWN_CHARACTERS]}"'
            for index in repaired.joined
        )
        warning = f"The row has commas without quotation marks and was put together again: {joined}. Check it."
        return repaired.cells, (*repairs, warning)

    def _left_out(self, count: int, surplus: Sequence[str]) -> tuple[str, ...]:
        if not surplus:
            return ()
        shown = ", ".join(f'"{cell[:_MAX_SHOWN_CHARACTERS]}"' for cell in surplus[:_MAX_SHOWN_CELLS])
        return (f"The row has more cells than the header ({count} instead of {self._width}); left out: {shown}.",)


def _is_figure(text: str) -> bool:
    return bool(text.strip()) and not text.strip("0123456789.,' ")


def _with_slashes(take: Take) -> Take:
    return lambda cell, draft: take(dates.with_slashes(cell), draft)


def _scale(name: str, cells: Iterable[str]) -> int:
    """The best rating of a column: its name states it, or its cells show it."""
    return values.scale_in_name(name) or values.rating_scale(cells)


def _volume(draft: Draft) -> str:
    """The series that names a volume without a title, as in lists of comics."""
    series, volume = draft.get("series", ""), draft.get("volume")
    return f"{series} {volume}" if series and volume else series


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
            field="title",
        )
    return str(title)


def _unwrapped(cell: str) -> str:
    text = text_of_cell(cell)
    if text[:1] == "[":
        return _LINKED.sub(r"\1\2", text)
    wrapped = _WRAPPED.match(text)
    return wrapped[1].strip() if wrapped else text
