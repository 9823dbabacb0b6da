"""Confirmation of detected books by catalogues and providers."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec.structs import replace

from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.scan_result import ScannedBook
from shelfwire.books.ai_scan.scanned_books import Confirmed, corrected
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.bibliography.matching import same_people, same_title, same_volume
from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.services import Services

LINES: Final = " | "

log = structlog.get_logger(__name__)


class LocalBooks:
    """Confirms detected books by the local catalogue, if one is set; sends no requests.

    Args:
        services: hold the catalogue, while the application runs.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def confirm(self, books: Sequence[DetectedBook]) -> Sequence[Confirmed | None]:
        """Look up books; None for each that the catalogue does not know, and for all if it is damaged."""
        catalogue = self._services.catalogue
        if catalogue is None:
            return [None] * len(books)
        try:
            return await asyncio.to_thread(lambda: [_confirmed(catalogue, book) for book in books])
        except CatalogueError as error:
            log.warning("the catalogue cannot be asked", reason=str(error))
            return [None] * len(books)


def enriched(book: ScannedBook, more: Mapping[str, Any]) -> ScannedBook:
    """Add what providers know of a book; title and authors are theirs if both agree with what was read.

    Args:
        book: the book.
        more: as `Enriching.look_up` returns it.
    """
    found: EnrichedBook | None = more.get("enriched")
    if found and same_title(book.title, found.title) and same_people(book.authors, found.authors):
        book = replace(corrected(book, found.title, found.authors), review=False)
    return replace(book, **more)


def _confirmed(catalogue: Catalogue, book: DetectedBook) -> Confirmed | None:
    hit = catalogue.recognise(book.text.split(LINES))
    if hit is None:
        return None
    sure = hit.is_sure and same_volume(book.title, hit.book.title)
    isbn13 = next(iter(hit.book.isbn13s), None)
    return Confirmed(title=hit.book.title, authors=hit.book.authors, sure=sure, isbn13=isbn13)
