"""A book of the catalogue's file, put together of what its edition, its work and their authors tell."""

from typing import Final

import apsw

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue.database import LISTED
from shelfwire.books.catalogue.packing import Numbers, unpack
from shelfwire.books.catalogue.records import edition_entry, work_entry

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


def book_of_isbn(db: apsw.Connection, isbn: int) -> BookRecord | None:
    """The book that has an ISBN-13, or None."""
    row = db.execute(_OF_ISBN, (isbn,)).fetchone()
    return _book(db, *row) if row else None


def book_of_name(db: apsw.Connection, number: int) -> BookRecord:
    """The book that a row of `name` refers to.

    Raises:
        apsw.CorruptError: there is none, which happens in damaged files only.
    """
    row = db.execute(_WORK if number < 0 else _BOOK, (abs(number),)).fetchone()
    if row is None:
        raise apsw.CorruptError(f"book {number} is missing")
    if number < 0:
        kept, authors = row
        return work_entry(-number, kept, _names(db, authors))
    return _book(db, *row)


def _book(
    db: apsw.Connection,
    kept: bytes,
    authors: Numbers,
    number: int,
    work: int | None,
    work_kept: bytes | None,
    work_authors: Numbers,
    only_author: str | None,
) -> BookRecord:
    if number >= LISTED:
        return unpack(kept)
    names = (only_author,) if only_author else _names(db, work_authors) or _names(db, authors)
    return edition_entry(number, kept, names, work, work_kept)


def _names(db: apsw.Connection, authors: Numbers) -> tuple[str, ...]:
    if authors is None:
        return ()
    return tuple([name for (name,) in db.execute(_NAME if isinstance(authors, int) else _NAMES, (authors,))])
