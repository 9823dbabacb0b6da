"""Opens untrusted photos: checks their size before decoding, turns them upright and removes all metadata."""

import io
import warnings
from typing import Final

import pi_heif
from PIL import Image

from shelfwire.books.ai_scan.limits import HEAD_BYTES, KINDS, MAX_PIXELS, kind_of
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError

MIN_SIDE: Final = 32
"""Pixels; text in a smaller photo cannot be read."""
MAX_SENT_SIDE: Final = 3072
"""Pixels of the longer side of a photo that is sent to Gemini, which cuts photos into tiles of 768."""
SENT_QUALITY: Final = 88
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that turns a photo upright, by its EXIF orientation."""
_SIXTEEN_BITS: Final = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def open_photo(data: bytes) -> Image.Image:
    """Decode a photo: RGB, in its full size, turned as its EXIF says.

    Call it in a process that may crash or run out of memory without harm.

    Raises:
        ShelfwireError: `E_IMAGE_UNREADABLE`: it is of another kind, has too many pixels or too few, or is damaged.
    """
    kind = kind_of(data[:HEAD_BYTES])
    if kind is None:
        raise _unreadable(f"It is no {KINDS} file")
    pi_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            # Our own limit, below, is stricter.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_formats(kind))
            _check_size(*image.size)
            return _flattened(_upright(image))
    except ShelfwireError:
        raise
    except Image.DecompressionBombError:
        raise _too_large("far more than that") from None
    except Exception as error:  # noqa: BLE001 - decoders raise errors of any kind
        raise _unreadable(f"It is damaged, or was cut off ({type(error).__name__}: {error})") from None


def as_jpeg(image: Image.Image, width: int = MAX_SENT_SIDE) -> tuple[bytes, int, int]:
    """Make a JPEG of a photo that may leave this machine: without metadata, and not larger than `MAX_SENT_SIDE`.

    Args:
        image: the photo.
        width: its width at most; it is never enlarged.

    Returns:
        The JPEG, its width and its height.
    """
    sent = image.copy()
    sent.thumbnail((min(width, MAX_SENT_SIDE), MAX_SENT_SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    sent.info = {}  # a writer takes profiles and comments from there
    sent.save(out, "JPEG", quality=SENT_QUALITY)
    return out.getvalue(), sent.width, sent.height


def _formats(kind: str) -> list[str]:
    return ["JPEG", "MPO"] if kind == "JPEG" else [kind]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(f"{width} x {height} pixels")
    if min(width, height) < MIN_SIDE:
        raise _unreadable(f"It has {width} x {height} pixels, too few to read anything")


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - parsers raise errors of any kind, and the pixels are sound
        turn = None
    return image if turn is None else image.transpose(turn)


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS:
        return image.convert("I").point(lambda value: value / 256, "L").convert("RGB")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        page.alpha_composite(layer)
        return page.convert("RGB")
    return image.convert("RGB")


def _too_large(size: str) -> ShelfwireError:
    return ShelfwireError(
        BookCode.IMAGE_UNREADABLE,
        f"The photo has {size}; {MAX_PIXELS // 1_000_000} million are taken",
        user_message="This photo has too many pixels. Send it in a smaller size.",
    )


def _unreadable(why: str) -> ShelfwireError:
    return ShelfwireError(BookCode.IMAGE_UNREADABLE, f"The photo cannot be read. {why}")
