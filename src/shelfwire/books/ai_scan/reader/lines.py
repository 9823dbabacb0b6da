"""Lines of text in a photo: found and read in whichever direction they run."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from shelfwire.books.ai_scan.reader.engine import Engine, Recognition, Word, reading_width
from shelfwire.books.ai_scan.reader.geometry import (
    Pixels,
    Quad,
    cut,
    overlap,
    scaled,
    sides,
    softness_of,
    turned,
    turned_points,
    turned_size,
)

_COARSE: Final = 1024
"""Pixels of the longer side: enough to see in which direction the text of a photo runs."""
_SAMPLES: Final = 6
"""Lines read in both directions, along each axis, to see in which direction the text runs."""
_SIDES: Final = ((15.0, 2560), (28.0, 1600), (math.inf, 1280))
"""Least pixels of the longer side at which text is detected, by the median line height in the coarse photo: where that
is near the lowest detectable one, many lines are lower still."""
_LETTER: Final = 36
"""Pixels of a median line at which nothing more is found in a larger photo."""
_MOST_PIXELS: Final = 12_000_000
"""Of the photo in which text is detected along one axis, which bounds the time."""
_STRIP: Final = 2_600_000
"""Pixels per detection: memory grows with them."""
_SHARED: Final = 96
"""Pixels by which strips overlap: no relevant line in a photo of several strips is higher."""
_RIM: Final = 3
"""Pixels: text this close to the rim of a strip is cut off there, and whole in the next."""
_MOST: Final = 400
"""Lines read along one axis at most, the largest, which bounds the time of a photo."""
_WIDTH: Final = 80_000
"""Pixels of all lines read along one axis at most, by `reading_width`; a photo of 122 books has not as many."""
_REPORTED: Final = 12
"""One of this many lines is reported while they are read: about twice a second."""
_SURE: Final = 0.8
"""A line read with a lower score may be upside down."""
_LONG: Final = 4
_FEW: Final = 0.35
"""A line that is `_LONG` times as long as it is high has 1.5 letters and more for each height in Latin scripts; one
with fewer than `_FEW` is of a script that the recogniser does not know."""
_OTHERS: Final = "[\u0370-\u03ff\u0400-\u04ff]"
_UNKNOWN: Final = re.compile(f"{_OTHERS}.*{_OTHERS}|[A-Za-z]{_OTHERS}|{_OTHERS}[A-Za-z]")
"""Greek and Cyrillic letters, of which the recogniser knows but some; one by itself may be a symbol."""
_LEGIBLE: Final = 0.6
"""A line read with this score shows how sharp a photo is."""
_LEAST: Final = 0.45
"""A line read with a lower score is discarded."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line of text as it was read.

    Attributes:
        text: the text.
        score: the recogniser's confidence, 0 to 1.
        quad: its corners, in pixels of the photo turned so that most of its text is upright; clockwise from the upper
            left one of the text as it is read.
        turns: quarters anticlockwise to turn that photo further for this line to be upright.
        words: the words and their places in the line.
    """

    text: str
    score: float
    quad: Quad
    turns: int
    words: tuple[Word, ...] = ()

    @cached_property
    def letters(self) -> int:
        """The number of letters and digits."""
        return _letters(self.text)

    @cached_property
    def worth(self) -> float:
        """The value of this reading: of two readings of one place the better one is kept."""
        return (self.score - 0.3) * self.letters


@dataclass(frozen=True)
class PageText:
    """A photo turned so that most of its text is upright, and the text in it.

    Attributes:
        image: the photo, turned.
        turns: quarters anticlockwise by which it was turned.
        lines: the lines that could be read.
        unread: how many lines are there in scripts that the recogniser does not know.
        softness: pixels over which letters change from dark to light, the median; 0 where none were read.
    """

    image: Pixels
    turns: int
    lines: tuple[Line, ...]
    unread: int = 0
    softness: float = 0.0


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def page_text(image: Pixels, engine: Engine, on_text: Callable[[str], None]) -> PageText:
    """Find and read the text of a photo along both axes.

    Args:
        image: the photo.
        engine: detects and recognises text.
        on_text: receives a text now and then as progress.
    """
    scale = min(1.0, _COARSE / max(image.shape))
    coarse = [quad / np.float32(scale) for quad in engine.detect(scaled(image, scale))]
    main, cross = _directions(image, coarse, engine)
    page = turned(image, main)
    side = _side(image, scale, [min(sides(quad)) for quad in coarse if _runs(quad, 0) or _runs(quad, 1)])
    along, across = (_lines(page, turns, side, engine, on_text) for turns in (0, (cross - main) % 4))
    softness = [*along.softness, *across.softness]
    return PageText(
        page,
        main,
        tuple(distinct(along.lines + across.lines)),
        along.unread + across.unread,
        float(np.median(softness)) if softness else 0.0,
    )


class _Read(NamedTuple):
    """The lines that were read along one axis, and of those that could be looked at, what `PageText` says of all."""

    lines: list[Line]
    unread: int
    softness: list[float]


def _side(image: Pixels, scale: float, heights: Sequence[float]) -> int:
    """Pixels of the longer side at which text is detected.

    Args:
        image: the photo.
        scale: of the photo in which text was looked for first.
        heights: of the lines found there, in pixels of the photo.
    """
    usual = float(np.median(heights)) if heights else _SIDES[0][0] / scale
    least = next(side for below, side in _SIDES if usual * scale < below)
    height, width = int(image.shape[0]), int(image.shape[1])
    enough = min(1.0, _LETTER / usual, math.sqrt(_MOST_PIXELS / (height * width)))
    return max(least, round(enough * max(height, width)))


def _directions(image: Pixels, found: Sequence[Quad], engine: Engine) -> tuple[int, int]:
    """The quarters to turn a photo for most of its text to be upright, and for most of the text across that."""
    votes = [0.0] * 4
    for axis in (0, 1):
        long = [quad for quad in found if _runs(quad, axis)]
        long = sorted(long, key=lambda quad: -max(sides(quad)) / min(sides(quad)))[:_SAMPLES]
        weight = sum(max(sides(quad)) / min(sides(quad)) for quad in found if _runs(quad, axis))
        for turns in (axis, axis + 2):
            read = engine.read([cut(image, quad, turns) for quad in long])
            votes[turns] = sum(reading.score**2 * len(reading.text) for reading in read) / max(1, len(long)) * weight
    main = max((0, 1, 2, 3), key=lambda turns: votes[turns])
    return main, max(((main + 1) % 4, (main + 3) % 4), key=lambda turns: votes[turns])


def _runs(quad: Quad, axis: int) -> bool:
    along, across = sides(quad)
    return along > 2 * across if axis == 0 else across > 2 * along


def _lines(page: Pixels, turns: int, side: int, engine: Engine, on_text: Callable[[str], None]) -> _Read:
    """Lines that run along the photo turned by `turns` quarters, in the pixels of the unturned one."""
    size = page.shape[1], page.shape[0]
    image = turned(page, turns)
    scale = side / max(image.shape)
    quads = [quad / np.float32(scale) for quad in _found(scaled(image, scale), engine)]
    quads = [quad for quad in quads if sides(quad)[0] > 0.8 * sides(quad)[1]]
    quads = _affordable(sorted(quads, key=lambda quad: -sides(quad)[0] * sides(quad)[1])[:_MOST])
    back = (4 - turns) % 4
    crops = [cut(image, quad) for quad in quads]
    upright = _read(engine, crops, on_text)
    doubtful = [index for index, reading in enumerate(upright) if reading.score < _SURE]
    flipped = engine.read([cut(image, quads[index], 2) for index in doubtful])
    other = dict(zip(doubtful, flipped, strict=True))
    lines, unread = [], 0
    for index, (quad, reading) in enumerate(zip(quads, upright, strict=True)):
        placed, best = turned_points(quad, back, turned_size(size, turns)), reading
        if index in other and other[index].score > reading.score + 0.1:
            placed, best = np.roll(placed, 2, axis=0), other[index]
        line = Line(best.text, best.score, placed, _turns(placed), best.words)
        if _is_unread(quad, [reading.text, other[index].text if index in other else ""]):
            unread += 1
        elif line.score >= _LEAST and line.letters:
            lines.append(line)
    legible = (softness_of(crop) for crop, reading in zip(crops, upright, strict=True) if reading.score >= _LEGIBLE)
    return _Read(lines, unread, [softness for softness in legible if softness is not None])


def _is_unread(quad: Quad, readings: Sequence[str]) -> bool:
    """Whether a line is of a script that the recogniser does not know, by its readings in both directions."""
    along, across = sides(quad)
    most = max(map(_letters, readings))
    return any(map(_UNKNOWN.search, readings)) or (along >= _LONG * across and most < _FEW * along / across)


def _affordable(quads: Sequence[Quad]) -> list[Quad]:
    """The first of some lines, as many as may be read."""
    widths = accumulate(reading_width(*sides(quad)) for quad in quads)
    return [quad for quad, width in zip(quads, widths, strict=True) if width <= _WIDTH]


def _read(engine: Engine, crops: Sequence[Pixels], on_text: Callable[[str], None]) -> list[Recognition]:
    """Read crops, reporting the clearest text of each batch."""
    readings: list[Recognition] = []
    for start in range(0, len(crops), _REPORTED):
        some = engine.read(crops[start : start + _REPORTED])
        clearest = max(some, key=lambda reading: reading.score * len(reading.text))
        if clearest.score >= _SURE:
            on_text(clearest.text)
        readings += some
    return readings


def _found(image: Pixels, engine: Engine) -> list[Quad]:
    """Find text that runs from left to right, in strips of the photo's full width."""
    height, width = image.shape[:2]
    count = max(1, math.ceil(height * width / _STRIP))
    quads: list[Quad] = []
    for index in range(count):
        top = max(0, height * index // count - _SHARED // 2)
        bottom = min(height, height * (index + 1) // count + _SHARED // 2)
        for quad in engine.detect(np.ascontiguousarray(image[top:bottom])):
            cut_off = (top > 0 and quad[:, 1].min() < _RIM) or (
                bottom < height and quad[:, 1].max() > bottom - top - _RIM
            )
            if not cut_off:
                quads.append(quad + np.array([0, top], np.float32))
    return quads


def _turns(quad: Quad) -> int:
    """The quarters to turn a photo for the text in this quadrilateral to be upright."""
    right, down = quad[1] - quad[0]
    if abs(right) >= abs(down):
        return 0 if right > 0 else 2
    return 1 if down > 0 else 3


def distinct(lines: list[Line]) -> list[Line]:
    """Keep the best reading of each place."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda line: -line.worth):
        if all(overlap(line.quad, other.quad) < 0.5 for other in kept):  # noqa: PLR2004
            kept.append(line)
    return kept
