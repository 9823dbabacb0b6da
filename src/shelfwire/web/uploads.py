"""A file from a form, bounded while it streams: no more than one part of it is ever in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.messages import clip

PART_BYTES: Final = 1024 * 1024
FORM_BYTES: Final = 64 * 1024
"""What the form around the file may take."""
DRAIN_BYTES: Final = 64 * 1024 * 1024
"""An upload that is too large is read to its end up to here, so that its sender gets to see the answer."""
MAX_NAME_CHARS: Final = 255


class Received(NamedTuple):
    """The name a file was sent under, if it had one, and its size in bytes."""

    file_name: str | None
    size: int


def mebibytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1024 / 1024:.4g} MiB"


async def receive_file(
    body: AsyncIterator[bytes],
    *,
    content_type: str,
    content_length: int | None,
    field: str,
    limit: int,
    timeout: float,  # noqa: ASYNC109 - it bounds each chunk, not the call
    write: Callable[[bytes], Awaitable[None]],
) -> Received:
    """Hand the file in the form's `field` to `write`, in parts of 1 MiB.

    Args:
        body: the request's body.
        content_type: must be `multipart/form-data`.
        content_length: as announced, if it was.
        field: the form field the file is in; others are passed over.
        limit: bytes of the file.
        timeout: seconds to wait for each chunk.
        write: keeps one part; the next is read after it returns.

    Raises:
        ShelfwireError: `E_UNSUPPORTED_MEDIA`, `E_FILE_TOO_LARGE` or `E_INVALID_REQUEST`.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise ShelfwireError(
            Code.UNSUPPORTED_MEDIA,
            f"Content-Type is {kind or 'missing'}; send multipart/form-data with the file in the field '{field}'",
        )
    chunks = _bounded(body, content_length, limit, timeout)
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=100) as parser:
            received = await _receive(parser, chunks, field, limit, write)
    except MultipartError as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"The form cannot be read: {error}. Was it cut off?") from None
    if received is None:
        raise ShelfwireError(
            Code.INVALID_REQUEST,
            f"The form has no field '{field}'",
            user_message="No file was sent. Choose a file and try again.",
        )
    if received.size == 0:
        raise ShelfwireError(
            Code.INVALID_REQUEST,
            "The file is empty",
            user_message="This file is empty. Export your library again and send the new file.",
        )
    return received


async def _receive(
    parser: PushMultipartParser,
    chunks: AsyncIterator[bytes],
    field: str,
    limit: int,
    write: Callable[[bytes], Awaitable[None]],
) -> Received | None:
    received: Received | None = None
    wanted: MultipartSegment | None = None
    buffer = bytearray()
    async for chunk in chunks:
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                wanted = event if event.name == field and received is None else None
            elif event is None:
                if wanted is not None:
                    name = clip(wanted.filename, MAX_NAME_CHARS) if wanted.filename else None
                    received = Received(name, wanted.size)
                wanted = None
            elif wanted is not None:
                if wanted.bytes_received > limit:
                    raise _too_large(limit)
                buffer += event
        while len(buffer) >= PART_BYTES:
            await write(bytes(buffer[:PART_BYTES]))
            del buffer[:PART_BYTES]
    if buffer:
        await write(bytes(buffer))
    return received


async def _bounded(
    body: AsyncIterator[bytes], content_length: int | None, limit: int, seconds: float
) -> AsyncIterator[bytes]:
    most = limit + FORM_BYTES
    if content_length is not None and content_length > most + DRAIN_BYTES:
        raise _too_large(limit)
    read = 0
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(body)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"No byte came for {seconds:g} s; the upload was given up after {read} bytes",
                user_message="The upload stopped half-way. Check your connection and send the file again.",
            ) from None
        read += len(chunk)
        if read <= most:
            yield chunk
        elif read > most + DRAIN_BYTES:
            break
    if read > most:
        raise _too_large(limit)


def _too_large(limit: int) -> ShelfwireError:
    return ShelfwireError(
        Code.FILE_TOO_LARGE,
        f"The file is larger than {mebibytes(limit)}",
        user_message=f"This file is larger than {mebibytes(limit)}. Split it and send the parts one by one.",
        details={"limit": limit},
    )
