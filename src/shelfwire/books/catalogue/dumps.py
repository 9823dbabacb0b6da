"""Lines of Open Library's dumps to rows of the stage. Pure; where there is much, other processes do it.

A line has five columns with tabs between them: type, key, revision, time of the last change, and the record as JSON.
Records are edited by many people and programs: anything but their key may be missing or have another form.
"""

import re
from typing import Any, Final

import msgspec

from shelfwire.books.bibliography.cleaning import MOST_AUTHORS, MOST_TEXT, MOST_TITLE, tidy
from shelfwire.books.bibliography.isbn import isbn13_of
from shelfwire.books.bibliography.text import words
from shelfwire.books.bibliography.titles import title_of
from shelfwire.books.catalogue.packing import Numbers, numbers_of
from shelfwire.books.catalogue.records import (
    ABSENT,
    AuthorRecord,
    EditionRecord,
    WorkRecord,
    kept_edition,
    kept_work,
)
from shelfwire.books.catalogue.rows import MOST_BAD_LINES, BadLine, Rows, no_rows

MOST_ISBNS: Final = 20
FIRST_LINE: Final = re.compile(rb"/type/[^\t]+\t/[^\t]*\t\d+\t[^\t]*\t\{")
"""How a dump begins."""
_COLUMNS: Final = 5
_MOST_DIGITS: Final = 15


# A reference is `{"key": "/authors/OL1A"}`, alone or as the author of a role, and sometimes only the key.
_AUTHORS: Final = re.compile(rb'/authors\\?/OL(\d{1,15})A"')
_WORKS: Final = re.compile(rb'/works\\?/OL(\d{1,15})W"')
_decode_author: Final = msgspec.json.Decoder(AuthorRecord).decode
_decode_work: Final = msgspec.json.Decoder(WorkRecord).decode
_decode_edition: Final = msgspec.json.Decoder(EditionRecord).decode


def rows_of_block(first: int, block: bytes, why: str = "") -> Rows:
    """Read lines of a dump; redirects, books without title and other records of no use are passed over.

    Args:
        first: the number of the first of them.
        block: the lines.
        why: the reason why one more line behind them cannot be read, if there is one.
    """
    rows, more_bad = no_rows(), 0
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, first):
        try:
            _read(line, rows)
        except BadLine as bad:
            if not line.strip():
                continue
            if len(rows.bad) < MOST_BAD_LINES:
                rows.bad.append((number, str(bad)))
            else:
                more_bad += 1
    if why:
        rows.bad.append((first + len(lines), why))
    return rows._replace(more_bad=more_bad)


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
    number = _number(key)
    if number is None:
        raise BadLine("has a key that is none")
    try:
        add(number, record, rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine(f"is not JSON: {error}") from None


def _add_author(number: int, data: bytes, rows: Rows) -> None:
    record = _decode_author(data)
    name = tidy(_text(record.name) or _text(record.personal_name) or "")
    if name:
        rows.authors.append((number, name, " ".join(words(name))))


def _add_work(number: int, data: bytes, rows: Rows) -> None:
    record = _decode_work(data)
    title = _title(record)
    if not title:
        return
    subtitle = _text(record.subtitle)
    authors = None if record.authors is ABSENT else _numbers(_AUTHORS.findall(record.authors))
    rows.works.append((number, authors, kept_work(record, title, subtitle), *title_of(title, subtitle)))


def _add_edition(number: int, data: bytes, rows: Rows) -> None:
    record = _decode_edition(data)
    title = _title(record)
    if not title:
        return
    subtitle = _text(record.subtitle)
    isbns = _isbns(record)
    kept = kept_edition(record, title, subtitle, isbns)
    # Most editions leave their authors to their work.
    authors = None if record.authors is ABSENT else _numbers(_AUTHORS.findall(record.authors))
    works = _WORKS.findall(record.works)
    work = int(works[0]) or None if works else None
    rows.books.append((number, work, authors, None, numbers_of(isbns), kept, *title_of(title, subtitle)))


_ADD: Final = {b"/type/author": _add_author, b"/type/work": _add_work, b"/type/edition": _add_edition}


def _number(key: bytes) -> int | None:
    """The number in "/works/OL45883W", or None if there is none."""
    digits = key[key.rfind(b"/OL") + 3 : -1]
    # More digits do not fit into an integer of SQLite.
    return int(digits) or None if digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def _numbers(found: list[bytes]) -> Numbers:
    if len(found) == 1:
        return int(found[0]) or None
    return numbers_of([number for digits in found[:MOST_AUTHORS] if (number := int(digits))])


def _title(record: WorkRecord | EditionRecord) -> str | None:
    title = _text(record.title, MOST_TITLE)
    prefix = _text(record.title_prefix) if title and record.title_prefix else None
    return f"{prefix} {title}" if prefix else title


def _text(value: Any, most: int = MOST_TEXT) -> str | None:
    """A text, made short if it is too long; None if there is none."""
    if not isinstance(value, str):
        return None
    value = value.strip()
    return tidy(value, most) if len(value) > most else value or None


def _isbns(record: EditionRecord) -> list[int]:
    """The valid ones as ISBN-13."""
    found = [
        int(isbn)
        for given in (record.isbn_13, record.isbn_10)
        if isinstance(given, list)
        for value in given[:MOST_ISBNS]
        if isinstance(value, str) and (isbn := isbn13_of(value))
    ]
    return list(dict.fromkeys(found)) if len(found) > 1 else found
