"""What a form or a JSON body brings, bounded while it streams: of files, no more than one part is ever in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from litestar.exceptions import InternalServerException
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.messages import clip

PART_BYTES: Final = 1024 * 1024
FORM_BYTES: Final = 64 * 1024
"""What the form around the files may take."""
FIELD_BYTES: Final = 1024
DRAIN_BYTES: Final = 64 * 1024 * 1024
"""An upload that is too large is read to its end up to here, so that its sender gets to see the answer."""
MAX_NAME_CHARS: Final = 255
MAX_INPUT_NAME: Final = 64
MAX_INPUTS: Final = 20
JOB_ID: Final = "jobId"
"""The form field with the caller's own choice of an id; it is no input."""


class Received(NamedTuple):
    """One input: the name its file was sent under, if it had one, its size in bytes and its SHA-256."""

    file_name: str | None
    size: int
    digest: bytes


class Form(NamedTuple):
    """What was sent: its inputs by the field they came in, the id the caller wants for the job, and other short texts.

    `total` tells how many items it has, where that is known already.
    """

    inputs: dict[str, Received]
    job_id: str | None
    texts: Mapping[str, str] = {}
    total: int | None = None


class Intake(NamedTuple):
    """Which fields of a form become inputs, and how much of them is taken.

    Attributes:
        limit: bytes of all inputs together.
        field: the only form field that is an input; others are passed over. None takes them all, under their names.
        names: the inputs that the field becomes where it may come several times, in order; the field's own name else.
        each: bytes of one input, where that is less.
        texts: fields that hold a short text and are no inputs by themselves.
    """

    limit: int
    field: str | None = None
    names: Sequence[str] = ()
    each: int | None = None
    texts: Sequence[str] = ()


T = TypeVar("T")
Write = Callable[[str, bytes], Awaitable[None]]
"""Keeps one part of the input of this name; the next is read after it returns."""


def mebibytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1024 / 1024:.4g} MiB"


async def receive_form(
    body: AsyncIterator[bytes],
    *,
    content_type: str,
    content_length: int | None,
    intake: Intake,
    timeout: float,  # noqa: ASYNC109 - it bounds each chunk, not the call
    write: Write,
) -> Form:
    """Hand the inputs in a form to `write`, in parts of 1 MiB.

    Args:
        body: the request's body.
        content_type: must be `multipart/form-data`.
        content_length: as announced, if it was.
        intake: which fields are inputs.
        timeout: seconds to wait for each chunk.
        write: see there.

    Raises:
        ShelfwireError: `E_UNSUPPORTED_MEDIA`, `E_FILE_TOO_LARGE` or `E_INVALID_REQUEST`.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise ShelfwireError(
            Code.UNSUPPORTED_MEDIA,
            f"Content-Type is {kind or 'missing'}; send multipart/form-data with the file in the field "
            f"'{intake.field or 'file'}'",
        )
    chunks = bounded(body, content_length, intake.limit, timeout)
    reader = _Reader(intake, write)
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=100) as parser:
            async for chunk in chunks:
                for event in parser.parse(chunk):
                    reader.take(event)
                await reader.flush(PART_BYTES)
    except MultipartError as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"The form cannot be read: {error}. Was it cut off?") from None
    if reader.over is not None:
        raise too_large(reader.over)
    await reader.flush(1)
    texts = reader.texts
    return _checked(Form(reader.inputs, texts.pop(JOB_ID, None), texts), intake.field or "file")


class _Reader:
    """Collects what a form brings; the parser's events go in, parts of inputs come out.

    Args:
        intake, write: see `receive_form`.

    Attributes:
        inputs, texts: what has come; see `Form`. The id is among the texts.
        over: the limit that it has exceeded, if any. The rest is read all the same, that its sender gets to see the
            answer.
    """

    def __init__(self, intake: Intake, write: Write) -> None:
        self.inputs: dict[str, Received] = {}
        self.texts: dict[str, str] = {}
        self.over: int | None = None
        self._intake = intake
        self._texts = {JOB_ID, *intake.texts}
        self._write = write
        self._size = self._own_size = 0
        self._segment: MultipartSegment | None = None
        self._hash = hashlib.sha256()
        self._parts: list[tuple[str, bytearray]] = []

    def take(self, event: MultipartSegment | bytearray | None) -> None:
        """Take what the parser found: a field's head, some of its bytes, or its end."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif self._segment is None:
            return
        elif event is None:
            self._end(self._segment)
        elif (name := self._segment.name) in self._texts:
            self.texts[name] += event.decode("utf-8", "replace")
            if len(self.texts[name]) > FIELD_BYTES:
                raise ShelfwireError(Code.INVALID_REQUEST, f"The form field {name} is too long")
        else:
            self._size += len(event)
            self._own_size += len(event)
            limits = (self._intake.limit, self._size), (self._intake.each or self._own_size, self._own_size)
            self.over = next((limit for limit, size in limits if size > limit), None)
            if self.over is not None:
                self._segment = None
                return
            self._hash.update(event)
            self._parts[-1][1].extend(event)

    async def flush(self, least: int) -> None:
        """Write what has come, in parts of at most 1 MiB; `least` bytes or more of the input that is being read."""
        for name, buffer in self._parts:
            while len(buffer) >= (least if buffer is self._parts[-1][1] else 1):
                await self._write(name, bytes(buffer[:PART_BYTES]))
                del buffer[:PART_BYTES]
        del self._parts[:-1]

    def _begin(self, segment: MultipartSegment) -> None:
        name = segment.name or ""
        if self.over is not None:
            return
        if name in self._texts and name not in self.texts:
            self._segment, self.texts[name] = segment, ""
            return
        name = self._input_of(name)
        wanted = name not in self.inputs and name != JOB_ID
        self._segment = segment if wanted else None
        if not wanted:
            return
        if not name.isprintable() or not 0 < len(name) <= MAX_INPUT_NAME or len(self.inputs) >= MAX_INPUTS:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"A form has at most {MAX_INPUTS} inputs, with names of 1 to {MAX_INPUT_NAME} printable characters",
            )
        self._hash = hashlib.sha256()
        self._own_size = 0
        self._parts.append((name, bytearray()))

    def _input_of(self, field: str) -> str:
        """The input that a field of this name becomes now; the id's own name if it is none."""
        if self._intake.field is None:
            return field
        if field != self._intake.field:
            return JOB_ID
        if not self._intake.names:
            return field
        if len(self.inputs) >= len(self._intake.names):
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"The field '{field}' came more than {len(self._intake.names)} times",
                user_message=f"At most {len(self._intake.names)} can be sent at once. Send the rest in a second go.",
            )
        return self._intake.names[len(self.inputs)]

    def _end(self, segment: MultipartSegment) -> None:
        if segment.name not in self._texts:
            name = clip(segment.filename, MAX_NAME_CHARS) if segment.filename else None
            self.inputs[self._parts[-1][0]] = Received(name, segment.size, self._hash.digest())
        self._segment = None


def _checked(form: Form, field: str) -> Form:
    if not form.inputs:
        raise ShelfwireError(
            Code.INVALID_REQUEST,
            f"The form has no field '{field}'",
            user_message="No file was sent. Choose a file and try again.",
        )
    if not any(received.size for received in form.inputs.values()):
        raise ShelfwireError(
            Code.INVALID_REQUEST,
            "The file is empty",
            user_message="This file is empty. Export your library again and send the new file.",
        )
    return form


async def bounded(
    body: AsyncIterator[bytes], content_length: int | None, limit: int, seconds: float
) -> AsyncIterator[bytes]:
    """Iterate over a body of `limit` bytes at most, and the form around it.

    Raises:
        ShelfwireError: `E_FILE_TOO_LARGE`; `E_INVALID_REQUEST`: nothing came for `seconds`, or the client is gone.
    """
    most = limit + FORM_BYTES
    if content_length is not None and content_length > most + DRAIN_BYTES:
        raise too_large(limit)
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
        except InternalServerException:  # how Litestar says that the client is gone
            raise ShelfwireError(Code.INVALID_REQUEST, f"The client hung up after {read} bytes") from None
        read += len(chunk)
        if read <= most:
            yield chunk
        elif read > most + DRAIN_BYTES:
            break
    if read > most:
        raise too_large(limit)


def parsed(body: bytes | bytearray, kind: type[T] | Any = Any) -> T:
    """Read a JSON body.

    Args:
        body: all of it.
        kind: what it must hold.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no JSON, or holds something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"The body cannot be used: {error}") from None


def too_large(limit: int) -> ShelfwireError:
    """What a body over its limit of bytes is refused with."""
    return ShelfwireError(
        Code.FILE_TOO_LARGE,
        f"The file is larger than {mebibytes(limit)}",
        user_message=f"This file is larger than {mebibytes(limit)}. Split it and send the parts one by one.",
        details={"limit": limit},
    )
