"""Google Books: one volume by ISBN, or a few by title and author.

Documented at https://developers.google.com/books/docs/v1/reference/volumes. Requests without a key share one quota
for everybody, which is often spent; with one it is a thousand requests a day.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from shelfwire.books.batch_enrichment.cached_service import CachedService, json_fault
from shelfwire.books.bibliography import cleaning
from shelfwire.books.bibliography.languages import language_of
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.titles import main_title
from shelfwire.books.upstream.refusals import refusal_of_address
from shelfwire.books.upstream.traits import Traits

NAME: Final = "google_books"
MOST_FOUND: Final = 5
KEY_HEADER: Final = "X-Goog-Api-Key"
_PLAIN: Final = str.maketrans(dict.fromkeys('":|()', " "))
_IMAGES: Final = ("extraLarge", "large", "medium", "small", "thumbnail", "smallThumbnail")


class GoogleBooks:
    """The provider `google_books`.

    Args:
        service: the service, behind its cache.
    """

    name = NAME

    def __init__(self, service: CachedService) -> None:
        self._service = service

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        return await self._found(f"isbn:{isbn13}")

    async def by_title(self, title: str, author: str | None) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        query = f"intitle:{_searched(main_title(title))}"
        return await self._found(f"{query} inauthor:{_searched(author)}" if author else query)

    async def completed(
        self,
        record: BookRecord,
        missing: Collection[str],  # noqa: ARG002 - there is nothing more to ask
        *,
        thorough: bool,  # noqa: ARG002 - likewise
    ) -> tuple[BookRecord, bool]:
        """See `port.Provider`: its records are whole."""
        return record, False

    async def _found(self, query: str) -> list[BookRecord]:
        # Without a country it refuses servers that it cannot locate.
        params = (("q", query), ("maxResults", str(MOST_FOUND)), ("printType", "books"), ("country", "US"))
        answer = await self._service.get(self._service.url("volumes", params))
        found = (record_of_volume(item) for item in cleaning.elements(answer.get("items"))[:MOST_FOUND])
        return [record for record in found if record]


def is_known(answer: dict[str, Any]) -> bool:
    """Whether an answer has a book."""
    return bool(answer.get("items"))


traits: Final = Traits("google_books_api_key", "google_books_url", json_fault, refusal_of_address)


def record_of_volume(item: Any) -> BookRecord | None:
    """A record of a volume."""
    volume = cleaning.members(cleaning.members(item).get("volumeInfo"))
    title = cleaning.text(volume.get("title"), cleaning.MOST_TITLE)
    if title is None:
        return None
    numbers = [
        number.get("identifier")
        for number in cleaning.elements(volume.get("industryIdentifiers"))
        if isinstance(number, dict) and str(number.get("type", "")).startswith("ISBN")
    ]
    images = cleaning.members(volume.get("imageLinks"))
    return BookRecord(
        title=title,
        subtitle=cleaning.text(volume.get("subtitle")),
        authors=cleaning.people(volume.get("authors")),
        isbn13s=cleaning.isbns(numbers),
        publisher=cleaning.text(volume.get("publisher")),
        published=cleaning.date(volume.get("publishedDate")),
        pages=cleaning.pages(volume.get("pageCount")),
        language=language_of(volume.get("language")),
        subjects=cleaning.texts(volume.get("categories"), cleaning.MOST_SUBJECTS),
        description=cleaning.description(volume.get("description")),
        cover_url=next((url for size in _IMAGES if (url := cleaning.https(images.get(size)))), None),
        identifiers=cleaning.known([("google", item.get("id"))]),
    )


def _searched(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split()) or text
