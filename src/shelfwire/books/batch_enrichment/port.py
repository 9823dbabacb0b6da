"""What a provider of book data is to the rest: a name and two questions."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one provider tells of one book, in the form that all share; what it does not tell is empty.

    Attributes:
        title: the title of the edition, or of the work where no edition is told.
        work_title: the title of the work, where the provider tells it beside the edition's.
        subtitle: the subtitle.
        authors: their names, given name first.
        isbn13s: the valid ISBN-13s, without hyphens; of this edition alone if `is_edition`.
        publisher: the publisher.
        published: the date of publication: `YYYY-MM-DD`, or as much of it as is known.
        pages: number of pages.
        language: ISO 639-1 where the language has such a code, the provider's own code otherwise.
        subjects: what the book is about.
        description: plain text.
        cover_url: an image, by https.
        identifiers: the provider's own numbers, by system: `openlibrary`, `openlibraryWork`, `google`, …
        is_edition: whether this is one edition; otherwise it is the work in all of its editions.
    """

    title: str
    work_title: str | None = None
    subtitle: str | None = None
    authors: tuple[str, ...] = ()
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


class ProviderDown(Exception):  # noqa: N818 - it is a state of the provider
    """The provider gave no answer; that says nothing of the book. The text is for a developer and holds no secret."""


class Provider(Protocol):
    """A source of book data. Both questions may be asked many times at once."""

    @property
    def name(self) -> str:
        """What results call it, such as `open_library`."""
        ...

    async def by_isbn(self, isbn13: str) -> Sequence[Record]:
        """Return what the provider has under a valid ISBN-13, unchecked; empty if it knows none.

        Raises:
            ProviderDown: it gave no answer.
        """
        ...

    async def by_title(self, title: str, author: str | None) -> Sequence[Record]:
        """Return the few books that the provider finds for a title, its own favourite first; empty if none.

        Raises:
            ProviderDown: it gave no answer.
        """
        ...
