"""Lines of files as rows of the stage's tables. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.titles import name_of
from shelfwire.books.catalogue.database import LISTED
from shelfwire.books.catalogue.packing import Numbers, numbers_of, pack

AuthorRow = tuple[int, str, str]
"""Number, name, and its words."""
WorkRow = tuple[int, Numbers, bytes, str, str]
"""Number, authors, stored form; words of the title, and of the text beside it."""
BookRow = tuple[int, int | None, Numbers, str | None, Numbers, bytes, str, str]
"""Number, work, authors, or else the words of their names; ISBNs, stored form; words as a work has them."""

MOST_BAD_LINES: Final = 20
"""At most this number are named for each file; all are counted."""
_FILE_BITS: Final = 40


class BadLine(ValueError):  # noqa: N818 - one of millions; the build goes on
    """A line or row cannot be read. The text says what is wrong with it."""


class Rows(NamedTuple):
    """The rows of some lines of a file.

    Attributes:
        authors: of a dump.
        works: of a dump.
        books: editions of a dump, or books of a list.
        bad: lines that cannot be read: their numbers, and the reason for each.
        more_bad: the number of further bad lines, which are not reported one by one.
    """

    authors: list[AuthorRow]
    works: list[WorkRow]
    books: list[BookRow]
    bad: list[tuple[int, str]]
    more_bad: int = 0

    @property
    def kept(self) -> int:
        """How many lines are of use."""
        return len(self.authors) + len(self.works) + len(self.books)


def no_rows() -> Rows:
    """Nothing."""
    return Rows([], [], [], [])


def rows_of_list(file: int, found: Iterable[tuple[int, BookRecord | BadLine]]) -> Rows:
    """Keep books of a list.

    Args:
        file: the number of the list among the files.
        found: the number of each row, and its book or the reason why there is none.
    """
    rows = no_rows()
    for number, listed in found:
        if isinstance(listed, BadLine):
            rows.bad.append((number, str(listed)))
            continue
        title, rest, author = name_of(listed.title, listed.subtitle, listed.authors)
        book = LISTED + (file << _FILE_BITS) + number
        isbns = numbers_of([int(isbn) for isbn in listed.isbn13s])
        rows.books.append((book, None, None, author, isbns, pack(listed), title, rest))
    return rows
