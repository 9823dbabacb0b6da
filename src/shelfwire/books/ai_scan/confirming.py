"""Books that were read, confirmed by those that are known to exist."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from shelfwire.books.ai_scan.books import Confirmed, corrected
from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.bibliography.matching import same_people, same_title, same_volume
from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.services import Services

LINES: Final = " | "

log = structlog.get_logger(__name__)


class LocalBooks:
    """Confirms readings by the local catalogue, if one is set; it costs no request.

    Args:
        outside: the services, with the catalogue while the application runs.
    """

    def __init__(self, outside: Services) -> None:
        self._outside = outside

    async def confirm(self, spines: Sequence[DetectedBook]) -> Sequence[Confirmed | None]:
        """Look up readings; None for each book that the catalogue does not know, and for all if it is damaged."""
        catalogue = self._outside.catalogue
        if catalogue is None:
            return [None] * len(spines)
        try:
            return await asyncio.to_thread(lambda: [_confirmed(catalogue, spine) for spine in spines])
        except CatalogueError as error:
            log.warning("the catalogue cannot be asked", reason=str(error))
            return [None] * len(spines)


def agreeing(book: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A book with the data of providers: title and author are theirs if both agree with the reading.

    Args:
        book: as `books.book_of` makes it.
        more: as `Enriching.look_up` returns it.
    """
    found = more.get("enriched")
    if found is None or not same_title(book["title"], found["title"]):
        return {**book, **more}
    if not same_people(book["authors"], found["authors"]):
        return {**book, **more}
    return {**corrected(book, found["title"], found["authors"]), **more, "review": False}


def _confirmed(catalogue: Catalogue, spine: DetectedBook) -> Confirmed | None:
    hit = catalogue.recognise(spine.text.split(LINES))
    if hit is None:
        return None
    details = {"isbn13": hit.book.isbn13s[0]} if hit.book.isbn13s else {}
    sure = hit.is_sure and same_volume(spine.title, hit.book.title)
    return Confirmed(title=hit.book.title, authors=hit.book.authors, sure=sure, details=details)
