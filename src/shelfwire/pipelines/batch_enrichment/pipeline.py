"""The pipeline `batch_enrichment`: every book of the list is an item, found or not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.context import Job
from shelfwire.pipelines.batch_enrichment.lookups import Lookups
from shelfwire.pipelines.batch_enrichment.merging import EnrichedBook
from shelfwire.pipelines.batch_enrichment.request import AskedBook, books_of

INPUT: Final = "request"
AT_ONCE: Final = 200
"""Books under way at a time: enough to fill batches of ISBNs while most wait for a slow provider."""


class BatchEnrichment:
    """Reads one input, `request` (see `request.books_of`); its results are the books of `merging.EnrichedBook`.

    Args:
        lookups: opens what looks books up, for as long as jobs run.
    """

    name = "batch_enrichment"
    results_name = "books"
    columns = tuple(field.encode_name for field in msgspec.structs.fields(EnrichedBook))

    def __init__(self, lookups: Callable[[], AbstractAsyncContextManager[Lookups]]) -> None:
        self._open = lookups
        self._opening = asyncio.Lock()
        self._lookups: Lookups | None = None
        self._stack: AsyncExitStack | None = None

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Be able to run jobs until the context ends; what they need is opened for the first of them."""
        async with AsyncExitStack() as self._stack:
            yield
        self._lookups = self._stack = None

    async def _opened(self) -> Lookups:
        async with self._opening:
            if self._stack is None:
                raise RuntimeError("batch_enrichment runs jobs only within its lifespan")
            if self._lookups is None:
                self._lookups = await self._stack.enter_async_context(self._open())
            return self._lookups

    async def run(self, job: Job) -> str:
        """See `jobs.context.Pipeline`."""
        lookups = await self._opened()
        books = books_of(await job.input(INPUT))
        await job.start(len(books), job.metadata)

        async def look_up(index: int, asked: AskedBook) -> None:
            try:
                found = await lookups.find(index, asked)
            except ShelfwireError as error:
                job.fail(index, error, title=asked.title, **(error.details or {}))
            else:
                author = asked.author or next(iter(found.authors), None)
                job.record(index, found, title=asked.title, author=author, isbn=found.isbn13)

        await job.each(books, look_up, AT_ONCE)
        return summary(job.succeeded, job.failed)


def summary(found: int, failed: int) -> str:
    """What the job came to, for a person."""
    books = f"Found {found:,} {'book' if found == 1 else 'books'}"
    return books if not failed else f"{books}; {failed:,} {'was' if failed == 1 else 'were'} not found"
