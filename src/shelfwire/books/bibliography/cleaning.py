"""Values as services, dumps and lists write them, brought into the form of `records.BookRecord`. Pure.

The limits are those of the catalogue: its file holds tens of millions of books, and a job's results a thousand.
"""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from shelfwire.books.bibliography.dates import parse_date
from shelfwire.books.bibliography.isbn import isbn13_of
from shelfwire.books.bibliography.languages import language_of
from shelfwire.books.bibliography.people import natural_order
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.text import plain_text
from shelfwire.safe_text import safe

MOST_TITLE: Final = 1_000
MOST_TEXT: Final = 200
MOST_DESCRIPTION: Final = 2_000
MOST_SUBJECTS: Final = 12
MOST_AUTHORS: Final = 50
MOST_PAGES: Final = 100_000
MOST_URL: Final = 2_000
MOST_COUNT: Final = 1_000_000
MOST_ISBNS: Final = 2_000
"""Of a work, which has those of all its editions."""
_MOST_DIGITS: Final = 9
_YEAR: Final = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
_OF_COPYRIGHT: Final = re.compile(r"(?:\bc|\bcop\.? ?|\bcopyright |\u00a9 ?|\(c\) ?)(?:1[4-9]|20)\d\d\b", re.IGNORECASE)
_OF_PRINTING: Final = re.compile(r"(?:1[4-9]|20)\d\d (?:re)?print(?:ing)?\b|\b(?:re)?print(?:ed|ing) (?:1[4-9]|20)\d\d")
_COMPACT_DATE: Final = re.compile(r"(1[4-9]\d\d|20\d\d)(\d\d)(\d\d)?")
_LEAVES: Final = re.compile(r"(\d{1,5}) ?(?:p\b|pp\b|pages?\b|s\b|S\.|\u0441\.)")
_SEVERAL_ISBNS: Final = re.compile(r"(?<![\dXx])(?:97[89][- ]?)?\d(?:[- ]?\d){8}[- ]?[\dXx](?![\dXx])")
_ONE_ISBN: Final = 17
"""Characters of an ISBN-13 with hyphens; what is longer may hold several."""


def normalised(record: BookRecord) -> BookRecord:
    """A record of the catalogue or a list, as providers give theirs: dates and languages in their short forms."""
    return msgspec.structs.replace(
        record,
        published=date(record.published),
        language=language_of(record.language),
        is_edition=bool(record.isbn13s),
    )


def tidy(value: str, most: int = MOST_TEXT) -> str | None:
    """A text in one line without superfluous spaces and unsafe characters, of bounded length; None if none is left."""
    if len(value) > most:
        value = value[: 2 * most]
    if not value.isprintable():  # looked at here, because this is done for most members of every book
        value = safe(value)
    return " ".join(value.split())[:most].rstrip() or None


def text(value: Any, most: int = MOST_TEXT) -> str | None:
    """The same of anything; None if it is no text."""
    return tidy(value, most) if isinstance(value, str) else None


def texts(values: Any, most: int) -> tuple[str, ...]:
    """The different ones of the first `most` texts of a list; nothing if it is no list."""
    found = [value for value in values if isinstance(value, str)] if isinstance(values, list) else ()
    return tuple(dict.fromkeys([known for value in found[:most] if (known := tidy(value))])) if found else ()


def people(values: Any) -> tuple[str, ...]:
    """The same of names of people, given name first, each once however it is written."""
    names = [natural_order(name) for name in texts(values, MOST_AUTHORS)]
    return tuple(dict.fromkeys(name for name in names if name))


def description(value: Any) -> str | None:
    """Plain text of what may be HTML, or Open Library's `{"value": …}`."""
    value = value.get("value") if isinstance(value, dict) else value
    if not isinstance(value, str):
        return None
    return safe(plain_text(value[: 2 * MOST_DESCRIPTION])[:MOST_DESCRIPTION]).strip() or None


def date(value: Any) -> str | None:
    """A date of publication as `YYYY-MM-DD`, or as much of it as is known; None if there is none."""
    given = text(str(value) if isinstance(value, int) else value)
    if given is None:
        return None
    if compact := _COMPACT_DATE.fullmatch(given):
        return _date_in_digits(*compact.groups())
    for aside in (_OF_COPYRIGHT, _OF_PRINTING):
        if len(set(_YEAR.findall(given))) > 1:
            # "1998 printing, c1966": of several years, that of the copyright says least of an edition.
            given = aside.sub("", given).strip(" ,;[]") or given
    years = set(_YEAR.findall(given))
    if len(years) > 1:
        return None
    return parse_date(given, day_first=False) or next(iter(years), None)


def _date_in_digits(year: str, month: str, day: str | None) -> str:
    """A date that is written without separators: "20030501"; its year where the rest is none, as in "19990000"."""
    whole = f"{year}-{month}-{day}" if day else f"{year}-{month}"
    return parse_date(whole, day_first=False) or parse_date(f"{year}-{month}", day_first=False) or year


def pages(value: Any) -> int | None:
    """A number of pages, from a figure or a text such as "xii, 491 p. :"; None if there is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        given = value.strip()
        counts = [given[:_MOST_DIGITS]] if given.isdecimal() else _LEAVES.findall(given[:MOST_TEXT])
        value = max(map(int, counts), default=None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_PAGES else None


def count(value: Any) -> int:
    """How many there are, or 0 where that is not said."""
    return value if type(value) is int and 0 < value <= MOST_COUNT else 0


def https(value: Any) -> str | None:
    """A link with https, or None if it is no link to somewhere on the web."""
    given = text(value, MOST_URL + 1)
    if given is None or len(given) > MOST_URL or " " in given:
        return None
    given = f"https:{given}" if given.startswith("//") else given
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return None
    host = parts.netloc.removesuffix(":80") if port == 80 else parts.netloc  # noqa: PLR2004 - the port of http
    return urlunsplit(("https", host, parts.path, parts.query, ""))


def isbns(values: Any) -> tuple[str, ...]:
    """The valid ISBN-13s among numbers of both kinds, each once. A text may hold several of them."""
    values = [values] if isinstance(values, str) else elements(values)
    numbers = (number for value in values[:MOST_ISBNS] for number in _numbers(value))
    found = (isbn13_of(number) for number in numbers)
    return tuple(dict.fromkeys(isbn for isbn in found if isbn))[:MOST_ISBNS]


def _numbers(value: Any) -> list[str]:
    """The numbers in a value, such as "0819130834; 0819130842" or "978-0-7653-9116-2 (hardcover)"."""
    if type(value) is int:
        return [str(value)]
    if not isinstance(value, str):
        return []
    return [value] if len(value) <= _ONE_ISBN else _SEVERAL_ISBNS.findall(value[:MOST_URL])


def first(values: Any) -> Any:
    """The first element of a list; anything else as it is."""
    return next(iter(values), None) if isinstance(values, list) else values


def named(values: Any) -> list[Any]:
    """The member `name` of each object of a list; texts stay as they are."""
    return [value.get("name") if isinstance(value, dict) else value for value in elements(values)]


def known(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Identifiers by system, without those that are no text."""
    return {system: number for system, value in pairs if (number := text(value))}


def elements(value: Any) -> list[Any]:
    """A list as it is; anything else has no elements."""
    return value if isinstance(value, list) else []


def members(value: Any) -> dict[str, Any]:
    """An object as it is; anything else has no members."""
    return value if isinstance(value, dict) else {}
