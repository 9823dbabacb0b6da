"""Receives the body of a request, and keeps what it holds as the inputs of a job while it streams.

A body is bounded here, in bytes and in time, and nowhere else; the rest of one that is refused is drained by
`middleware`. Of a file, no more than one part of 1 MiB is ever in memory.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final, NamedTuple, Self, TypeVar

import msgspec
from multipart import parse_options_header
from starlette.requests import Request

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.pipeline import MENDED, OPTIONS
from shelfwire.protocol.messages import clip
from shelfwire.safe_text import safe_line
from shelfwire.settings import Settings

PART_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 64
"""The bytes at the start of an input that are kept in memory, to recognise its format."""
MAX_NAME_CHARS: Final = 255
MAX_INPUT_NAME: Final = 64
MAX_INPUTS: Final = 20


T = TypeVar("T")
Write = Callable[[str, bytes], Awaitable[None]]
"""Keeps one part of the input of this name; the next is read after it returns."""


class Received(NamedTuple):
    """An input that was received.

    Attributes:
        file_name: the name that the file was sent under, if it had one.
        size: bytes.
        digest: the SHA-256 of its content.
        head: its first bytes, up to `HEAD_BYTES`.
    """

    file_name: str | None
    size: int
    digest: bytes
    head: bytes


class Pace(NamedTuple):
    """How fast a body has to come. Time in which the server itself is busy with it does not count.

    Attributes:
        timeout: seconds to wait for each chunk.
        deadline: seconds to wait altogether.
        rate: bytes a second, on average after the first `timeout` seconds; 0 is none.
    """

    timeout: float
    deadline: float
    rate: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the operator has set."""
        return cls(settings.upload_timeout, settings.upload_deadline, settings.upload_rate)

    def patience(self, waited: float, size: int) -> tuple[float, str]:
        """Return how long to wait for the next chunk, and what is wrong if none comes until then.

        Args:
            waited: seconds so far.
            size: bytes so far.
        """
        limits = [
            (self.timeout, f"No byte came for {self.timeout:g} s"),
            (self.deadline - waited, f"The whole upload took longer than {self.deadline:g} s"),
        ]
        if self.rate:
            behind = self.timeout + size / self.rate - waited
            limits.append((behind, f"Less than {self.rate} bytes a second came"))
        return min(limits)


class Body:
    """The body of a request.

    Args:
        request: the request.
        pace: how fast it has to come.

    Attributes:
        media_type: its type without parameters; empty if it has none.
        parameters: the parameters of its type.
    """

    def __init__(self, request: Request, pace: Pace) -> None:
        self.media_type: str
        self.parameters: dict[str, str]
        self.media_type, self.parameters = parse_options_header(request.headers.get("content-type", ""))
        self._receive = request.receive
        self._pace = pace
        length = request.headers.get("content-length", "")
        self._length = int(length) if length.isascii() and length.isdecimal() else 0

    async def chunks(self, limit: int, overhead: int = 0) -> AsyncIterator[bytes]:
        """Iterate over its bytes.

        Args:
            limit: the greatest size of the content.
            overhead: the greatest size of the form around it.

        Raises:
            ShelfwireError: `E_FILE_TOO_LARGE`, before anything is read where that is announced; `E_INVALID_REQUEST`:
                it came too slowly, or the client is gone.
        """
        if self._length > limit + overhead:
            raise too_large(limit)
        loop = asyncio.get_running_loop()
        size, waited, more = 0, 0.0, True
        while more:
            patience, wrong = self._pace.patience(waited, size)
            began = loop.time()
            try:
                async with asyncio.timeout(patience):
                    event = await self._receive()
            except TimeoutError:
                raise ShelfwireError(
                    Code.INVALID_REQUEST,
                    f"{wrong}; the upload was given up after {size} bytes",
                    user_message="The upload stopped half-way. Check your connection and send the file again.",
                ) from None
            waited += loop.time() - began
            if event["type"] == "http.disconnect":
                raise ShelfwireError(Code.INVALID_REQUEST, f"The client hung up after {size} bytes")
            chunk: bytes = event.get("body", b"")
            more = event.get("more_body", False)
            size += len(chunk)
            if size > limit + overhead:
                raise too_large(limit)
            if chunk:
                yield chunk

    async def read(self, limit: int) -> bytes:
        """Return all of it.

        Raises:
            ShelfwireError: see `chunks`.
        """
        return b"".join([chunk async for chunk in self.chunks(limit)])


class Submission:
    """The content of a request that creates a job, as it is received.

    Args:
        write: keeps a part of an input.
        limit: bytes that are taken where an intake has no limit of its own.
        text_fields: the form fields that are options of the job, and no inputs.
        check: checks the JSON value of a request for the pipeline, and returns the number of items if that is known.

    Attributes:
        inputs: the complete inputs, by name.
        job_id: the id that the caller chose for the job.
        callback_url: the address that is to be called when the job has ended.
        texts: the options that came as form fields.
        total: the number of items, where it is known already.
    """

    def __init__(
        self, write: Write, *, limit: int, text_fields: Collection[str], check: Callable[[Any], int | None]
    ) -> None:
        self.limit = limit
        self.text_fields = text_fields
        self.check = check
        self.inputs: dict[str, Received] = {}
        self.job_id: str | None = None
        self.callback_url: str | None = None
        self.texts: dict[str, str] = {}
        self.total: int | None = None
        self._write = write

    def begin(self, name: str, file_name: str | None = None) -> None:
        """Begin an input.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: it cannot be kept under this name, or there are too many.
        """
        if name == OPTIONS:
            raise ShelfwireError(Code.INVALID_REQUEST, f"No input is named {OPTIONS}: send each option by its own name")
        if name == MENDED:
            raise ShelfwireError(Code.INVALID_REQUEST, f"No input is named {MENDED}: items are mended by a retry")
        if not name.isprintable() or not 0 < len(name) <= MAX_INPUT_NAME or len(self.inputs) >= MAX_INPUTS:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"A form has at most {MAX_INPUTS} inputs, with names of 1 to {MAX_INPUT_NAME} printable characters",
            )
        # Whoever shows the name need not know what characters can do to a line.
        self._name, self._file_name = name, clip(safe_line(file_name or ""), MAX_NAME_CHARS) or None
        self._size, self._head, self._hash, self._part = 0, b"", hashlib.sha256(), bytearray()

    async def add(self, data: bytes | bytearray) -> None:
        """Add bytes to the input that was begun last."""
        if self._size < HEAD_BYTES:
            self._head += bytes(data[: HEAD_BYTES - self._size])
        self._size += len(data)
        self._hash.update(data)
        self._part += data
        while len(self._part) >= PART_BYTES:
            await self._write(self._name, bytes(self._part[:PART_BYTES]))
            del self._part[:PART_BYTES]

    async def end(self, same_as: bytes | None = None) -> None:
        """Complete the input that was begun last.

        Args:
            same_as: what is hashed in place of its bytes, which may be others next time and say the same.
        """
        if self._part:
            await self._write(self._name, bytes(self._part))
        digest = (self._hash if same_as is None else hashlib.sha256(same_as)).digest()
        self.inputs[self._name] = Received(self._file_name, self._size, digest, self._head)

    async def put(self, name: str, data: bytes, same_as: bytes | None = None) -> None:
        """Write a whole input; see `begin` and `end`."""
        self.begin(name)
        await self.add(data)
        await self.end(same_as)


def parsed(body: bytes, kind: type[T] | Any = Any) -> T:
    """Read a JSON body.

    Args:
        body: all of it.
        kind: the type of its content.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no JSON, or of another type.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"The body cannot be used: {error}") from None


def too_large(limit: int) -> ShelfwireError:
    """Return the refusal of a body over its limit of bytes."""
    size = f"{limit / PART_BYTES:.4g} MiB" if limit >= PART_BYTES else f"{limit / 1024:.4g} KiB"
    return ShelfwireError(
        Code.FILE_TOO_LARGE,
        f"The file is larger than {size}",
        user_message=f"This file is larger than {size}. Split it and send the parts one by one.",
        details={"limit": limit},
    )
