"""A book list in CSV of any kind: its layout, its rows and the books in them."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import dropwhile, islice
from typing import Final

from shelfwire.books.bibliography.dates import unclear_order
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.columns import (
    GENERIC,
    UNKNOWN_LANGUAGE,
    column_of,
    corrected,
    in_order,
    is_repeated,
)
from shelfwire.books.csv_import.confidence import doubt_of, named_fields
from shelfwire.books.csv_import.dialect import Layout, find_layout
from shelfwire.books.csv_import.doubts import doubts_of
from shelfwire.books.csv_import.encoding import MANGLED, decode, doubt_of_encoding, unmangled
from shelfwire.books.csv_import.field_names import meaning_of
from shelfwire.books.csv_import.fields import WITH_DATES
from shelfwire.books.csv_import.imported_book import ImportedBook, ImportPlan, PlannedColumn, UnusedColumn
from shelfwire.books.csv_import.joined_titles import TITLES
from shelfwire.books.csv_import.mapper import BookMapper
from shelfwire.books.csv_import.no_books import section_of
from shelfwire.books.csv_import.raw_rows import RawRow, raw_rows

OWN: Final = "shelfwire"
"""The source of a table that was written here."""
REASON: Final = text_key("reason (shelfwire)")
"""The column that is added to rows that were not imported, to be corrected."""
MAX_PLANNED: Final = 200
"""The most columns, and the most warnings, that a plan shows."""
MAX_EXAMPLES: Final = 3
_LINK_WITH_NAME: Final = re.compile(r"\[\[[^\[\]|\n]*\\\|([^\[\]|\n]*)\]\]")
_OF_SECTIONS: Final = {
    "date": "when the books below them were read",
    "state": "the reading state of the books below them",
    "author": "the author of the books below them",
}
_LOOKED_AT: Final = 20
_MAX_SHOWN: Final = 80
_MAX_DOUBT: Final = 400
_ADDED_TO_EXPORTS: Final = frozenset({"subtitle", "publisher", "year", "pages", "format", "language", "notes"})
"""Fields that a column added to an export by hand may hold; the export itself has columns for all others."""


class BookFile:
    """A book list whose encoding, layout and columns are known; its rows are read on demand.

    Args:
        data: The file.

    Raises:
        UnreadableCsv: The file is no text, a web page or JSON; the message tells a person what to do.

    Attributes:
        source: The export it comes from, such as "goodreads", or "generic".
        encoding: Python's name of its encoding.
        delimiter: One character.
        columns: The header's cells, or names given to the columns of a file without header.
        header_row: The header's row number, from 1; 0 if there is none.
        doubt: What is only guessed of its layout, or None.
    """

    def __init__(self, data: bytes) -> None:
        self._text, self.encoding = decode(data)
        self._doubt_of_encoding = doubt_of_encoding(data, self.encoding)
        if (mended := unmangled(self._text)) is not None:
            self._text, self._doubt_of_encoding = mended, MANGLED
        if self._text.lstrip()[:1] == "|" and "\\|" in self._text:
            self._text = _without_escaped_bars(self._text)
        layout = find_layout(self._text)
        self.doubt = doubt_of(layout)
        self._use(layout)

    @property
    def fields(self) -> tuple[tuple[int, str], ...]:
        """Columns (from 0) and the fields they hold, in order of precedence."""
        return self._layout.columns.fields

    @property
    def unused(self) -> tuple[int, ...]:
        """Columns (from 0) of which nothing, or not every cell, is imported."""
        columns = self._layout.columns
        used = {index for index, _ in columns.fields} - columns.spare
        used |= {index for index, name in enumerate(columns.names) if text_key(name) == REASON}
        return tuple(
            index for index, name in enumerate(columns.names) if index not in used and not is_repeated(columns, name)
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, for a person; a column without one has its number."""
        return tuple(name or f"column {index + 1}" for index, name in enumerate(self.columns))

    def column_holding(self, field: str) -> str | None:
        """The name of the first column that holds a field, or a title in any form; None if there is none."""
        fields = TITLES if field in TITLES else {field}
        index = min((index for index, name in self.fields if name in fields), default=None)
        return None if index is None else self.column_names[index]

    def plan(self, unused: tuple[UnusedColumn, ...] = ()) -> ImportPlan:
        """How the file is read.

        Args:
            unused: the columns that hold something and are not used.
        """
        columns = self._layout.columns
        fields = dict(reversed(columns.fields))
        doubts = (*filter(None, [self._doubt_of_encoding]), *columns.doubts, *self._doubts_of_cells())
        planned = (
            PlannedColumn(
                column=clip(name),
                holds=meaning_of(fields[index]) if index in fields else None,
                by=columns.by.get(index) if index in fields else None,
                examples=self._examples(index),
            )
            for index, name in enumerate(self.column_names[:MAX_PLANNED])
        )
        return ImportPlan(
            source=self.source,
            encoding=self.encoding,
            delimiter=self.delimiter,
            header_row=self.header_row,
            columns=tuple(planned),
            unused_columns=unused[:MAX_PLANNED],
            warnings=tuple(clip(doubt, _MAX_DOUBT) for doubt in doubts[:MAX_PLANNED]),
        )

    def _examples(self, index: int) -> tuple[str, ...]:
        width = len(self.columns)
        whole = [row for row in self._layout.sample if len(row) == width] or self._layout.sample
        cells = (clip(" ".join(cell.split())) for cell in column_of(whole, index))
        return tuple(islice(dict.fromkeys(islice(cells, _LOOKED_AT)), MAX_EXAMPLES))

    def correct(self, meanings: Mapping[str, str]) -> None:
        """Use what a person says of some columns.

        Args:
            meanings: by the name of a column, or its number from 1, a word of `field_names`.

        Raises:
            UnreadableCsv: the file has no such column.
        """
        if meanings:
            self._use(self._layout._replace(columns=corrected(self._layout.columns, meanings)))
            self.doubt = doubt_of(self._layout)

    @property
    def is_known_export(self) -> bool:
        """Whether a known site or program has written it; nothing of such a file is sent to Gemini."""
        return self.source != GENERIC

    def _use(self, layout: Layout) -> None:
        self._layout = layout
        self.source = layout.columns.source
        self.delimiter = layout.delimiter
        self.columns = layout.columns.names
        self.header_row = layout.header_row
        self._start = layout.start
        self._all_cells: Mapping[int, Collection[str]] = {}
        self._headings: Mapping[str, str] = {}
        self._mapper = BookMapper(layout)

    @property
    def unsettled(self) -> tuple[int, ...]:
        """The columns whose cells all together may show what the first ones do not."""
        columns, sample = self._layout.columns, self._layout.sample
        dated = [index for index, field in columns.fields if field in WITH_DATES]
        cells = [cell for index in dated for cell in column_of(sample, index)]
        unclear = unclear_order(cells) or unclear_order(cells, "-")
        shown = {"rating", "shelf"} if columns.source == GENERIC else {"rating"}
        told = [index for index, field in columns.fields if field in shown]
        return (*told, *(dated if unclear else ()))

    @property
    def may_have_headings(self) -> bool:
        """Whether `heading_of` is worth asking."""
        return self._mapper.may_have_headings

    def heading_of(self, raw: RawRow) -> str | None:
        """See `BookMapper.heading_of`."""
        return self._mapper.heading_of(raw)

    def settle(self, cells: Mapping[int, Collection[str]], headings: Sequence[tuple[int, str]] = ()) -> None:
        """Read marks and dates as all cells of their columns show, and books as the headings above them do.

        Years out of order are titles such as "1984" rather than headings, and say nothing.

        Args:
            cells: of each `unsettled` column, each once.
            headings: the rows for which `heading_of` has a text, and that text.
        """
        sections = [(row, section_of(text)) for row, text in headings]
        days = [section.date for _, section in sections if section.date]
        if days not in (sorted(days), sorted(days, reverse=True)):
            sections = [(row, section._replace(date=None)) for row, section in sections]
        told = [(what, text) for (_, section), (_, text) in zip(sections, headings, strict=True)
                for what, said in section._asdict().items() if said]  # fmt: skip
        self._all_cells = cells
        self._headings = dict(reversed(told))
        self._mapper = BookMapper(self._layout, cells, sections if told else ())

    def _doubts_of_cells(self) -> Iterator[str]:
        columns, sample = self._layout.columns, self._layout.sample
        if columns.source != GENERIC:
            return
        for what, text in self._headings.items():
            yield f'Headings such as "{clip(text)}" were taken for {_OF_SECTIONS[what]}, as no column says it.'
        fields = dict(columns.fields)
        cells = {index: [*column_of(sample, index), *self._all_cells.get(index, ())] for index in fields}
        yield from doubts_of(columns.names, fields, cells, month_first=columns.language == "en")

    def rows(self) -> Iterator[RawRow]:
        """Read the rows below the header from the beginning, each time anew and one at a time.

        Blank rows are left out, and so are lines of a table in text, and what our own tables say of rows that failed; a
        row that cannot be read is there with its problem. No step takes more than some twenty milliseconds, whatever
        the file.
        """
        everything = raw_rows(self._text, delimiter=self.delimiter, width=len(self.columns), start=self._start)
        header_row = self.header_row
        rows = dropwhile(lambda raw: raw.row <= header_row, everything)
        if self.delimiter == "|":
            return (raw for raw in rows if not _is_rule(raw))
        if self.source != OWN:
            return rows
        keys = [text_key(name) for name in self.columns]
        ok, code = keys.index("ok"), keys.index("code")
        return (raw for raw in rows if not _failed(cell_of(raw, ok), cell_of(raw, code)))

    def book(self, raw: RawRow) -> ImportedBook:
        """Make a book of one of `rows`.

        Raises:
            RowProblem: The row holds no book; the message tells a person why and names the row.
        """
        return self._mapper.book(raw)

    def sample(self) -> list[list[str]]:
        """Its first rows, with the header if it has one."""
        header = [list(self.columns)] if self.header_row else []
        return [*header, *self._layout.sample]

    def explain(self, fields: Iterable[tuple[int, str]], *, header: bool) -> None:
        """Use a given meaning for the columns whose names do not say what they hold.

        Args:
            fields: Columns (from 0) and their fields.
            header: Whether the first row names the columns; ignored where that is known already.
        """
        layout, columns = self._layout, self._layout.columns
        if header and not layout.header_row and (first := next(self.rows(), None)):
            names = tuple(cell.strip() for cell in first.cells)
            names += columns.names[len(names) :]
            columns = columns._replace(names=names, language=UNKNOWN_LANGUAGE)
            layout = layout._replace(header_row=first.row, sample=layout.sample[1:])
        known = named_fields(self._layout)
        given = {index: field for index, field in fields if index not in known and field not in known.values()}
        if columns.source == GENERIC:
            found = in_order(given | known)
        else:
            added = {index: field for index, field in given.items() if field in _ADDED_TO_EXPORTS}
            found = (*columns.fields, *in_order(added))
        self.doubt = None
        by = {**columns.by, **dict.fromkeys(given, "gemini")}
        self._use(layout._replace(columns=columns._replace(fields=found, by=by, doubts=())))

    def text_of(self, raw: RawRow) -> Sequence[str]:
        """The cells of a row for a reader who does not know the columns; see `BookMapper.text_of`."""
        return self._mapper.text_of(raw)

    def compose(self, row: int, cells: Iterable[tuple[str, str]]) -> ImportedBook:
        """Make a book of given fields; see `BookMapper.compose`."""
        return self._mapper.compose(row, cells)


def cell_of(raw: RawRow, column: int) -> str:
    """The cell of a row in a column, stripped; empty where the row is shorter."""
    return raw.cells[column].strip() if column < len(raw.cells) else ""


def _without_escaped_bars(text: str) -> str:
    """A table in Markdown without bars that part no cells: of links with a name it is left, others become slashes."""
    return _LINK_WITH_NAME.sub(r"[[\1]]", text).replace("\\|", "/")


def _is_rule(raw: RawRow) -> bool:
    """Whether a row of a table in Markdown is the line below its header."""
    return not raw.problem and not any(cell.strip(":-= ") for cell in raw.cells)


def _failed(ok: str, code: str) -> bool:
    """Whether a row of our own table is of a failed item. Spreadsheets write "true" and "false" in their language."""
    return ok.lower() == "false" or (bool(code) and ok.lower() != "true")


def clip(text: str, most: int = _MAX_SHOWN) -> str:
    """A text of bounded length."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
