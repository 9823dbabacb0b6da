"""Book data beside the books of other pipelines: looked up on request, and never at the cost of the book itself."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.isbn import parse_isbn
from shelfwire.books.services import Services
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.store import Item

AT_ONCE: Final = 200
"""Books that wait for providers at a time; the rates of these are limited elsewhere."""
FOUND: Final = b'"enriched":'
MISSED: Final = b'"enrichmentError":'


class Enriching:
    """Looks up the books of one job.

    Args:
        outside: the services, with the providers.
        earlier: the items of earlier attempts.

    Attributes:
        found: how many books of the job were enriched so far.
        missed: how many were not.
    """

    def __init__(self, outside: Services, earlier: Sequence[Item] = ()) -> None:
        self._outside = outside
        bodies = [bytes(item.body) for item in earlier if item.ok]
        self.found = sum(FOUND in body for body in bodies)
        self.missed = sum(MISSED in body for body in bodies)

    @property
    def summary(self) -> str:
        """The outcome, for a person."""
        return counted(self.found, self.missed)

    async def look_up(self, index: int, title: str, authors: Sequence[str], isbn: str | None = None) -> dict[str, Any]:
        """Members to add to a result: `enriched`, an `EnrichedBook`; or `enrichmentError`, if no provider knows it.

        Args:
            index: the book's place, for the result.
            title: as it was found.
            authors: likewise; the first is asked for.
            isbn: an ISBN, if there is one.
        """
        assert self._outside.lookups is not None  # noqa: S101 - there while the application runs
        parsed = parse_isbn(isbn) if isbn else None
        asked = AskedBook(title, authors[0] if authors else None, parsed.isbn13 if parsed else None)
        try:
            book = await self._outside.lookups.find(index, asked)
        except ShelfwireError as error:
            self.missed += 1
            return {"enrichmentError": {**error.to_result(), **(error.details or {})}}
        self.found += 1
        return {"enriched": msgspec.to_builtins(book)}


async def enriching_of(job: Job, outside: Services, *, wanted: bool) -> Enriching | None:
    """Return what looks books up for a job, if that is wanted."""
    if not wanted:
        return None
    return Enriching(outside, await job.log() if job.attempt > 1 else ())


def counted(found: int, missed: int) -> str:
    """How many books were enriched, for a person."""
    whole = found + missed
    return f"{found:,} of {whole:,} {'book' if whole == 1 else 'books'} enriched"
