"""What the catalogue knows of a book, and how sure it is that a book is the one asked for."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shelfwire.books.bibliography.isbn import isbn10_of

SURE: Final = 0.8
"""A score of so much or more: title and author both match."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True, rename="camel", gc=False):
    """A book: an edition, or a work of which the catalogue has no edition under that title.

    The order of the members is the form on the disk: new ones go to the end, and `database.FORMAT` is raised.

    Attributes:
        title: the title.
        authors: their names, given name first.
        subtitle: the subtitle.
        work_title: the title of the work, where it is another than the edition's.
        isbn13s: valid ISBN-13s, without hyphens.
        publisher: the publisher.
        published: the date of publication as given, such as "1818", "March 2003" or "2003-03-01".
        pages: number of pages.
        language: as given; Open Library's are three letters of MARC, such as "eng".
        subjects: what the book is about.
        description: plain text.
        cover_url: an image, by https.
        identifiers: other numbers by system: `openlibrary`, `openlibraryWork`, `goodreads`, …
    """

    title: str
    authors: tuple[str, ...] = ()
    subtitle: str | None = None
    work_title: str | None = None
    isbn13s: tuple[str, ...] = ()
    publisher: str | None = None
    published: str | None = None
    pages: int | None = None
    language: str | None = None
    subjects: tuple[str, ...] = ()
    description: str | None = None
    cover_url: str | None = None
    identifiers: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def isbn10s(self) -> tuple[str, ...]:
        """Those ISBNs that can be written as ISBN-10, so written."""
        return tuple(isbn10 for isbn13 in self.isbn13s if (isbn10 := isbn10_of(isbn13)))


Numbers = int | str | None
"""No, one, or several numbers as a JSON array: as a column that SQLite can mostly join by."""


def numbers_of(values: Sequence[int]) -> Numbers:
    """Different numbers as a column has them."""
    if len(values) == 1:
        return values[0]  # what most have, and it is done for each line of a dump
    return f"[{','.join(map(str, dict.fromkeys(values)))}]" if values else None


class Found(msgspec.Struct, frozen=True):
    """An answer of the catalogue.

    Attributes:
        entry: the book.
        score: how well it fits, from 0 to 1. From `SURE` on title and author both match but for misreadings; an answer
            to a title alone never gets there, because many books share a title. Below, what fits better has the higher
            score, and a person should look.
    """

    entry: Entry
    score: float

    @property
    def is_sure(self) -> bool:
        """Whether title and author both match."""
        return self.score >= SURE


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Entry)


def pack(entry: Entry) -> bytes:
    """The form on the disk."""
    return _ENCODER.encode(entry)


def unpack(data: bytes) -> Entry:
    """Read the form on the disk."""
    return _DECODER.decode(data)
