"""What each column of a file holds: what its name says, checked against what its cells look like."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from shelfwire.books.bibliography.dates import is_month
from shelfwire.books.bibliography.people import is_surname_first
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import LANGUAGES, OTHER_COLUMNS
from shelfwire.books.csv_import.cell_kinds import (
    Kind,
    fit,
    fits,
    is_dates,
    is_item_types,
    is_ruled_out,
    is_state,
    is_typed,
    kind_of,
    share,
)
from shelfwire.books.csv_import.columns import AUTHORS, GENERIC, Columns, column_of, family, format_fields, in_order
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS, ExportFormat
from shelfwire.books.csv_import.field_names import in_words
from shelfwire.books.csv_import.headers import exact_field, field_of_dates, is_about_the_reader, misspelt_field
from shelfwire.books.csv_import.inferred_columns import by_position, isbn_columns, split_titles
from shelfwire.books.csv_import.joined_titles import are_names
from shelfwire.books.csv_import.values import known_shelf, parse_tags, parse_year

_ALTERNATIVES: Final[dict[str, tuple[str, ...]]] = {
    "date_read": ("is_read", "shelf"),
    "date_started": ("is_reading",),
    "date_stopped": ("is_dropped",),
    "is_read": ("rating",),
    "shelf": ("is_read",),
    "owned": ("copies",),
    "item_type": ("format", "tags"),
}
"""By field, the ones that a column of its name may hold instead: "Finished" has dates, or yes and no."""
_OPEN: Final = frozenset({"shelf", "item_type", "owned"})
"""Fields whose cells may be words of the reader's own."""
_MOSTLY: Final = 0.8
_SURE_ROWS: Final = 2
_ADDED: Final = frozenset({"tags", "review", "notes", "isbn", "isbn13", "additional_authors", "review_title"})
"""Fields of which every column counts, not the first alone."""
_COUNTS: Final = frozenset(
    map(text_key, ("num ratings", "ratings count", "rating count", "number of ratings", "votes", "reviews count"))
)
_QUARTERS: Final = 4
_A_FULL_NAME: Final = 3
"""Words; a surname may have two."""
_LOANS: Final = frozenset(("callnumber", "callno", "shelfmark", "duedate", "due", "returned", "signatur", "cote"))
"""Names of columns, as keys, that only lists of loans have."""
_FIRST_YEAR: Final = 1980
"""Hardly any list of today says when a book was read before."""
_SURNAME_FIRST: Final = frozenset({"hu", "ja", "zh", "ko"})
"""Languages whose names have this order anyway."""
_DATES: Final = frozenset(
    map(
        text_key,
        [
            *("date", "datum", "data", "fecha", "дата", "tarih", "dato", "päivämäärä", "dátum", "ημερομηνία"),
            *("日付", "日期", "날짜", "التاريخ"),
        ],
    )
)
_SHELVES: Final = frozenset(
    map(
        text_key,
        [
            "shelves",
            "bookshelves",
            "lists",
            "collections",
            "collection",
            "tags",
            "labels",
            "regale",
            "étagères",
            "estanterías",
            "estantes",
            "scaffali",
            "półki",
            "полки",
        ],
    )
)
"""Names of columns that list a reader's shelves, the reading states among them."""
_NUMBERS: Final = frozenset({"number", "no", "nr", "num", "index", "position", "order", "bd", "numero", "nummer"})
_YEARS: Final = frozenset(
    map(text_key, ("year", "jahr", "année", "año", "anno", "ano", "jaar", "år", "rok", "год", "年"))
)
_PROGRESS: Final = frozenset(
    map(
        text_key,
        [
            *("percent read", "progress", "% read", "percent complete", "pages read", "current page", "read percent"),
            *("progression", "fortschritt", "progreso", "progresso", "voortgang", "postęp", "прогресс"),
        ],
    )
)
_OPENINGS: Final = frozenset(
    map(
        text_key,
        [
            *("last read", "last read date", "date last read", "last opened", "dernière lecture", "zuletzt gelesen"),
            *("última lectura", "ultima lettura", "última leitura", "laatst gelezen", "ostatnio czytane"),
        ],
    )
)
_AMBIGUOUS: Final = frozenset({"rating", "ratings", "score", "stars"})


def map_columns(header: Sequence[str], sample: Sequence[Sequence[str]]) -> Columns:
    """Map the columns of a file with a header.

    Args:
        header: The header's cells.
        sample: Rows below it, against which the names are checked.
    """
    names = tuple(cell.strip() for cell in header)
    keys = [text_key(name) for name in names]
    export = export_of(keys)
    language = export.language if export else language_of(keys)
    return _Planning(names, keys, sample, language).plan(export)


def export_of(keys: Collection[str]) -> ExportFormat | None:
    """The known export whose header has these names, as keys."""
    present = set(keys)
    return next((export for export in EXPORT_FORMATS if export.signature and export.signature <= present), None)


def language_of(keys: Sequence[str]) -> str:
    """The language that most names of a header, as keys, belong to."""
    return max(LANGUAGES, key=lambda code: sum(key in LANGUAGES[code] for key in keys))


class _Planning:
    """The planning of one file's columns.

    Args:
        names: the header's cells.
        keys: the same as keys.
        sample: rows below it.
        language: the header's language.
    """

    def __init__(
        self, names: tuple[str, ...], keys: Sequence[str], sample: Sequence[Sequence[str]], language: str
    ) -> None:
        self._names = names
        self._keys = keys
        self._sample = sample
        self._language = language
        self._cells = [list(column_of(sample, index)) for index in range(len(names))]
        self._found: dict[int, str] = {}
        self._by: dict[int, str] = {}
        self._doubts: list[str] = []

    def plan(self, export: ExportFormat | None) -> Columns:
        """Decide."""
        if export:
            return self._of_export(export)
        self._take_names(range(len(self._names)), fuzzy=True)
        self._part_names()
        self._take_orders_of_names()
        self._choose_rating()
        self._take_shelves()
        self._take_numbers_of_series()
        self._take_years_of_reading()
        self._leave_dates_of_opening()
        self._take_cells()
        self._take_lone_date()
        if "title" not in self._found.values():
            self._take_positions()
        self._take_nameless({family(field) for field in self._found.values()})
        self._doubt_authors()
        spare = frozenset(self._spare())
        return Columns(
            GENERIC, self._names, in_order(self._found), self._language, self._by, spare, tuple(self._doubts)
        )

    def _of_export(self, export: ExportFormat) -> Columns:
        """The columns of a known export, and those that somebody or a newer version has added to it."""
        fields = format_fields(export, self._keys)
        self._by = dict.fromkeys((index for index, _ in fields), "export")
        known = {field for _, field in fields}
        rest = [index for index, key in enumerate(self._keys) if index not in self._by and key not in export.others]
        self._take_names(rest, fuzzy=False)
        self._take_nameless({family(field) for field in known})
        families = {family(field) for field in known} - {"tags", "notes"}
        added = {
            index: field
            for index, field in self._found.items()
            if family(field) not in families or (field == "rating" and self._keys[index] not in _AMBIGUOUS)
        }
        self._by = {index: by for index, by in self._by.items() if index in added or by == "export"}
        return Columns(
            export.name, self._names, (*fields, *in_order(added)), self._language, self._by, doubts=tuple(self._doubts)
        )

    def _take_names(self, indices: Collection[int], *, fuzzy: bool) -> None:
        for index in indices:
            name, cells = self._names[index], self._cells[index]
            if field := exact_field(name, self._language):
                if chosen := _settled(field, cells):
                    self._take(index, chosen, "name")
                else:
                    self._doubts.append(
                        f'The column "{name}" was not used for the {in_words(field)}: its cells, such as '
                        f'"{cells[0][:40]}", do not look like that.'
                    )
            elif cells and share(cells, is_dates) >= _MOSTLY and (field := field_of_dates(name)):
                self._take(index, field, "name")
            elif fuzzy and (field := misspelt_field(name, self._language)) and _agrees(field, cells):
                self._take(index, field, "name")
                self._doubts.append(f'The column "{name}" was taken for the {in_words(field)}.')

    def _take(self, index: int, field: str, by: str) -> None:
        self._found[index] = field
        self._by[index] = by

    def _drop(self, index: int) -> None:
        del self._found[index], self._by[index]

    def _choose_rating(self) -> None:
        """The reader's own mark is never that of all readers: it is called so, or it is not an average."""
        ratings = [index for index, field in self._found.items() if field == "rating"]
        own = [index for index in ratings if is_about_the_reader(self._names[index])]
        for index in ratings:
            if index in own:
                continue
            is_average = bool(own) or self._is_average(index)
            if is_average:
                self._drop(index)
                self._doubts.append(
                    f'The column "{self._names[index]}" was not taken for your own rating: '
                    + ("another column is called so." if own else "it looks like the average of all readers.")
                )

    def _is_average(self, index: int) -> bool:
        cells = [cell.replace(",", ".") for cell in self._cells[index]]
        fine = [cell for cell in cells if "." in cell and is_number_text(cell) and float(cell) * _QUARTERS % 1]
        counted = not _COUNTS.isdisjoint(self._keys)
        return bool(fine) and (counted or (len(fine) * 2 > len(cells) > _SURE_ROWS and all(map(_has_cents, fine))))

    def _part_names(self) -> None:
        """Beside a column of given names, that of authors has the surnames: "Nom de l'auteur" and "Prénom"."""
        fields = {field: index for index, field in self._found.items()}
        index = fields.get("author")
        if index is None or "author_first" not in fields or "author_last" in fields:
            return
        if share(self._cells[index], lambda cell: "," not in cell and len(cell.split()) < _A_FULL_NAME) >= _MOSTLY:
            self._found[index] = "author_last"

    def _take_orders_of_names(self) -> None:
        """A column in which most surnames stand first, without a comma: "CAMUS Albert"."""
        if self._language in _SURNAME_FIRST:
            return
        for index, field in self._found.items():
            if field == "author" and share(self._cells[index], is_surname_first) >= _MOSTLY:
                self._found[index] = "surname_first_author"
                self._doubts.append(f'The names of the column "{self._names[index]}" were read with the surname first.')

    def _take_lone_date(self) -> None:
        """Days in a column that is called but "Date", where none other has any, are those of reading."""
        if any(field.startswith("date") or field in ("read_period", "readings") for field in self._found.values()):
            return
        dated = [index for index, cells in enumerate(self._cells) if share(cells, is_dates) >= _MOSTLY]
        dated = [
            index for index in dated if index not in self._found and not all(map(is_number_text, self._cells[index]))
        ]
        if len(dated) != 1 or self._keys[dated[0]] not in _DATES or not _LOANS.isdisjoint(self._keys):
            return
        if all((parse_year(cell) or _FIRST_YEAR) >= _FIRST_YEAR for cell in self._cells[dated[0]]):
            self._take_guess(dated[0], "date_read", "position")

    def _take_shelves(self) -> None:
        """Where no column has the reading state alone, the reader's shelves have it among them."""
        if "shelf" in self._found.values():
            return
        for index, field in self._found.items():
            if field != "tags" or not self._cells[index]:
                continue
            if share(self._cells[index], is_state) >= _MOSTLY:
                self._found[index] = "shelf"
                return
            if self._keys[index] in _SHELVES and any(map(_has_state, self._cells[index])):
                self._found[index] = "collections"

    def _take_numbers_of_series(self) -> None:
        """A "Number" beside the series is the one in it."""
        fields = {field: index for index, field in self._found.items()}
        index = fields.get("series", len(self._names)) + 1
        if "series_index" in fields or index >= len(self._names) or self._keys[index] not in _NUMBERS:
            return
        if self._cells[index] and fits("series_index", self._cells[index]):
            self._take_guess(index, "series_index", "position")

    def _take_years_of_reading(self) -> None:
        """A year beside a column of months is the one of reading: nobody notes the month of publication."""
        years = [index for index, field in self._found.items() if field == "year" and self._keys[index] in _YEARS]
        has_months = any(cells and share(cells, is_month) >= _MOSTLY for cells in self._cells)
        if years and has_months and "date_read" not in self._found.values():
            self._drop(years[0])
            self._take_guess(years[0], "date_read", "position")

    def _leave_dates_of_opening(self) -> None:
        """Where a program notes how far each book is read, its last reading is not the end of it."""
        if _PROGRESS.isdisjoint(self._keys):
            return
        has_states = "shelf" in self._found.values()
        for index in [index for index, field in self._found.items() if field == "date_read"]:
            if self._keys[index] in _OPENINGS and has_states:
                self._found[index] = "last_opened"
            elif self._keys[index] in _OPENINGS:
                self._drop(index)
                self._doubts.append(
                    f'The column "{self._names[index]}" was not used for the date read: other columns say how far the '
                    "books are read, so that it may be when they were last opened."
                )

    def _take_cells(self) -> None:
        """Columns whose names say nothing, and whose cells can be one thing only."""
        unknown = [index for index in range(len(self._names)) if self._is_unknown(index)]
        fields = set(self._found.values())
        if not fields & {"isbn", "isbn13"}:
            for index in isbn_columns(self._sample, unknown):
                self._take_guess(index, "isbn", "cells")
        if "item_type" not in fields:
            for index in [index for index in unknown if is_item_types(self._cells[index])][:1]:
                self._take_guess(index, "item_type", "cells")
        if not fields & {"shelf", "is_read"}:
            for index in unknown:
                if len(self._cells[index]) >= _SURE_ROWS and share(self._cells[index], is_state) >= _MOSTLY:
                    self._take_guess(index, "shelf", "cells")
                    break

    def _take_positions(self) -> None:
        unknown = [index for index in range(len(self._names)) if self._is_unknown(index) and self._names[index]]
        for index, field in by_position(unknown, self._found.values(), self._sample).items():
            self._take_guess(index, field, "position")

    def _take_nameless(self, known: Collection[str]) -> None:
        """A column of words without a name is the author's, where no other is."""
        for index, name in enumerate(self._names):
            cells = self._cells[index]
            if not name and cells and "author" not in known and "title" in known and kind_of(cells) is Kind.TEXT:
                self._take_guess(index, "author", "position")
                return

    def _take_guess(self, index: int, field: str, by: str) -> None:
        self._take(index, field, by)
        what = "its cells" if by == "cells" else "its place"
        name = self._names[index] or f"column {index + 1}"
        self._doubts.append(f'The column "{name}" was taken for the {in_words(field)}, by {what}.')

    def _is_unknown(self, index: int) -> bool:
        return index not in self._found and self._keys[index] not in OTHER_COLUMNS

    def _doubt_authors(self) -> None:
        """Where no column has authors, they may be in that of titles; else somebody may miss them."""
        fields = set(self._found.values())
        if not fields.isdisjoint({*AUTHORS, "author_first", "author_last"}) or "title" not in fields:
            return
        if doubt := split_titles(self._found, self._sample, self._names):
            self._doubts.append(doubt)
        elif (index := self._column_of_names()) is not None:
            self._take_guess(index, "author", "cells")
        elif any(self._is_unknown(index) and kind_of(cells) is Kind.TEXT for index, cells in enumerate(self._cells)):
            self._doubts.append("None of the columns was taken for the author.")

    def _column_of_names(self) -> int | None:
        """The one column without a meaning whose cells look like names."""
        title = next(index for index, field in self._found.items() if field == "title")
        unknown = [index for index, cells in enumerate(self._cells) if cells and self._is_unknown(index)]
        named = [index for index in unknown if are_names(self._cells[index], self._cells[title])]
        return named[0] if len(named) == 1 else None

    def _spare(self) -> Iterator[int]:
        """Columns of a field that an earlier one holds with other cells."""
        first: dict[str, int] = {}
        for index, field in sorted(self._found.items()):
            if field in _ADDED or field.startswith(("date_", "id:")):
                continue
            other = first.setdefault(family(field), index)
            if other != index and any(
                max(index, other) < len(row)
                and row[index].strip()
                and row[other].strip()
                and text_key(row[index]) != text_key(row[other])
                for row in self._sample
            ):
                yield index


def is_number_text(cell: str) -> bool:
    """Whether a cell is a plain number that Python reads, in ASCII."""
    return cell.isascii() and cell.replace(".", "", 1).isdecimal()


def _has_state(cell: str) -> bool:
    return any(map(known_shelf, parse_tags(cell)))


def _has_cents(cell: str) -> bool:
    return len(cell.partition(".")[2]) > 1


def _settled(field: str, cells: Sequence[str]) -> str | None:
    """What a column holds whose name is that of a field; None if its cells rule that out."""
    if field == "tags" and is_item_types(cells):
        return "item_type"
    if not cells or fits(field, cells):
        return field
    if other := next((other for other in _ALTERNATIVES.get(field, ()) if fits(other, cells)), None):
        return other
    if field in _OPEN or len(cells) < _SURE_ROWS or not is_typed(field) or any(fit(field, cell) for cell in cells):
        return None if is_ruled_out(field, cells) else field
    return None


def _agrees(field: str, cells: Sequence[str]) -> bool:
    """Whether cells speak for a field whose name is nearly the column's: of words, that they are words."""
    if not cells:
        return False
    return fits(field, cells) and not is_ruled_out(field, cells) and (is_typed(field) or kind_of(cells) is Kind.TEXT)
