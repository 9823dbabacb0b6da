"""Confirmation of detected books by catalogues and providers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from msgspec.structs import replace
from rapidfuzz import fuzz

from shelfwire.books.ai_scan.ipc import DetectedBook, Reading
from shelfwire.books.ai_scan.scan_result import ScannedBook
from shelfwire.books.ai_scan.scanned_books import Confirmed, corrected
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.bibliography.matching import same_people, same_title, same_volume
from shelfwire.books.bibliography.publishers import is_publisher
from shelfwire.books.bibliography.text import words
from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.catalogue.hits import CatalogueHit
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.catalogue.recognising import BESIDE
from shelfwire.books.services import Services

LINES: Final = " | "
ASKED: Final = 3
"""Answers of the catalogue that are looked at for a reading."""
CONFIRMED: Final = 0.97
"""The confidence of a confirmed book at least: of 225 on 16 photos all were right."""
EXPLAINED: Final = 75
"""Likeness from which on a word that was read is one of a book's, or a part of its letters run together."""
LEFT_TITLE, LEFT_AUTHORS = 0.15, 0.5
"""Letters that a book may leave unexplained of what was taken for title and for authors, as shares of its title's."""
SAME_LETTERS: Final = 92
LEAST_TITLE: Final = 8
"""Letters of the shortest title that shows what is a title on a spine; shorter ones and single words are everywhere."""
CLEAR: Final = 0.8
"""Books of this confidence show how many of a photo's books a catalogue knows,"""
UNKNOWN: Final = 3
"""which is nothing yet where they are as few as this."""
MOST_KNOWN: Final = 0.95

log = structlog.get_logger(__name__)


class LocalBooks:
    """Confirms detected books by the local catalogue, if one is set; sends no requests.

    Args:
        services: hold the catalogue, while the application runs.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def confirm(self, books: Sequence[DetectedBook]) -> Sequence["Judged"]:
        """See `Confirmer`. A catalogue that is damaged knows nothing."""
        catalogue = self._services.catalogue
        if catalogue is None:
            return unconfirmed(books)
        try:
            return await asyncio.to_thread(judged, catalogue, books)
        except CatalogueError as error:
            log.warning("the catalogue cannot be asked", reason=str(error))
            return unconfirmed(books)


class Judged(NamedTuple):
    """A detected book, and what a catalogue says of it, if it knows it."""

    book: DetectedBook
    known: Confirmed | None


def unconfirmed(books: Sequence[DetectedBook]) -> list[Judged]:
    """The books that remain where there is no catalogue."""
    return [Judged(book, None) for book in books if book.likely]


def judged(catalogue: Catalogue, books: Sequence[DetectedBook]) -> list[Judged]:
    """The books that remain where a catalogue is asked.

    One that the catalogue is sure of remains however it was read. Of the others, the more of the photo's clear books
    the catalogue knows, the less likely each is a book: Bayes' rule, with the share of the known ones as the chance
    that a book is known. A reading whose title the catalogue has goes before a likelier one, and is not doubted.

    Raises:
        CatalogueError: the file is damaged.
    """
    answers = [_answer(catalogue, book) for book in books]
    sure = [one.known is not None and one.known.sure for one in answers]
    clear = [known for known, book in zip(sure, books, strict=True) if book.confidence >= CLEAR]
    share = min(MOST_KNOWN, sum(clear) / (len(clear) + UNKNOWN))
    remaining = []
    for answer, known, before in zip(answers, sure, books, strict=True):
        book = answer.book
        if known:
            book = replace(book, confidence=max(book.confidence, CONFIRMED))
        elif share and book.readings and not answer.titled:
            there = book.confidence * (1 - share)
            book = replace(book, confidence=there / (there + 1 - book.confidence))
        if known or (before.likely and book.likely):
            remaining.append(Judged(book, answer.known))
    return remaining


def enriched(book: ScannedBook, more: Mapping[str, Any]) -> ScannedBook:
    """Add what providers know of a book; title and authors are theirs if both agree with what was read.

    Args:
        book: the book.
        more: as `Enriching.look_up` returns it.
    """
    found: EnrichedBook | None = more.get("enriched")
    if found and same_title(book.title, found.title) and same_people(book.authors, found.authors):
        book = replace(corrected(book, found.title, found.authors), review=False)
    return replace(book, **more)


class _Answer(NamedTuple):
    """As `Judged`, and whether the catalogue has the title of the reading that was chosen."""

    book: DetectedBook
    known: Confirmed | None
    titled: bool


def _answer(catalogue: Catalogue, book: DetectedBook) -> _Answer:
    titled: Reading | None = None
    for reading in book.readings or (Reading(book.title, book.authors),):
        hits = catalogue.search(reading.title, ", ".join(reading.authors) or None, limit=ASKED)
        for hit in hits:
            if _is_sure(hit, book):
                return _Answer(book, _confirmed(hit, sure=True), titled=True)
        if titled is None and book.readings and _is_title(reading.title, hits):
            titled = reading
    nearest = catalogue.recognise(book.text.split(LINES))
    known = None if nearest is None else _confirmed(nearest, sure=_is_sure(nearest, book))
    if titled is not None and not (known and known.sure):
        book = replace(book, title=titled.title, authors=titled.authors)
    return _Answer(book, known, titled is not None)


def _confirmed(hit: CatalogueHit, *, sure: bool) -> Confirmed:
    isbn13 = next(iter(hit.book.isbn13s), None)
    return Confirmed(title=hit.book.title, authors=hit.book.authors, sure=sure, isbn13=isbn13)


def _is_sure(hit: CatalogueHit, book: DetectedBook) -> bool:
    """Whether title and author both match, and nothing is left of what was read that makes it another book.

    The catalogue may have been asked for a part of what was read: SNOW CRASH by Neal Stephenson is not his "Crash".
    """
    if not hit.is_sure or not same_volume(book.title, hit.book.title):
        return False
    size = len("".join(words(hit.book.title)))
    return _left([book.title], hit) <= LEFT_TITLE * size and _left(book.authors, hit) <= LEFT_AUTHORS * size


def _left(read: Iterable[str], hit: CatalogueHit) -> int:
    """How many letters of what was read a book does not explain."""
    authors = [words(author) for author in hit.book.authors]
    said = {*words(hit.book.title), *words(hit.book.publisher or ""), *(word for author in authors for word in author)}
    together = ["".join(words(hit.book.title)), *("".join(author) for author in authors)]
    return sum(
        len(word)
        for text in read
        for word in words(text)
        if len(word) > 2  # noqa: PLR2004
        and word not in said
        and word not in BESIDE
        and not is_publisher(word)
        and not any(_is_in(word, one) for one in together)
    )


def _is_in(word: str, letters: str) -> bool:
    alike = fuzz.partial_ratio(word, letters) if len(word) <= len(letters) else fuzz.ratio(word, letters)
    return alike >= EXPLAINED


def _is_title(title: str, hits: Iterable[CatalogueHit]) -> bool:
    """Whether the catalogue has a title of several words, whoever has written it."""
    letters = "".join(words(title))
    if len(words(title)) == 1 or len(letters) < LEAST_TITLE:
        return False
    return any(fuzz.ratio(letters, "".join(words(hit.book.title))) >= SAME_LETTERS for hit in hits)
