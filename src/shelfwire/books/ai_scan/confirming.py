"""Books that were read, confirmed by those that are known to exist."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from rapidfuzz import fuzz

from shelfwire.books.ai_scan.books import Confirmed, corrected, normalized, same_numbers
from shelfwire.books.ai_scan.ipc import Spine
from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.services import Services

SAME: Final = 85.0
"""So many of a hundred letters agree where a misreading is more likely than another book."""
LINES: Final = " | "

log = structlog.get_logger(__name__)


class LocalBooks:
    """Confirms what was read by the local catalogue, if one is set; it costs no request.

    Args:
        outside: where the catalogue is, while the application runs.
    """

    def __init__(self, outside: Services) -> None:
        self._outside = outside

    async def confirm(self, spines: Sequence[Spine]) -> Sequence[Confirmed | None]:
        """Look up what was read; None for each book that the catalogue does not know, and for all if it is damaged."""
        catalogue = self._outside.catalogue
        if catalogue is None:
            return [None] * len(spines)
        try:
            return await asyncio.to_thread(lambda: [_confirmed(catalogue, spine) for spine in spines])
        except CatalogueError as error:
            log.warning("the catalogue cannot be asked", reason=str(error))
            return [None] * len(spines)


def agreeing(book: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A book with what providers told of it: title and author are theirs if both agree with what was read.

    Args:
        book: as `books.book_of` makes it.
        more: as `Enriching.look_up` returns it.
    """
    found = more.get("enriched")
    if found is None or not _agrees(book["title"], found["title"]) or not _same_people(book, found):
        return {**book, **more}
    return {**corrected(book, found["title"], found["authors"]), **more, "review": False}


def _confirmed(catalogue: Catalogue, spine: Spine) -> Confirmed | None:
    found = catalogue.recognise(spine.text.split(LINES))
    if found is None:
        return None
    numbers = found.entry.isbn13s[:1]
    details = {"isbn13": numbers[0]} if numbers else {}
    sure = found.is_sure and same_numbers(spine.title, found.entry.title)
    return Confirmed(title=found.entry.title, authors=found.entry.authors, sure=sure, details=details)


def _agrees(read: str, known: str) -> bool:
    one, other = normalized(read), normalized(known)
    return (
        same_numbers(read, known)
        and max(fuzz.ratio(one, other), fuzz.ratio(one.replace(" ", ""), other.replace(" ", ""))) >= SAME
    )


def _same_people(book: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    read, known = (normalized(" ".join(one["authors"])) for one in (book, found))
    return bool(read) and bool(known) and fuzz.token_set_ratio(read, known) >= SAME
