"""Who reads photos: this machine, or Gemini where it is set up, and this machine when Gemini does not answer."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Final, Protocol

import msgspec

from shelfwire.books.ai_scan.ipc import Jpeg, Spine
from shelfwire.books.ai_scan.process import Opener
from shelfwire.books.codes import BookCode
from shelfwire.books.gemini.answers import GeminiError
from shelfwire.books.gemini.photos import PhotoBook
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError

OFFLINE_AT_ONCE: Final = 1
"""Photos are read one after the other: one reader uses all cores."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader found on a photo.

    Attributes:
        spines: the books.
        width, height: of the photo as it is meant to be looked at, in pixels.
        reader: who has read it: `offline` or `gemini`.
        tokens: what it cost.
        instead_of: why another reader, asked first, did not; None if it was not asked.
    """

    spines: Sequence[Spine]
    width: int
    height: int
    reader: str
    tokens: int = 0
    instead_of: Code | None = None


class PhotoReader(Protocol):
    """Reads photos."""

    @property
    def at_once(self) -> int:
        """How many photos it reads at a time."""
        ...

    def ready(self) -> None:
        """Say whether it can.

        Raises:
            ShelfwireError: it cannot.
        """
        ...

    async def read(self, photo: bytes, spotted: Callable[[str], None]) -> Reading:
        """Find the books on a photo.

        Args:
            photo: the file, as it was sent.
            spotted: is told of each title as it is read.

        Raises:
            ShelfwireError: it cannot be read.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class OfflineReader:
    """Reads photos on this machine, in a process of its own. It needs the extra `shelfwire[scan]`."""

    def __init__(self, opener: Opener | None = None) -> None:
        self._opener = opener or Opener()

    @property
    def at_once(self) -> int:
        """See `PhotoReader`."""
        return OFFLINE_AT_ONCE

    def ready(self) -> None:
        """See `PhotoReader`."""
        if not _installed():
            raise ShelfwireError(BookCode.SCAN_UNAVAILABLE)

    async def read(self, photo: bytes, spotted: Callable[[str], None]) -> Reading:
        """See `PhotoReader`."""
        found = await self._opener.books(photo, spotted)
        return Reading(spines=found.spines, width=found.width, height=found.height, reader="offline")

    async def close(self) -> None:
        """See `PhotoReader`."""
        await self._opener.close()


class BestReader:
    """Asks Gemini where it is set up; reads on this machine where it is not, and where it does not answer.

    Args:
        outside: where Gemini is, if there is one.
        offline: reads on this machine.
        opener: makes what is sent to Gemini; not the process that reads, which may be busy for long.
    """

    def __init__(self, outside: Services, offline: OfflineReader | None = None, opener: Opener | None = None) -> None:
        self._outside = outside
        self._offline = offline or OfflineReader()
        self._opener = opener or Opener()

    @property
    def at_once(self) -> int:
        """See `PhotoReader`."""
        gemini = self._outside.gemini
        return self._offline.at_once if gemini is None else gemini.at_once

    def ready(self) -> None:
        """See `PhotoReader`."""
        if self._outside.gemini is None:
            self._offline.ready()

    async def read(self, photo: bytes, spotted: Callable[[str], None]) -> Reading:
        """See `PhotoReader`."""
        gemini = self._outside.gemini
        if gemini is None:
            return await self._offline.read(photo, spotted)
        jpeg = await self._opener.jpeg(photo)
        try:
            answer = await gemini.read_photo(jpeg.data, jpeg.width, jpeg.height)
        except GeminiError as error:
            return await self._instead(photo, spotted, error)
        spines = [_spine(book) for book in answer.books]
        for spine in spines:
            spotted(spine.title)
        return _reading(jpeg, spines, answer.usage.total)

    async def close(self) -> None:
        """See `PhotoReader`."""
        await self._offline.close()
        await self._opener.close()

    async def _instead(self, photo: bytes, spotted: Callable[[str], None], why: GeminiError) -> Reading:
        if self._outside.gemini_required:
            raise why
        try:
            self._offline.ready()
        except ShelfwireError:
            raise why from None
        reading = await self._offline.read(photo, spotted)
        return msgspec.structs.replace(reading, tokens=why.usage.total, instead_of=why.code)


def _reading(jpeg: Jpeg, spines: Sequence[Spine], tokens: int) -> Reading:
    return Reading(spines=spines, width=jpeg.width, height=jpeg.height, reader="gemini", tokens=tokens)


def _spine(book: PhotoBook) -> Spine:
    outline: tuple[tuple[int, int], ...] = ()
    if book.box is not None:
        left, top, right, bottom = book.box
        outline = (left, top), (right, top), (right, bottom), (left, bottom)
    text = " | ".join([book.title, *book.authors])
    return Spine(title=book.title, authors=book.authors, confidence=book.confidence, polygon=outline, text=text)


@lru_cache(maxsize=1)
def _installed() -> bool:
    return all(find_spec(module) is not None for module in ("rapidocr", "onnxruntime", "cv2"))
