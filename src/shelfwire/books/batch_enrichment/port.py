"""What a provider of book data is to the rest: a name and two questions."""

from collections.abc import Sequence
from typing import Protocol

from shelfwire.books.bibliography.records import BookRecord


class ProviderDown(Exception):  # noqa: N818 - it is a state of the provider
    """The provider gave no answer; that says nothing of the book. The text is for a developer and holds no secret."""


class Provider(Protocol):
    """A source of book data. Both questions may be asked many times at once."""

    @property
    def name(self) -> str:
        """What results call it, such as `open_library`."""
        ...

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """Return what the provider has under a valid ISBN-13, unchecked; empty if it knows none.

        Raises:
            ProviderDown: it gave no answer.
        """
        ...

    async def by_title(self, title: str, author: str | None) -> Sequence[BookRecord]:
        """Return the few books that the provider finds for a title, its own favourite first; empty if none.

        Raises:
            ProviderDown: it gave no answer.
        """
        ...
