"""Straight edges in a photo: those of books and boards."""

from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from shelfwire.books.ai_scan.reader.geometry import Pixels, scaled_down, turned_points

_SIDE: Final = 1800
"""Pixels of the longer side of the photo in which edges are looked for."""
_CROSSED: Final = 0.8
"""Share of the span along which a board's edge must be visible."""
_CHAINS: Final = 12
"""How many edges, the longest first, are tried as part of a board's."""
_LEANING: Final = 0.3
"""Slope up to which an edge counts as running along."""
_SHORTEST: Final = 12.0
"""Pixels, of the shrunk photo: shorter edges are strokes of letters and dirt."""


@dataclass(frozen=True)
class Edges:
    """Straight edges, in pixels of the photo.

    Attributes:
        along: N x 4, (x, y) of the left end and (x, y) of the right end of each edge that runs along.
        across: N x 4, (x, y) of the upper and of the lower end of each edge that runs across.
    """

    along: NDArray[np.float32]
    across: NDArray[np.float32]

    @classmethod
    def of(cls, image: Pixels) -> Self:
        """Find the straight edges of a photo."""
        scale = min(1.0, _SIDE / max(image.shape))
        grey = cv2.cvtColor(scaled_down(image, scale), cv2.COLOR_RGB2GRAY)
        found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
        if found is None:
            return cls(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32))
        ends = np.asarray(found, np.float32).reshape(-1, 4)
        ends = ends[np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]) >= _SHORTEST] / np.float32(scale)
        return cls._sorted(ends)

    @classmethod
    def _sorted(cls, ends: NDArray[np.float32]) -> Self:
        width, height = np.abs(ends[:, 2] - ends[:, 0]), np.abs(ends[:, 3] - ends[:, 1])
        along, across = ends[height <= _LEANING * width], ends[width <= _LEANING * height]
        flip = along[:, 0] > along[:, 2]
        along[flip] = along[flip][:, [2, 3, 0, 1]]
        flip = across[:, 1] > across[:, 3]
        across[flip] = across[flip][:, [2, 3, 0, 1]]
        return cls(along, across)

    def turned(self, quarters: int, size: tuple[int, int]) -> Self:
        """The edges of the photo turned by `quarters`; `size` is its width and height before."""
        ends = np.concatenate([self.along, self.across])
        return self._sorted(turned_points(ends.reshape(-1, 2, 2), quarters, size).reshape(-1, 4))

    def flipped(self) -> "Edges":
        """The same edges with x and y exchanged: what ran across runs along."""
        swap = [1, 0, 3, 2]
        return Edges(self.across[:, swap], self.along[:, swap])

    def crossed(self, reach: tuple[float, float], span: tuple[float, float], slack: float) -> bool:
        """Whether one edge across, perhaps in pieces, begins and ends beyond `span`, at an x within `reach`."""
        segments = self.across
        middles = (segments[:, 0] + segments[:, 2]) / 2
        near = (middles > reach[0]) & (middles < reach[1]) & (segments[:, 3] > span[0]) & (segments[:, 1] < span[1])
        segments = segments[near]
        inclines = (segments[:, 2] - segments[:, 0]) / np.maximum(1, segments[:, 3] - segments[:, 1])
        heights = segments[:, 3] - segments[:, 1]
        for index in np.argsort(-heights)[:_CHAINS]:
            centre = (segments[:, 1] + segments[:, 3]) / 2
            expected = segments[index, 0] + inclines[index] * (centre - segments[index, 1])
            chain = np.abs((segments[:, 0] + segments[:, 2]) / 2 - expected) < slack
            if covered(segments[chain][:, [1, 3]], *span) >= _CROSSED:
                return True
        return False


def covered(intervals: NDArray[np.float32], start: float, end: float) -> float:
    """The share of start..end that lies within at least one of N x 2 intervals."""
    total, reached = 0.0, start
    for low, high in intervals[np.argsort(intervals[:, 0])] if len(intervals) else ():
        low_, high_ = max(float(low), reached), min(float(high), end)
        if high_ > low_:
            total += high_ - low_
            reached = high_
    return total / max(1.0, end - start)
