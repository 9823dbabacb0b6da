"""What is reported of the books on photos: each photo's own, and those of a batch without repetitions."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from anyascii import anyascii
from rapidfuzz import fuzz

from shelfwire.books.ai_scan.ipc import Spine
from shelfwire.jobs.store import Item

SAME_TITLE: Final = 90.0
"""Two readings of one title agree to so many of a hundred; the letters of two volumes of a series agree less."""
SAME_AUTHOR: Final = 85.0

Box = tuple[tuple[int, int], ...]


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalogue says of a book that was read.

    Attributes:
        title, authors: as the catalogue has them.
        sure: whether title and author both match, so that nobody has to look.
        details: more of what the catalogue knows, such as `isbn13`.
    """

    title: str
    authors: tuple[str, ...]
    sure: bool
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)


def book_of(spine: Spine, photo: int, confirmed: Confirmed | None) -> dict[str, Any]:
    """A book as the result of its photo lists it.

    Args:
        spine: what was read.
        photo: the photo's index.
        confirmed: what a catalogue says of it, if it knows it.
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
    """A book under its true title and authors; what was read is kept beside them, if it was something else."""
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
    """The books of several photos, each once: as its best reading has it, with all the places where it stands.

    Two books of one photo are never one: a shelf may hold a book twice.

    Args:
        books: as `book_of` makes them, in the order of their photos.
    """
    kept: list[list[Mapping[str, Any]]] = []
    for book in books:
        same = next((places for places in kept if _is_another_place(book, places)), None)
        if same is None:
            kept.append([book])
        else:
            same.append(book)
    return [_joined(places) for places in kept]


def normalized(text: str) -> str:
    """A text for comparison: the letters and digits of its words, without accents and case."""
    plain = anyascii(unicodedata.normalize("NFKC", text)).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def same_book(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two readings are of one book: the titles agree, and so do the authors where both have some."""
    titles = normalized(one["title"]), normalized(other["title"])
    if not same_numbers(*titles) or fuzz.ratio(*titles) < SAME_TITLE:
        return False
    authors = [normalized(" ".join(book["authors"])) for book in (one, other)]
    return not all(authors) or fuzz.token_set_ratio(*authors) >= SAME_AUTHOR


def _is_another_place(book: Mapping[str, Any], places: Sequence[Mapping[str, Any]]) -> bool:
    return all(place["photo"] != book["photo"] for place in places) and same_book(places[0], book)


def _joined(places: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    best = max(places, key=lambda place: (not place["review"], bool(place["authors"]), place["confidence"]))
    return {**best, "places": [{"photo": place["photo"], "polygon": place["polygon"]} for place in places]}


def same_numbers(one: str, other: str) -> bool:
    """Whether two titles have the same numbers: volumes of a series differ in nothing else."""
    return _numbers(one) == _numbers(other)


def _numbers(title: str) -> list[str]:
    return [word for word in normalized(title).split() if word.isdecimal()]
