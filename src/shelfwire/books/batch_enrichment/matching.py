"""How sure it is that a record is the book that was asked for. Pure.

A score is a number from 0 to 1. From `THRESHOLD` on a record is a match, below it a candidate to show to a person.
Found by ISBN, a record is trusted unless title and author speak against it: mistyped ISBNs are common, and so are
providers that answer with another book. Found by title, the title must agree, and the author where both sides name one.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography import matching
from shelfwire.books.bibliography.isbn import has_isbn_form
from shelfwire.books.bibliography.people import authors_of_any_list
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.text import only_sound_alike, words
from shelfwire.books.bibliography.titles import is_retelling, name_of, written

THRESHOLD: Final = 0.75
TITLE_ALONE: Final = 0.85
"""The score of the very same title where the author is not known: many books share a title."""
SHARED_TITLE: Final = 0.9
"""Factor of that where books of several authors have it."""
ISBN_ALONE: Final = 0.95
"""The score of a record with the ISBN asked for where nothing else can be compared."""
ISBN_AGAINST_TITLE: Final = 0.5
ISBN_WITH_AUTHOR: Final = 0.85
OTHER_AUTHOR: Final = 0.6
AGREES: Final = 0.8
DIFFERS: Final = 0.6
STRICTNESS: Final = 1.5
"""The power that the likeness of titles is raised to: the books of one series are alike."""
SAME_TITLE: Final = 0.98
"""From this likeness on a title is the very same, but perhaps for text in brackets."""
OTHER_KIND: Final = 0.6
"""Factor where one is a summary, an abridgement or a workbook, and the other the book itself."""
SOUNDS_ALIKE: Final = 0.6


class Way(StrEnum):
    """How a record was found."""

    ISBN = "isbn"
    TITLE = "title"


class Match(msgspec.Struct, frozen=True, gc=False):
    """A record of a provider, and the evidence for it.

    Attributes:
        provider: its name.
        record: the record.
        way: how it was found.
        score: how sure it is that this is the book, from 0 to 1.
    """

    provider: str
    record: BookRecord
    way: Way
    score: float

    @property
    def is_sure(self) -> bool:
        """Whether it is a match and not only a candidate."""
        return self.score >= THRESHOLD


def ranked(asked: AskedBook, provider: str, records: Sequence[BookRecord], way: Way) -> list[Match]:
    """Score the records of a provider, the best first; of equals, the provider's own favourite."""
    score = score_by_isbn if way is Way.ISBN else score_by_title
    shared = way is Way.TITLE and not asked.author and _is_shared(asked.title, records)
    matches = [
        Match(provider, record, way, round(score(asked, record) * (SHARED_TITLE if shared else 1), 3))
        for record in records
    ]
    return sorted(matches, key=lambda match: -match.score)


def score_by_isbn(asked: AskedBook, record: BookRecord) -> float:
    """How sure it is that what was found under the ISBN asked for is the book."""
    if record.isbn13s and asked.isbn13 not in record.isbn13s:
        return min(score_by_title(asked, record), ISBN_WITH_AUTHOR)
    if has_isbn_form(asked.title):
        return ISBN_ALONE
    title = title_similarity(asked.title, record)
    author = author_similarity(asked.author, record.authors)
    if title >= DIFFERS:
        return ISBN_ALONE + (1 - ISBN_ALONE) * title if author is None or author >= DIFFERS else AGREES
    if author is not None and author >= AGREES:
        return ISBN_WITH_AUTHOR
    return ISBN_AGAINST_TITLE


def score_by_title(asked: AskedBook, record: BookRecord) -> float:
    """How sure it is that a record is the book, by what it is called and who wrote it."""
    title = math.pow(title_similarity(asked.title, record), STRICTNESS)
    author = author_similarity(asked.author, record.authors)
    if author is None:
        return title * TITLE_ALONE
    if author >= AGREES:
        return title * (0.8 + 0.2 * author)
    return title * (OTHER_AUTHOR if author < DIFFERS else TITLE_ALONE)


def title_similarity(title: str, record: BookRecord) -> float:
    """How much a title is like one of those that a record goes by, from 0 to 1."""
    asked = written(title, ())
    known = [
        name_of(record.title, None, ()),
        *([name_of(record.work_title, None, ())] if record.work_title else ()),
        *([name_of(record.title, record.subtitle, ())] if record.subtitle else ()),
    ]
    likeness = max(matching.asked_likeness(asked, name) for name in known)
    if only_sound_alike(title, record.title):
        likeness *= SOUNDS_ALIKE
    return likeness if _is_retelling(title) == _is_retelling(record.title, record.subtitle) else OTHER_KIND * likeness


def author_similarity(author: str | None, authors: Sequence[str]) -> float | None:
    """How much a person that was asked for is like one of a book's authors; None where one side names nobody."""
    return matching.author_likeness(_people(authors_of_any_list(author) if author else ()), _people(authors))


def _people(names: Sequence[str]) -> str:
    return name_of("", None, names).author


def _is_retelling(title: str, subtitle: str | None = None) -> bool:
    return is_retelling(" ".join(words(title)), " ".join(words(subtitle or "")))


def _is_shared(title: str, records: Sequence[BookRecord]) -> bool:
    """Whether books of several authors have just this title."""
    alike = [record for record in records if record.authors and title_similarity(title, record) >= SAME_TITLE]
    return any(author_similarity(alike[0].authors[0], record.authors) != 1.0 for record in alike[1:])
