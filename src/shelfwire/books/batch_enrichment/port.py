"""The port of providers of book data."""

from collections.abc import Collection, Sequence
from typing import Protocol

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.upstream.errors import Reason


class ProviderDown(Exception):  # noqa: N818 - it is a state of the provider
    """The provider gave no answer; that says nothing of the book. The text is for a developer and holds no secret.

    Attributes:
        reason: why there is none.
    """

    def __init__(self, text: str, reason: Reason = Reason.DOWN) -> None:
        super().__init__(text)
        self.reason = reason


class Provider(Protocol):
    """A source of book data. Both questions may be asked many times at once."""

    @property
    def name(self) -> str:
        """Its name in results, such as `open_library`."""
        ...

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """Return the records that the provider has for a valid ISBN-13, unchecked; empty if it has none.

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

    async def completed(
        self, record: BookRecord, missing: Collection[str], *, thorough: bool
    ) -> tuple[BookRecord, bool]:
        """Return one of its records with what further questions add, and whether thorough ones may add more.

        Args:
            record: one that it has given.
            missing: the members that no provider has told so far; one at least.
            thorough: whether to ask also where something would still be missing that another provider may know; only
                after it was asked without.

        Raises:
            ProviderDown: it gave no answer.
        """
        ...
