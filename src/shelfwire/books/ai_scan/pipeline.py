"""The pipeline `ai_scan`: an item is a photo, its result the books on it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec

from shelfwire.books.ai_scan import books
from shelfwire.books.ai_scan.books import Confirmed
from shelfwire.books.ai_scan.confirming import agreeing
from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.limits import MAX_PHOTOS, photo_input
from shelfwire.books.ai_scan.photo_readers import OfflineReader, PhotoReader, PhotoReading
from shelfwire.books.batch_enrichment.enricher import Enriching, counted, enriching_of
from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.options import ScanOptions
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.store import Item


class Confirmer(Protocol):
    """Knows books that exist; what it says decides whether somebody has to look."""

    async def confirm(self, spines: Sequence[DetectedBook]) -> Sequence[Confirmed | None]:
        """Look up what was read; None for each that it does not know."""
        ...


class ScannedPhoto(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result for a photo: its columns in a table. Beside them it has `books`, and some have more members."""

    book_count: Annotated[int, msgspec.Meta(description="The number of books on it.")]
    reader: Annotated[str, msgspec.Meta(description="Which reader has read it: `offline` or `gemini`.")]
    width: Annotated[int, msgspec.Meta(description="Its width, in pixels.")]
    height: Annotated[int, msgspec.Meta(description="Its height, in pixels.")]


class AiScan(Pipeline):
    """Photos of bookshelves: an item is a photo, its result the books on it.

    Args:
        reader: reads them; the one that needs no network unless given.
        catalogue: confirms what was read; without, every book is to be looked at by a person.
        outside: where books are looked up, if that was wished for.
    """

    name = "ai_scan"
    options = ScanOptions
    result = ScannedPhoto
    codes = BookCode

    def __init__(
        self,
        reader: PhotoReader | None = None,
        catalogue: Confirmer | None = None,
        outside: Services | None = None,
    ) -> None:
        self._reader = reader or OfflineReader()
        self._catalogue = catalogue
        self._outside = outside or Services()

    def ready(self) -> None:
        """Say whether photos can be read.

        Raises:
            ShelfwireError: `E_SCAN_UNAVAILABLE`.
        """
        self._reader.ready()

    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        """The results of a job: the same book on two photos once."""
        return books.results(items)

    async def run(self, job: Job) -> str:
        """Read every photo that is not read yet.

        Raises:
            ShelfwireError: `E_SCAN_UNAVAILABLE`; `E_INVALID_REQUEST`: there are no photos.
        """
        self.ready()
        photos = await _photos(job)
        metadata = msgspec.structs.replace(job.metadata, photo_count=len(photos))
        await job.start(total=len(photos), metadata=metadata)
        enriching = await enriching_of(job, self._outside, wanted=job.options.enrich)
        tally = _Tally([item.body for item in await job.log() if item.ok])

        async def one(index: int, name: str) -> None:
            title = f"Photo {index + 1}"
            try:
                result = await self._result(job, index, await job.input(name), enriching)
            except ShelfwireError as error:
                job.fail(index, error, title=title, photo=index)
            else:
                tally.add(result)
                job.record(index, result, title=title)

        await job.each(photos, one, self._reader.at_once)
        return tally.summary(len(photos), job.failed)

    async def close(self) -> None:
        """Let go of the readers."""
        await self._reader.close()

    async def _reading(self, job: Job, index: int, photo: bytes) -> PhotoReading:
        """Read a photo, or return what an earlier attempt has read: neither money nor time is spent twice.

        Raises:
            ShelfwireError: it cannot be read, or has no books; the next attempt looks again.
        """
        name = f"photo-reading-{index}"
        kept = await job.kept(name)
        if kept is not None:
            return msgspec.json.decode(kept, type=PhotoReading)
        reading = await self._reader.read(photo, job.show)
        if not reading.books:
            raise ShelfwireError(BookCode.NO_BOOKS_FOUND)
        await job.keep(name, msgspec.json.encode(reading))
        return reading

    async def _result(self, job: Job, index: int, photo: bytes, enriching: Enriching | None) -> dict[str, Any]:
        reading = await self._reading(job, index, photo)
        confirmed: Sequence[Confirmed | None] = [None] * len(reading.books)
        if self._catalogue is not None:
            confirmed = await self._catalogue.confirm(reading.books)
        found = [books.book_of(spine, index, known) for spine, known in zip(reading.books, confirmed, strict=True)]
        if enriching is not None:
            found = await asyncio.gather(*(_enriched(enriching, place, book) for place, book in enumerate(found)))
        paid = {"tokens": reading.tokens} if reading.tokens else {}
        instead = {"insteadOf": str(reading.instead_of)} if reading.instead_of else {}
        size = {"width": reading.width, "height": reading.height}
        return {"books": found, "bookCount": len(found), **size, "reader": reading.reader, **paid, **instead}


class _Tally:
    """What the photos of a job came to, those of earlier attempts included."""

    def __init__(self, earlier: Sequence[msgspec.Raw]) -> None:
        self._results = [msgspec.json.decode(body, type=dict[str, Any]) for body in earlier]

    def add(self, result: dict[str, Any]) -> None:
        self._results.append(result)

    def summary(self, total: int, failed: int) -> str:
        read = sorted((result["books"] for result in self._results), key=lambda found: found[0]["photo"])
        found = books.merged([book for photo in read for book in photo])
        parts = [f"Found {_counted(len(found), 'book')} on {_counted(total, 'photo')}"]
        if doubtful := sum(book["review"] for book in found):
            parts.append(f"{doubtful:,} to be looked at")
        if any(_looked_up(book) for book in found):
            enriched = sum("enriched" in book for book in found)
            parts.append(counted(enriched, len(found) - enriched))
        if failed:
            parts.append(f"{_counted(failed, 'photo')} could not be read")
        if instead := sum("insteadOf" in result for result in self._results):
            parts.append(f"Gemini was not available: the offline reader has read {_counted(instead, 'photo')}")
        if tokens := sum(result.get("tokens", 0) for result in self._results):
            parts.append(f"Gemini used {tokens:,} tokens")
        return "; ".join(parts)


async def _enriched(enriching: Enriching, place: int, book: dict[str, Any]) -> dict[str, Any]:
    more = await enriching.look_up(place, book["title"], book["authors"], book.get("isbn13"))
    return agreeing(book, more)


async def _photos(job: Job) -> list[str]:
    names = [photo_input(index) for index in range(MAX_PHOTOS)]
    count = job.metadata.photo_count
    if count is None:  # it was not the route for photos that made the job
        count = 0
        while count < MAX_PHOTOS and await job.input(names[count]):
            count += 1
    if not count:
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"There are no photos. They are inputs named {names[0]}, {names[1]} and so on"
        )
    return names[:count]


def _looked_up(book: Mapping[str, Any]) -> bool:
    return "enriched" in book or "enrichmentError" in book


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
