"""Readers of photos: on this machine, or by Gemini with this machine as the fallback."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Final, Protocol

import msgspec

from shelfwire.books.ai_scan.ipc import DetectedBook, Hint, JpegCopy
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.codes import BookCode
from shelfwire.books.gemini.photo_prompt import PhotoBook
from shelfwire.books.gemini.responses import GeminiError
from shelfwire.books.services import Services
from shelfwire.errors import ShelfwireError

OFFLINE_AT_ONCE: Final = 1
"""One photo at a time: one reader uses all cores."""


class PhotoReading(msgspec.Struct, frozen=True, kw_only=True):
    """The books that a reader found on a photo.

    Attributes:
        books: the books.
        width, height: of the upright photo, in pixels.
        reader: `offline` or `gemini`.
        tokens: of Gemini that were used.
        instead_of: the code of why Gemini, asked first, did not read it; None if it did or was not asked.
        hints: what stood in the way of reading it.
    """

    books: Sequence[DetectedBook]
    width: int
    height: int
    reader: str
    tokens: int = 0
    instead_of: str | None = None
    hints: tuple[Hint, ...] = ()


class PhotoReader(Protocol):
    """Reads photos."""

    @property
    def at_once(self) -> int:
        """How many photos are read at a time."""
        ...

    def ready(self) -> None:
        """Check that photos can be read.

        Raises:
            ShelfwireError: they cannot.
        """
        ...

    async def read(self, photo: bytes, on_title: Callable[[str], None]) -> PhotoReading:
        """Find the books on a photo.

        Args:
            photo: the file, as it was sent.
            on_title: receives each title as it is read.

        Raises:
            ShelfwireError: it cannot be read.
        """
        ...

    async def close(self) -> None:
        """Release its resources."""
        ...


class OfflineReader:
    """Reads photos on this machine, in the image worker. It needs the extra `shelfwire[scan]`."""

    def __init__(self, worker: ImageWorkerProcess | None = None) -> None:
        self._worker = worker or ImageWorkerProcess()

    @property
    def at_once(self) -> int:
        """See `PhotoReader`."""
        return OFFLINE_AT_ONCE

    def ready(self) -> None:
        """See `PhotoReader`."""
        if not _installed():
            raise ShelfwireError(BookCode.SCAN_UNAVAILABLE)

    async def read(self, photo: bytes, on_title: Callable[[str], None]) -> PhotoReading:
        """See `PhotoReader`."""
        found = await self._worker.books(photo, on_title)
        return PhotoReading(
            books=found.books, width=found.width, height=found.height, reader="offline", hints=found.hints
        )

    async def close(self) -> None:
        """See `PhotoReader`."""
        await self._worker.close()


class FallbackReader:
    """Asks Gemini if it is configured; reads on this machine if it is not, or does not answer.

    Args:
        services: hold Gemini, if it is configured.
        offline: reads on this machine.
        worker: makes the JPEG for Gemini; not the worker that reads, which may be busy for long.
    """

    def __init__(
        self, services: Services, offline: OfflineReader | None = None, worker: ImageWorkerProcess | None = None
    ) -> None:
        self._services = services
        self._offline = offline or OfflineReader()
        self._worker = worker or ImageWorkerProcess()

    @property
    def at_once(self) -> int:
        """See `PhotoReader`."""
        gemini = self._services.gemini
        return self._offline.at_once if gemini is None else gemini.at_once

    def ready(self) -> None:
        """See `PhotoReader`."""
        if self._services.gemini is None:
            self._offline.ready()

    async def read(self, photo: bytes, on_title: Callable[[str], None]) -> PhotoReading:
        """See `PhotoReader`."""
        gemini = self._services.gemini
        if gemini is None:
            return await self._offline.read(photo, on_title)
        jpeg = await self._worker.jpeg(photo)
        try:
            answer = await gemini.read_photo(jpeg.data, jpeg.width, jpeg.height)
        except GeminiError as error:
            return await self._read_offline(photo, on_title, error)
        books = [_detected(book) for book in answer.books]
        for book in books:
            on_title(book.title)
        return _reading(jpeg, books, answer.usage.total)

    async def close(self) -> None:
        """See `PhotoReader`."""
        await self._offline.close()
        await self._worker.close()

    async def _read_offline(self, photo: bytes, on_title: Callable[[str], None], why: GeminiError) -> PhotoReading:
        if self._services.gemini_required:
            raise why
        try:
            self._offline.ready()
        except ShelfwireError:
            raise why from None
        reading = await self._offline.read(photo, on_title)
        return msgspec.structs.replace(reading, tokens=why.usage.total, instead_of=why.code)


def _reading(jpeg: JpegCopy, books: Sequence[DetectedBook], tokens: int) -> PhotoReading:
    return PhotoReading(books=books, width=jpeg.width, height=jpeg.height, reader="gemini", tokens=tokens)


def _detected(book: PhotoBook) -> DetectedBook:
    outline: tuple[tuple[int, int], ...] = ()
    if book.box is not None:
        left, top, right, bottom = book.box
        outline = (left, top), (right, top), (right, bottom), (left, bottom)
    text = " | ".join([book.title, *book.authors])
    return DetectedBook(title=book.title, authors=book.authors, confidence=book.confidence, polygon=outline, text=text)


@lru_cache(maxsize=1)
def _installed() -> bool:
    return all(find_spec(module) is not None for module in ("rapidocr", "onnxruntime", "cv2"))
