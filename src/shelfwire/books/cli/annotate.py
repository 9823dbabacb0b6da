"""Photos with the books that were found on them outlined and numbered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.cli.found import BookOutline, FoundBook
from shelfwire.cli.errors import CommandError
from shelfwire.cli.job_session import warn
from shelfwire.errors import ShelfwireError

Box: TypeAlias = tuple[float, float, float, float]
COLOURS: Final = (
    ("#e6194b", "white"),
    ("#3cb44b", "black"),
    ("#ffe119", "black"),
    ("#4363d8", "white"),
    ("#f58231", "black"),
    ("#911eb4", "white"),
    ("#46f0f0", "black"),
    ("#f032e6", "black"),
)
"""Of outlines, and of the number on each."""
LINES_PER_SIDE: Final = 400
"""The photo's longer side as a multiple of an outline's width,"""
LABELS_PER_SIDE: Final = 55
"""and of a number's height."""
QUALITY: Final = 90


def draw(photos: Sequence[Path], found: Sequence[FoundBook], paths: Sequence[Path]) -> list[Path]:
    """Write each photo with its books outlined and numbered as in the table; nothing of its EXIF goes along.

    Args:
        photos: in the order they were sent.
        found: the books.
        paths: where to, for each photo.

    Returns:
        What was written. A photo that cannot be open_photo was reported by the job.

    Raises:
        CommandError: a file cannot be written.
    """
    written = []
    for place, (photo, path) in enumerate(zip(photos, paths, strict=True)):
        try:
            image = open_photo(photo.read_bytes())
        except ShelfwireError:
            continue
        except OSError as error:
            raise CommandError(f"{photo} cannot be read any more: {error.strerror}") from None
        _outline(image, [(book, where) for book in found for where in book.places if where.photo == place])
        try:
            image.save(path, quality=QUALITY)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None
        warn(f"{path} shows where the books stand")
        written.append(path)
    return written


def _outline(image: Image.Image, places: Sequence[tuple[FoundBook, BookOutline]]) -> None:
    """Draw the outlines, then the numbers over them; a number that would hide another stands above it."""
    pen = ImageDraw.Draw(image)
    side = max(image.size)
    size = max(12, side // LABELS_PER_SIDE)
    font = ImageFont.load_default(size)
    seen = [(book, place.polygon) for book, place in places if len(place.polygon) >= 3]  # noqa: PLR2004 - an outline
    for book, corners in seen:
        colour = COLOURS[book.number % len(COLOURS)][0]
        pen.line([*corners, corners[0]], fill=colour, width=max(2, side // LINES_PER_SIDE), joint="curve")
    labels: list[Box] = []
    for book, corners in seen:
        colour, ink = COLOURS[book.number % len(COLOURS)]
        at = sum(x for x, _ in corners) / len(corners), max(min(y for _, y in corners), size)
        label = clear_of(labels, pen.textbbox(at, str(book.number), font=font, anchor="mb"))
        labels.append(label)
        pen.rectangle(label, fill=colour)
        pen.text(
            ((label[0] + label[2]) / 2, (label[1] + label[3]) / 2), str(book.number), fill=ink, font=font, anchor="mm"
        )


def clear_of(others: Sequence[Box], box: Box) -> Box:
    """Move a box upwards, in pixels (left, top, right, bottom), until it hides none of the others; within the image."""
    left, top, right, bottom = box
    height = bottom - top
    while below := [other for other in others if other[0] < right and left < other[2] and _crosses(other, top, bottom)]:
        bottom = min(other[1] for other in below) - 1
        top = bottom - height
        if top < 0:
            return box
    return left, top, right, bottom


def _crosses(box: Box, top: float, bottom: float) -> bool:
    return box[1] < bottom and top < box[3]
