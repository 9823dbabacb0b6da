"""The pipeline `ai_scan`: every photo of bookshelves is an item, with the books on it as its result."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from shelfwire.books.ai_scan import scanned_books
from shelfwire.books.ai_scan.confirming import Judged, enriched, unconfirmed
from shelfwire.books.ai_scan.ipc import ANY_WIDTH, DetectedBook, Hint
from shelfwire.books.ai_scan.limits import MAX_PHOTOS, photo_input
from shelfwire.books.ai_scan.options import ScanOptions
from shelfwire.books.ai_scan.photo_readers import OfflineReader, PhotoReader, PhotoReading
from shelfwire.books.ai_scan.scan_result import PhotoFailure, PhotoResult, ScannedBook
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.batch_enrichment.enricher import Enriching, counted, enriching_of
from shelfwire.books.bibliography.corrections import BookCorrection
from shelfwire.books.codes import BookCode
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline, ReadInput
from shelfwire.jobs.store import Item

SLOTS: Final = 4
"""Scans at once; more would only wait for the image worker, each with a photo in memory."""
HINTS: Final = {
    Hint.BLURRED: "blurred letters (hold the camera still)",
    Hint.SCRIPT: "text in a script that the offline reader does not know",
}
"""What a photo with a hint has."""
MAX_VIEWS: Final = 20
"""Photos that are waited for at a time, as many as a scan has."""


class Confirmer(Protocol):
    """A catalogue of existing books, which decides whether a person has to check a detected one."""

    async def confirm(self, books: Sequence[DetectedBook]) -> Sequence[Judged]:
        """Look up books, and return those that remain, each with what is known of it."""
        ...


class AiScan(Pipeline):
    """Finds the books on the photos in the inputs `photo-0`, `photo-1` and so on.

    Args:
        reader: reads photos; without network unless given.
        confirmer: confirms what was read; without, a person has to check every book.
        services: hold the providers of book data, if there are any.
        viewer: opens photos that are shown again; not the worker that reads, which may be busy for long.
    """

    name = "ai_scan"
    options = ScanOptions
    result = PhotoResult
    line = ScannedBook
    failure = PhotoFailure
    codes = BookCode
    correction = BookCorrection
    slots = SLOTS

    def __init__(
        self,
        reader: PhotoReader | None = None,
        confirmer: Confirmer | None = None,
        services: Services | None = None,
        viewer: ImageWorkerProcess | None = None,
    ) -> None:
        self._reader = reader or OfflineReader()
        self._confirmer = confirmer
        self._services = services or Services()
        self._viewer = viewer or ImageWorkerProcess()
        self._showing = asyncio.Lock()
        self._waiting_views = 0

    def ready(self) -> None:
        """Check that photos can be read.

        Raises:
            ShelfwireError: `E_SCAN_UNAVAILABLE`.
        """
        self._reader.ready()

    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        """The results of a job, in which a book on two photos is listed once."""
        return scanned_books.results(items)

    def lines(self, items: Sequence[Item]) -> Sequence[Item]:
        """The books of the photos on a page, each once."""
        return scanned_books.lines(items)

    def corrected(self, item: Item, corrections: Sequence[BookCorrection]) -> Item | None:
        """The photo with its books as a person has corrected them."""
        return scanned_books.with_corrections(item, corrections) if item.ok else item

    async def run(self, job: Job) -> str:
        """Read every photo that is not read yet.

        Raises:
            ShelfwireError: `E_SCAN_UNAVAILABLE`; `E_INVALID_REQUEST`: there are no photos.
        """
        self.ready()
        photos = await _photos(job)
        await job.start(total=len(photos), metadata=msgspec.structs.replace(job.metadata, photo_count=len(photos)))
        enriching = await enriching_of(job, self._services)
        results = [scanned_books.decode_result(item.body) for item in await job.log() if item.ok]

        async def scan(index: int, name: str) -> None:
            title = f"Photo {index + 1}"
            try:
                result = await self._result(job, index, await job.input(name), enriching)
            except ShelfwireError as error:
                job.fail(index, error, title=title, **msgspec.to_builtins(PhotoFailure(photo=index)))
            else:
                results.append(result)
                job.record(index, result, title=title)

        await job.each(photos, scan, self._reader.at_once)
        return summary(results, len(photos), job.failed)

    async def close(self) -> None:
        """Release the readers."""
        await self._reader.close()
        await self._viewer.close()

    async def shown(self, name: str, read: ReadInput, width: int | None) -> bytes | None:
        """Return a photo as a JPEG: upright and without metadata; None if there is none.

        Photos are opened one after the other, so that one at a time is in memory.

        Args:
            name: the name of its input.
            read: reads the job's inputs.
            width: its width in pixels at most; None for any.

        Raises:
            ShelfwireError: `E_IMAGE_UNREADABLE`; `E_OVERLOADED`: too many wait for theirs.
        """
        if self._waiting_views >= MAX_VIEWS:
            raise ShelfwireError(Code.OVERLOADED, f"{MAX_VIEWS} photos are waited for already. Ask again in a moment")
        self._waiting_views += 1
        try:
            async with self._showing:
                photo = await read(name)
                return (await self._viewer.jpeg(photo, width or ANY_WIDTH)).data if photo else None
        finally:
            self._waiting_views -= 1

    async def _reading(self, job: Job, index: int, photo: bytes) -> PhotoReading:
        """Read a photo, or return what an earlier attempt has read, so that no photo is read or paid for twice.

        Raises:
            ShelfwireError: it cannot be read, or has no books; the next attempt reads it again.
        """
        name = f"photo-reading-{index}"
        if (kept := await job.kept(name)) is not None:
            return msgspec.json.decode(kept, type=PhotoReading)
        reading = await self._reader.read(photo, job.show)
        if not reading.books:
            raise _no_books(reading)
        await job.keep(name, msgspec.json.encode(reading))
        return reading

    async def _result(self, job: Job, index: int, photo: bytes, enriching: Enriching | None) -> PhotoResult:
        reading = await self._reading(job, index, photo)
        judged: Sequence[Judged] = unconfirmed(reading.books)
        if self._confirmer is not None:
            judged = await self._confirmer.confirm(reading.books)
        if not judged:
            raise _no_books(reading)
        books = [scanned_books.scanned(book, index, known) for book, known in judged]
        if enriching is not None:
            books = await asyncio.gather(*(_enriched(enriching, place, book) for place, book in enumerate(books)))
        return PhotoResult(
            books=tuple(books),
            book_count=len(books),
            reader=reading.reader,
            width=reading.width,
            height=reading.height,
            hints=reading.hints,
            tokens=reading.tokens,
            instead_of=reading.instead_of,
        )


def _no_books(reading: PhotoReading) -> ShelfwireError:
    """The error of a photo without books, which says why if that is known."""
    if not reading.hints:
        return ShelfwireError(BookCode.NO_BOOKS_FOUND)
    found = " and ".join(HINTS[hint] for hint in reading.hints)
    return ShelfwireError(
        BookCode.NO_BOOKS_FOUND,
        f"No books were found in the photo: {', '.join(reading.hints)}",
        user_message=f"No books could be read in this photo. It has {found}.",
    )


def summary(results: Sequence[PhotoResult], total: int, failed: int) -> str:
    """The outcome of the scan, for a person.

    Args:
        results: of the photos that were read.
        total: the number of photos.
        failed: the number of those that could not be read.
    """
    in_order = sorted(results, key=lambda result: result.books[0].photo)
    books = scanned_books.merged([book for result in in_order for book in result.books])
    parts = [f"Found {_counted(len(books), 'book')} on {_counted(total, 'photo')}"]
    if doubtful := sum(book.review for book in books):
        parts.append(f"{doubtful:,} to be looked at")
    if any(book.enriched or book.enrichment_error for book in books):
        found = sum(book.enriched is not None for book in books)
        parts.append(counted(found, len(books) - found))
    if failed:
        parts.append(f"{_counted(failed, 'photo')} could not be read")
    if instead := sum(result.instead_of is not None for result in results):
        parts.append(f"Gemini was not available: the offline reader has read {_counted(instead, 'photo')}")
    for hint, what in HINTS.items():
        if hinted := sum(hint in result.hints for result in results):
            parts.append(f"{_counted(hinted, 'photo')} with {what}")
    if tokens := sum(result.tokens for result in results):
        parts.append(f"Gemini used {tokens:,} tokens")
    return "; ".join(parts)


async def _enriched(enriching: Enriching, place: int, book: ScannedBook) -> ScannedBook:
    return enriched(book, await enriching.look_up(place, book.title, book.authors, book.isbn13))


async def _photos(job: Job) -> list[str]:
    names = [photo_input(index) for index in range(MAX_PHOTOS)]
    count = job.metadata.photo_count
    if count is None:  # the job was created by the route for any pipeline
        count = 0
        while count < MAX_PHOTOS and await job.input(names[count]):
            count += 1
    if not count:
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"There are no photos. They are inputs named {names[0]}, {names[1]} and so on"
        )
    return names[:count]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
