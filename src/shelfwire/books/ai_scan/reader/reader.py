"""Reads photos of bookshelves without any service: an image in, the books that are seen in it out."""

from collections.abc import Callable

import cv2
import numpy as np

from shelfwire.books.ai_scan.ipc import Spine
from shelfwire.books.ai_scan.limits import MAX_PIXELS
from shelfwire.books.ai_scan.reader.books import Said, books_of
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.engine import Engine
from shelfwire.books.ai_scan.reader.geometry import Pixels, turned_points
from shelfwire.books.ai_scan.reader.lines import Page, page_of
from shelfwire.books.ai_scan.reader.order import Extent, reading_order


class Reader:
    """Reads photos, one at a time: the models are loaded once, and keep state, so each thread needs its own.

    Args:
        threads: how many processor threads it may use.

    Raises:
        FileNotFoundError: the text models are not installed.
    """

    def __init__(self, threads: int = 2) -> None:
        self._engine = Engine(threads)

    def read(self, image: Pixels, on_title: Callable[[str], None]) -> list[Spine]:
        """Find the books in a photo.

        Args:
            image: height x width x 3, RGB, upright as the camera meant it; turned by quarters it is read as well.
            on_title: is told what stands on spines while they are read, then each title, in the order of the books.

        Returns:
            The books in the order in which a person would name them.

        Raises:
            ValueError: the image has another shape, or more than MAX_PIXELS.
        """
        _check(image)
        page = page_of(image, self._engine, on_title)
        size = page.image.shape[1], page.image.shape[0]
        found = list(books_of(page.lines, Edges.of(page.image), size))
        spines = [_spine(found[index], page) for index in reading_order([_extent(said) for said in found])]
        for spine in spines:
            on_title(spine.title)
        return spines


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:  # noqa: PLR2004
        raise ValueError(f"A photo is height x width x 3 bytes, not {image.shape} of {image.dtype}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ValueError(f"The photo has more than {MAX_PIXELS // 1_000_000} million pixels. Make it smaller")


def _extent(said: Said) -> Extent:
    corners = np.concatenate([line.quad for line in said.group.lines])
    return Extent(*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def _spine(said: Said, page: Page) -> Spine:
    size = page.image.shape[1], page.image.shape[0]
    corners = np.concatenate([line.quad for line in said.group.lines]).astype(np.float32)
    frame = np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float32)
    placed = turned_points(frame, (4 - page.turns) % 4, size)
    width, height = size if page.turns % 2 == 0 else size[::-1]
    polygon = tuple((int(np.clip(x, 0, width)), int(np.clip(y, 0, height))) for x, y in placed.round())
    text = " | ".join(line.text for line in said.group.lines)
    confidence = round(said.confidence, 3)
    return Spine(title=said.title, authors=said.authors, confidence=confidence, polygon=polygon, text=text)
