"""The routes that take photos: in forms, as a body, or in JSON."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from shelfwire.books.ai_scan.limits import KINDS, MAX_BATCH_BYTES, MAX_PHOTO_BYTES, MAX_PHOTOS, kind_of, photo_input
from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.creation import (
    FORM_TYPE,
    JSON_TYPE,
    CallbackUrl,
    FileIntake,
    FormIntake,
    JobId,
    JsonIntake,
    Received,
    creation_route,
)

SCAN: Final = "ai_scan"
MAX_JSON_BYTES: Final = 32 * 1024 * 1024
"""Base64 takes a third more than the photos themselves. Section 4 of the contract."""
PHOTOS: Final = tuple(photo_input(index) for index in range(MAX_PHOTOS))
BASE64: Final = {"contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})+$"}
"""Padding is accepted as well; the pattern is for programs that make examples of it."""
ONE_PHOTO: Final = FileIntake(name=PHOTOS[0], expected=f"a photo as {KINDS}", limit=MAX_PHOTO_BYTES)
"""Its first bytes tell what it is, so that any type but a form's will do."""


class SentPhoto(msgspec.Struct, frozen=True):
    """A photo in JSON."""

    data: Annotated[str, msgspec.Meta(min_length=4, extra_json_schema=BASE64, description="The file, in base64.")]
    index: Annotated[
        int | None, msgspec.Meta(description="Its place among the photos; that in the list unless given.")
    ] = None


class SentPhotos(msgspec.Struct, frozen=True, rename="camel"):
    """The photos of a batch in JSON."""

    images: Annotated[list[SentPhoto], msgspec.Meta(min_length=1, max_length=MAX_PHOTOS, description="The photos.")]
    job_id: JobId = None
    callback_url: CallbackUrl = None


def check_kind(inputs: Mapping[str, Received]) -> None:
    """Check that the only input is a photo, by its first bytes.

    Raises:
        ShelfwireError: `E_UNSUPPORTED_MEDIA`.
    """
    if kind_of(inputs[PHOTOS[0]].head) is None:
        raise ShelfwireError(
            Code.UNSUPPORTED_MEDIA,
            f"The body is no {KINDS} file, by its first bytes",
            user_message=f"This is no photo that can be read. Send it as {KINDS}.",
        )


def unpack(sent: SentPhotos) -> Iterator[tuple[str, bytes]]:
    """Iterate over the photos of a batch in their order, each with the name of its input.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: two have one place, or one is no base64.
    """
    places = [at if photo.index is None else photo.index for at, photo in enumerate(sent.images)]
    for at, place in enumerate(places):
        if place in places[:at]:
            raise ShelfwireError(Code.INVALID_REQUEST, f"images[{at}].index is {place}, as that of an earlier one is")
    for name, at in zip(PHOTOS, sorted(range(len(places)), key=places.__getitem__), strict=False):
        yield name, _decoded(at, sent.images[at].data)


def _decoded(at: int, text: str) -> bytes:
    """Decode base64, as a data URL too, and wrapped as mail and the command `base64` wrap it."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"images[{at}].data is no base64: {error}") from None
    if not data:
        raise ShelfwireError(Code.INVALID_REQUEST, f"images[{at}].data is empty")
    return data


_PHOTO: Final = {
    "type": "string",
    "format": "binary",
    "description": "The file; what is no photo becomes a failed item.",
}

ROUTES: Final = (
    creation_route(
        "/api/scan-bookshelf",
        SCAN,
        {
            FORM_TYPE: FormIntake(field="image", names=PHOTOS[:1], limit=MAX_PHOTO_BYTES),
            "image/*": ONE_PHOTO,
            "application/octet-stream": ONE_PHOTO,
        },
        operation_id="scan_photo",
        summary="Find the books on a photo of a bookshelf, sent as the form field `image` or as the body itself.",
        refusals=[BookCode.SCAN_UNAVAILABLE],
        check=check_kind,
        photos=True,
    ),
    creation_route(
        "/api/scan-bookshelf/batch",
        SCAN,
        {
            FORM_TYPE: FormIntake(
                field="images",
                names=PHOTOS,
                limit=MAX_BATCH_BYTES,
                each=MAX_PHOTO_BYTES,
                field_schema={"type": "array", "items": _PHOTO, "minItems": 1, "maxItems": MAX_PHOTOS},
            ),
            JSON_TYPE: JsonIntake(schema=SentPhotos, limit=MAX_JSON_BYTES, unpack=unpack),
        },
        operation_id="scan_photos",
        summary="Find the books on 1 to 20 photos of bookshelves, sent as form fields `images` or as JSON.",
        refusals=[BookCode.SCAN_UNAVAILABLE],
        photos=True,
    ),
)
