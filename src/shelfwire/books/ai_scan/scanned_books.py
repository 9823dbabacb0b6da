"""The books of a scan: those of each photo, and those of a job without repetitions."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.scan_result import BookPlace, PhotoResult, ProposedBook, ScannedBook, TitleAndAuthors
from shelfwire.books.bibliography.corrections import BookCorrection, struck, title_and_authors
from shelfwire.books.bibliography.matching import same_book
from shelfwire.books.bibliography.titles import WrittenBook, written
from shelfwire.jobs.store import Item

_decoder: Final = msgspec.json.Decoder(PhotoResult)


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalogue says of a detected book.

    Attributes:
        title, authors: as the catalogue has them.
        sure: whether title and author both match, so that no person has to check.
        isbn13: its ISBN-13, if the catalogue has one.
    """

    title: str
    authors: tuple[str, ...]
    sure: bool
    isbn13: str | None = None


def scanned(book: DetectedBook, photo: int, confirmed: Confirmed | None) -> ScannedBook:
    """A detected book as a result.

    Args:
        book: what was read.
        photo: the photo's index.
        confirmed: what a catalogue says of it, if it knows it.
    """
    result = ScannedBook(
        title=book.title,
        authors=book.authors,
        confidence=round(book.confidence, 3),
        review=True,
        photo=photo,
        polygon=book.polygon,
        text=book.text,
    )
    if confirmed is None:
        return result
    title, authors, isbn13 = confirmed.title, confirmed.authors, confirmed.isbn13
    if not confirmed.sure:
        return replace(result, candidate=ProposedBook(title=title, authors=authors, isbn13=isbn13))
    return replace(corrected(result, title, authors), isbn13=isbn13, review=False)


def corrected(book: ScannedBook, title: str, authors: Sequence[str]) -> ScannedBook:
    """A book under its true title and authors, with what was read beside them if that was something else."""
    if (book.title, book.authors) == (title, tuple(authors)):
        return book
    read_as = TitleAndAuthors(title=book.title, authors=book.authors)
    return replace(book, title=title, authors=tuple(authors), read_as=read_as)


def decode_result(body: msgspec.Raw) -> PhotoResult:
    """The result of a photo as it was recorded."""
    return _decoder.decode(body)


def results(items: Sequence[Item]) -> dict[str, Any]:
    """The results of a job: every book once, and every photo that was read. Pure."""
    photos: list[dict[str, Any]] = []
    books: list[ScannedBook] = []
    for item in items:
        if item.ok:
            result = decode_result(item.body)
            books += result.books
            index = item.index if item.source is None else item.source
            members = msgspec.to_builtins(replace(result, books=()))
            del members["books"]
            photos.append({"index": index, "title": item.title, **members})
    return {"books": merged(books), "photos": photos}


def lines(items: Sequence[Item]) -> list[Item]:
    """The books on some photos, each once, as items of their photos; and the photos that failed. Pure."""
    photos = {item.index if item.source is None else item.source: item for item in items}
    found = [item for item in items if not item.ok]
    for book in merged([book for item in items if item.ok for book in decode_result(item.body).books]):
        body = msgspec.Raw(msgspec.json.encode(book))
        found.append(replace(photos[book.photo], title=book.title, body=body))
    return sorted(found, key=lambda item: item.index)


def with_corrections(item: Item, corrections: Sequence[BookCorrection]) -> Item:
    """A photo with its books as a person has corrected them. Pure.

    Of a book with another title or other authors, what a catalogue knew of the one that it was taken for goes.
    """
    result = decode_result(item.body)
    books = [
        _by_person(book, *title_and_authors(corrections, place, book.title, book.authors))
        if any(one.book == place for one in corrections)
        else book
        for place, book in enumerate(result.books)
        if not struck(corrections, place)
    ]
    photo = item.index if item.source is None else item.source
    added = {one.book: one for one in corrections if one.book >= len(result.books) and one.title is not None}
    books += [
        ScannedBook(
            title=one.title or "",
            authors=one.authors or (),
            confidence=1.0,
            review=False,
            photo=photo,
            polygon=one.polygon or (),
            text="",
        )
        for _, one in sorted(added.items())
    ]
    body = msgspec.json.encode(replace(result, books=tuple(books), book_count=len(books)))
    return replace(item, body=msgspec.Raw(body))


def _by_person(book: ScannedBook, title: str, authors: tuple[str, ...]) -> ScannedBook:
    if (title, authors) == (book.title, book.authors):
        return replace(book, review=False)
    right = corrected(book, title, authors)
    return replace(right, review=False, isbn13=None, candidate=None, enriched=None, enrichment_error=None)


def merged(books: Sequence[ScannedBook]) -> list[ScannedBook]:
    """The books of several photos, each once: its best reading, with all places where it stands.

    Two books of one photo are never the same: a shelf may hold a book twice.

    Args:
        books: in the order of their photos.
    """
    kept: list[_Readings] = []
    for book in books:
        name = written(book.title, book.authors)
        same = next((readings for readings in kept if readings.match(book, name)), None)
        if same is None:
            kept.append(_Readings(name, [book]))
        else:
            same.books.append(book)
    return [readings.joined() for readings in kept]


class _Readings(NamedTuple):
    """One book as it was read on several photos."""

    name: WrittenBook
    books: list[ScannedBook]

    def match(self, book: ScannedBook, name: WrittenBook) -> bool:
        """Whether another reading is of this book."""
        return all(reading.photo != book.photo for reading in self.books) and same_book(self.name, name)

    def joined(self) -> ScannedBook:
        """The best reading, with all places."""
        best = max(self.books, key=lambda book: (not book.review, bool(book.authors), book.confidence))
        return replace(best, places=tuple(BookPlace(photo=book.photo, polygon=book.polygon) for book in self.books))
