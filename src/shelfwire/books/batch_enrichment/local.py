"""The local catalogue as a provider: it costs no request, and knows what its file knows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from shelfwire.books.batch_enrichment import values
from shelfwire.books.batch_enrichment.port import ProviderDown, Record
from shelfwire.books.catalogue import CatalogueError, Entry, Found

NAME: Final = "catalogue"
MOST_FOUND: Final = 5


class LocalCatalogue(Protocol):
    """What is asked of a catalogue; it may be asked by several threads at once."""

    def by_isbn(self, isbns: Sequence[str]) -> Mapping[str, Entry]:
        """Return the entries of those ISBN-13s that it knows."""
        ...

    def search(self, title: str, author: str | None = None, limit: int = 5) -> Sequence[Found]:
        """Return what it finds, each with an `entry`, the best first."""
        ...


class Local:
    """The provider `catalogue`.

    Args:
        catalogue: what it asks.
    """

    name = NAME

    def __init__(self, catalogue: LocalCatalogue) -> None:
        self._catalogue = catalogue

    async def by_isbn(self, isbn13: str) -> Sequence[Record]:
        """See `port.Provider`."""
        try:
            found = await asyncio.to_thread(self._catalogue.by_isbn, [isbn13])
        except CatalogueError as error:
            raise ProviderDown(str(error)) from None
        return [record_of_entry(found[isbn13])] if isbn13 in found else []

    async def by_title(self, title: str, author: str | None) -> Sequence[Record]:
        """See `port.Provider`."""
        try:
            found = await asyncio.to_thread(self._catalogue.search, title, author, MOST_FOUND)
        except CatalogueError as error:
            raise ProviderDown(str(error)) from None
        return [record_of_entry(one.entry) for one in found]


def record_of_entry(entry: Entry) -> Record:
    """A record of an entry of the catalogue."""
    isbns = values.isbns(list(entry.isbn13s))
    return Record(
        title=entry.title,
        work_title=entry.work_title,
        subtitle=entry.subtitle,
        authors=tuple(entry.authors),
        isbn13s=isbns,
        publisher=entry.publisher,
        published=values.date(entry.published),
        pages=values.pages(entry.pages),
        language=values.language(entry.language),
        subjects=values.texts(list(entry.subjects), values.MOST_SUBJECTS),
        description=values.description(entry.description),
        cover_url=values.https(entry.cover_url),
        identifiers=dict(entry.identifiers),
        is_edition=bool(isbns),
    )
