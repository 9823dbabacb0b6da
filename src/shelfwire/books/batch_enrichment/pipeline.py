"""The pipeline `batch_enrichment`: every book of the list is an item, found or not."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.lookup_failure import LookupFailure, Unanswered
from shelfwire.books.batch_enrichment.mended_book import MendedBook, mendable
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.batch_enrichment.request import AskedBook, asked_book, books_of, checked_books
from shelfwire.books.bibliography.corrections import BookCorrection, with_corrections
from shelfwire.books.codes import BookCode
from shelfwire.books.services import Services
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import MENDED, Pipeline, mended_of
from shelfwire.jobs.store import Item

INPUT: Final = "request"
_decode_book: Final = msgspec.json.Decoder(EnrichedBook).decode
AT_ONCE: Final = 300
"""Books under way at a time: enough to fill batches of ISBNs while most wait for a slow provider."""


class BookMending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a book of the list is mended."""

    book: Annotated[MendedBook, Meta(description="The book to look up in its place.")]


class BatchEnrichment(Pipeline):
    """Reads one input, `request` (see `request.books_of`); its results are the books of `merging.EnrichedBook`.

    Args:
        outside: what looks books up, once it is there.
    """

    name = "batch_enrichment"
    results_name = "books"
    result = EnrichedBook
    failure = LookupFailure
    codes = BookCode
    mending = BookMending
    correction = BookCorrection

    def __init__(self, outside: Services | None = None) -> None:
        self._outside = outside or Services()

    def check_request(self, content: Any) -> int:
        """See `Pipeline.check_request`."""
        return len(checked_books(content))

    def corrected(self, item: Item, corrections: Sequence[BookCorrection]) -> Item | None:
        """See `Pipeline.corrected`."""
        return with_corrections(item, corrections, _decode_book)

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        lookups = self._outside.lookups
        if lookups is None:
            raise RuntimeError("books are looked up only while the application runs")
        books = books_of(await job.input(INPUT))
        for index, mended in mended_of(await job.input(MENDED), BookMending).items():
            books[index] = asked_book(index, msgspec.to_builtins(mended.book))
        await job.start(len(books), job.metadata)
        unanswered = Unanswered()

        async def look_up(index: int, asked: AskedBook) -> None:
            try:
                found = await lookups.find(index, asked, unanswered.note)
            except ShelfwireError as error:
                job.fail(index, error, title=asked.title, asked=mendable(asked), **(error.details or {}))
            else:
                author = asked.author or next(iter(found.authors), None)
                job.record(index, found, title=asked.title, author=author, isbn=found.isbn13)

        await job.each(books, look_up, AT_ONCE)
        return unanswered.added_to(summary(job.succeeded, job.failed))


def summary(found: int, failed: int) -> str:
    """What the job came to, for a person."""
    books = f"Found {found:,} {'book' if found == 1 else 'books'}"
    return books if not failed else f"{books}; {failed:,} {'was' if failed == 1 else 'were'} not found"
