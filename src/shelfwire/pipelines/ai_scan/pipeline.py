"""The pipeline `ai_scan`: an item is a photo, its result the books on it."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final, Protocol

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.images import MAX_PHOTOS, photo_input
from shelfwire.jobs.context import Job
from shelfwire.jobs.store import Item
from shelfwire.pipelines.ai_scan import books
from shelfwire.pipelines.ai_scan.books import Confirmed
from shelfwire.pipelines.ai_scan.process import Opener
from shelfwire.pipelines.ai_scan.talk import Spine

OFFLINE_AT_ONCE: Final = 1
"""Photos are read one after the other: one reader uses all cores."""
ASKED_AT_ONCE: Final = 4


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

    at_once: int

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


class Catalogue(Protocol):
    """Knows books that exist; what it says decides whether somebody has to look."""

    async def confirm(self, spines: Sequence[Spine]) -> Sequence[Confirmed | None]:
        """Look up what was read; None for each that it does not know."""
        ...


class OfflineReader:
    """Reads photos on this machine, in a process of its own. It needs the extra `shelfwire[scan]`."""

    at_once = OFFLINE_AT_ONCE

    def __init__(self, opener: Opener | None = None) -> None:
        self._opener = opener or Opener()

    def ready(self) -> None:
        """See `PhotoReader`."""
        if not _installed():
            raise ShelfwireError(Code.SCAN_UNAVAILABLE)

    async def read(self, photo: bytes, spotted: Callable[[str], None]) -> Reading:
        """See `PhotoReader`."""
        found = await self._opener.books(photo, spotted)
        return Reading(spines=found.spines, width=found.width, height=found.height, reader="offline")

    async def close(self) -> None:
        """See `PhotoReader`."""
        await self._opener.close()


class AiScan:
    """Photos of bookshelves: an item is a photo, its result the books on it.

    Args:
        reader: reads them; the one that needs no network unless given.
        catalogue: confirms what was read; without, every book is to be looked at by a person.
    """

    name = "ai_scan"
    columns = ("bookCount", "reader", "width", "height")

    def __init__(self, reader: PhotoReader | None = None, catalogue: Catalogue | None = None) -> None:
        self._reader = reader or OfflineReader()
        self._catalogue = catalogue

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
        tally = _Tally([item.body for item in await job.log() if item.ok])

        async def one(index: int, name: str) -> None:
            title = f"Photo {index + 1}"
            try:
                result = await self._result(job, index, await job.input(name))
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

    async def _result(self, job: Job, index: int, photo: bytes) -> dict[str, Any]:
        reading = await self._reader.read(photo, job.show)
        if not reading.spines:
            raise ShelfwireError(Code.NO_BOOKS_FOUND)
        confirmed: Sequence[Confirmed | None] = [None] * len(reading.spines)
        if self._catalogue is not None:
            confirmed = await self._catalogue.confirm(reading.spines)
        found = [books.book_of(spine, index, known) for spine, known in zip(reading.spines, confirmed, strict=True)]
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
        if failed:
            parts.append(f"{_counted(failed, 'photo')} could not be read")
        if instead := sum("insteadOf" in result for result in self._results):
            parts.append(f"Gemini was not available: the offline reader has read {_counted(instead, 'photo')}")
        if tokens := sum(result.get("tokens", 0) for result in self._results):
            parts.append(f"Gemini used {tokens:,} tokens")
        return "; ".join(parts)


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


@lru_cache(maxsize=1)
def _installed() -> bool:
    return all(find_spec(module) is not None for module in ("rapidocr", "onnxruntime", "cv2"))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
