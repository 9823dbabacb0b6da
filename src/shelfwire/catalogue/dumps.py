"""Lines of Open Library's dumps to what the catalogue keeps of them. Pure.

A line has five columns with tabs between them: type, key, revision, time of the last change, and the record as JSON.
Records are edited by many people and programs: anything but their key may be missing or have another form.
"""

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from shelfwire.catalogue.entry import Entry
from shelfwire.isbn import parse_isbn

MOST_TITLE: Final = 1_000
MOST_DESCRIPTION: Final = 2_000
MOST_AUTHORS: Final = 20
MOST_SUBJECTS: Final = 12
MOST_ISBNS: Final = 20
MOST_TEXT: Final = 200
MOST_PAGES: Final = 100_000
COVER: Final = "https://covers.openlibrary.org/b/id/{}-L.jpg"
FIRST_LINE: Final = re.compile(rb"/type/[^\t]+\t/[^\t]*\t\d+\t[^\t]*\t\{")
"""How a dump begins."""
_COLUMNS: Final = 5
_MOST_DIGITS: Final = 15


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


class _Key(msgspec.Struct, frozen=True, gc=False):
    key: str = ""


class _Role(msgspec.Struct, frozen=True, gc=False):
    author: _Key = _Key()


class _Text(msgspec.Struct, frozen=True, gc=False):
    value: str = ""


class _Numbers(msgspec.Struct, frozen=True, gc=False):
    goodreads: tuple[str, ...] = ()
    librarything: tuple[str, ...] = ()
    amazon: tuple[str, ...] = ()


class _AuthorRecord(msgspec.Struct, gc=False):
    """What is looked at of an author."""

    name: str | None = None
    personal_name: str | None = None


class _WorkRecord(msgspec.Struct, gc=False):
    """What is looked at of a work, in the form that most have."""

    title: str | None = None
    title_prefix: str | None = None
    subtitle: str | None = None
    authors: tuple[_Role, ...] = ()
    first_publish_date: str | None = None
    subjects: tuple[str, ...] = ()
    description: str | _Text | None = None
    covers: tuple[int | None, ...] = ()


class _EditionRecord(msgspec.Struct, gc=False):
    """What is looked at of an edition, in the form that most have."""

    title: str | None = None
    title_prefix: str | None = None
    subtitle: str | None = None
    authors: tuple[_Key, ...] = ()
    works: tuple[_Key, ...] = ()
    isbn_13: tuple[str, ...] = ()
    isbn_10: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    publish_date: str | None = None
    number_of_pages: int | None = None
    languages: tuple[_Key, ...] = ()
    subjects: tuple[str, ...] = ()
    description: str | _Text | None = None
    covers: tuple[int | None, ...] = ()
    identifiers: _Numbers = _Numbers()
    oclc_numbers: tuple[str, ...] = ()
    lccn: tuple[str, ...] = ()


R = TypeVar("R", _AuthorRecord, _WorkRecord, _EditionRecord)
_AUTHORS: Final = msgspec.json.Decoder(_AuthorRecord)
_WORKS: Final = msgspec.json.Decoder(_WorkRecord)
_EDITIONS: Final = msgspec.json.Decoder(_EditionRecord)


def read_line(line: bytes) -> Author | Work | Edition | None:
    """Read a line; None for records that are of no use, such as redirects and books without title.

    Raises:
        BadLine: it has another form.
    """
    columns = line.split(b"\t", _COLUMNS - 1)
    if len(columns) < _COLUMNS:
        raise BadLine(f"has too few columns: {len(columns)} instead of {_COLUMNS}")
    kind = columns[0]
    if kind not in (b"/type/author", b"/type/work", b"/type/edition"):
        if kind.startswith(b"/type/"):
            return None
        raise BadLine("does not begin with a type")
    number = _number(columns[1].decode("ascii", "replace"))
    if not number:
        raise BadLine("has a key that is none")
    try:
        match kind:
            case b"/type/author":
                return _author(number, _decoded(columns[4], _AUTHORS))
            case b"/type/work":
                return _work(number, _decoded(columns[4], _WORKS))
            case _:
                return _edition(number, _decoded(columns[4], _EDITIONS))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine(f"is not JSON: {error}") from None


def _decoded(data: bytes, decoder: "msgspec.json.Decoder[R]") -> R:
    """Decode a record; one that has another form than most keeps those members that can be made fit.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        members = msgspec.json.decode(data, type=dict[str, Any])
    kind = decoder.type
    record = kind()
    for field in msgspec.structs.fields(kind):
        if members.get(field.name) is not None:
            with contextlib.suppress(msgspec.ValidationError):
                setattr(record, field.name, msgspec.convert(_tidied(field.name, members[field.name]), field.type))
    return record


def _tidied(name: str, value: Any) -> Any:
    """A member as most records have it: numbers given as text, references without their object, lists with gaps."""
    match name, value:
        case "number_of_pages", str():
            return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else None
        case "authors" | "works" | "languages", list():
            return [one for one in map(_reference, value) if one is not None]
        case _, list():
            return [one for one in value if isinstance(one, str | int)]
        case "identifiers", dict():
            return {
                system: [one for one in numbers if isinstance(one, str)]
                for system, numbers in value.items()
                if isinstance(numbers, list)
            }
        case _:
            return value


def _reference(value: Any) -> dict[str, Any] | None:
    """An author, work or language, which may be a bare key; for works and for editions alike."""
    inner = value.get("author", value) if isinstance(value, dict) else value
    key = inner.get("key") if isinstance(inner, dict) else inner
    return {"key": key, "author": {"key": key}} if isinstance(key, str) else None


def _author(number: int, record: _AuthorRecord) -> Author | None:
    name = _text(record.name) or _text(record.personal_name)
    return Author(number, name) if name else None


def _work(number: int, record: _WorkRecord) -> Work | None:
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
    return Work(number, _numbers([role.author for role in record.authors]), entry)


def _edition(number: int, record: _EditionRecord) -> Edition | None:
    title = _title(record)
    if not title:
        return None
    thirteen, ten = _isbns(record)
    entry = Entry(
        title=title,
        subtitle=_text(record.subtitle),
        isbn13s=thirteen,
        isbn10s=ten,
        publisher=_first(record.publishers),
        published=_text(record.publish_date),
        pages=_pages(record.number_of_pages),
        language=_language(record.languages),
        subjects=_texts(record.subjects),
        description=_description(record.description),
        cover_url=_cover(record.covers),
        identifiers=_identifiers(number, record),
    )
    work = _number(record.works[0].key) if record.works else 0
    return Edition(number, work, _numbers(record.authors), entry)


def _number(key: str) -> int:
    """The number in "/works/OL45883W", or 0 if there is none."""
    digits = key.rpartition("/OL")[2][:-1]
    # SQLite's integers hold so many digits.
    return int(digits) if digits.isdecimal() and len(digits) <= _MOST_DIGITS else 0


def _numbers(keys: Sequence[_Key]) -> tuple[int, ...]:
    if not keys:
        return ()
    numbers = [_number(one.key) for one in keys[:MOST_AUTHORS]]
    return tuple(dict.fromkeys([number for number in numbers if number]))


def _title(record: _WorkRecord | _EditionRecord) -> str | None:
    title, prefix = _text(record.title, MOST_TITLE), _text(record.title_prefix)
    return f"{prefix} {title}" if title and prefix else title


def _text(value: str | None, most: int = MOST_TEXT) -> str | None:
    if not value:
        return None
    return " ".join(value[: 2 * most].split())[:most].strip() or None


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    if not values:
        return ()
    found = [_text(value) for value in values[:MOST_SUBJECTS]]
    return tuple(dict.fromkeys([text for text in found if text]))


def _first(values: Sequence[str]) -> str | None:
    return _text(values[0]) if values else None


def _description(value: str | _Text | None) -> str | None:
    text = value.value if isinstance(value, _Text) else value
    return text[:MOST_DESCRIPTION].strip() or None if text else None


def _isbns(record: _EditionRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The valid ISBN-13s and ISBN-10s, given or converted."""
    given = record.isbn_13 + record.isbn_10
    if not given:
        return (), ()
    found = dict([isbn for value in given[:MOST_ISBNS] if (isbn := _isbn(value))])
    return tuple(found), tuple([isbn10 for isbn10 in found.values() if isbn10])


def _isbn(value: str) -> tuple[str, str | None] | None:
    isbn = parse_isbn(value)
    return (isbn.isbn13, isbn.isbn10) if isbn else None


def _pages(value: int | None) -> int | None:
    return value if value and 0 < value <= MOST_PAGES else None


def _language(values: Sequence[_Key]) -> str | None:
    return values[0].key.rpartition("/")[2][:MOST_TEXT] or None if values else None


def _cover(values: Sequence[int | None]) -> str | None:
    for number in values:
        if number and number > 0:
            return COVER.format(number)
    return None


def _identifiers(number: int, record: _EditionRecord) -> dict[str, str]:
    numbers = {"openlibrary": f"OL{number}M"}
    other = record.identifiers
    for name, values in (
        ("goodreads", other.goodreads),
        ("librarything", other.librarything),
        ("asin", other.amazon),
        ("oclc", record.oclc_numbers),
        ("lccn", record.lccn),
    ):
        if values and (first := _first(values)):
            numbers[name] = first
    return numbers
