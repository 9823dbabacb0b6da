"""`shelfwire scan … --truth`: keeps photos with the books that a person has found right, for `bench/fit_scan.py`.

Both stay on this machine: they are files in a folder that the person names, and nothing reads them unasked.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.cli.errors import CommandError
from shelfwire.cli.job_session import warn

QUALITY: Final = 95
HASH_CHARS: Final = 8


def keep(photos: Sequence[Path], items: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write each photo as a JPEG, and beside it its books as JSON.

    A photo that is kept again replaces itself: part of its name comes from its content. Its EXIF is left out.

    Args:
        photos: of the scan, in the order they were sent.
        items: those of the photos to keep, with all corrections applied.
        folder: where to; it is made if it is missing.

    Returns:
        The JPEGs.

    Raises:
        CommandError: a file cannot be read or written.
    """
    return [_kept(photos[item["index"]], item["result"]["books"], folder) for item in items]


def _kept(photo: Path, books: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise CommandError(f"{photo} cannot be read any more: {error.strerror}") from None
    truth = {"books": [{"title": book["title"], "author": ", ".join(book["authors"])} for book in books]}
    path = folder / f"{photo.stem}-{hashlib.sha256(data).hexdigest()[:HASH_CHARS]}.jpg"
    image = open_photo(data)
    image.info = {}  # A writer takes profiles and comments from there.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        image.save(path, "JPEG", quality=QUALITY)
        path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}. Name another folder") from None
    warn(f"{path} and its .json hold the photo and its {len(books)} books, on this machine only")
    return path
