"""Images and quadrilaterals: turning them by quarters, cutting out a line of text."""

import math
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, RGB."""
Quad: TypeAlias = NDArray[np.float32]
"""4 x 2: the corners (x, y), clockwise from the upper left one of the text as it is read."""
FULL_TURN: Final = 4
"""Quarters in a full turn. All turns are counted in quarters, anticlockwise."""
_CONTRAST: Final = 30
"""Levels of 255 between dark and light of a crop whose sharpness can be told."""
_STEEPEST: Final = 99
"""Percentile of the differences between neighbouring pixels that is an edge of letters."""
_FAINTEST: Final = 6
"""Levels of 255 by which a letter differs from its ground at least."""


def is_plain(image: Pixels) -> bool:
    """Whether an image is of one colour, as far as letters are concerned: nobody could tell them from the ground."""
    ground = image[0, 0].astype(np.int16)
    return bool(cv2.inRange(image, ground - _FAINTEST, ground + _FAINTEST).all())


def turned(image: Pixels, quarters: int) -> Pixels:
    """Turn an image anticlockwise, without loss."""
    return np.ascontiguousarray(np.rot90(image, quarters % FULL_TURN))


def turned_points(points: NDArray[np.float32], quarters: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Where points of an image are once it is turned anticlockwise; `size` is its width and height before."""
    width, height = size
    x, y = points[..., 0], points[..., 1]
    to = {0: (x, y), 1: (y, width - x), 2: (width - x, height - y), 3: (height - y, x)}[quarters % FULL_TURN]
    return np.stack(to, axis=-1).astype(np.float32)


def turned_size(size: tuple[int, int], quarters: int) -> tuple[int, int]:
    """Width and height after turning by `quarters`."""
    return size if quarters % 2 == 0 else (size[1], size[0])


def scaled(image: Pixels, scale: float) -> Pixels:
    """Shrink or enlarge an image."""
    height, width = image.shape[:2]
    to = (max(32, round(width * scale)), max(32, round(height * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, to, interpolation=kind), np.uint8)


def sides(quad: Quad) -> tuple[float, float]:
    """Length along the text and height across it."""
    along = (np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2
    across = (np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
    return float(along), float(across)


def cut(image: Pixels, quad: Quad, quarters: int = 0, height: int = 96) -> Pixels:
    """Cut a quadrilateral out, straightened and turned, at most `height` pixels high across the text."""
    along, across = sides(quad)
    width_, height_ = max(4, math.ceil(along)), max(4, math.ceil(across))
    corners = np.array([[0, 0], [width_, 0], [width_, height_], [0, height_]], np.float32)
    left, top = np.floor(quad.min(axis=0) - 2).astype(int).clip(0)
    right, bottom = np.ceil(quad.max(axis=0) + 2).astype(int)
    part = image[top:bottom, left:right]
    matrix = cv2.getPerspectiveTransform(quad - np.array([left, top], np.float32), corners)
    flat: Pixels = np.asarray(
        cv2.warpPerspective(part, matrix, (width_, height_), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
    short = flat.shape[0] if quarters % 2 == 0 else flat.shape[1]
    return turned(scaled_down(flat, height / short), quarters)


def scaled_down(image: Pixels, scale: float) -> Pixels:
    """Shrink an image by a scale below 1; leave it alone otherwise."""
    if scale >= 1:
        return image
    height, width = image.shape[:2]
    to = (max(4, round(width * scale)), max(4, round(height * scale)))
    return np.asarray(cv2.resize(image, to, interpolation=cv2.INTER_AREA), np.uint8)


def overlap(one: Quad, other: Quad) -> float:
    """The share of the smaller of two quadrilaterals that lies within the other, 0 to 1."""
    low, high = np.maximum(one.min(axis=0), other.min(axis=0)), np.minimum(one.max(axis=0), other.max(axis=0))
    if (low >= high).any():
        return 0.0
    common, _ = cv2.intersectConvexConvex(cv2.convexHull(one), cv2.convexHull(other))
    smaller = min(float(cv2.contourArea(one)), float(cv2.contourArea(other)))
    return float(common) / max(1.0, smaller)


def softness_of(crop: Pixels) -> float | None:
    """Pixels over which the letters of a crop change from dark to light; None if they hardly differ from their ground.

    A hand that moves blurs in one direction only, so the softer of both counts.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = np.percentile(grey, (5, 95))
    if high - low < _CONTRAST or min(grey.shape) < 2:  # noqa: PLR2004
        return None
    steepest = min(float(np.percentile(np.abs(np.diff(grey, axis=axis)), _STEEPEST)) for axis in (0, 1))
    return float(high - low) / max(1.0, steepest)
