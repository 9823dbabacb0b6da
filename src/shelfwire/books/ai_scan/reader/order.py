"""Reading order of books: shelf by shelf, from left to right, stacks from top to bottom."""

from collections.abc import Sequence
from typing import NamedTuple


class Extent(NamedTuple):
    """The bounding box of a book, in pixels of a photo in which shelves run from left to right."""

    left: float
    top: float
    right: float
    bottom: float


def reading_order(extents: Sequence[Extent]) -> list[int]:
    """Return the indices of the books in reading order.

    Args:
        extents: the bounding boxes. Books whose middle lies beside a higher one are on the same shelf.
    """
    shelves: list[list[int]] = []
    for index in sorted(range(len(extents)), key=lambda index: extents[index].top - extents[index].bottom):
        beside = next((shelf for shelf in shelves if _is_beside(extents[index], extents[shelf[0]])), None)
        if beside is None:
            shelves.append([index])
        else:
            beside.append(index)
    shelves.sort(key=lambda shelf: extents[shelf[0]].top)
    return [index for shelf in shelves for index in sorted(shelf, key=lambda index: _along(extents[index]))]


def _is_beside(one: Extent, higher: Extent) -> bool:
    return higher.top <= (one.top + one.bottom) / 2 <= higher.bottom


def _along(extent: Extent) -> tuple[float, float]:
    return (extent.left + extent.right) / 2, extent.top
