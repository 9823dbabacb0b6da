"""What each column of a file holds: what its name says, checked against what its cells look like."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from shelfwire.books.bibliography.dates import is_month
from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import FIELD_ORDER, LANGUAGES, OTHER_COLUMNS
from shelfwire.books.csv_import.cell_kinds import (
    Kind,
    fit,
    fits,
    is_dates,
    is_ruled_out,
    is_state,
    is_typed,
    kind_of,
    share,
)
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS, ExportFormat
from shelfwire.books.csv_import.field_names import IGNORE, field_of_meaning, in_words
from shelfwire.books.csv_import.headerless import fields_of_cells, in_order_of_names
from shelfwire.books.csv_import.headers import exact_field, field_of_dates, is_about_the_reader, misspelt_field
from shelfwire.books.csv_import.joined_titles import SHAPES, are_names, joined
from shelfwire.books.csv_import.problems import UnreadableCsv
from shelfwire.books.csv_import.values import known_shelf, parse_tags

GENERIC: Final = "generic"
"""The source of a list that is no export of a known kind."""
UNKNOWN_LANGUAGE: Final = "und"
"""The language of a header of which we know no word; it is not English, so that its dates begin with the day."""
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
_AUTHORS: Final = frozenset(
    {"author", "authors", "inverted_author", "surname_first_author", "ampersand_authors", "semicolon_authors"}
)
_FAMILIES: Final = {
    "title_with_series": "title",
    **dict.fromkeys(SHAPES, "title"),
    "isbn13": "isbn",
    "shelf_name": "shelf",
    "series_list": "series",
}
_ADDED: Final = frozenset({"tags", "review", "notes", "isbn", "isbn13", "additional_authors", "review_title"})
"""Fields of which every column counts, not the first alone."""
_COUNTS: Final = frozenset(
    map(text_key, ("num ratings", "ratings count", "rating count", "number of ratings", "votes", "reviews count"))
)
_QUARTERS: Final = 4
_MOST_SHOWN: Final = 40


class Columns(NamedTuple):
    """What the columns of a file hold.

    Attributes:
        source: The export's name, or "generic".
        names: The header's cells, or names given to the columns of a file without header.
        fields: Column (from 0) and field, in order of precedence.
        language: The header's language (ISO 639-1).
        by: What says so, by column; see `ImportPlan`.
        spare: Columns that count only where an earlier one of the same field is empty, and differ from that one.
        doubts: What was guessed, or not used in spite of its name, for a person.
    """

    source: str
    names: tuple[str, ...]
    fields: tuple[tuple[int, str], ...]
    language: str
    by: Mapping[int, str] = {}
    spare: frozenset[int] = frozenset()
    doubts: tuple[str, ...] = ()


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


def infer_columns(sample: Sequence[Sequence[str]], names: Sequence[str] = ()) -> Columns:
    """Find the columns of a file without header: a known export's by the form of all cells, others' by guessing.

    Guessed are ISBNs, marks, dates and the like by their cells, then title and author by position.

    Args:
        sample: rows of the file.
        names: of the columns, where there is a header in words that are not known.
    """
    width = max(len(names), _usual_width(sample))
    for export in EXPORT_FORMATS:
        if len(export.headerless) == width and _fits_all(export, sample):
            keys = [text_key(name) for name in export.headerless]
            doubt = f"The file has no header; its columns were taken for those of {export.title}, by their cells."
            return Columns(
                export.name, export.headerless, _format_fields(export, keys), export.language,
                dict.fromkeys(range(width), "export"), doubts=(doubt,),
            )  # fmt: skip
    found = dict.fromkeys(_isbn_columns(sample, range(width)), "isbn")
    cells = {index: list(column_of(sample, index)) for index in range(width)}
    rest = [index for index in range(width) if index not in found]
    placed = in_order_of_names(_by_position(rest, (), sample), cells)
    found |= placed
    if width > 1:
        found |= fields_of_cells({index: cells[index] for index in rest if index not in placed})
    by = {index: "position" if index in placed else "cells" for index in found}
    is_named = bool(names)
    doubts: tuple[str, ...] = () if width <= 1 else (_guessed(found, is_named=is_named),)
    names = tuple(names) or tuple(found.get(index, f"column {index + 1}") for index in range(width))
    names += tuple(f"column {index + 1}" for index in range(len(names), width))
    if "title" in found.values() and "author" not in found.values():
        split = _split_titles(found, sample, names)
        doubts += (split,) if split else ()
    return Columns(GENERIC, names, in_order(found), UNKNOWN_LANGUAGE if is_named else "en", by, doubts=doubts)


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    """How many cells most rows have, or the widest: commas within titles make some wider than the others."""
    widths = Counter(map(len, rows))
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    return width if width > 1 and count * 2 > len(rows) else max(widths, default=0)


def _guessed(found: Mapping[int, str], *, is_named: bool) -> str:
    taken = ", ".join(f"column {index + 1} for the {in_words(field)}" for index, field in sorted(found.items()))
    why = "The names of the columns are in a language that is not known" if is_named else "The file has no header"
    return f"{why}, so its columns were guessed: {taken or 'none of them has a meaning'}."


def export_of(keys: Collection[str]) -> ExportFormat | None:
    """The known export whose header has these names, as keys."""
    present = set(keys)
    return next((export for export in EXPORT_FORMATS if export.signature and export.signature <= present), None)


def language_of(keys: Sequence[str]) -> str:
    """The language that most names of a header, as keys, belong to."""
    return max(LANGUAGES, key=lambda code: sum(key in LANGUAGES[code] for key in keys))


def in_order(found: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    """The fields of columns in order of precedence, as `Columns.fields` has them."""
    order = {field: place for place, field in enumerate(FIELD_ORDER)}
    order["collections"] = order["tags"]
    return tuple(sorted(found.items(), key=lambda column: (order.get(column[1], len(order)), column[0])))


def column_of(sample: Sequence[Sequence[str]], index: int) -> Iterator[str]:
    """The cells of a column that are not blank, stripped."""
    return (cell for row in sample if index < len(row) and (cell := row[index].strip()))


def is_repeated(columns: Columns, name: str) -> bool:
    """Whether a column of a known export says again what another says, or keeps the program's own books."""
    export = next((export for export in EXPORT_FORMATS if export.name == columns.source), None)
    return export is not None and text_key(name) in export.repeated


def corrected(columns: Columns, meanings: Mapping[str, str]) -> Columns:
    """The columns with what a person says of some of them.

    Args:
        columns: the columns as they were found.
        meanings: by name, or number from 1, a word of `field_names`.

    Raises:
        UnreadableCsv: there is no such column.
    """
    found = dict(columns.fields)
    by = dict(columns.by)
    for name, meaning in meanings.items():
        index = _index_of(columns.names, name)
        found.pop(index, None)
        by[index] = "person"
        if meaning != IGNORE:
            found[index] = field_of_meaning(meaning)
    said = {index for index, how in by.items() if how == "person"}
    # What a person says goes before what was found: the other columns of the same field are left out.
    families = {_family(found[index]) for index in said if index in found} - {"tags", "notes", "review"}
    fields = {index: field for index, field in found.items() if index in said or _family(field) not in families}
    doubts = tuple(doubt for doubt in columns.doubts if not any(f'"{columns.names[index]}"' in doubt for index in said))
    return columns._replace(fields=in_order(fields), by=by, doubts=doubts, spare=columns.spare - said)


def _index_of(names: Sequence[str], wanted: str) -> int:
    if wanted in names:
        return names.index(wanted)
    number = wanted.lower().removeprefix("column").strip()
    if number.isdecimal() and 0 < int(number) <= len(names):
        return int(number) - 1
    key = text_key(wanted)
    index = next((index for index, name in enumerate(names) if name and text_key(name) == key), None)
    if index is None:
        shown = ", ".join(f'"{name[:40]}"' for name in names[:_MOST_SHOWN] if name) or f"column 1 to {len(names)}"
        raise UnreadableCsv(f'The file has no column "{wanted[:80]}". Its columns are: {shown}.')
    return index


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
        self._choose_rating()
        self._take_shelves()
        self._take_numbers_of_series()
        self._take_years_of_reading()
        self._leave_dates_of_opening()
        self._take_cells()
        if "title" not in self._found.values():
            self._take_positions()
        self._take_nameless({_family(field) for field in self._found.values()})
        self._doubt_authors()
        spare = frozenset(self._spare())
        return Columns(
            GENERIC, self._names, in_order(self._found), self._language, self._by, spare, tuple(self._doubts)
        )

    def _of_export(self, export: ExportFormat) -> Columns:
        """The columns of a known export, and those that somebody or a newer version has added to it."""
        fields = _format_fields(export, self._keys)
        self._by = dict.fromkeys((index for index, _ in fields), "export")
        known = {field for _, field in fields}
        rest = [index for index, key in enumerate(self._keys) if index not in self._by and key not in export.others]
        self._take_names(rest, fuzzy=False)
        self._take_nameless({_family(field) for field in known})
        families = {_family(field) for field in known} - {"tags", "notes"}
        added = {
            index: field
            for index, field in self._found.items()
            if _family(field) not in families or (field == "rating" and self._keys[index] not in _AMBIGUOUS)
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

    def _take_shelves(self) -> None:
        """Where no column has the reading state alone, the reader's shelves have it among them."""
        if "shelf" in self._found.values():
            return
        for index, field in self._found.items():
            if field == "tags" and self._keys[index] in _SHELVES and any(map(_has_state, self._cells[index])):
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
        if _PROGRESS.isdisjoint(self._keys) or "shelf" in self._found.values():
            return
        for index in [index for index, field in self._found.items() if field == "date_read"]:
            if self._keys[index] in _OPENINGS:
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
            for index in _isbn_columns(self._sample, unknown):
                self._take_guess(index, "isbn", "cells")
        if not fields & {"shelf", "is_read"}:
            for index in unknown:
                if len(self._cells[index]) >= _SURE_ROWS and share(self._cells[index], is_state) >= _MOSTLY:
                    self._take_guess(index, "shelf", "cells")
                    break

    def _take_positions(self) -> None:
        unknown = [index for index in range(len(self._names)) if self._is_unknown(index) and self._names[index]]
        for index, field in _by_position(unknown, self._found.values(), self._sample).items():
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
        if not fields.isdisjoint({*_AUTHORS, "author_first", "author_last"}) or "title" not in fields:
            return
        if doubt := _split_titles(self._found, self._sample, self._names):
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
            other = first.setdefault(_family(field), index)
            if other != index and any(
                max(index, other) < len(row)
                and row[index].strip()
                and row[other].strip()
                and text_key(row[index]) != text_key(row[other])
                for row in self._sample
            ):
                yield index


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
        ("percent read", "progress", "% read", "percent complete", "pages read", "current page", "read percent"),
    )
)
_OPENINGS: Final = frozenset(map(text_key, ("last read", "last read date", "date last read", "last opened")))
_AMBIGUOUS: Final = frozenset({"rating", "ratings", "score", "stars"})


def is_number_text(cell: str) -> bool:
    """Whether a cell is a plain number that Python reads, in ASCII."""
    return cell.isascii() and cell.replace(".", "", 1).isdecimal()


def _has_state(cell: str) -> bool:
    return any(map(known_shelf, parse_tags(cell)))


def _has_cents(cell: str) -> bool:
    return len(cell.partition(".")[2]) > 1


def _family(field: str) -> str:
    """One name for fields that fill the same member of a book."""
    if field in _AUTHORS:
        return "author"
    return _FAMILIES.get(field, field)


def _split_titles(found: dict[int, str], sample: Sequence[Sequence[str]], names: Sequence[str]) -> str | None:
    """Find titles that most cells of their column have with an author, as "Dune by Frank Herbert", or with a number.

    Returns:
        What was guessed, for a person.
    """
    index = next(index for index, field in found.items() if field == "title")
    shape = joined(list(column_of(sample, index)))
    if shape is None:
        return None
    shown = f'"{shape.example[:_MOST_SHOWN]}"'
    if shape.field is None:
        return (
            f'The cells of the column "{names[index]}", such as {shown}, may be of the title and the author, and were '
            "taken for titles. Put the author into a column of its own, and import the file again."
        )
    found[index] = shape.field
    what = "the title behind a number" if shape.field == "numbered_title" else "the title and the author"
    return f'The column "{names[index]}" was taken for {what}, as in {shown}.'


def _settled(field: str, cells: Sequence[str]) -> str | None:
    """What a column holds whose name is that of a field; None if its cells rule that out."""
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


def _format_fields(export: ExportFormat, keys: Sequence[str]) -> tuple[tuple[int, str], ...]:
    return tuple((keys.index(name), field) for name, field in export.columns.items() if name in keys)


def _fits_all(export: ExportFormat, sample: Sequence[Sequence[str]]) -> bool:
    """Whether every column of a file without header has cells that an export's column can have, and some that tell."""
    telling = 0
    keys = [text_key(name) for name in export.headerless]
    for index, field in _format_fields(export, keys):
        cells = list(column_of(sample, index))
        if cells and sum(fits(field, [cell]) for cell in cells) < _MOSTLY * len(cells):
            return False
        telling += bool(cells) and is_typed(field)
    return telling > _SURE_ROWS


def _isbn_columns(sample: Sequence[Sequence[str]], indices: Collection[int]) -> list[int]:
    """The first column of ISBNs, right or mistyped."""
    found = (index for index in indices if share(list(column_of(sample, index)), looks_like_isbn) > 1 / 2)
    return [index for index in (next(found, None),) if index is not None]


def _by_position(unknown: Collection[int], found: Collection[str], sample: Sequence[Sequence[str]]) -> dict[int, str]:
    wanted = [field for field in ("title", "author") if field not in found]
    cells = {index: list(column_of(sample, index)) for index in unknown}
    texts = [index for index in unknown if not cells[index] or kind_of(cells[index]) is Kind.TEXT]
    if not texts:  # titles such as "1984"
        texts = [index for index in unknown if kind_of(cells[index]) is not Kind.NUMBER]
    return dict(zip(texts, wanted, strict=False))
