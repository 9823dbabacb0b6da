"""The routes that take photos: in forms, as a raw body, or in JSON."""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Schema

from shelfwire.books.ai_scan.limits import (
    HEAD_BYTES,
    KINDS,
    MAX_BATCH_BYTES,
    MAX_PHOTO_BYTES,
    MAX_PHOTOS,
    kind_of,
    photo_input,
)
from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService
from shelfwire.protocol.messages import Uuid
from shelfwire.settings import Settings
from shelfwire.web.access import Access
from shelfwire.web.creating import HttpRequest, body_of, chunks_of, content_type, create, enriched, form_of
from shelfwire.web.openapi_annotations import (
    API_KEY,
    BINARY,
    CREATING,
    ENRICH,
    FORM_TYPE,
    IDEMPOTENCY_KEY,
    JSON_TYPE,
    LOCATION,
    OWN_ID,
    PHOTO,
    form,
    operation,
    reference,
    refusals,
)
from shelfwire.web.responses import Success
from shelfwire.web.schemas import CreatedJob
from shelfwire.web.uploads import PART_BYTES, Form, Intake, Received, Write, parsed, too_large

SCAN: Final = "ai_scan"
MAX_JSON_BYTES: Final = 32 * 1024 * 1024
"""Base64 takes a third more than the photos themselves. Section 4 of the contract."""
PHOTOS: Final = tuple(photo_input(index) for index in range(MAX_PHOTOS))
ONE: Final = Intake(MAX_PHOTO_BYTES, "image", PHOTOS[:1])
SEVERAL: Final = Intake(MAX_BATCH_BYTES, "images", PHOTOS, MAX_PHOTO_BYTES)
RAW_TYPES: Final = ("image/*", "application/octet-stream")
"""What a photo is sent as by itself; its first bytes tell what it is, so that any other type but a form's will do."""
BASE64: Final = {"contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})+$"}
"""Padded as well, of course; the pattern is for who makes examples of it."""
BINARIES: Final = Schema(type=OpenAPIType.ARRAY, items=PHOTO, min_items=1, max_items=MAX_PHOTOS)


class SentPhoto(msgspec.Struct, frozen=True):
    """A photo in JSON.

    Attributes:
        data: the file, in base64.
        index: its place among the photos; that in the list unless given.
    """

    data: Annotated[str, msgspec.Meta(min_length=4, extra_json_schema=BASE64)]
    index: int | None = None


class SentPhotos(msgspec.Struct, frozen=True, rename="camel"):
    """The photos of a batch in JSON.

    Attributes:
        images: the photos.
        job_id: the caller's own choice of the job's id.
    """

    images: Annotated[list[SentPhoto], msgspec.Meta(min_length=1, max_length=MAX_PHOTOS)]
    job_id: Uuid | None = None


@post(
    "/api/scan-bookshelf",
    status_code=202,
    request_max_body_size=None,
    security=API_KEY,
    responses=refusals(*CREATING, Code.NOT_FOUND, BookCode.SCAN_UNAVAILABLE),
    response_headers=[LOCATION],
    operation_class=operation(
        body={
            FORM_TYPE: form(image=BINARY, jobId=OWN_ID),
            **{kind: OpenAPIMediaType(schema=BINARY) for kind in RAW_TYPES},
        },
        headers=[IDEMPOTENCY_KEY, ENRICH],
    ),
)
async def scan_photo(
    request: HttpRequest,
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Find the books on a photo of a bookshelf, sent as the form field `image` or as the body itself."""
    caller = access.admit_creation(request)
    service.check_pipeline(SCAN)
    async with service.upload() as upload:
        heads = _Heads(upload.write)
        if content_type(request) == FORM_TYPE:
            sent = await form_of(request, settings, heads.write, ONE)
        else:
            sent = await _raw(chunks_of(request, settings, MAX_PHOTO_BYTES), heads.write)
        if heads.kind is None:
            raise ShelfwireError(
                Code.UNSUPPORTED_MEDIA,
                f"What was sent is no {KINDS} file, by its first bytes",
                user_message=f"This is no photo that can be read. Send it as {KINDS}.",
            )
        sent = await enriched(sent, request, upload)
        return await create(request, service, caller, upload, SCAN, sent, photos=1)


@post(
    "/api/scan-bookshelf/batch",
    status_code=202,
    request_max_body_size=None,
    security=API_KEY,
    responses=refusals(*CREATING, Code.NOT_FOUND, BookCode.SCAN_UNAVAILABLE),
    response_headers=[LOCATION],
    operation_class=operation(
        body={FORM_TYPE: form(images=BINARIES, jobId=OWN_ID), JSON_TYPE: reference(SentPhotos)},
        headers=[IDEMPOTENCY_KEY, ENRICH],
    ),
)
async def scan_photos(
    request: HttpRequest,
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Find the books on 1 to 20 photos of bookshelves, sent as form fields `images` or as JSON."""
    caller = access.admit_creation(request)
    service.check_pipeline(SCAN)
    async with service.upload() as upload:
        if content_type(request) == JSON_TYPE:
            sent = await _json(await body_of(request, settings, MAX_JSON_BYTES), upload.write)
        else:
            sent = await form_of(request, settings, upload.write, SEVERAL)
        photos = len(sent.inputs)
        sent = await enriched(sent, request, upload)
        return await create(request, service, caller, upload, SCAN, sent, photos=photos)


class _Heads:
    """Writes one photo, and looks at its first bytes on the way."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._head = b""

    @property
    def kind(self) -> str | None:
        return kind_of(self._head)

    async def write(self, name: str, data: bytes) -> None:
        self._head = (self._head + data[:HEAD_BYTES])[:HEAD_BYTES]
        await self._write(name, data)


async def _raw(body: AsyncIterator[bytes], write: Write) -> Form:
    digest, size = hashlib.sha256(), 0
    buffer = bytearray()
    async for chunk in body:
        buffer += chunk
        digest.update(chunk)
        size += len(chunk)
        if len(buffer) >= PART_BYTES:
            await write(PHOTOS[0], bytes(buffer))
            buffer.clear()
    if size > MAX_PHOTO_BYTES:
        raise too_large(MAX_PHOTO_BYTES)
    if not size:
        raise ShelfwireError(Code.INVALID_REQUEST, "The body is empty", user_message="No photo was sent. Choose one.")
    await write(PHOTOS[0], bytes(buffer))
    return Form({PHOTOS[0]: Received(None, size, digest.digest())}, None)


async def _json(body: bytes, write: Write) -> Form:
    sent: SentPhotos = parsed(body, SentPhotos)
    places = [at if photo.index is None else photo.index for at, photo in enumerate(sent.images)]
    for at, place in enumerate(places):
        if place in places[:at]:
            raise ShelfwireError(Code.INVALID_REQUEST, f"images[{at}].index is {place}, as that of an earlier one is")
    inputs = {}
    for name, (_, at) in zip(PHOTOS, sorted(zip(places, range(len(places)), strict=True)), strict=False):
        data = _decoded(at, sent.images[at].data)
        for start in range(0, len(data), PART_BYTES):
            await write(name, data[start : start + PART_BYTES])
        inputs[name] = Received(None, len(data), hashlib.sha256(data).digest())
    return Form(inputs, sent.job_id)


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
