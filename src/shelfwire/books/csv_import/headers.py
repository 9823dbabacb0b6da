"""The meaning of columns: by the names in the header, or by the form of the cells where there is no header."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import FIELD_ORDER, LANGUAGES, OTHER_COLUMNS
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS, ExportFormat

GENERIC: Final = "generic"
"""The source of a list that is no export of a known kind."""
_MAX_NAME_CHARACTERS: Final = 80
_KNOWN: Final = frozenset(
    {*OTHER_COLUMNS, *(name for names in LANGUAGES.values() for name in names)}
    | {name for export in EXPORT_FORMATS for name in export.columns}
)
_CORE_FIELDS: Final = frozenset({"title", "author", "isbn", "isbn13"})
# A header names at least one of these; words such as "read" or "owned" occur in rows of books too.
_CORE: Final = frozenset(
    {name for names in LANGUAGES.values() for name, field in names.items() if field in _CORE_FIELDS}
    | {name for export in EXPORT_FORMATS for name in export.signature}
)
_SHORTEST_FUZZY = 5
_LONG_NAME = 8


class Columns(NamedTuple):
    """What the columns of a file hold.

    Attributes:
        source: The export's name, or "generic".
        names: The header's cells, or names given to the columns of a file without header.
        fields: Column (from 0) and field, in order of precedence.
        language: The header's language (ISO 639-1).
    """

    source: str
    names: tuple[str, ...]
    fields: tuple[tuple[int, str], ...]
    language: str


def header_strength(cells: Sequence[str]) -> int:
    """How many of a row's cells are names of columns; 0 if none of them is essential to a list of books."""
    if any(len(cell) > _MAX_NAME_CHARACTERS for cell in cells):
        return 0
    keys = {text_key(cell) for cell in cells}
    return len(keys & _KNOWN) if keys & _CORE else 0


def map_columns(header: Sequence[str], sample: Sequence[Sequence[str]]) -> Columns:
    """Map the columns of a file with a header.

    Args:
        header: The header's cells.
        sample: Rows below it, used to find the titles if no name says where they are.
    """
    names = tuple(cell.strip() for cell in header)
    keys = [text_key(name) for name in names]
    export = next((export for export in EXPORT_FORMATS if export.signature <= set(keys)), None)
    if export:
        return Columns(export.name, names, _format_fields(export, keys), export.language)
    language = max(LANGUAGES, key=lambda code: sum(key in LANGUAGES[code] for key in keys))
    found = {index: field for index, key in enumerate(keys) if (field := generic_field(key, language))}
    if "title" not in found.values():
        unknown = [index for index, key in enumerate(keys) if key and index not in found and key not in OTHER_COLUMNS]
        found |= _by_position(unknown, found.values(), sample)
    return Columns(GENERIC, names, in_order(found), language)


def infer_columns(sample: Sequence[Sequence[str]]) -> Columns:
    """Guess the columns of a file without header: ISBNs by their shape, then title and author by position."""
    width = max(map(len, sample), default=0)
    isbns = (index for index in range(width) if mostly(column_of(sample, index), looks_like_isbn))
    found = dict.fromkeys(islice(isbns, 1), "isbn")
    found |= _by_position([index for index in range(width) if index not in found], (), sample)
    names = tuple(found.get(index, f"column {index + 1}") for index in range(width))
    return Columns(GENERIC, names, in_order(found), "en")


def generic_field(key: str, language: str) -> str | None:
    """The field that a column name stands for, or None.

    A misspelt name counts if it is one edit (two in long names) from a known one, and not as near to the name of
    a column that holds something else.

    Args:
        key: The name as `text_key` gives it.
        language: The header's language, whose names come first: "note" is a mark in French, a comment in English.
    """
    names = LANGUAGES[language]
    if key in names:
        return names[key]
    if key in OTHER_COLUMNS:
        return None
    for others in LANGUAGES.values():
        if key in others:
            return others[key]
    return _nearest(key, LANGUAGES["en"] | names)


def _nearest(key: str, names: dict[str, str]) -> str | None:
    if len(key) < _SHORTEST_FUZZY or not key.isalpha():
        return None
    limit = 1 if len(key) < _LONG_NAME else 2
    nearest, field = min(
        ((_edits(key, name, limit), field) for name, field in names.items() if len(name) >= _SHORTEST_FUZZY),
        key=lambda candidate: candidate[0],
    )
    if nearest > limit or any(_edits(key, other, limit) <= nearest for other in OTHER_COLUMNS):
        return None
    return field


def _edits(key: str, name: str, limit: int) -> int:
    return OSA.distance(key, name, score_cutoff=limit)


def _format_fields(export: ExportFormat, keys: list[str]) -> tuple[tuple[int, str], ...]:
    return tuple((keys.index(name), field) for name, field in export.columns.items() if name in keys)


def in_order(found: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    """The fields of columns in order of precedence, as `Columns.fields` has them."""
    order = {field: place for place, field in enumerate(FIELD_ORDER)}
    return tuple(sorted(found.items(), key=lambda column: (order[column[1]], column[0])))


def _by_position(unknown: list[int], found: Collection[str], sample: Sequence[Sequence[str]]) -> dict[int, str]:
    wanted = [field for field in ("title", "author") if field not in found]
    texts = [index for index in unknown if not mostly(column_of(sample, index), is_number)]
    return dict(zip(texts, wanted, strict=False))


def column_of(sample: Sequence[Sequence[str]], index: int) -> Iterator[str]:
    """The cells of a column that are not blank, stripped."""
    return (cell for row in sample if index < len(row) and (cell := row[index].strip()))


def mostly(cells: Iterable[str], test: Callable[[str], bool]) -> bool:
    """Whether more than half of some cells pass a test; no if there are none."""
    verdicts = [test(cell) for cell in cells]
    return sum(verdicts) * 2 > len(verdicts)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number alone."""
    return cell.replace(".", "", 1).replace(",", "", 1).isdecimal()
