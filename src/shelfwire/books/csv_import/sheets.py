"""Sheets of one workbook that are parts of one list: one for each year, or for what is read and what is to read."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final, NamedTuple

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.dialect import Layout, find_layout
from shelfwire.books.csv_import.headers import header_strength
from shelfwire.books.csv_import.joined_titles import TITLES
from shelfwire.books.csv_import.no_books import date_of_heading
from shelfwire.books.csv_import.values import known_shelf

ROWS_OF_A_SHEET: Final = 1_000
"""The rows of a further sheet are numbered from a multiple of this on."""
_HEAD_CHARACTERS: Final = 65_536
_SEP: Final = "sep=,\n"
_DEFAULT_NAME: Final = re.compile(r"(?:[^\W\d_]{3,12}|シート)\s?\d{1,2}", re.IGNORECASE)
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")
_READ: Final = frozenset({"date_read", "dates_read", "read_period", "readings", "is_read"})
_ADDED: Final = ("Shelf (sheet)", "Date read (sheet)", "Tags (sheet)")
"""The columns for what the name of a sheet says of its books."""


class Sheet(NamedTuple):
    """A sheet.

    Attributes:
        name: its name.
        text: as CSV, row for row.
    """

    name: str
    text: str


class Joined(NamedTuple):
    """The list of a workbook.

    Attributes:
        text: as CSV.
        starts: the sheets in it and the number before that of their first row, the first sheet first.
    """

    text: str
    starts: tuple[tuple[str, int], ...]


def one_list(sheets: Sequence[Sheet]) -> Joined:
    """The list of a workbook: the sheet with the best header, and those whose columns have the same names.

    A sheet belongs to it if all of its columns have the same names; or if it has titles and authors under the same, and
    half of the columns of the narrower of the two are the other's too. Rows keep their numbers: those of further sheets
    come behind a round one. What the name of such a sheet says is a column: a reading state, or the year of reading,
    where its own columns say neither; any other is a tag, unless it is but a number.
    """
    layouts = [find_layout(sheet.text[:_HEAD_CHARACTERS]) for sheet in sheets]
    strengths = [header_strength(layout.columns.names) if layout.header_row else 0 for layout in layouts]
    main = strengths.index(max(strengths))
    parts = [main, *(index for index in range(len(sheets)) if index != main and _belong(layouts[main], layouts[index]))]
    if len(parts) == 1:
        return Joined(sheets[main].text, ((sheets[main].name, 0),))
    columns = list(dict.fromkeys(key for index in parts for key, _ in _keyed(layouts[index])))
    names = {key: name for index in reversed(parts) for key, name in _keyed(layouts[index])}
    said_by = {index: _said(sheets[index].name) for index in parts}
    added = [any(column) for column in zip(*said_by.values(), strict=True)]
    text = io.StringIO()
    text.write(_SEP)
    table = csv.writer(text, lineterminator="\n")
    starts: list[tuple[str, int]] = []
    written = 0
    for index in parts:
        start = -(-written // ROWS_OF_A_SHEET) * ROWS_OF_A_SHEET
        text.write("\n" * (start - written))
        starts.append((sheets[index].name, start))
        written = start
        keys = [key for key, _ in _keyed(layouts[index])]
        for number, cells in enumerate(_rows(sheets[index].text), 1):
            written += 1
            if index == main and number == layouts[index].header_row:
                table.writerow([*(names[key] for key in columns), *compress(_ADDED, added)])
            elif (index != main and number <= layouts[index].header_row) or not any(cells):
                text.write("\n")
            else:
                keyed = dict(zip(keys, cells, strict=False))
                said = _untold(said_by[index], layouts[index], cells)
                table.writerow([*(keyed.get(key, "") for key in columns), *compress(said, added)])
    return Joined(text.getvalue(), tuple(starts))


def _rows(text: str) -> Iterator[Sequence[str]]:
    return csv.reader(io.StringIO(text.removeprefix(_SEP), newline=""))


def _keyed(layout: Layout) -> list[tuple[str, str]]:
    """The columns by key; those without a name, or with a name that another has, by their place too."""
    found: dict[str, str] = {}
    for index, name in enumerate(layout.columns.names):
        key = text_key(name)
        found[key if key and key not in found else f"{key} {index}"] = name
    return list(found.items())


def _belong(one: Layout, other: Layout) -> bool:
    if not one.header_row or not other.header_row:
        return False
    here, there = ({key for key, name in _keyed(layout) if name} for layout in (one, other))
    shared = here & there
    if here == there and len(here) > 1:
        return True
    essential = [
        {text_key(layout.columns.names[index]) for index, field in layout.columns.fields if test(field)}
        for layout in (one, other)
        for test in (TITLES.__contains__, _is_author)
    ]
    (titles, authors), (other_titles, other_authors) = essential[:2], essential[2:]
    return bool(titles & other_titles and authors & other_authors) and len(shared) * 2 >= min(len(here), len(there))


def _is_author(field: str) -> bool:
    return "author" in field


def _said(name: str) -> tuple[str, str, str]:
    """What the name of a sheet says of its books: their state, when they were read, a tag."""
    if known_shelf(name):
        return name, "", ""
    if day := date_of_heading(name):
        state = _YEAR.sub("", name).strip(" -:,()")
        return state if known_shelf(state) else "", day, ""
    return "", "", "" if _DEFAULT_NAME.fullmatch(name.strip()) else name


def _untold(said: tuple[str, str, str], layout: Layout, cells: Sequence[str]) -> tuple[str, str, str]:
    """What of that a row does not say itself."""
    fields = {field: index for index, field in layout.columns.fields}
    index = fields.get("shelf")
    shelf = cells[index].strip() if index is not None and index < len(cells) else ""
    has_dates = not _READ.isdisjoint(fields) or (shelf and known_shelf(shelf) != "read")
    return "" if shelf else said[0], "" if has_dates else said[1], said[2]
