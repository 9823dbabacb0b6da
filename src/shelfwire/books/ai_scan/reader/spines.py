"""Groups lines of text by the spine that they are on.

Two lines belong together when each lies between the edges along the other, and no board runs between them. Everything
here works along one axis at a time, in a frame where text runs from left to right, perhaps sloping; for the other axis
the frame is the photo turned by a quarter.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeVar

import numpy as np

from shelfwire.books.ai_scan.reader.aligned_lines import PARALLEL, AlignedLine, across, aligned, lean, with_edges
from shelfwire.books.ai_scan.reader.edges import Edges, covered
from shelfwire.books.ai_scan.reader.lines import Line

_EDGED: Final = 3.0
"""Line heights from the middle of a line within which an edge is close."""
_OVER: Final = 0.3
"""A board extends beyond both edges of a spine by this share of its thickness."""
_GAP: Final = 25.0
"""Line heights between two lines of a spine at most."""
_LEADING: Final = 0.35
"""Line heights between two lines above each other at most."""
_SEEN: Final = 0.4
"""Share of the gap between two lines along which the edge of their spine must be visible, if it is beside one."""
_ROOMY: Final = 6.0
_CLOSE: Final = 12.0
"""Line heights between the edges along a line, and between lines, within which it is at home."""
_NEXT: Final = 1.5
"""Line widths between two lines set across a spine at most."""
_ACROSS: Final = 8.0
"""Heights: no line set across a spine is longer."""
T = TypeVar("T")


@dataclass
class Group:
    """Lines of one spine, in the frame of its axis, with others that cross it."""

    rows: list[AlignedLine]
    crossing: list[AlignedLine] = field(default_factory=list)

    @cached_property
    def left(self) -> float:
        """The left end of its text."""
        return min(row.left for row in self.rows)

    @cached_property
    def right(self) -> float:
        """The right end of its text."""
        return max(row.right for row in self.rows)

    @cached_property
    def top(self) -> float:
        """The upper end of its text."""
        return min(row.top for row in self.rows)

    @cached_property
    def bottom(self) -> float:
        """The lower end of its text."""
        return max(row.bottom for row in self.rows)

    @property
    def edged(self) -> bool:
        """Whether an edge is close along any of its lines: the text of a spine fills much of its thickness."""
        return any(min(row.above, row.below) < _EDGED * row.height for row in self.rows)

    @property
    def lines(self) -> list[Line]:
        """All lines."""
        return [row.line for row in (*self.rows, *self.crossing)]


def board_between(one: AlignedLine, other: AlignedLine, edges: Edges) -> bool:
    """Whether an edge longer than a spine is thick runs between two lines."""
    if one.left > other.left:
        one, other = other, one
    start, end = min(one.right, other.left) - 1, max(one.right, other.left) + 1
    if other.left <= one.right:
        return False
    room = min(one.thickness, other.thickness)
    y = (one.middle + other.middle) / 2
    low, high = y - (0.5 + _OVER) * room, y + (0.5 + _OVER) * room
    return edges.crossed((start, end), (low, high), 0.15 * room)


def joined(items: Sequence[T], together: Callable[[T, T], bool]) -> list[list[T]]:
    """Partition items into sets, so that any two that belong together are in one set."""
    sets = list(range(len(items)))

    def root(index: int) -> int:
        while sets[index] != index:
            sets[index] = sets[sets[index]]
            index = sets[index]
        return index

    for one, other in itertools.combinations(range(len(items)), 2):
        if root(one) != root(other) and together(items[one], items[other]):
            sets[root(other)] = root(one)
    found: dict[int, list[T]] = {}
    for index, item in enumerate(items):
        found.setdefault(root(index), []).append(item)
    return list(found.values())


def same_spine(one: AlignedLine, other: AlignedLine, edges: Edges) -> bool:
    """Whether two lines are on one spine."""
    tall, small = max(one.height, other.height), min(one.height, other.height)
    gap = max(one.left, other.left) - min(one.right, other.right)
    slack = 0.6 * tall if gap > 0 else 0.5 * tall + small
    if gap > _GAP * tall or (one.slope and other.slope and abs(one.slope - other.slope) > PARALLEL):
        return False
    if not (one.holds(other, slack) and other.holds(one, slack)):
        return False
    steady = one if one.right - one.left > other.right - other.left else other
    moved = other if steady is one else one
    if abs(moved.middle - steady.at(moved.centre)) > (tall + small) / 2 + _LEADING * tall:
        return False
    return not board_between(one, other, edges) and (gap < _CLOSE * tall or _goes_on(one, other, edges))


def _goes_on(one: AlignedLine, other: AlignedLine, edges: Edges) -> bool:
    """Whether an edge along one of two distant lines goes on between them."""
    before, after = (one, other) if one.left < other.left else (other, one)
    start, end = before.right, after.left
    segments = edges.along[(edges.along[:, 2] > start) & (edges.along[:, 0] < end)]
    centres = (segments[:, [0, 2]].clip(start, end)).mean(axis=1)
    inclines = (segments[:, 3] - segments[:, 1]) / np.maximum(1, segments[:, 2] - segments[:, 0])
    heights = segments[:, 1] + inclines * (centres - segments[:, 0])
    seen = [
        covered(segments[np.abs(heights - row.at(centres) - offset) < 0.4 * row.height][:, [0, 2]], start, end)
        for row in (before, after)
        for offset in (-row.above, row.below)
        if np.isfinite(offset)
    ]
    return not seen or max(seen) > _SEEN


def groups_of(rows: Sequence[AlignedLine], edges: Edges) -> list[Group]:
    """Group the lines of one axis by spine."""
    lean(rows)
    with_edges(rows, edges)
    return [Group(found) for found in joined(rows, lambda one, other: same_spine(one, other, edges))]


def spines_of(lines: Sequence[Line], upright: Edges, size: tuple[int, int]) -> list[Group]:
    """Group the lines of a photo of this width and height by spine."""
    frames = [(upright, size), (upright.turned(1, size), (size[1], size[0]))]
    rows = [aligned(lines, 0, size), aligned(lines, 1, size)]
    groups = [groups_of(rows[axis], frames[axis][0]) for axis in (0, 1)]
    settled = {
        id(row.line)
        for axis, (edges, _) in enumerate(frames)
        for group in groups[axis]
        for row in group.rows
        if _settled(row, group, edges)
    }
    unsettled = [line for line in lines if id(line) not in settled]
    crossing = [_crossing(unsettled, axis, groups[axis], frames[axis][0], size) for axis in (0, 1)]
    taken = {id(line) for found in crossing for line, _ in found}
    kept: list[Group] = []
    for axis, (edges, _) in enumerate(frames):
        free = [row for row in rows[axis] if id(row.line) not in taken]
        again = groups_of(free, edges)
        homes = {id(row.line): group for group in again for row in group.rows}
        for line, host in crossing[axis]:
            home = next((homes[id(row.line)] for row in host.rows if id(row.line) in homes), None)
            if home is not None:
                home.crossing.append(across(line, axis, size))
        loose = [group for group in again if _short(group)]
        chained = joined(loose, lambda one, other: _stacked(one, other, edges))  # noqa: B023
        kept += [group for group in again if group not in loose] + [_one(chain) for chain in chained]
    return kept


def _short(group: Group) -> bool:
    """Whether a group's lines are short enough to be set across a spine."""
    return not group.crossing and group.right - group.left < _ACROSS * min(row.height for row in group.rows)


def _one(groups: Sequence[Group]) -> Group:
    return Group([row for group in groups for row in group.rows], [row for group in groups for row in group.crossing])


def _stacked(one: Group, other: Group, edges: Edges) -> bool:
    """Whether two groups of short lines are above each other across one spine, whose edges run along both."""
    width = max(one.right - one.left, other.right - other.left)
    common = min(one.right, other.right) - max(one.left, other.left)
    if common < 0.5 * min(one.right - one.left, other.right - other.left):
        return False
    span = min(one.top, other.top), max(one.bottom, other.bottom)
    if max(one.top, other.top) - min(one.bottom, other.bottom) > _NEXT * width:
        return False
    left, right = min(one.left, other.left), max(one.right, other.right)
    if _parted(one, other, edges, (left - width, right + width)):
        return False
    step = 0.15 * width
    for distance in np.arange(-0.1, 0.6, 0.1) * width:
        # The text is in the middle between the edges of its spine.
        if all(
            edges.crossed(near, span, step)
            for near in ((left - distance - 2 * step, left - distance), (right + distance, right + distance + 2 * step))
        ):
            return True
    return False


def _parted(one: Group, other: Group, edges: Edges, reach: tuple[float, float]) -> bool:
    """Whether an edge runs between two groups above each other and beyond the spine they might share."""
    upper, lower = (one, other) if one.top < other.top else (other, one)
    between = upper.bottom - 0.3 * upper.rows[0].height, lower.top + 0.3 * lower.rows[0].height
    return between[0] < between[1] and edges.flipped().crossed(between, reach, 0.15 * upper.rows[0].height)


def _settled(row: AlignedLine, group: Group, edges: Edges) -> bool:
    """Whether a line has edges along both sides and another line close by, so that it crosses no spine."""
    if not (np.isfinite(row.above) and np.isfinite(row.below) and row.above + row.below < _ROOMY * row.height):
        return False
    return any(_neighbours(row, other, edges) for other in group.rows if other is not row)


def _neighbours(row: AlignedLine, other: AlignedLine, edges: Edges) -> bool:
    """Whether a line follows another closely, without an edge between them that is higher than both."""
    before, after = (row, other) if row.left < other.left else (other, row)
    if not 0 < after.left - before.right < _CLOSE * row.height:
        return False
    reach = 1.3 * max(row.height, other.height)
    middle = (row.middle + other.middle) / 2
    return not edges.crossed((before.right, after.left), (middle - reach, middle + reach), 0.3 * row.height)


def _crossing(
    lines: Sequence[Line], axis: int, groups: Sequence[Group], edges: Edges, size: tuple[int, int]
) -> list[tuple[Line, Group]]:
    """Lines that cross the frame on one of its spines, each with that spine's group."""
    found = []
    for line in lines:
        if line.turns % 2 == axis:
            continue
        row = across(line, axis, size)
        hosts = [(_distance(group, row), index) for index, group in enumerate(groups) if _carries(group, row, edges)]
        if hosts:
            found.append((line, groups[min(hosts)[1]]))
    return found


def _distance(group: Group, row: AlignedLine) -> float:
    """The distance of a crossing line from a spine's text, along and across."""
    return max(0.0, group.left - row.right, row.left - group.right) + abs(row.middle - _middle(group, row.centre))


def _middle(group: Group, x: float) -> float:
    return float(np.mean([row.at(x) for row in group.rows]))


def _carries(group: Group, crossing: AlignedLine, edges: Edges) -> bool:
    """Whether a crossing line fits between the edges of a spine."""
    nearest = min(group.rows, key=lambda row: max(0.0, row.left - crossing.right, crossing.left - row.right))
    if group.right - group.left < crossing.height:
        return False
    offset = crossing.middle - nearest.at(crossing.centre)
    above, below = (room if np.isfinite(room) else 1.2 * nearest.height for room in (nearest.above, nearest.below))
    reach = 0.3 * crossing.height
    if offset - reach < -above or offset + reach > below or crossing.height > 1.3 * (above + below):
        return False
    gap = max(0.0, nearest.left - crossing.right, crossing.left - nearest.right)
    return gap <= max(_GAP * nearest.height, 6 * (above + below)) and not board_between(nearest, crossing, edges)
