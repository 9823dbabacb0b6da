"""Lines of Open Library's dumps to what the catalogue keeps of them. Pure.

A line has five columns with tabs between them: type, key, revision, time of the last change, and the record as JSON.
Records are edited by many people and programs: anything but their key may be missing or have another form.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.catalogue.entry import Entry
from shelfwire.isbn import parse_isbn

MOST_TITLE: Final = 1_000
MOST_DESCRIPTION: Final = 2_000
MOST_AUTHORS: Final = 20
MOST_SUBJECTS: Final = 12
MOST_ISBNS: Final = 20
MOST_TEXT: Final = 200
COVER: Final = "https://covers.openlibrary.org/b/id/{}-L.jpg"
FIRST_LINE: Final = re.compile(rb"/type/[^\t]+\t/[^\t]*\t\d+\t[^\t]*\t\{")
"""How a dump begins."""
_COLUMNS: Final = 5
_OTHER_NUMBERS: Final = {"goodreads": "goodreads", "librarything": "librarything", "amazon": "asin"}


class Author(NamedTuple):
    """An author: the number in the key, and the name."""

    id: int
    name: str


class Work(NamedTuple):
    """A work: the number in its key, those of its authors, and what else is known."""

    id: int
    authors: tuple[int, ...]
    entry: Entry


class Edition(NamedTuple):
    """An edition: the number in its key, those of its work (0 for none) and authors, and what else is known."""

    id: int
    work: int
    authors: tuple[int, ...]
    entry: Entry


class BadLine(ValueError):  # noqa: N818 - one of millions; the build goes on
    """A line is not of the form of a dump. The text says what is wrong with it."""


class _Record(msgspec.Struct):
    """What is looked at of a record, whatever form it has."""

    name: Any = None
    personal_name: Any = None
    title: Any = None
    title_prefix: Any = None
    subtitle: Any = None
    authors: Any = None
    works: Any = None
    isbn_13: Any = None
    isbn_10: Any = None
    publishers: Any = None
    publish_date: Any = None
    first_publish_date: Any = None
    number_of_pages: Any = None
    languages: Any = None
    subjects: Any = None
    description: Any = None
    covers: Any = None
    identifiers: Any = None
    oclc_numbers: Any = None
    lccn: Any = None


_DECODER: Final = msgspec.json.Decoder(_Record)


def read_line(line: bytes) -> Author | Work | Edition | None:
    """Read a line; None for records that are of no use, such as redirects and books without title.

    Raises:
        BadLine: it has another form.
    """
    columns = line.split(b"\t", _COLUMNS - 1)
    if len(columns) < _COLUMNS:
        raise BadLine(f"has {len(columns)} columns instead of {_COLUMNS}")
    kind = columns[0]
    if kind not in (b"/type/author", b"/type/work", b"/type/edition"):
        if kind.startswith(b"/type/"):
            return None
        raise BadLine("does not begin with a type")
    number = _number(columns[1])
    if not number:
        raise BadLine("has a key that is none")
    try:
        record = _DECODER.decode(columns[4])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadLine(f"is not JSON: {error}") from None
    match kind:
        case b"/type/author":
            name = _text(record.name) or _text(record.personal_name)
            return Author(number, name) if name else None
        case b"/type/work":
            return _work(number, record)
        case _:
            return _edition(number, record)


def _work(number: int, record: _Record) -> Work | None:
    title = _title(record)
    if not title:
        return None
    entry = Entry(
        title=title,
        subtitle=_text(record.subtitle),
        published=_text(record.first_publish_date),
        subjects=_texts(record.subjects),
        description=_description(record.description),
        cover_url=_cover(record.covers),
        identifiers={"openlibraryWork": f"OL{number}W"},
    )
    return Work(number, _references(record.authors), entry)


def _edition(number: int, record: _Record) -> Edition | None:
    title = _title(record)
    if not title:
        return None
    works = _references(record.works)
    thirteen, ten = _isbns(record)
    entry = Entry(
        title=title,
        subtitle=_text(record.subtitle),
        isbn13s=thirteen,
        isbn10s=ten,
        publisher=next(iter(_texts(record.publishers)), None),
        published=_text(record.publish_date),
        pages=_pages(record.number_of_pages),
        language=_language(record.languages),
        subjects=_texts(record.subjects),
        description=_description(record.description),
        cover_url=_cover(record.covers),
        identifiers=_identifiers(number, record),
    )
    return Edition(number, works[0] if works else 0, _references(record.authors), entry)


def _number(key: bytes | str) -> int:
    """The number in "/works/OL45883W", or 0 if there is none."""
    digits = key[key.rfind(b"/OL" if isinstance(key, bytes) else "/OL") + 3 : -1]  # type: ignore[arg-type]  # of its kind
    return int(digits) if digits.isdigit() and len(digits) < 16 else 0  # noqa: PLR2004 - SQLite's integers hold so many


def _references(values: Any) -> tuple[int, ...]:
    """The numbers in [{"key": "…"}], [{"author": {"key": "…"}}], [{"author": "…"}] and ["…"]."""
    if not isinstance(values, list):
        return ()
    numbers: dict[int, None] = {}
    for value in values[:MOST_AUTHORS]:
        found = value
        if isinstance(found, dict):
            found = found.get("author", found)
        if isinstance(found, dict):
            found = found.get("key")
        if isinstance(found, str) and (number := _number(found)):
            numbers[number] = None
    return tuple(numbers)


def _title(record: _Record) -> str | None:
    title, prefix = _text(record.title, MOST_TITLE), _text(record.title_prefix)
    return f"{prefix} {title}" if title and prefix else title


def _text(value: Any, most: int = MOST_TEXT) -> str | None:
    if not isinstance(value, str):
        return None
    return " ".join(value[: 2 * most].split())[:most].strip() or None


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        return ()
    found = (_text(value) for value in values[:MOST_SUBJECTS])
    return tuple(dict.fromkeys(text for text in found if text))


def _description(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("value")
    return value[:MOST_DESCRIPTION].strip() or None if isinstance(value, str) else None


def _isbns(record: _Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = [
        isbn
        for values in (record.isbn_13, record.isbn_10)
        if isinstance(values, list)
        for value in values[:MOST_ISBNS]
        if isinstance(value, str) and (isbn := parse_isbn(value))
    ]
    thirteen = dict.fromkeys(isbn.isbn13 for isbn in found)
    return tuple(thirteen), tuple(dict.fromkeys(isbn.isbn10 for isbn in found if isbn.isbn10))


def _pages(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:6])
    return value if isinstance(value, int) and 0 < value <= 100_000 else None  # noqa: PLR2004 - no book has more


def _language(values: Any) -> str | None:
    for value in values if isinstance(values, list) else ():
        key = value.get("key") if isinstance(value, dict) else value
        if isinstance(key, str) and key:
            return key.rsplit("/", 1)[-1][:MOST_TEXT] or None
    return None


def _cover(values: Any) -> str | None:
    numbers: Iterable[Any] = values if isinstance(values, list) else ()
    return next((COVER.format(number) for number in numbers if isinstance(number, int) and number > 0), None)


def _identifiers(number: int, record: _Record) -> dict[str, str]:
    found: Mapping[Any, Any] = record.identifiers if isinstance(record.identifiers, dict) else {}
    listed = {ours: found.get(theirs) for theirs, ours in _OTHER_NUMBERS.items()}
    listed |= {"oclc": record.oclc_numbers, "lccn": record.lccn}
    firsts = ((name, next(iter(_texts(values)), None)) for name, values in listed.items() if values)
    return {"openlibrary": f"OL{number}M", **{name: first for name, first in firsts if first}}
