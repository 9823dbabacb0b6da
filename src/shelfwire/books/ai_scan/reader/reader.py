"""Reads photos of bookshelves offline: an image in, the books on it out."""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np

from shelfwire.books.ai_scan.ipc import DetectedBook, Findings, Hint
from shelfwire.books.ai_scan.limits import MAX_PIXELS
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.engine import Engine
from shelfwire.books.ai_scan.reader.geometry import Pixels, turned_points
from shelfwire.books.ai_scan.reader.lines import PageText, page_text
from shelfwire.books.ai_scan.reader.order import Extent, reading_order
from shelfwire.books.ai_scan.reader.shelf import books_of
from shelfwire.books.ai_scan.reader.spine_text import SpineContent

_SOFT: Final = 5.0
"""Pixels, see `PageText.softness`: of 16 photos two are blurred, with 7.5 and 8.6, the others have 3.0 at most."""
_UNREAD: Final = 3
"""Lines in unknown scripts; of 16 photos the one with a Russian book has as many."""


class Reader:
    """Reads photos, one at a time: the models are loaded once, and keep state, so each thread needs its own.

    Args:
        threads: how many processor threads it may use.

    Raises:
        FileNotFoundError: the text models are not installed.
    """

    def __init__(self, threads: int = 2) -> None:
        self._engine = Engine(threads)

    def read(self, image: Pixels, on_title: Callable[[str], None]) -> list[DetectedBook]:
        """Find the books in a photo.

        Args:
            image: height x width x 3, RGB; upright or turned by quarters.
            on_title: receives texts of books while they are read, then each title, in the order of the books.

        Returns:
            The books in reading order.

        Raises:
            ValueError: the image has another shape, or more than MAX_PIXELS.
        """
        return [book for book in self.findings(image, on_title).books if book.likely]

    def findings(self, image: Pixels, on_title: Callable[[str], None]) -> Findings:
        """Find the books in a photo as `read` does, those that only a catalogue can tell from other text, and hints."""
        _check(image)
        page = page_text(image, self._engine, on_title)
        size = page.image.shape[1], page.image.shape[0]
        found = list(books_of(page.lines, Edges.of(page.image), size))
        books = _in_order([_detected(spine, page) for spine in found], page)
        for book in books:
            if book.likely:
                on_title(book.title)
        return Findings(tuple(books), _hints(page))


def _hints(page: PageText) -> tuple[Hint, ...]:
    if page.softness >= _SOFT:
        return (Hint.BLURRED,)  # Blurred letters of any script cannot be read.
    return (Hint.SCRIPT,) if page.unread >= _UNREAD else ()


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:  # noqa: PLR2004
        raise ValueError(f"A photo is height x width x 3 bytes, not {image.shape} of {image.dtype}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ValueError(f"The photo has more than {MAX_PIXELS // 1_000_000} million pixels. Make it smaller")


def _in_order(books: Sequence[DetectedBook], page: PageText) -> list[DetectedBook]:
    """The books in reading order: in the photo as it is, or turned by half if most of its text is upside down."""
    half_turn = page.turns == 2  # noqa: PLR2004
    return [books[index] for index in reading_order([_extent(book, half_turn=half_turn) for book in books])]


def _extent(book: DetectedBook, *, half_turn: bool) -> Extent:
    corners = np.array(book.polygon) * (-1 if half_turn else 1)
    return Extent(*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def _detected(spine: SpineContent, page: PageText) -> DetectedBook:
    size = page.image.shape[1], page.image.shape[0]
    corners = np.concatenate([line.quad for line in spine.group.lines]).astype(np.float32)
    frame = np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float32)
    placed = turned_points(frame, (4 - page.turns) % 4, size)
    width, height = size if page.turns % 2 == 0 else size[::-1]
    polygon = tuple((int(np.clip(x, 0, width)), int(np.clip(y, 0, height))) for x, y in placed.round())
    text = " | ".join(line.text for line in spine.group.lines)
    confidence = round(spine.confidence, 3)
    return DetectedBook(
        title=spine.title,
        authors=spine.authors,
        confidence=confidence,
        polygon=polygon,
        text=text,
        readings=spine.readings,
    )
