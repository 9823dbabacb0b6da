"""Dates as exports and spreadsheets write them, to ISO 8601."""

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

_YEAR_FIRST: Final = re.compile(r"^(\d{4})(?:\D{1,2}(\d{1,2})(?:\D{1,2}(\d{1,2})(?!\d))?)?(?:\D|$)")
_YEAR_LAST: Final = re.compile(r"^(\d{1,2})([./ -])\s?(?:(\d{1,2})[./ -]\s?)?(\d{4}|\d{2})(?:\D|$)")
_NAMED: Final = re.compile(
    r"^(?:(\d{1,2})(?:st|nd|rd|th)?\.?[ -])?([^\W\d_]{3,})\.?[ -](?:(\d{1,2})(?:st|nd|rd|th)?,? )?(\d{4})$"
)
_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            "jan january januar janvier enero gennaio janeiro januari",
            "feb february februar février febrero febbraio fevereiro februari",
            "mar march märz mars marzo março maart",
            "apr april avril abril aprile",
            "may mai mayo maggio maio mei maj",
            "jun june juni juin junio giugno junho",
            "jul july juli juillet julio luglio julho",
            "aug august août agosto augustus augusti",
            "sep sept september septembre septiembre settembre setembro",
            "oct october oktober octobre octubre ottobre outubro",
            "nov november novembre noviembre novembro",
            "dec december dezember décembre diciembre dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}
_SEPARATOR: Final = re.compile(r"[,;|]")
_MONTHS_IN_A_YEAR: Final = 12
_ISO_CHARACTERS: Final = 10
_FIRST_YEAR: Final = 1000
_PIVOT: Final = 69  # two-digit years from here are of the last century, as POSIX has it


@lru_cache(maxsize=4096)
def parse_date(cell: str, *, day_first: bool) -> str | None:
    """A date as `YYYY-MM-DD`, or `YYYY-MM` or `YYYY` if it is partial; None if there is none, such as 0000-00-00.

    Four digits first mean year, month, day; `.` and `-` after the first number mean day, month, year.

    Args:
        cell: The text; a time of day after the date is ignored.
        day_first: Whether the ambiguous `3/4/2021` is 3 April.
    """
    text = cell.strip("[] ")
    if year_first := _YEAR_FIRST.match(text):
        year, month, day = year_first.groups()
        return _iso(int(year), int(month or 0), int(day or 0))
    if year_last := _YEAR_LAST.match(text):
        first, separator, second, year_text = year_last.groups()
        year_number = _century(int(year_text)) if len(year_text) < 4 else int(year_text)  # noqa: PLR2004
        if second is None:
            return _iso(year_number, int(first), 0) if len(year_text) > 2 else None  # noqa: PLR2004 - not "3/21"
        return _year_last(year_number, int(first), int(second), day_first=day_first or separator != "/")
    if named := _NAMED.match(text):
        day_before, name, day_after, year = named.groups()
        month_number = _MONTHS.get(name.lower(), 0)
        return _iso(int(year), month_number, int(day_before or day_after or 0)) if month_number else None
    return None


def parse_dates(cell: str, *, day_first: bool) -> str | None:
    """The last date of a cell that may list several, as `parse_date` gives it: reads are listed in order."""
    if len(cell) == _ISO_CHARACTERS and cell[4] == cell[7] == "-" and cell[0] != "0":
        try:
            date.fromisoformat(cell)
        except ValueError:
            pass  # 0000-00-00, or the 2020-05-00 of a date known in part
        else:
            return cell
    if not _SEPARATOR.search(cell):
        return parse_date(cell, day_first=day_first)
    days = [parse_date(part.strip(), day_first=day_first) for part in _SEPARATOR.split(cell)]
    # The comma of "May 3, 2021" separates nothing.
    return days[-1] if all(days) else parse_date(cell, day_first=day_first)


def last_of(cell: str, separators: str) -> str:
    """The last part of a list that is not empty, or an empty string."""
    return next((part.strip() for part in reversed(re.split(f"[{separators}]", cell)) if part.strip()), "")


def is_day_first(cells: Iterable[str], *, default: bool) -> bool:
    """Whether the dates of a file written as `3/4/2021` put the day first: one number above twelve tells.

    Args:
        cells: Dates of the file, of any form.
        default: The answer if no date tells, or if they disagree.
    """
    firsts, seconds = False, False
    for cell in cells:
        match = _YEAR_LAST.match(cell)
        if match and match[2] == "/" and match[3]:
            firsts |= int(match[1]) > _MONTHS_IN_A_YEAR
            seconds |= int(match[3]) > _MONTHS_IN_A_YEAR
    return default if firsts == seconds else firsts


def _year_last(year: int, first: int, second: int, *, day_first: bool) -> str | None:
    day, month = (first, second) if day_first else (second, first)
    if month > _MONTHS_IN_A_YEAR:
        day, month = month, day
    return _iso(year, month, day)


def _century(two_digits: int) -> int:
    return two_digits + (1900 if two_digits >= _PIVOT else 2000)


def _iso(year: int, month: int, day: int) -> str | None:
    if year < _FIRST_YEAR:
        return None
    if not month:
        return f"{year:04}"
    try:
        whole = date(year, month, day or 1).isoformat()
    except ValueError:
        return None
    return whole if day else whole[:7]
