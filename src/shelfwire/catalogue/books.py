"""A book of the catalogue's file, put together of what its edition, its work and their authors tell."""

import sqlite3
from typing import Final

from msgspec.structs import replace

from shelfwire.catalogue.database import LISTED
from shelfwire.catalogue.entry import Entry, Numbers, unpack
from shelfwire.catalogue.records import edition_entry, work_entry
from shelfwire.catalogue.text import words

_BOOK: Final = """
SELECT book.entry, book.authors, book.id, book.work, work.entry, work.authors,
    (SELECT name FROM author WHERE id = work.authors)
FROM book LEFT JOIN work ON work.id = book.work WHERE book.id = ?
"""
_OF_ISBN: Final = _BOOK.replace("?", "(SELECT book FROM isbn WHERE isbn = ?)")
_WORK: Final = "SELECT entry, authors FROM work WHERE id = ?"
_NAME: Final = "SELECT name FROM author WHERE id = ?"
_NAMES: Final = """
SELECT name FROM json_each(?) AS one CROSS JOIN author ON author.id = one.value ORDER BY one.key
"""


def book_of_isbn(db: sqlite3.Connection, isbn: int) -> Entry | None:
    """The book that has an ISBN-13, or None."""
    row = db.execute(_OF_ISBN, (isbn,)).fetchone()
    return _book(db, *row) if row else None


def book_of_name(db: sqlite3.Connection, number: int) -> Entry:
    """The book that a row of `name` refers to.

    Raises:
        sqlite3.DatabaseError: there is none, which happens in damaged files only.
    """
    row = db.execute(_WORK if number < 0 else _BOOK, (abs(number),)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"book {number} is missing")
    if number < 0:
        packed, authors = row
        return replace(_work(packed, -number), authors=_names(db, authors))
    return _book(db, *row)


def _book(
    db: sqlite3.Connection,
    packed: bytes,
    authors: Numbers,
    number: int,
    work: int | None,
    work_packed: bytes | None,
    work_authors: Numbers,
    only_author: str | None,
) -> Entry:
    if number >= LISTED:
        return unpack(packed)
    entry = edition_entry(packed)
    entry.identifiers["openlibrary"] = f"OL{number}M"
    names = (only_author,) if only_author else _names(db, work_authors) or _names(db, authors)
    if work is None or work_packed is None:
        return replace(entry, authors=names)
    return _edition(entry, _work(work_packed, work), names)


def _work(packed: bytes, number: int) -> Entry:
    entry = work_entry(packed)
    entry.identifiers["openlibraryWork"] = f"OL{number}W"
    return entry


def _names(db: sqlite3.Connection, authors: Numbers) -> tuple[str, ...]:
    if authors is None:
        return ()
    return tuple([name for (name,) in db.execute(_NAME if isinstance(authors, int) else _NAMES, (authors,))])


def _edition(edition: Entry, work: Entry, authors: tuple[str, ...]) -> Entry:
    """An edition, with what only its work tells."""
    return replace(
        edition,
        authors=authors,
        work_title=None if _same(work.title, edition.title) else work.title,
        subjects=edition.subjects or work.subjects,
        description=edition.description or work.description,
        cover_url=edition.cover_url or work.cover_url,
        identifiers=edition.identifiers | work.identifiers,
    )


def _same(title: str, other: str) -> bool:
    return title == other or words(title) == words(other)
