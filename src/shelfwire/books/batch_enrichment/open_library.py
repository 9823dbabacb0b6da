"""Open Library: many ISBNs in one request, and a search that knows works and their best edition.

Documented at https://openlibrary.org/dev/docs/api/books and https://openlibrary.org/dev/docs/api/search.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from shelfwire.books.batch_enrichment.cached_service import CachedService, json_fault
from shelfwire.books.batch_enrichment.single_flight import Batcher
from shelfwire.books.bibliography import cleaning, open_library
from shelfwire.books.bibliography.languages import language_of
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.titles import main_title
from shelfwire.clock import Clock

NAME: Final = "open_library"
KEY_SETTING: Final = "contact"
"""There is no key; requests with a contact are refused less often."""
MOST_IN_A_BATCH: Final = 50
BATCHES_AT_ONCE: Final = 4
MOST_FOUND: Final = 5

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
"""Characters that are operators in a search."""


class OpenLibrary:
    """The provider `open_library`.

    Args:
        service: the service, behind its cache.
        clock: the time.
    """

    name = NAME

    def __init__(self, service: CachedService, clock: Clock) -> None:
        self._service = service
        self._isbns: Batcher[str, Any] = Batcher(
            self._ask_isbns, max_size=MOST_IN_A_BATCH, at_once=BATCHES_AT_ONCE, clock=clock
        )

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        # Each ISBN is kept by itself, though asked together with others: the next list has them in another order.
        answer = await self._service.get_or(self._books([isbn13]), lambda: self._ask_isbn(isbn13))
        found = record_of_book(answer.get(f"ISBN:{isbn13}"))
        return [found] if found else []

    async def by_title(self, title: str, author: str | None) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        query = [("title", _searched(main_title(title)))]
        if author:
            query.append(("author", _searched(author)))
        params = (*query, ("limit", str(MOST_FOUND)), ("fields", _FIELDS))
        answer = await self._service.get(self._service.url("search.json", params))
        found = (record_of_work(work) for work in cleaning.elements(answer.get("docs"))[:MOST_FOUND])
        return [record for record in found if record]

    async def completed(self, record: BookRecord) -> BookRecord:
        """See `port.Provider`."""
        return record

    async def _ask_isbn(self, isbn13: str) -> dict[str, Any]:
        book = await self._isbns.get(isbn13)
        return {} if book is None else {f"ISBN:{isbn13}": book}

    async def _ask_isbns(self, isbns: Sequence[str]) -> Mapping[str, Any]:
        answer = await self._service.fetch(self._books(isbns))
        return {isbn: book for isbn in isbns if (book := answer.get(f"ISBN:{isbn}"))}

    def _books(self, isbns: Sequence[str]) -> httpx2.URL:
        keys = ",".join(f"ISBN:{isbn}" for isbn in isbns)
        return self._service.url("api/books", (("bibkeys", keys), ("format", "json"), ("jscmd", "data")))


def is_known(answer: dict[str, Any]) -> bool:
    """Whether an answer has a book."""
    return bool(answer.get("docs") if "docs" in answer else answer)


fault: Final = json_fault


def record_of_book(book: Any) -> BookRecord | None:
    """A record of an edition as `api/books` with `jscmd=data` returns it."""
    book = cleaning.members(book)
    title = cleaning.text(book.get("title"), cleaning.MOST_TITLE)
    if title is None:
        return None
    numbers = cleaning.members(book.get("identifiers"))
    cover = cleaning.members(book.get("cover"))
    isbns = [*cleaning.elements(numbers.get("isbn_13")), *cleaning.elements(numbers.get("isbn_10"))]
    return BookRecord(
        title=title,
        subtitle=cleaning.text(book.get("subtitle")),
        authors=cleaning.texts(cleaning.named(book.get("authors")), cleaning.MOST_AUTHORS),
        isbn13s=cleaning.isbns(isbns),
        publisher=cleaning.text(cleaning.first(cleaning.named(book.get("publishers")))),
        published=cleaning.date(book.get("publish_date")),
        pages=cleaning.pages(book.get("number_of_pages")),
        language=language_of(cleaning.first(cleaning.named(book.get("languages")))),
        subjects=cleaning.texts(cleaning.named(book.get("subjects")), cleaning.MOST_SUBJECTS),
        description=cleaning.description(book.get("description")),
        cover_url=cleaning.https(cover.get("large") or cover.get("medium") or cover.get("small")),
        identifiers=cleaning.known(
            [
                (open_library.EDITION, open_library.key_of(book.get("key"))),
                *((ours, cleaning.first(numbers.get(theirs))) for theirs, ours in open_library.SYSTEMS.items()),
                *((system, cleaning.first(numbers.get(system))) for system in ("lccn", "oclc")),
            ]
        ),
    )


def record_of_work(work: Any) -> BookRecord | None:
    """A record of a result of `search.json`: a work, with its best edition where there is one."""
    work = cleaning.members(work)
    title = cleaning.text(work.get("title"), cleaning.MOST_TITLE)
    if title is None:
        return None
    edition = cleaning.members(cleaning.first(cleaning.members(work.get("editions")).get("docs")))
    best = edition if edition.get("isbn") else work
    languages = cleaning.elements(best.get("language"))
    return BookRecord(
        title=cleaning.text(best.get("title"), cleaning.MOST_TITLE) or title,
        work_title=title,
        subtitle=cleaning.text(best.get("subtitle")),
        authors=cleaning.texts(work.get("author_name"), cleaning.MOST_AUTHORS),
        isbn13s=cleaning.isbns(best.get("isbn")),
        publisher=cleaning.text(cleaning.first(edition.get("publisher"))),
        published=cleaning.date(cleaning.first(edition.get("publish_date")) or work.get("first_publish_year")),
        pages=cleaning.pages(work.get("number_of_pages_median")) if best is work else None,
        # A work has the languages of all its translations.
        language=language_of(languages[0]) if len(languages) == 1 else None,
        subjects=cleaning.texts(work.get("subject"), cleaning.MOST_SUBJECTS),
        cover_url=open_library.cover_url(edition.get("cover_i")) or open_library.cover_url(work.get("cover_i")),
        identifiers=cleaning.known(
            [
                (open_library.EDITION, open_library.key_of(edition.get("key"))),
                (open_library.WORK, open_library.key_of(work.get("key"))),
            ]
        ),
        is_edition=best is edition,
    )


def _searched(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split()) or text
