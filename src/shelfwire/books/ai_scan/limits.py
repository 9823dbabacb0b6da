"""Which photos are taken: their kinds, told by the first bytes, and their sizes. Section 4 of the contract."""

from typing import Final

HEAD_BYTES: Final = 12
"""So many bytes tell the kind."""
MAX_PHOTO_BYTES: Final = 20 * 1024 * 1024
MAX_PHOTOS: Final = 20
MAX_BATCH_BYTES: Final = 100 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
KINDS: Final = "JPEG, PNG, WebP or HEIC"
"""The kinds, as a person reads them."""

_HEIC_BRANDS: Final = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())


def kind_of(head: bytes) -> str | None:
    """Tell a photo's kind, as Pillow names it, by its first `HEAD_BYTES`; None for whatever else it is.

    The name of a file and the type it was sent as are its sender's opinion.
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
    """The name of the input that a photo is kept as, by its place among the job's photos, from 0."""
    return f"photo-{index}"
