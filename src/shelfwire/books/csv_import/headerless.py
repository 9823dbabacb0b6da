"""What columns without a known name hold, as far as their cells alone can say it."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from shelfwire.books.csv_import.cell_kinds import (
    Kind,
    is_dates_of_reading,
    is_mark,
    is_number,
    is_period,
    is_state,
    kind_of,
    share,
)
from shelfwire.books.csv_import.joined_titles import are_names
from shelfwire.books.csv_import.values import known_shelf

_MOSTLY: Final = 0.8
_FEWEST: Final = 2
_YEAR: Final = re.compile(r"(?:1[4-9]\d\d|20\d\d)")
_BEST_MARK: Final = 10
_FEWEST_PAGES: Final = 20
_MOST_PAGES: Final = 5_000
_UNREAD: Final = frozenset({"to-read", "wishlist", "owned"})


def fields_of_cells(cells: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """The columns of reading states, dates, marks, years and pages: the first of each kind, and two of dates.

    A single date is that of reading, unless the books are not read; two are the beginning and the end, where one is
    never before the other, or that of being added and that of reading, where only books that are read can have one.
    Numbers that only count the rows are none of them.

    Args:
        cells: by column, those that are not blank.
    """
    found: dict[int, str] = {}
    enough = {index: column for index, column in cells.items() if len(column) >= _FEWEST}
    for index, column in enough.items():
        if "shelf" not in found.values() and share(column, is_state) >= _MOSTLY:
            found[index] = "shelf"
        elif (field := _of_numbers(column)) and field not in found.values():
            found[index] = field
    states = [known_shelf(cell) for index, field in found.items() if field == "shelf" for cell in cells[index]]
    dates = [index for index, column in enough.items() if index not in found and _are_dates(column)]
    return found | _of_dates(dates, cells, states)


def is_header_of(first: Sequence[str], cells: Mapping[int, Sequence[str]]) -> bool:
    """Whether a file's first row names its columns in words that are not known: the cells below are of another kind.

    Args:
        first: the row.
        cells: by column, those below it that are not blank.
    """
    names = [cell.strip() for cell in first]
    if any(character.isdecimal() for name in names for character in name) or len(set(names)) < len(names):
        return False
    telling = (Kind.NUMBER, Kind.DATE, Kind.ISBN)
    return any(
        len(column) >= _FEWEST and index < len(names) and names[index] and kind_of(column) in telling
        for index, column in cells.items()
    )


def in_order_of_names(columns: Mapping[int, str], cells: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Columns taken for title and author by their places, the other way round if that is what they look like."""
    places = {field: index for index, field in columns.items()}
    title, author = places.get("title"), places.get("author")
    if title is None or author is None or not are_names(cells[title], cells[author]):
        return dict(columns)
    return {**columns, title: "author", author: "title"}


def _of_numbers(column: Sequence[str]) -> str | None:
    if share(column, _is_year) >= _MOSTLY:
        return "year"
    plain = [cell.replace(",", ".") for cell in column if is_number(cell)]
    numbers = [float(cell) for cell in plain if re.fullmatch(r"\d+(?:\.\d+)?", cell)]
    if not numbers:
        return "rating" if share(column, is_mark) >= _MOSTLY and not any(map(str.isalpha, column)) else None
    if len(numbers) < _MOSTLY * len(column):
        return "rating" if share(column, is_mark) >= _MOSTLY else None
    counted = [second - first for first, second in pairwise(numbers)]
    if set(counted) == {1.0} and (len(numbers) > _FEWEST or numbers[0] == 1):
        return None
    if max(numbers) <= _BEST_MARK:
        # One and the same in all rows is a number of copies, or of a service.
        return None if len(numbers) > _FEWEST and set(numbers) == {1.0} else "rating"
    is_pages = all(number.is_integer() for number in numbers) and max(numbers) <= _MOST_PAGES
    return "pages" if is_pages and sorted(numbers)[len(numbers) // 2] >= _FEWEST_PAGES else None


def _is_year(cell: str) -> bool:
    return _YEAR.fullmatch(cell) is not None


def _are_dates(column: Sequence[str]) -> bool:
    if share(column, is_number) > 1 - _MOSTLY:
        return False
    return share(column, is_dates_of_reading) >= _MOSTLY and any(map(is_period, column))


def _of_dates(dates: Sequence[int], cells: Mapping[int, Sequence[str]], states: Sequence[str | None]) -> dict[int, str]:
    if len(dates) == 1:
        return {dates[0]: "date_added" if states and set(states) <= _UNREAD else "date_read"}
    if len(dates) != _FEWEST:
        return {}
    fewer, more = sorted(dates, key=lambda index: len(cells[index]))
    if len(cells[fewer]) <= states.count("read") < len(cells[more]):
        return {fewer: "date_read", more: "date_added"}
    if len(cells[fewer]) == len(cells[more]):
        first, second = (_iso(cells[index]) for index in dates)
        if all(first) and all(second) and all(map(str.__le__, first, second)):
            return dict(zip(dates, ("date_started", "date_read"), strict=True))
    return {}


def _iso(column: Sequence[str]) -> list[str]:
    """The dates that are written from the year to the day, which alone can be compared without knowing their order."""
    return [cell if re.match(r"\d{4}[-./]\d\d[-./]\d\d", cell) else "" for cell in column]
