"""The book that a row becomes."""

import msgspec


class ImportedBook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """A book of the list; what the row does not tell is left out.

    Attributes:
        title: The title; the ISBN or another identifier where the row has no title.
        authors: Their names, first name first, in the order of the row.
        isbn13: A valid ISBN-13 without hyphens, given or converted.
        isbn10: A valid ISBN-10 without hyphens, given or converted; numbers that begin with 979 have none.
        isbn_as_given: What stands in the row as ISBN and is none; `warnings` tells why.
        subtitle: The subtitle, where it has its own column.
        series: The series, with the number in it ("Earthsea #2") where the row has one.
        publisher: The publisher.
        year: Year of this edition.
        original_year: Year of the first edition; negative before our era.
        pages: Number of pages, 1 to 100,000.
        format: Binding or medium, as given.
        language: As given.
        shelf: `read`, `currently-reading`, `to-read`, `did-not-finish`, `paused`, `wishlist` or `owned`; any other
            shelf of the reader as given.
        tags: The other shelves, genres or tags.
        rating: Stars, 0.25 to 5.
        date_started: When reading began, last time: `YYYY-MM-DD`, or as much of it as is known.
        date_read: When reading ended, last time, likewise.
        date_added: When the book came into the list, likewise.
        review: The reader's review as plain text of at most 100,000 characters.
        notes: The reader's private notes, likewise.
        identifiers: Other numbers by system: `asin`, `goodreads`, `openlibrary`, `librarything`, `oclc`, …
        row: The row's number, from 1, as a spreadsheet shows it.
        warnings: What could not be taken over as it stands, for a person.
    """

    title: str
    authors: tuple[str, ...]
    row: int
    isbn13: str | None = None
    isbn10: str | None = None
    isbn_as_given: str | None = None
    subtitle: str | None = None
    series: str | None = None
    publisher: str | None = None
    year: int | None = None
    original_year: int | None = None
    pages: int | None = None
    format: str | None = None
    language: str | None = None
    shelf: str | None = None
    tags: tuple[str, ...] = ()
    rating: float | None = None
    date_started: str | None = None
    date_read: str | None = None
    date_added: str | None = None
    review: str | None = None
    notes: str | None = None
    identifiers: dict[str, str] = msgspec.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
