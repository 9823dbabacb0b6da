"""Lines of Open Library's dumps to rows of the stage. Pure; where there is much, other processes do it.

A line has five columns with tabs between them: type, key, revision, time of the last change, and the record as JSON.
Records are edited by many people and programs: anything but their key may be missing or have another form.
"""

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from shelfwire.catalogue.entry import Entry, Numbers, numbers_of, pack
from shelfwire.catalogue.rows import BadLine, Rows, no_rows
from shelfwire.catalogue.text import title_of, words
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


def rows_of_block(first: int, block: bytes, why: str = "") -> Rows:
    """Read lines of a dump; redirects, books without title and other records of no use are passed over.

    Args:
        first: the number of the first of them.
        block: the lines.
        why: what is wrong with one more line behind them, if there is one that cannot be read.
    """
    rows = no_rows()
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, first):
        try:
            _read(line, rows)
        except BadLine as bad:
            if line.strip():
                rows.bad.append((number, str(bad)))
    if why:
        rows.bad.append((first + len(lines), why))
    return rows


def _read(line: bytes, rows: Rows) -> None:
    """Add what a line holds.

    Raises:
        BadLine: it has another form.
    """
    columns = line.split(b"\t", _COLUMNS - 1)
    if len(columns) < _COLUMNS:
        raise BadLine(f"has too few columns: {len(columns)} instead of {_COLUMNS}")
    kind, key, _, _, record = columns
    add = _ADD.get(kind)
    if add is None:
        if kind.startswith(b"/type/"):
            return
        raise BadLine("does not begin with a type")
    number = _number(str(key, "ascii", "replace"))
    if number is None:
        raise BadLine("has a key that is none")
    try:
        add(number, record, rows)
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


def _add_author(number: int, data: bytes, rows: Rows) -> None:
    record = _decoded(data, _AUTHORS)
    name = _text(record.name or record.personal_name or "")
    if name:
        rows.authors.append((number, name, " ".join(words(name))))


def _add_work(number: int, data: bytes, rows: Rows) -> None:
    record = _decoded(data, _WORKS)
    title = _title(record)
    if not title:
        return
    # Most records lack most members, and a call for each that is not there would cost more than those that are.
    entry = Entry(
        title=title,
        subtitle=_text(record.subtitle) if record.subtitle else None,
        published=_text(record.first_publish_date) if record.first_publish_date else None,
        subjects=_texts(record.subjects) if record.subjects else (),
        description=_description(record.description) if record.description else None,
        cover_url=_cover(record.covers) if record.covers else None,
    )
    authors = _numbers([role.author for role in record.authors]) if record.authors else None
    rows.works.append((number, authors, pack(entry), *title_of(title, entry.subtitle)))


def _add_edition(number: int, data: bytes, rows: Rows) -> None:
    record = _decoded(data, _EDITIONS)
    title = _title(record)
    if not title:
        return
    isbns = _isbns(record.isbn_13 + record.isbn_10)
    entry = Entry(
        title=title,
        subtitle=_text(record.subtitle) if record.subtitle else None,
        isbn13s=isbns,
        publisher=_text(record.publishers[0]) if record.publishers else None,
        published=_text(record.publish_date) if record.publish_date else None,
        pages=_pages(record.number_of_pages),
        language=_language(record.languages) if record.languages else None,
        subjects=_texts(record.subjects) if record.subjects else (),
        description=_description(record.description) if record.description else None,
        cover_url=_cover(record.covers) if record.covers else None,
        identifiers=_identifiers(record),
    )
    work = _number(record.works[0].key) if record.works else None
    authors = _numbers(record.authors) if record.authors else None
    known_by = numbers_of([int(isbn) for isbn in isbns]) if isbns else None
    row = (number, work, authors, None, known_by, pack(entry), *title_of(title, entry.subtitle))
    rows.books.append(row)


_ADD: Final = {b"/type/author": _add_author, b"/type/work": _add_work, b"/type/edition": _add_edition}


def _number(key: str) -> int | None:
    """The number in "/works/OL45883W", or None if there is none."""
    digits = key[key.rfind("/OL") + 3 : -1]
    # SQLite's integers hold so many digits.
    return int(digits) or None if digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def _numbers(keys: Sequence[_Key]) -> Numbers:
    return numbers_of([number for one in keys[:MOST_AUTHORS] if (number := _number(one.key))])


def _title(record: _WorkRecord | _EditionRecord) -> str | None:
    title = _text(record.title, MOST_TITLE) if record.title else None
    prefix = _text(record.title_prefix) if record.title_prefix else None
    return f"{prefix} {title}" if title and prefix else title


def _text(value: str, most: int = MOST_TEXT) -> str | None:
    if len(value) > most:
        value = value[: 2 * most]
    return " ".join(value.split())[:most].rstrip() or None


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    found = [_text(value) for value in values[:MOST_SUBJECTS]]
    return tuple(dict.fromkeys([text for text in found if text]))


def _description(value: str | _Text) -> str | None:
    text = value.value if isinstance(value, _Text) else value
    return text[:MOST_DESCRIPTION].strip() or None


def _isbns(given: Sequence[str]) -> tuple[str, ...]:
    """The valid ones as ISBN-13."""
    found = [isbn.isbn13 for value in given[:MOST_ISBNS] if (isbn := parse_isbn(value))]
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def _pages(value: int | None) -> int | None:
    return value if value and 0 < value <= MOST_PAGES else None


def _language(values: Sequence[_Key]) -> str | None:
    return values[0].key.rpartition("/")[2][:MOST_TEXT] or None


def _cover(values: Sequence[int | None]) -> str | None:
    for number in values:
        if number and number > 0:
            return COVER.format(number)
    return None


def _identifiers(record: _EditionRecord) -> dict[str, str]:
    numbers = {}
    other = record.identifiers
    for name, values in (
        ("goodreads", other.goodreads),
        ("librarything", other.librarything),
        ("asin", other.amazon),
        ("oclc", record.oclc_numbers),
        ("lccn", record.lccn),
    ):
        if values and (first := _text(values[0])):
            numbers[name] = first
    return numbers
