"""The record of a book, from whatever source: the catalogue, a service, or a list."""

import msgspec

from shelfwire.books.bibliography.isbn import isbn10_of


class BookRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True, rename="camel", gc=False):
    """A book: an edition, or a work where no edition is known; what is not known is empty.

    The order of the members is the form in which the catalogue keeps books of lists: new ones go to the end.

    Attributes:
        title: the title of the edition, or of the work where no edition is known.
        authors: their names, given name first.
        subtitle: the subtitle.
        work_title: the title of the work, where it is known beside the edition's.
        isbn13s: valid ISBN-13s, without hyphens; of this edition alone if `is_edition`.
        publisher: the publisher.
        published: the date of publication: as given, such as "March 2003", in the catalogue; from providers
            `YYYY-MM-DD`, or as much of it as is known.
        pages: number of pages.
        language: in the catalogue as given, which in Open Library's are three letters of MARC, such as "eng"; from
            providers ISO 639-1 where the language has such a code.
        subjects: what the book is about.
        description: plain text.
        cover_url: an image, by https.
        identifiers: other numbers by system: `openlibrary`, `openlibraryWork`, `goodreads`, `google`, …
        is_edition: whether this is one edition; otherwise it is the work in all of its editions.
        editions: how many editions its work has where it was found; 0 if that is not said.
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
    is_edition: bool = True
    editions: int = 0

    @property
    def isbn10s(self) -> tuple[str, ...]:
        """Those ISBNs that can be written as ISBN-10, so written."""
        return tuple(isbn10 for isbn13 in self.isbn13s if (isbn10 := isbn10_of(isbn13)))
