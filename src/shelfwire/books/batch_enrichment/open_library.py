"""Open Library: many ISBNs in one request, and a search that knows works and their best edition.

Documented at https://openlibrary.org/dev/docs/api/books and https://openlibrary.org/dev/docs/api/search.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from shelfwire.books.batch_enrichment import values
from shelfwire.books.batch_enrichment.answers import Answers, wrong_json
from shelfwire.books.batch_enrichment.matching import main_title
from shelfwire.books.batch_enrichment.port import Record
from shelfwire.books.batch_enrichment.single_flight import Gathering
from shelfwire.clock import Clock

NAME: Final = "open_library"
MOST_IN_A_BATCH: Final = 50
BATCHES_AT_ONCE: Final = 4
MOST_FOUND: Final = 5
COVERS: Final = "https://covers.openlibrary.org/b/id"
MOST_COVERS: Final = 10**12

_WORK_FIELDS: Final = (
    "key",
    "title",
    "subtitle",
    "author_name",
    "first_publish_year",
    "number_of_pages_median",
    "isbn",
    "cover_i",
    "language",
    "subject",
)
_EDITION_FIELDS: Final = ("key", "title", "subtitle", "isbn", "publisher", "publish_date", "language", "cover_i")
_FIELDS: Final = ",".join((*_WORK_FIELDS, "editions", *(f"editions.{name}" for name in _EDITION_FIELDS)))
_PLAIN: Final = str.maketrans(dict.fromkeys('"\\():[]{}^~*?!/+&|', " "))
"""What has a meaning of its own in a search."""


class OpenLibrary:
    """The provider `open_library`.

    Args:
        answers: what the service answers.
        clock: the time.
    """

    name = NAME

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._isbns: Gathering[str, Any] = Gathering(
            self._ask_isbns, most=MOST_IN_A_BATCH, at_once=BATCHES_AT_ONCE, clock=clock
        )

    async def by_isbn(self, isbn13: str) -> Sequence[Record]:
        """See `port.Provider`."""
        # Each ISBN is kept by itself, though asked together with others: the next list has them in another order.
        answer = await self._answers.kept(self._books([isbn13]), lambda: self._ask_isbn(isbn13))
        found = record_of_book(answer.get(f"ISBN:{isbn13}"))
        return [found] if found else []

    async def by_title(self, title: str, author: str | None) -> Sequence[Record]:
        """See `port.Provider`."""
        query = [("title", _searched(main_title(title)))]
        if author:
            query.append(("author", _searched(author)))
        params = (*query, ("limit", str(MOST_FOUND)), ("fields", _FIELDS))
        answer = await self._answers.get(self._answers.url("search.json", params))
        found = (record_of_work(work) for work in values.elements(answer.get("docs"))[:MOST_FOUND])
        return [record for record in found if record]

    async def _ask_isbn(self, isbn13: str) -> dict[str, Any]:
        book = await self._isbns.get(isbn13)
        return {} if book is None else {f"ISBN:{isbn13}": book}

    async def _ask_isbns(self, isbns: Sequence[str]) -> Mapping[str, Any]:
        answer = await self._answers.ask(self._books(isbns))
        return {isbn: book for isbn in isbns if (book := answer.get(f"ISBN:{isbn}"))}

    def _books(self, isbns: Sequence[str]) -> httpx2.URL:
        keys = ",".join(f"ISBN:{isbn}" for isbn in isbns)
        return self._answers.url("api/books", (("bibkeys", keys), ("format", "json"), ("jscmd", "data")))


def is_known(answer: dict[str, Any]) -> bool:
    """Whether an answer tells of a book."""
    return bool(answer.get("docs") if "docs" in answer else answer)


wrong: Final = wrong_json


def record_of_book(book: Any) -> Record | None:
    """A record of an edition as `api/books` with `jscmd=data` tells it."""
    book = values.members(book)
    title = values.text(book.get("title"))
    if title is None:
        return None
    numbers = values.members(book.get("identifiers"))
    cover = values.members(book.get("cover"))
    return Record(
        title=title,
        subtitle=values.text(book.get("subtitle")),
        authors=values.texts(values.named(book.get("authors")), values.MOST_AUTHORS),
        isbn13s=values.isbns([*values.elements(numbers.get("isbn_13")), *values.elements(numbers.get("isbn_10"))]),
        publisher=values.text(values.first(values.named(book.get("publishers")))),
        published=values.date(book.get("publish_date")),
        pages=values.pages(book.get("number_of_pages")),
        language=values.language(values.first(values.named(book.get("languages")))),
        subjects=values.texts(values.named(book.get("subjects")), values.MOST_SUBJECTS),
        description=values.description(book.get("description")),
        cover_url=values.https(cover.get("large") or cover.get("medium") or cover.get("small")),
        identifiers=values.known(
            [
                ("openlibrary", _olid(book.get("key"))),
                ("goodreads", values.first(numbers.get("goodreads"))),
                ("librarything", values.first(numbers.get("librarything"))),
                ("lccn", values.first(numbers.get("lccn"))),
                ("oclc", values.first(numbers.get("oclc"))),
            ]
        ),
    )


def record_of_work(work: Any) -> Record | None:
    """A record of what `search.json` tells: a work, with the edition of it that fits best where that is told."""
    work = values.members(work)
    title = values.text(work.get("title"))
    if title is None:
        return None
    edition = values.members(values.first(values.members(work.get("editions")).get("docs")))
    told = edition if edition.get("isbn") else work
    languages = values.elements(told.get("language"))
    return Record(
        title=values.text(told.get("title")) or title,
        work_title=title,
        subtitle=values.text(told.get("subtitle")),
        authors=values.texts(work.get("author_name"), values.MOST_AUTHORS),
        isbn13s=values.isbns(told.get("isbn")),
        publisher=values.text(values.first(edition.get("publisher"))),
        published=values.date(values.first(edition.get("publish_date")) or work.get("first_publish_year")),
        pages=values.pages(work.get("number_of_pages_median")) if told is work else None,
        # A work has the languages of all its translations.
        language=values.language(languages[0]) if len(languages) == 1 else None,
        subjects=values.texts(work.get("subject"), values.MOST_SUBJECTS),
        cover_url=cover_url(edition.get("cover_i")) or cover_url(work.get("cover_i")),
        identifiers=values.known(
            [("openlibrary", _olid(edition.get("key"))), ("openlibraryWork", _olid(work.get("key")))]
        ),
        is_edition=told is edition,
    )


def cover_url(number: Any) -> str | None:
    """Where the large image of a cover is, by its number."""
    return f"{COVERS}/{number}-L.jpg" if type(number) is int and 0 < number < MOST_COVERS else None


def _searched(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split()) or text


def _olid(key: Any) -> str | None:
    return key.rpartition("/")[2] if isinstance(key, str) else None
