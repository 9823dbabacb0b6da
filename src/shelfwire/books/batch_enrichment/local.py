"""The local catalogue as a provider: it costs no request."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from shelfwire.books.batch_enrichment.port import ProviderDown
from shelfwire.books.bibliography.cleaning import normalised
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import CatalogueError, CatalogueHit

NAME: Final = "catalogue"
MOST_FOUND: Final = 5


class LocalCatalogue(Protocol):
    """The part of a catalogue that is used; several threads may ask at once."""

    def by_isbn(self, isbns: Sequence[str]) -> Mapping[str, BookRecord]:
        """Return the books of those ISBN-13s that it knows."""
        ...

    def search(self, title: str, author: str | None = None, limit: int = 5) -> Sequence[CatalogueHit]:
        """Return its answers, the best first."""
        ...


class Local:
    """The provider `catalogue`.

    Args:
        catalogue: the catalogue.
    """

    name = NAME

    def __init__(self, catalogue: LocalCatalogue) -> None:
        self._catalogue = catalogue

    async def by_isbn(self, isbn13: str) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        try:
            found = await asyncio.to_thread(self._catalogue.by_isbn, [isbn13])
        except CatalogueError as error:
            raise ProviderDown(str(error)) from None
        return [normalised(found[isbn13])] if isbn13 in found else []

    async def by_title(self, title: str, author: str | None) -> Sequence[BookRecord]:
        """See `port.Provider`."""
        try:
            found = await asyncio.to_thread(self._catalogue.search, title, author, MOST_FOUND)
        except CatalogueError as error:
            raise ProviderDown(str(error)) from None
        return [normalised(one.book) for one in found]

    async def completed(
        self,
        record: BookRecord,
        missing: Collection[str],  # noqa: ARG002 - there is nothing more to ask
        *,
        thorough: bool,  # noqa: ARG002 - likewise
    ) -> tuple[BookRecord, bool]:
        """See `port.Provider`: its records are whole."""
        return record, False
