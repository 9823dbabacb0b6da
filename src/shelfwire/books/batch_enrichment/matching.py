"""How sure it is that a record is the book that was asked for. Pure.

A score is a number from 0 to 1. From `THRESHOLD` on a record is a match, below it a candidate to show to a person.
Found by ISBN, a record is trusted unless title and author speak against it: mistyped ISBNs are common, and so are
providers that answer with another book. Found by title, the title must agree, and so must the author: a record that
names none is never surely the book of somebody. Where nobody was asked for, the title is all there is.

Services have the same book several times, once well and then as somebody typed it in. Of records that are about equally
sure the best is that which most stands behind: editions of its work, known fields, and the service's own order.
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
ABOUT_EQUAL: Final = 0.04
"""The difference of scores that spellings of the same title and name make."""
KNOWN_FIELDS: Final = ("subtitle", "isbn13s", "publisher", "published", "pages", "language", "subjects", "cover_url")
"""What a record of a book tells beyond title and authors; descriptions come later from some providers."""


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
    """Score the records of a provider, the best first; of about equals, the one that most stands behind."""
    score = score_by_isbn if way is Way.ISBN else score_by_title
    shared = way is Way.TITLE and not asked.author and _is_shared(asked.title, records)
    matches = [
        Match(provider, record, way, round(score(asked, record) * (SHARED_TITLE if shared else 1), 3))
        for record in records
    ]
    return _best_first(matches)


def _best_first(matches: Sequence[Match]) -> list[Match]:
    places = sorted(range(len(matches)), key=lambda place: -matches[place].score)
    if matches and matches[places[0]].is_sure:
        best = matches[places[0]]
        equals = [place for place in places if _is_about_equal(best, matches[place])]
        places.remove(first := min(equals, key=lambda place: place - _standing(matches[place].record)))
        places.insert(0, first)
    return [matches[place] for place in places]


def _is_about_equal(best: Match, other: Match) -> bool:
    """Whether a record is as sure as the best but for spellings, and has the same title."""
    if not other.is_sure or other.score < best.score - ABOUT_EQUAL:
        return False
    return other is best or matching.same_title(best.record.title, other.record.title)


def _standing(record: BookRecord) -> float:
    """What stands behind a record: twice the editions, or one more field, count as much as one place in the order."""
    return math.log2(1 + record.editions) + sum(bool(getattr(record, name)) for name in KNOWN_FIELDS)


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
        return title * (OTHER_AUTHOR if _people(_asked_people(asked.author)) else TITLE_ALONE)
    if author >= AGREES:
        return title * (0.8 + 0.2 * author)
    # Between another person and the same one misspelt, the more alike the surer.
    likely = max(author - DIFFERS, 0) / (AGREES - DIFFERS)
    return title * (OTHER_AUTHOR + likely * (TITLE_ALONE - OTHER_AUTHOR))


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
    return matching.author_likeness(_people(_asked_people(author)), _people(authors))


def _asked_people(author: str | None) -> Sequence[str]:
    return authors_of_any_list(author) if author else ()


def _people(names: Sequence[str]) -> str:
    return name_of("", None, names).author


def _is_retelling(title: str, subtitle: str | None = None) -> bool:
    return is_retelling(" ".join(words(title)), " ".join(words(subtitle or "")))


def _is_shared(title: str, records: Sequence[BookRecord]) -> bool:
    """Whether books of several authors have just this title."""
    alike = [record for record in records if record.authors and title_similarity(title, record) >= SAME_TITLE]
    return any(author_similarity(alike[0].authors[0], record.authors) != 1.0 for record in alike[1:])
