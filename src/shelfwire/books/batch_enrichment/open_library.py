"""Open Library: many editions in one request, a search that knows works and their best edition, and works one by one.

`api/books` has two forms of answer for the same 50 ISBNs: `data` never has languages and descriptions, `details` has
the editions as they are recorded, with the names of their authors. What belongs to the work, above all its
description, only the work's own record has, which is a request for each. It is made where nothing else is wanting, so
that it may take the place of one to the next provider, and where no provider is left. So a book costs 1/50 to 1 1/50
requests by ISBN, and one more by title.

Documented at https://openlibrary.org/dev/docs/api/books, https://openlibrary.org/dev/docs/api/search and
https://openlibrary.org/dev/docs/restful_api.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import httpx2
import msgspec

from shelfwire.books.batch_enrichment.cached_service import CachedService, json_fault
from shelfwire.books.batch_enrichment.open_library_records import (
    author_keys,
    filled_from_edition,
    filled_from_work,
    record_of_book,
    record_of_work,
)
from shelfwire.books.batch_enrichment.single_flight import Batcher
from shelfwire.books.bibliography import cleaning, open_library
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.titles import main_title
from shelfwire.books.upstream.refusals import Refusal, refusal_of, refusal_of_address
from shelfwire.books.upstream.traits import Traits
from shelfwire.clock import Clock

NAME: Final = "open_library"
_RECORDS: Final = ("works", "authors")
"""Folders of records, of which any may be missing."""
MOST_IN_A_BATCH: Final = 50
BATCHES_AT_ONCE: Final = 4
MOST_FOUND: Final = 5
MOST_AUTHORS: Final = 5
"""Authors whose names are asked for where a record has only their keys."""
MOST_REDIRECTS: Final = 3
_OF_WORKS: Final = frozenset({"authors", "description", "cover_url"})
"""What the record of a work may have that the one of an edition lacks."""

_WORK_FIELDS: Final = (
    "key",
    "title",
    "subtitle",
    "author_name",
    "first_publish_year",
    "number_of_pages_median",
    "edition_count",
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
        self._editions: Batcher[str, Any] = Batcher(
            self._ask_editions, max_size=MOST_IN_A_BATCH, at_once=BATCHES_AT_ONCE, clock=clock
        )

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        found = await self._edition(f"ISBN:{isbn13}")
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

    async def completed(
        self, record: BookRecord, missing: Collection[str], *, thorough: bool
    ) -> tuple[BookRecord, bool]:
        """See `port.Provider`."""
        key, work_key = (record.identifiers.get(name) for name in (open_library.EDITION, open_library.WORK))
        # Only the search names the work: what it found is completed by the record of the edition.
        if key and record.work_title is not None and not thorough and (edition := await self._edition(f"OLID:{key}")):
            record = filled_from_edition(record, edition)
        still = {name for name in missing if not getattr(record, name)}
        if not work_key or not still & _OF_WORKS:
            return record, False
        if not (thorough or still <= _OF_WORKS):
            return record, True
        work = await self._record("works", work_key)
        record = filled_from_work(record, work)
        if not record.authors:
            record = msgspec.structs.replace(record, authors=await self._names(author_keys(work)))
        return record, False

    async def _edition(self, key: str) -> BookRecord | None:
        # Each key is kept by itself, though asked together with others: the next list has them in another order.
        answer = await self._service.get_or(self._books([key]), lambda: self._ask_edition(key))
        book = answer.get(key)
        found = record_of_book(book)
        if found and not found.authors and (keys := author_keys(cleaning.members(book).get("details"))):
            found = msgspec.structs.replace(found, authors=await self._names(keys))
        return found

    async def _names(self, keys: Sequence[str]) -> tuple[str, ...]:
        """The names of authors by their keys."""
        authors = [await self._record("authors", key) for key in keys[:MOST_AUTHORS]]
        return cleaning.people([author.get("name") or author.get("personal_name") for author in authors])

    async def _record(self, folder: str, key: str) -> dict[str, Any]:
        """A record by its key, or the one that took its place; empty if there is none."""
        for _ in range(MOST_REDIRECTS):
            url = self._service.url(f"{folder}/{key}.json", ())
            answer = await self._service.get(url, may_be_missing=True)
            successor = open_library.olid(answer.get("location"), key[-1])
            if open_library.key_of(answer.get("type")) != open_library.REDIRECT or successor is None:
                return answer
            key = successor
        return {}

    async def _ask_edition(self, key: str) -> dict[str, Any]:
        book = await self._editions.get(key)
        return {} if book is None else {key: book}

    async def _ask_editions(self, keys: Sequence[str]) -> Mapping[str, Any]:
        answer = await self._service.fetch(self._books(keys))
        return answer or await self._asked_in_halves(keys)

    async def _asked_in_halves(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """Ask again for what had an empty answer: one record that Open Library cannot read leaves out all others.

        If both halves are empty, too, nothing of it is known.
        """
        middle = len(keys) // 2
        if not middle:
            return {}
        halves = [keys[:middle], keys[middle:]]
        answers: list[Mapping[str, Any]] = [await self._service.fetch(self._books(half)) for half in halves]
        if any(answers):
            pairs = zip(halves, answers, strict=True)
            answers = [answer or await self._asked_in_halves(half) for half, answer in pairs]
        return {key: book for answer in answers for key, book in answer.items()}

    def _books(self, keys: Sequence[str]) -> httpx2.URL:
        return self._service.url("api/books", (("bibkeys", ",".join(keys)), ("format", "json"), ("jscmd", "details")))


def is_known(answer: dict[str, Any]) -> bool:
    """Whether an answer has a book."""
    return bool(answer.get("docs") if "docs" in answer else answer)


def _refusal(response: httpx2.Response) -> Refusal | None:
    folder = response.request.url.path.split("/")[-2]
    return refusal_of(response) if folder in _RECORDS else refusal_of_address(response)


traits: Final = Traits("contact", "open_library_url", json_fault, _refusal)
"""There is no key; requests with a contact are refused less often."""


def _searched(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split()) or text
