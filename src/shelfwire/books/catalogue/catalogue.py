"""A finished catalogue: asked by ISBN, by title and author, and by the text on a spine."""

import heapq
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

import apsw

from shelfwire.books.bibliography.isbn import isbn13_of
from shelfwire.books.bibliography.matching import asked_likeness, author_likeness
from shelfwire.books.bibliography.people import authors_of_any_list
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.text import only_sound_alike
from shelfwire.books.bibliography.titles import NAME_SEPARATOR, BookName, WrittenBook, written
from shelfwire.books.catalogue.books import book_of_isbn, book_of_name
from shelfwire.books.catalogue.connections import Borrowed, Connections
from shelfwire.books.catalogue.database import COUNTS
from shelfwire.books.catalogue.hits import SURE, UNSURE, CatalogueHit, score
from shelfwire.books.catalogue.recognising import SpineText
from shelfwire.books.catalogue.spelling import terms_for

LEAST: Final = 0.45
"""The lowest score of an answer."""
_CANDIDATES: Final = 60
_MOST_TERMS: Final = 8
_MOST_NAMES: Final = 2_000
"""Names that are compared one by one, at most; words that are in more only narrow the search down."""
_MOST_ASKED_WORDS: Final = 24
_LOOKED_INTO: Final = 5
_UNKNOWN_AUTHOR: Final = 0.5

_MATCHES: Final = """
SELECT title, rest, author, book FROM name
WHERE id IN (SELECT rowid FROM names WHERE names MATCH ? ORDER BY rank LIMIT ?)
"""


class _ScoredBook(NamedTuple):
    name: BookName
    book: int


class Catalogue:
    """A catalogue on the disk. Any number of threads may ask it at once; each question blocks its thread meanwhile.

    Questions are not written anywhere. A file that replaces this one is seen only by a `Catalogue` made after that.

    Args:
        path: a file that `shelfwire catalogue build` has made.

    Raises:
        CatalogueError: there is none, or it is not finished, or of another form. Each question raises it too, where
            the file turns out to be damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connections = Connections(path)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file; questions that are being answered still are."""
        self._connections.close()

    def by_isbn(self, isbns: Sequence[str]) -> dict[str, BookRecord]:
        """The books with these ISBNs, by ISBN-13; those that are not known are left out.

        Args:
            isbns: ISBN-10 or ISBN-13, with or without hyphens; anything else is not known.
        """
        found = {}
        with Borrowed(self._connections) as db:
            for isbn in map(isbn13_of, isbns):
                if isbn and isbn not in found and (book := book_of_isbn(db, int(isbn))):
                    found[isbn] = book
        return found

    def search(self, title: str, author: str | None = None, limit: int = 5) -> list[CatalogueHit]:
        """The books that a title, with or without its author, is most likely meant to name, the best first.

        Typing errors, missing and superfluous spaces, accents and the order of words do little harm. Each title of an
        author is there once, however many editions it has.

        Args:
            title: as it was typed or read.
            author: one person or several; None where it is not known.
            limit: answers, at most.
        """
        asked = written(title, authors_of_any_list(author) if author else ())
        name = asked.names[0]
        people = name.author.replace(NAME_SEPARATOR, " ")
        with Borrowed(self._connections) as db:
            found = self._candidates(db, [*name.title.split(), *name.rest.split(), *people.split()])
            return self._best(db, title, [(_score(asked, one.name), one) for one in found], limit)

    def find(self, text: str, limit: int = 5) -> list[CatalogueHit]:
        """The books that a text with a title, an author or both in any order is most likely to mean, the best first."""
        asked, spine = written(text, ()), SpineText([text])
        with Borrowed(self._connections) as db:
            found = self._candidates(db, spine.words)
            scored = [(max(_score(asked, one.name), spine.score(one.name)), one) for one in found]
            return self._best(db, text, scored, limit)

    def recognise(self, lines: Sequence[str]) -> CatalogueHit | None:
        """The book whose spine says this, or None if none comes near.

        It is sure only if title and author are both found, in different parts of what was read, and nothing is left
        that would make it another title.

        Args:
            lines: the text of one spine, line by line and with errors: title, author, publisher in any order.
        """
        spine = SpineText(lines)
        with Borrowed(self._connections) as db:
            found = self._candidates(db, spine.words)
            scored = [(spine.score(candidate.name), candidate) for candidate in found]
            nearest = heapq.nlargest(_LOOKED_INTO, scored, key=lambda one: one[0])
            books = [(book_of_name(db, candidate.book), candidate.name) for score, candidate in nearest if score]
            said = " ".join(lines)
            answers = [
                _checked(CatalogueHit(book, spine.score(name, book.publisher or "")), said) for book, name in books
            ]
            best = max(answers, key=lambda answer: answer.score, default=None)
            return best if best is not None and best.score >= LEAST else None

    def counts(self) -> dict[str, int]:
        """How many `books`, `isbns` and `names` it has."""
        with Borrowed(self._connections) as db:
            (counts,) = db.execute(COUNTS.format("main")).fetchall()
        return dict(zip(("books", "isbns", "names"), cast("tuple[int, int, int]", counts), strict=True))

    def _candidates(self, db: apsw.Connection, asked: Sequence[str]) -> list[_ScoredBook]:
        query = _query(terms_for(db, asked[:_MOST_ASKED_WORDS]))
        if query is None:
            return []
        return [_ScoredBook(BookName(*row[:3]), row[3]) for row in db.execute(_MATCHES, (query, _CANDIDATES))]

    def _best(
        self, db: apsw.Connection, asked: str, scored: Sequence[tuple[float, _ScoredBook]], limit: int
    ) -> list[CatalogueHit]:
        best = heapq.nlargest(limit, scored, key=lambda one: one[0])
        hits = [CatalogueHit(book_of_name(db, one.book), score) for score, one in best if score >= LEAST]
        return [_checked(hit, asked) for hit in hits]


def _score(asked: WrittenBook, known: BookName) -> float:
    """How well a candidate fits; of one without authors nobody can say whether it is by those who were asked for."""
    title = asked_likeness(asked, known)
    if score(title, 1.0) < LEAST:
        return 0.0
    author = author_likeness(asked.names[0].author, known.author)
    return score(title, _UNKNOWN_AUTHOR if author is None and asked.names[0].author else author)


def _checked(hit: CatalogueHit, asked: str) -> CatalogueHit:
    """An answer that is not sure of a title that only sounds like the one asked for."""
    if hit.score < SURE or not only_sound_alike(asked, hit.book.title):
        return hit
    return CatalogueHit(hit.book, UNSURE * hit.score)


def _query(terms: dict[str, int]) -> str | None:
    """The rarest words, any of them; if all are frequent, all of them together."""
    ranked = sorted(terms, key=lambda term: terms[term])[:_MOST_TERMS]
    rare: list[str] = []
    names = 0
    for term in ranked:
        names += terms[term]
        if rare and names > _MOST_NAMES:
            break
        rare.append(term)
    if not rare:
        return None
    if names > _MOST_NAMES and len(rare) == 1:
        return " AND ".join(f'"{term}"' for term in ranked)
    return " OR ".join(f'"{term}"' for term in rare)
