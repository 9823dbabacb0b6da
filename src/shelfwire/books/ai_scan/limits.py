"""Which photos are accepted: their kinds, recognised by the first bytes, and their sizes."""

from typing import Final

HEAD_BYTES: Final = 12
"""The first bytes by which the kind is recognised."""
MAX_PHOTO_BYTES: Final = 20 * 1024 * 1024
MAX_PHOTOS: Final = 20
MAX_BATCH_BYTES: Final = 100 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
MAX_CPU_SECONDS: Final = 60
"""Processor time for one photo: the fullest one of shelves, with 122 books, takes 15."""
KINDS: Final = "JPEG, PNG, WebP or HEIC"
"""The kinds, for messages."""

_HEIC_BRANDS: Final = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())


def kind_of(head: bytes) -> str | None:
    """The kind of a photo, as Pillow names it, by its first `HEAD_BYTES`; None if it is of no accepted kind.

    The file's name and the content type it was sent with are ignored.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return "HEIF"
    return None


def photo_input(index: int) -> str:
    """The name of a photo's input, by its index among the job's photos, from 0."""
    return f"photo-{index}"
