"""The columns of a file and the fields that they hold, however these were found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import FIELD_ORDER
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS, ExportFormat
from shelfwire.books.csv_import.field_names import IGNORE, field_of_meaning
from shelfwire.books.csv_import.joined_titles import JOINED
from shelfwire.books.csv_import.problems import UnreadableCsv

GENERIC: Final = "generic"
"""The source of a list that is no export of a known kind."""
UNKNOWN_LANGUAGE: Final = "und"
"""The language of a header of which we know no word; it is not English, so that its dates begin with the day."""
AUTHORS: Final = frozenset(
    {"author", "authors", "inverted_author", "surname_first_author", "ampersand_authors", "semicolon_authors"}
    | {"slashed_details"}
)
_FAMILIES: Final = {
    "title_with_series": "title",
    **dict.fromkeys(JOINED, "title"),
    "isbn13": "isbn",
    "shelf_name": "shelf",
    "series_list": "series",
}
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
    families = {family(found[index]) for index in said if index in found} - {"tags", "notes", "review"}
    fields = {index: field for index, field in found.items() if index in said or family(field) not in families}
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


def format_fields(export: ExportFormat, keys: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """The columns of an export, as keys, and their fields, in order of precedence."""
    return tuple((keys.index(name), field) for name, field in export.columns.items() if name in keys)


def family(field: str) -> str:
    """One name for fields that fill the same member of a book."""
    if field in AUTHORS:
        return "author"
    return _FAMILIES.get(field, field)
