"""The books on photos as results have them: those of each photo, and those of a batch without repetitions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.bibliography.matching import same_book
from shelfwire.books.bibliography.titles import WrittenBook, written
from shelfwire.jobs.store import Item

Box = tuple[tuple[int, int], ...]


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a catalogue on a book that was read.

    Attributes:
        title, authors: as the catalogue has them.
        sure: whether title and author both match, so that nobody has to look.
        details: more of what the catalogue knows, such as `isbn13`.
    """

    title: str
    authors: tuple[str, ...]
    sure: bool
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)


def book_of(spine: DetectedBook, photo: int, confirmed: Confirmed | None) -> dict[str, Any]:
    """A book as the result of its photo lists it.

    Args:
        spine: the reading.
        photo: the photo's index.
        confirmed: the answer of a catalogue, if it knows the book.
    """
    book: dict[str, Any] = {
        "title": spine.title,
        "authors": list(spine.authors),
        "confidence": round(spine.confidence, 3),
        "review": True,
        "photo": photo,
        "polygon": [list(point) for point in spine.polygon],
        "text": spine.text,
    }
    if confirmed is None:
        return book
    if not confirmed.sure:
        return {
            **book,
            "candidate": {"title": confirmed.title, "authors": list(confirmed.authors), **confirmed.details},
        }
    return {**corrected(book, confirmed.title, confirmed.authors), **confirmed.details, "review": False}


def corrected(book: Mapping[str, Any], title: str, authors: Sequence[str]) -> dict[str, Any]:
    """A book under its true title and authors; the reading is kept beside them, if it differs."""
    read = {"title": book["title"], "authors": book["authors"]}
    true = {"title": title, "authors": list(authors)}
    return {**book, **true, **({} if read == true else {"readAs": read})}


def results(items: Sequence[Item]) -> dict[str, Any]:
    """The results of a job: every book once, and every photo that was read.

    Pure, so that an interrupted job comes to the same.
    """
    photos: list[dict[str, Any]] = []
    books: list[dict[str, Any]] = []
    for item in items:
        if not item.ok:
            continue
        result = msgspec.json.decode(item.body, type=dict[str, Any])
        found = result.pop("books")
        photos.append({"index": item.index if item.source is None else item.source, "title": item.title, **result})
        books += found
    return {"books": merged(books), "photos": photos}


def merged(books: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The books of several photos, each once: by its best reading, with all its places.

    Two books of one photo are never one: a shelf may hold a book twice.

    Args:
        books: as `book_of` makes them, in the order of their photos.
    """
    kept: list[_Places] = []
    for book in books:
        name = written(book["title"], book["authors"])
        same = next((places for places in kept if places.have(book, name)), None)
        if same is None:
            kept.append(_Places(name, [book]))
        else:
            same.readings.append(book)
    return [_joined(places.readings) for places in kept]


class _Places(NamedTuple):
    """One book, as it was read on several photos."""

    name: WrittenBook
    readings: list[Mapping[str, Any]]

    def have(self, book: Mapping[str, Any], name: WrittenBook) -> bool:
        """Whether another reading is of this book."""
        if any(reading["photo"] == book["photo"] for reading in self.readings):
            return False
        return same_book(self.name, name)


def _joined(places: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    best = max(places, key=lambda place: (not place["review"], bool(place["authors"]), place["confidence"]))
    return {**best, "places": [{"photo": place["photo"], "polygon": place["polygon"]} for place in places]}
