"""Photos as phones and tools write them, and what only calls itself one."""

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from shelfwire.books.ai_scan.limits import MAX_PIXELS, kind_of
from shelfwire.books.ai_scan.photos import MAX_SENT_SIDE, as_jpeg, open_photo
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError

ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825


def shelf(mode: str = "RGB", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Left half dark, right half light, so that every turn shows."""
    image = Image.new("RGB", size, (250, 240, 230))
    image.paste((10, 20, 30), (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def mpo() -> bytes:
    return saved(shelf(), "MPO", save_all=True, append_images=[shelf(size=(48, 32))])


def heic() -> bytes:
    """The smallest box that says it is HEIC, with nothing in it that could be decoded."""
    return struct.pack(">I", 24) + b"ftypheic\x00\x00\x00\x00mif1heic"


def sixteen_bits() -> bytes:
    rows = b"".join(
        b"\0" + b"".join(struct.pack(">H", 1000 if x < 48 else 60000) for x in range(96)) for _ in range(64)
    )
    return png(96, 64, zlib.compress(rows), depth=16, colour=0)


def png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        saved(shelf(), "JPEG"),
        saved(shelf(), "JPEG", progressive=True),
        saved(shelf("CMYK"), "JPEG"),
        saved(shelf("L"), "JPEG"),
        mpo(),
        saved(shelf(), "PNG"),
        saved(shelf("P"), "PNG"),
        saved(shelf("RGBA"), "PNG"),
        saved(shelf("LA"), "PNG"),
        sixteen_bits(),
        saved(shelf(), "WEBP"),
        saved(shelf("RGBA"), "WEBP", lossless=True),
        Path(__file__).with_name("shelf.heic").read_bytes(),
    ],
    ids=[
        "JPEG",
        "progressive",
        "CMYK",
        "gray",
        "MPO",
        "PNG",
        "palette",
        "alpha",
        "gray-alpha",
        "16-bit",
        "WebP",
        "WebP-alpha",
        "HEIC",
    ],
)
def test_a_photo_is_opened_in_its_colours_and_its_full_size(data: bytes) -> None:
    image = open_photo(data)
    assert (image.mode, image.size) == ("RGB", (96, 64))
    dark, light = image.getpixel((20, 30)), image.getpixel((80, 30))
    assert isinstance(dark, tuple)
    assert isinstance(light, tuple)
    assert max(dark) < 60
    assert min(light) > 200


def test_what_is_transparent_lies_on_white() -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    assert open_photo(saved(clear, "PNG")).getpixel((9, 9)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("orientation", "size", "dark"),
    [(1, (96, 64), (20, 30)), (3, (96, 64), (80, 30)), (6, (64, 96), (30, 20)), (8, (64, 96), (30, 80))],
)
def test_a_photo_is_turned_as_its_camera_was_held(
    orientation: int, size: tuple[int, int], dark: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = open_photo(saved(shelf(), "JPEG", exif=exif))
    pixel = image.getpixel(dark)
    assert image.size == size
    assert isinstance(pixel, tuple)
    assert max(pixel) < 60


def test_what_leaves_this_machine_says_nothing_of_where_and_with_what_it_was_taken() -> None:
    exif = Image.Exif()
    exif[MAKE] = "SecretCamera"
    exif[GPS] = {1: "N", 2: (52.0, 31.0, 12.0)}
    sent, width, height = as_jpeg(
        open_photo(saved(shelf(), "JPEG", exif=exif, comment=b"SecretComment", icc_profile=b"SecretProfile"))
    )
    found = Image.open(io.BytesIO(sent))
    assert (width, height) == found.size == (96, 64)
    assert b"Secret" not in sent
    assert not found.getexif()
    assert set(found.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_what_leaves_this_machine_is_not_larger_than_is_of_use() -> None:
    _, width, height = as_jpeg(shelf(size=(6144, 3000)))
    assert (width, height) == (MAX_SENT_SIDE, 1500)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JPEG, PNG, WebP or HEIC"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG, WebP or HEIC"),
        (b"GIF89a" + bytes(99), "no JPEG, PNG, WebP or HEIC"),
        (saved(shelf(), "TIFF"), "no JPEG, PNG, WebP or HEIC"),
        (saved(shelf(), "JPEG")[:-300], "cut off"),
        (saved(shelf(), "PNG")[:90], "cut off"),
        (b"\xff\xd8\xff" + bytes(range(256)), "damaged"),
        (heic(), "damaged"),
        (saved(shelf(size=(31, 500)), "PNG"), "too few"),
        (png(12_000, 12_000, zlib.compress(bytes(1000))), "12000 x 12000 pixels"),
        (png(200_000, 200_000, b""), "pixels|far more"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(ShelfwireError, match=why) as refused:
        open_photo(data)
    assert refused.value.code is BookCode.IMAGE_UNREADABLE
    assert not refused.value.retryable


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = saved(Image.new("1", (12_000, 12_000)), "PNG", optimize=True)
    assert len(bomb) < 20_000
    assert MAX_PIXELS < 12_000 * 12_000

    def unpacked(*_: object) -> None:
        raise AssertionError("its pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", unpacked)
    with pytest.raises(ShelfwireError, match="12000 x 12000"):
        open_photo(bomb)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe1", "JPEG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", "PNG"),
        (b"RIFF\0\0\0\0WEBP", "WEBP"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\0\0\0\x18ftypavif", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_photo_is_known_by_its_first_bytes(head: bytes, kind: str | None) -> None:
    assert kind_of(head) == kind


@given(
    data=st.binary(max_size=400), start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"])
)
def test_whatever_comes_is_opened_or_refused_in_words(data: bytes, start: bytes) -> None:
    with contextlib.suppress(ShelfwireError):
        assert open_photo(start + data).mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photo_whose_exif_is_damaged_is_opened_all_the_same(kind: str) -> None:
    image = open_photo(saved(shelf(), kind, exif=b"Exif\0\0this is no EXIF"))
    assert image.size == (96, 64)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_of_any_kind_is_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(shelf(), kind, exif=exif, lossless=True))))
    assert open_photo(saved(shelf(), kind, exif=exif, lossless=True)).tobytes() == upright.convert("RGB").tobytes()
