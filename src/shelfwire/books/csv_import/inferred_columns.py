"""Columns without names, or with names that say nothing: what their cells and places are."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.cell_kinds import Kind, fits, is_typed, kind_of, share
from shelfwire.books.csv_import.columns import (
    GENERIC,
    UNKNOWN_LANGUAGE,
    Columns,
    column_of,
    format_fields,
    in_order,
)
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS, ExportFormat
from shelfwire.books.csv_import.field_names import in_words
from shelfwire.books.csv_import.headerless import fields_of_cells, in_order_of_names
from shelfwire.books.csv_import.joined_titles import joined
from shelfwire.books.csv_import.no_books import is_heading

_MOSTLY: Final = 0.8
_SURE_ROWS: Final = 2
_WITH_TITLES: Final = {
    "numbered_title": "the title behind a number",
    "remarked_title": "the title with remarks behind it",
}
_MOST_EXAMPLE: Final = 40


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
                export.name, export.headerless, format_fields(export, keys), export.language,
                dict.fromkeys(range(width), "export"), doubts=(doubt,),
            )  # fmt: skip
    found = dict.fromkeys(isbn_columns(sample, range(width)), "isbn")
    cells = {index: list(column_of(sample, index)) for index in range(width)}
    rest = [index for index in range(width) if index not in found]
    placed = in_order_of_names(by_position(rest, (), sample), cells)
    found |= placed
    if width > 1:
        found |= fields_of_cells({index: cells[index] for index in rest if index not in placed})
    by = {index: "position" if index in placed else "cells" for index in found}
    is_named = bool(names)
    doubts: tuple[str, ...] = () if width <= 1 else (_guessed(found, is_named=is_named),)
    names = tuple(names) or tuple(found.get(index, f"column {index + 1}") for index in range(width))
    names += tuple(f"column {index + 1}" for index in range(len(names), width))
    if "title" in found.values() and "author" not in found.values():
        split = split_titles(found, sample, names)
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


def split_titles(found: dict[int, str], sample: Sequence[Sequence[str]], names: Sequence[str]) -> str | None:
    """Find titles that most cells of their column have with an author, as "Dune by Frank Herbert", or with a number.

    Returns:
        What was guessed, for a person.
    """
    index = next(index for index, field in found.items() if field == "title")
    shape = joined([cell for cell in column_of(sample, index) if not is_heading(cell)])
    if shape is None:
        return None
    shown = f'"{shape.example[:_MOST_EXAMPLE]}"'
    if shape.field is None:
        return (
            f'The cells of the column "{names[index]}", such as {shown}, may be of the title and the author, and were '
            "taken for titles. Put the author into a column of its own, and import the file again."
        )
    found[index] = shape.field
    what = _WITH_TITLES.get(shape.field, "the title and the author")
    if shape.field == "mixed_title":
        return (
            f'The column "{names[index]}" was taken for the title and the author, each cell by what its parts look '
            f"like, as in {shown}. Check them."
        )
    return f'The column "{names[index]}" was taken for {what}, as in {shown}.'


def _fits_all(export: ExportFormat, sample: Sequence[Sequence[str]]) -> bool:
    """Whether every column of a file without header has cells that an export's column can have, and some that tell."""
    telling = 0
    keys = [text_key(name) for name in export.headerless]
    for index, field in format_fields(export, keys):
        cells = list(column_of(sample, index))
        if cells and sum(fits(field, [cell]) for cell in cells) < _MOSTLY * len(cells):
            return False
        telling += bool(cells) and is_typed(field)
    return telling > _SURE_ROWS


def isbn_columns(sample: Sequence[Sequence[str]], indices: Collection[int]) -> list[int]:
    """The columns of ISBNs, right or mistyped."""
    return [index for index in indices if share(list(column_of(sample, index)), looks_like_isbn) > 1 / 2]


def by_position(unknown: Collection[int], found: Collection[str], sample: Sequence[Sequence[str]]) -> dict[int, str]:
    """The first columns of words, taken for title and author as far as these are not found.

    A title is in nearly every row, an author in most, and neither is the same in all of them.
    """
    cells = {index: list(column_of(sample, index)) for index in unknown}
    texts = [index for index in unknown if not cells[index] or kind_of(cells[index]) is Kind.TEXT]
    if not texts:  # titles such as "1984"
        texts = [index for index in unknown if kind_of(cells[index]) is not Kind.NUMBER]
    varied = [index for index in texts if len(cells[index]) <= _SURE_ROWS or len(set(cells[index])) > 1]
    placed: dict[int, str] = {}
    for field, least in (("title", _MOSTLY), ("author", 1 / 2)):
        if field in found:
            continue
        rest = [index for index in texts if index not in placed]
        fitting = [index for index in varied if index in rest and len(cells[index]) >= least * len(sample)]
        behind = [index for index in fitting if index > max(placed, default=-1)]
        if rest:
            placed[next(iter([*behind, *fitting, *rest]))] = field
    return placed
