"""Photos with the books that were found on them outlined and numbered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.cli.found import BookOutline, FoundBook
from shelfwire.cli.errors import CommandError
from shelfwire.cli.job_session import warn
from shelfwire.errors import ShelfwireError

COLOURS: Final = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6")
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
    pen = ImageDraw.Draw(image)
    side = max(image.size)
    size = max(12, side // LABELS_PER_SIDE)
    font = ImageFont.load_default(size)
    for book, place in places:
        colour = COLOURS[book.number % len(COLOURS)]
        corners = [(x, y) for x, y in place.polygon]
        if len(corners) < 3:  # noqa: PLR2004 - no outline
            continue
        pen.line([*corners, corners[0]], fill=colour, width=max(2, side // LINES_PER_SIDE), joint="curve")
        top = min(y for _, y in corners)
        at = sum(x for x, _ in corners) / len(corners), max(top, size)
        pen.rectangle(pen.textbbox(at, str(book.number), font=font, anchor="mb"), fill=colour)
        pen.text(at, str(book.number), fill="black", font=font, anchor="mb")
