"""Enrichment of the books that other pipelines find. A book that cannot be enriched is a result all the same."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shelfwire.books.batch_enrichment.lookup_failure import EnrichmentError, Unanswered
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.isbn import parse_isbn
from shelfwire.books.services import Services
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.store import Item

AT_ONCE: Final = 200
"""Books that are looked up at a time; the rates of the providers are kept by their clients."""
FOUND: Final = b'"enriched":'
MISSED: Final = b'"enrichmentError":'


class Enriching:
    """Looks up the books that one job finds.

    Args:
        services: hold the providers.
        earlier: the items that earlier attempts have recorded.

    Attributes:
        found: how many books of the job were enriched so far.
        missed: how many were not.
    """

    def __init__(self, services: Services, earlier: Sequence[Item] = ()) -> None:
        self._services = services
        bodies = [bytes(item.body) for item in earlier if item.ok]
        self.found = sum(FOUND in body for body in bodies)
        self.missed = sum(MISSED in body for body in bodies)
        self._unanswered = Unanswered()

    @property
    def summary(self) -> str:
        """The outcome, for a person."""
        return self._unanswered.added_to(counted(self.found, self.missed))

    async def look_up(self, index: int, title: str, authors: Sequence[str], isbn: str | None = None) -> dict[str, Any]:
        """Return what to add to a result: `enriched`, an `EnrichedBook`, or `enrichment_error`, an `EnrichmentError`.

        Args:
            index: the book's place in the input.
            title: its title.
            authors: their names; the first is used.
            isbn: its ISBN, valid or not, if it is known.
        """
        assert self._services.lookups is not None  # noqa: S101 - there while the application runs
        parsed = parse_isbn(isbn) if isbn else None
        asked = AskedBook(title, authors[0] if authors else None, parsed.isbn13 if parsed else None)
        try:
            book = await self._services.lookups.find(index, asked, self._unanswered.note)
        except ShelfwireError as error:
            self.missed += 1
            members = {**error.to_result(), **(error.details or {})}
            return {"enrichment_error": msgspec.convert(members, EnrichmentError)}
        self.found += 1
        return {"enriched": book}


async def enriching_of(job: Job, services: Services) -> Enriching | None:
    """Return what looks up the books of a job; None unless its option `enrich` is set."""
    if not job.options.enrich:
        return None
    return Enriching(services, await job.log() if job.attempt > 1 else ())


def counted(found: int, missed: int) -> str:
    """How many books were enriched, for a person."""
    whole = found + missed
    return f"{found:,} of {whole:,} {'book' if whole == 1 else 'books'} enriched"
