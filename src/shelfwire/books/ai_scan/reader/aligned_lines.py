"""Lines of text aligned to a frame in which they run from left to right, with the edges along them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shelfwire.books.ai_scan.reader.edges import Edges, covered
from shelfwire.books.ai_scan.reader.geometry import Quad, sides, turned_points
from shelfwire.books.ai_scan.reader.lines import Line

_FAR: Final = 8.0
"""Line heights within which an edge along a line is searched."""
_EDGE: Final = 0.7
"""Share of a line's length along which an edge must be visible."""
PARALLEL: Final = 0.15
"""Difference of slopes up to which lines and edges count as parallel."""
_TELLING: Final = 5.0
"""Line heights from which on a line is long enough for its slope to be reliable."""


@dataclass
class AlignedLine:
    """A line of text in the frame in which it runs from left to right."""

    line: Line
    left: float
    right: float
    middle: float
    height: float
    slope: float
    above: float = np.inf
    below: float = np.inf

    @property
    def centre(self) -> float:
        """The x of its middle."""
        return (self.left + self.right) / 2

    @property
    def top(self) -> float:
        """The y of its upper end."""
        return self.middle - self.height / 2

    @property
    def bottom(self) -> float:
        """The y of its lower end."""
        return self.middle + self.height / 2

    @property
    def thickness(self) -> float:
        """The distance between the edges along it; where none is visible, one at the line's height is assumed."""
        return sum(room if np.isfinite(room) else self.height for room in (self.above, self.below))

    def at(self, x: Any) -> Any:
        """The y of its middle line, extended to x."""
        return self.middle + self.slope * (x - self.centre)

    def holds(self, other: "AlignedLine", slack: float) -> bool:
        """Whether another line's middle lies between the edges along this one, or within `slack`."""
        offset = other.middle - self.at(other.centre)
        room = self.below if offset > 0 else self.above
        return bool(abs(offset) < (room if np.isfinite(room) else slack))

    @classmethod
    def of(cls, line: Line, quad: Quad) -> "AlignedLine":
        """Align a line with these corners."""
        along, across = sides(quad)
        start, end = (quad[0] + quad[3]) / 2, (quad[1] + quad[2]) / 2
        if start[0] > end[0]:
            start, end = end, start
        if along < 1.5 * across:
            (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
            return cls(line, float(left), float(right), float(top + bottom) / 2, float(bottom - top), 0.0)
        slope = float((end[1] - start[1]) / max(1.0, end[0] - start[0]))
        return cls(line, float(start[0]), float(end[0]), float(start[1] + end[1]) / 2, across, slope)


def aligned(lines: Sequence[Line], quarters: int, size: tuple[int, int]) -> list[AlignedLine]:
    """Align those lines that run along the photo turned by `quarters`."""
    return [
        AlignedLine.of(line, turned_points(line.quad, quarters, size))
        for line in lines
        if line.turns % 2 == quarters % 2
    ]


def across(line: Line, axis: int, size: tuple[int, int]) -> AlignedLine:
    """Align a line that crosses the frame: its length there is the line's height."""
    quad = turned_points(line.quad, axis, size)
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    return AlignedLine(line, float(left), float(right), float(top + bottom) / 2, float(bottom - top), 0.0)


def lean(rows: Sequence[AlignedLine]) -> None:
    """Give short lines the slope of the long ones around them: their own is not reliable."""
    long = [row for row in rows if row.right - row.left > _TELLING * row.height]
    for row in rows:
        if row.right - row.left > _TELLING * row.height:
            continue
        about = [other for other in long if abs(other.at(row.centre) - row.middle) < 4 * row.height]
        about.sort(key=lambda other: abs(other.centre - row.centre) + 3 * abs(other.at(row.centre) - row.middle))
        if about:
            row.slope = float(np.median([other.slope for other in about[:3]]))


def with_edges(rows: Sequence[AlignedLine], edges: Edges) -> None:
    """Find the nearest edges above and below each line."""
    for row in rows:
        row.above, row.below = _room(row, edges, -1), _room(row, edges, 1)


def _room(row: AlignedLine, edges: Edges, way: int) -> float:
    """The distance of the nearest edge along a line from its middle, above (-1) or below (1)."""
    left, right = row.left - row.height, row.right + row.height
    segments = edges.along
    segments = segments[(segments[:, 2] > left) & (segments[:, 0] < right)]
    if not len(segments):
        return np.inf
    centres = (segments[:, [0, 2]].clip(left, right)).mean(axis=1)
    inclines = (segments[:, 3] - segments[:, 1]) / np.maximum(1, segments[:, 2] - segments[:, 0])
    heights = segments[:, 1] + inclines * (centres - segments[:, 0])
    away = way * (heights - row.middle - row.slope * (centres - row.centre))
    near = (away > 0.4 * row.height) & (away < _FAR * row.height) & (np.abs(inclines - row.slope) < PARALLEL)
    near &= segments[:, 2] - segments[:, 0] > 0.8 * row.height  # Shorter ones are strokes of its own letters.
    segments, away = segments[near], away[near]
    for distance in np.sort(away):
        level = segments[(away >= distance) & (away <= distance + 0.25 * row.height)]
        if covered(level[:, [0, 2]], row.left, row.right) >= _EDGE:
            return float(distance)
    return np.inf
