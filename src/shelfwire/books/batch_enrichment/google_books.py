"""Google Books: one volume by ISBN, or a few by title and author.

Documented at https://developers.google.com/books/docs/v1/reference/volumes. Without a key all the world shares one
quota, which is often spent; with one it is a thousand requests a day.
"""

from collections.abc import Sequence
from typing import Any, Final

import httpx2

from shelfwire.books.batch_enrichment import values
from shelfwire.books.batch_enrichment.answers import Answers, wrong_json
from shelfwire.books.batch_enrichment.matching import main_title
from shelfwire.books.batch_enrichment.port import Record

NAME: Final = "google_books"
MOST_FOUND: Final = 5
KEY_HEADER: Final = "X-Goog-Api-Key"
_SPENT: Final = (b"quota", b"limit exceeded", b"limitexceeded")
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_PLAIN: Final = str.maketrans(dict.fromkeys('":|()', " "))
_IMAGES: Final = ("extraLarge", "large", "medium", "small", "thumbnail", "smallThumbnail")


class GoogleBooks:
    """The provider `google_books`.

    Args:
        answers: what the service answers.
    """

    name = NAME

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def by_isbn(self, isbn13: str) -> Sequence[Record]:
        """See `port.Provider`."""
        return await self._found(f"isbn:{isbn13}")

    async def by_title(self, title: str, author: str | None) -> Sequence[Record]:
        """See `port.Provider`."""
        query = f"intitle:{_searched(main_title(title))}"
        return await self._found(f"{query} inauthor:{_searched(author)}" if author else query)

    async def _found(self, query: str) -> list[Record]:
        # Without a country it refuses servers whose place it cannot tell.
        params = (("q", query), ("maxResults", str(MOST_FOUND)), ("printType", "books"), ("country", "US"))
        answer = await self._answers.get(self._answers.url("volumes", params))
        found = (record_of_volume(item) for item in values.elements(answer.get("items"))[:MOST_FOUND])
        return [record for record in found if record]


def is_known(answer: dict[str, Any]) -> bool:
    """Whether an answer tells of a book."""
    return bool(answer.get("items"))


def wrong(response: httpx2.Response) -> str | None:
    """What is wrong with an answer: a spent quota comes as 403 or even 400, which would blame the request."""
    if response.status_code in {_BAD_REQUEST, _FORBIDDEN} and any(
        word in response.content[:4096].lower() for word in _SPENT
    ):
        return f"has no quota left (status {response.status_code})"
    return wrong_json(response)


def record_of_volume(item: Any) -> Record | None:
    """A record of a volume."""
    volume = values.members(values.members(item).get("volumeInfo"))
    title = values.text(volume.get("title"))
    if title is None:
        return None
    numbers = [
        number.get("identifier")
        for number in values.elements(volume.get("industryIdentifiers"))
        if isinstance(number, dict) and str(number.get("type", "")).startswith("ISBN")
    ]
    images = values.members(volume.get("imageLinks"))
    return Record(
        title=title,
        subtitle=values.text(volume.get("subtitle")),
        authors=values.texts(volume.get("authors"), values.MOST_AUTHORS),
        isbn13s=values.isbns(numbers),
        publisher=values.text(volume.get("publisher")),
        published=values.date(volume.get("publishedDate")),
        pages=values.pages(volume.get("pageCount")),
        language=values.language(volume.get("language")),
        subjects=values.texts(volume.get("categories"), values.MOST_SUBJECTS),
        description=values.description(volume.get("description")),
        cover_url=next((url for size in _IMAGES if (url := values.https(images.get(size)))), None),
        identifiers=values.known([("google", item.get("id"))]),
    )


def _searched(text: str) -> str:
    return " ".join(text.translate(_PLAIN).split()) or text
