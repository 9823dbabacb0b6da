"""Dates as exports and spreadsheets write them, to ISO 8601."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final

from shelfwire.books.bibliography.text import ascii_digits, text_key

_YEAR_FIRST: Final = re.compile(r"^(\d{4})(?:\D{1,2}(\d{1,2})(?:\D{1,2}(\d{1,2})(?!\d))?)?(?:\D|$)")
_LETTERS_FOLLOW: Final = re.compile(r"^\d{4}[^\w]*[^\W\d_]{2,}")
_YEAR_LAST: Final = re.compile(r"^(\d{1,2})([./ -])\s?(?:(\d{1,2})[./ -]\s?)?(\d{4}|\d{2})(?:\D|$)")
_TIME: Final = re.compile(
    r"(?:(?<=\d)T|,)?\s*\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?\s*(?:[ap]\.?m\.?\b)?\s*(?:z\b|gmt|utc)?\s*(?:[+-]\d{2}:?\d{2})?"
    r"(?:\s*\(.*\))?",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+[॰']?")
_MOST_TOKENS: Final = 12
_MOST_NAMED_CHARACTERS: Final = 80
_FILLERS: Final = frozenset(
    word
    for line in (
        "st nd rd th er re de del do la le el il di al den d of in on at as alle alas om à um kl r roku m gada",
        "г года год р року",  # noqa: RUF001 - Cyrillic letters are meant
    )
    for word in line.split()
)
"""Words around the parts of a date: ordinals, "of", and "year" after one."""
_VAGUE: Final = frozenset(
    word
    for line in (
        "spring summer autumn fall winter early late mid about around circa ca c approx beginning christmas q h",
        "quarter",
        "fruhling fruhjahr sommer herbst anfang ende mitte etwa printemps ete automne hiver debut fin vers primavera",
        "verano otono invierno estate autunno inverno verao outono lente zomer herfst voorjaar najaar var sommar host",
        "vinter wiosna lato jesien zima jaro leto podzim tavasz nyar osz tel efterar forar kevat kesa syksy talvi",
        "весна лето осень зима весной летом осенью зимои",
    )
    for word in line.split()
)
"""Words, as keys, for a part of a year that is no month."""
_DAY_NUMBER: Final = re.compile(r"^([2-5]\d{4})(?:[.,]\d+)?$")
_FIRST_DAY: Final = date(1899, 12, 30)
"""The day of number 0 in spreadsheets, for days from March 1900 on."""
_IN_A_MONTH: Final = re.compile(
    r"^(?P<first>\d{1,2})\.?\s*[-\u2013]\s*(?P<last>\d{1,2})\.?\s+(?P<month>[^\W\d_]+)\.?,?\s+(?P<year>\d{4})$"
    r"|^(?P<month_>[^\W\d_]+)\.?\s+(?P<first_>\d{1,2})\s*[-\u2013]\s*(?P<last_>\d{1,2}),?\s+(?P<year_>\d{4})$"
)
_OF_MONTHS: Final = re.compile(
    r"^(?P<start>(?:\d{1,2}\.?\s+)?[^\W\d_]+\.?(?:\s+\d{1,2})?)\s*[-\u2013/]\s*"
    r"(?P<end>(?:\d{1,2}\.?\s+)?[^\W\d_]+\.?(?:\s+\d{1,2})?),?\s+(?P<year>\d{4})$"
)
_DASHED: Final = re.compile(r"\b(\d{1,2})-(\d{1,2})-(\d{4}|\d{2})\b")
_SHORT_YEAR: Final = re.compile(r"^(\d{1,2})[ .-]+[^\W\d_]+[ .,'-]+(\d{2})$")
_COMPACT: Final = re.compile(r"^(?:19|20)\d{2}[01]\d[0-3]\d$")
_EPOCH: Final = re.compile(r"^1\d{9}(?:\d{3})?$")
_MILLISECONDS: Final = 13
_SEPARATOR: Final = re.compile(r"[,;|\n、]")
_MONTHS_IN_A_YEAR: Final = 12
_ISO_CHARACTERS: Final = 10
_FIRST_YEAR: Final = 1000
_YEAR_DIGITS: Final = 4
_PIVOT: Final = 69  # two-digit years from here are of the last century, as POSIX has it


@lru_cache(maxsize=4096)
def parse_date(cell: str, *, day_first: bool) -> str | None:
    """A date as `YYYY-MM-DD`, or `YYYY-MM` or `YYYY` if it is partial; None if there is none, such as 0000-00-00.

    Four digits first mean year, month, day; `.` and `-` after the first number mean day, month, year.

    Args:
        cell: The text; a time of day after the date is ignored.
        day_first: Whether the ambiguous `3/4/2021` is 3 April.
    """
    text = cell.strip("[] ~≈")
    if not text.isascii():
        text = ascii_digits(text)
    if year_first := _YEAR_FIRST.match(text):
        year, month, day = year_first.groups()
        if month or not _LETTERS_FOLLOW.match(text):
            return _iso(int(year), int(month or 0), int(day or 0))
    if year_last := _YEAR_LAST.match(text):
        first, separator, second, year_text = year_last.groups()
        year_number = _century(int(year_text)) if len(year_text) < _YEAR_DIGITS else int(year_text)
        if second is None:
            return _iso(year_number, int(first), 0) if len(year_text) > 2 else None  # noqa: PLR2004 - not "3/21"
        return _year_last(year_number, int(first), int(second), day_first=day_first or separator != "/")
    if _COMPACT.match(text):
        return _iso(int(text[:4]), int(text[4:6]), int(text[6:]))
    if _EPOCH.match(text):
        return _of_epoch(text)
    return _named(text) if len(text) <= _MOST_NAMED_CHARACTERS else None


def _named(text: str) -> str | None:
    """A date whose month is a word of any language that is known: "3. Mai 2021", "15 марта 2019", "May 3, 2021".

    Of a part of a year that is no month, as in "Spring 2015", the year alone is left.
    """
    tokens = _TOKEN.findall(_TIME.sub(" ", text).lower())
    if not 1 < len(tokens) <= _MOST_TOKENS:
        return None
    month, numbers, is_vague = 0, [], False
    for token in tokens:
        if token.isdecimal():
            numbers.append(token)
            continue
        key = token if token.isascii() else text_key(token)
        if not month and key in _months():
            month = _months()[key]
        elif key in _VAGUE:
            is_vague = True
        elif token not in _FILLERS and key not in _weekdays():
            return None
    short = _SHORT_YEAR.match(text)
    if short and month:  # "12-Aug-10"
        return _iso(_century(int(short[2])), month, int(short[1]))
    # A year and a word for it, as in Korean and Russian: anything else without a month is no date.
    is_year = is_vague or (len(numbers) == 1 and tokens[0] == numbers[0])
    return _of_numbers(numbers, month) if month or is_year else None


def _of_numbers(numbers: Sequence[str], month: int) -> str | None:
    """A date of a year and perhaps a day, in any order, and of a month; without a month (0) the year alone."""
    years = [number for number in numbers if len(number) == _YEAR_DIGITS]
    days = [number for number in numbers if len(number) < 3]  # noqa: PLR2004 - the digits of a day
    if len(years) != 1 or len(days) > 1 or len(years) + len(days) < len(numbers):
        return None
    return _iso(int(years[0]), month, int(days[0]) if days and month else 0)


def of_day_number(cell: str) -> str | None:
    """The date that spreadsheets show for a number of days, 20000 to 59999 (1954 to 2064), perhaps with a time."""
    number = _DAY_NUMBER.match(cell)
    return (_FIRST_DAY + timedelta(days=int(number[1]))).isoformat() if number else None


@lru_cache(maxsize=1024)
def range_of_named(cell: str) -> tuple[str, str] | None:
    """The two dates of "March 3-9, 2021", "3.-9. März 2021", "Mar/Apr 2016" and "March 28 - April 2, 2021"."""
    text = cell.strip()
    if len(text) > _MOST_NAMED_CHARACTERS:
        return None
    if found := _IN_A_MONTH.match(text):
        part = {name.rstrip("_"): value for name, value in found.groupdict().items() if value}
        sides = tuple(f"{part[day]} {part['month']} {part['year']}" for day in ("first", "last"))
    elif found := _OF_MONTHS.match(text):
        sides = tuple(f"{found[side]} {found['year']}" for side in ("start", "end"))
    else:
        return None
    start, end = (_named(side) for side in sides)
    return (start, end) if start and end and len(start) > _YEAR_DIGITS else None


def is_month(text: str) -> bool:
    """Whether a text is the name of a month, in any language that is known."""
    return text_key(text) in _months()


def is_vague(cell: str) -> bool:
    """Whether a cell gives a part of a year that is no month, such as "Spring 2015"."""
    return any(text_key(word) in _VAGUE for word in _TOKEN.findall(cell.lower()))


def _of_epoch(text: str) -> str | None:
    """Seconds or milliseconds since 1970, as programs write them: the day in UTC."""
    seconds = int(text) / 1000 if len(text) == _MILLISECONDS else int(text)
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    """Month by name, as keys: whole and abbreviated, in every case that dates have. Source: Unicode CLDR."""
    lines = enumerate(_lines("months"), 1)
    return {name: month for month, names in lines for name in names.split()}


@lru_cache(maxsize=1)
def _weekdays() -> frozenset[str]:
    """Names of weekdays, as keys, whole and abbreviated. Source: Unicode CLDR."""
    return frozenset(" ".join(_lines("weekdays")).split())


def _lines(name: str) -> list[str]:
    return (files(__package__) / "words" / f"{name}.txt").read_text(encoding="utf-8").splitlines()


@lru_cache(maxsize=8192)
def parse_dates(cell: str, *, day_first: bool) -> tuple[str, ...]:
    """Every date of a cell that may list several, as `parse_date` gives them; nothing if one of them is none."""
    if len(cell) == _ISO_CHARACTERS and cell[4] == cell[7] == "-" and cell[0] != "0":
        try:
            date.fromisoformat(cell)
        except ValueError:
            pass  # 0000-00-00, or the 2020-05-00 of a date known in part
        else:
            return (cell,)
    if not _SEPARATOR.search(cell):
        day = parse_date(cell, day_first=day_first)
        return (day,) if day else ()
    days = [parse_date(part, day_first=day_first) for piece in _SEPARATOR.split(cell) if (part := piece.strip())]
    # The comma of "May 3, 2021" separates nothing, and "2021" alone is no date beside "May 3".
    if days and all(days):
        return tuple(day for day in days if day)
    day = parse_date(cell, day_first=day_first)
    return (day,) if day else _of_named_list(cell, day_first=day_first)


def _of_named_list(cell: str, *, day_first: bool) -> tuple[str, ...]:
    """The dates of "May 3, 2021, June 4, 2022", whose commas are within dates and between them."""
    pieces = [piece.strip() for piece in _SEPARATOR.split(cell) if piece.strip()]
    if len(pieces) % 2 or len(pieces) > _MOST_TOKENS:
        return ()
    pairs = [f"{first}, {second}" for first, second in zip(pieces[::2], pieces[1::2], strict=True)]
    days = [parse_date(pair, day_first=day_first) for pair in pairs]
    return tuple(day for day in days if day) if all(days) else ()


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


def is_month_first_with_dashes(cells: Iterable[str]) -> bool:
    """Whether dates written as `03-22-2021` put the month first: one shows it, and none shows the contrary."""
    dashed = [match for cell in cells if (match := _YEAR_LAST.match(cell)) and match[2] == "-" and match[3]]
    return any(int(match[3]) > _MONTHS_IN_A_YEAR for match in dashed) and all(
        int(match[1]) <= _MONTHS_IN_A_YEAR for match in dashed
    )


def with_slashes(cell: str) -> str:
    """A cell with dates written as `03-22-2021`, whose month is first, as `03/22/2021`."""
    return _DASHED.sub(r"\1/\2/\3", cell)


def unclear_order(cells: Iterable[str], separator: str = "/") -> str | None:
    """A date written as `3/4/2021`, if nothing among some dates shows whether the day or the month is first."""
    example = None
    for cell in cells:
        match = _YEAR_LAST.match(cell)
        if not (match and match[2] == separator and match[3]):
            continue
        if max(int(match[1]), int(match[3])) > _MONTHS_IN_A_YEAR:
            return None
        if int(match[1]) != int(match[3]):
            example = example or match[0].strip()
    return example


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
