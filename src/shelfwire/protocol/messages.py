"""The wire messages: one envelope, a payload by type, strict encoding and tolerant decoding.

Source: section 1 of the wire contract. All field names are camelCase on the wire; counts, durations (whole seconds)
and timestamps (milliseconds since the epoch) are JSON integers.
"""

from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from shelfwire.errors import ShelfwireError

VERSION: Final = "1.0.0"
MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Deployed clients drop messages of this size and more."""
MAX_INLINE_BYTES: Final = 1000 * 1024
"""Limit of the results in a message; the rest is for everything around them."""
MAX_TITLE_CHARS: Final = 200
MAX_TEXT_CHARS: Final = 2000
"""Limit of any other text in a message, so that no message can grow out of bounds."""
MAX_AFFECTED: Final = 100
"""Limit of the items that an error names."""
MAX_DETAILS_BYTES: Final = 64 * 1024
"""Limit of an error's details as JSON; larger ones are left out."""

_INT64: Final = Meta(extra_json_schema={"format": "int64"})
Count = Annotated[int, Meta(ge=0), _INT64]
Millis = Annotated[int, Meta(ge=0), _INT64]
Seconds = Annotated[int, Meta(ge=0), _INT64]
Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Title = Annotated[str, Meta(max_length=MAX_TITLE_CHARS)]
Address = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]


class UndecodableError(ValueError):
    """The frame is not a message: not JSON, or a field of the envelope or payload is missing or of a wrong type."""


class UnencodableError(ValueError):
    """The message breaks the contract (a negative or fractional count, 1 MiB or more): a defect of the caller's."""


class WireStruct(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Optional fields default to None and are left out while unset: the contract forbids writing null for them."""


class Metadata(WireStruct, frozen=True, kw_only=True):
    """What the job works on."""

    file_name: Annotated[str | None, Meta(description="Name of the file, as given.")] = None
    file_size: Annotated[Count | None, Meta(description="Size of the file in bytes.")] = None
    photo_count: Annotated[Count | None, Meta(description="Number of photos.")] = None


class CurrentItem(WireStruct, frozen=True, kw_only=True):
    """The item of a progress message, beside its title."""

    isbn: Annotated[str | None, Meta(description="Its ISBN.")] = None
    author: Annotated[str | None, Meta(description="Its author.")] = None


class JobStarted(WireStruct, frozen=True, kw_only=True, tag_field=None):
    """Sent once on a connection, when the number of items is known."""

    total_count: Annotated[Count, Meta(description="Items in the input.")]
    estimated_duration: Annotated[Seconds | None, Meta(description="Seconds the whole job is expected to take.")] = None
    metadata: Annotated[Metadata | None, Meta(description="What the job works on.")] = None


class JobProgress(WireStruct, frozen=True, kw_only=True):
    """The job's newest state; may replace any number of earlier ones."""

    processed_count: Annotated[Count, Meta(description="Items recorded, done or failed; never falls.")]
    total_count: Annotated[Count | None, Meta(description="Items in the input, once known.")] = None
    failure_count: Annotated[Count | None, Meta(description="Items that failed.")] = None
    current_title: Annotated[Title | None, Meta(description="Title of the item recorded last.")] = None
    current_item: Annotated[CurrentItem | None, Meta(description="More about the item recorded last.")] = None
    user_message: Annotated[str | None, Meta(description="A message for the user, beside the counts.")] = None
    state: Annotated[str | None, Meta(description="The job's status.")] = None
    eta_seconds: Annotated[Seconds | None, Meta(description="Seconds that are left, from the measured rate.")] = None


class JobComplete(WireStruct, frozen=True, kw_only=True):
    """The job is complete. `results` is present even when it is empty. Terminal."""

    success_count: Annotated[Count, Meta(description="Items that were done.")]
    failure_count: Annotated[Count, Meta(description="Items that failed.")]
    duration: Annotated[Seconds, Meta(description="Seconds from the start to the end.")]
    results: Annotated[Any, Meta(description="What the pipeline made of the items; its shape is the pipeline's.")]
    summary: Annotated[str | None, Meta(description="A sentence for the user about the outcome.")] = None
    results_url: Annotated[
        Address | None, Meta(description="Where all results are, relative to the server, if not all are here.")
    ] = None
    truncated: Annotated[bool | None, Meta(description="True if `results` holds only the first of them.")] = None


class JobError(WireStruct, frozen=True, kw_only=True):
    """The job failed or was canceled. Terminal."""

    code: Annotated[str, Meta(description="An entry of the table of error codes; pipelines may add their own.")]
    message: Annotated[str, Meta(description="What happened, for a developer.")]
    user_message: Annotated[str, Meta(description="What happened and what to do next, for the user.")]
    retryable: Annotated[bool, Meta(description="Whether a new job with the same input may succeed.")]
    affected_items: Annotated[list[str] | None, Meta(description="Names of the items concerned.")] = None
    details: Annotated[Any, Meta(description="Further values, for a program.")] = None


class Ping(WireStruct, frozen=True, kw_only=True):
    """A client's request for a `pong`."""

    client_time: Annotated[Annotated[int, _INT64] | None, Meta(description="Any number; the answer repeats it.")] = None
    lost: Annotated[
        Count | None, Meta(description="Jobs that the client gave up to follow since it last said so, for statistics.")
    ] = None
    undecodable: Annotated[
        Count | None, Meta(description="Messages that it could not read since it last said so, for statistics.")
    ] = None


class Pong(WireStruct, frozen=True, kw_only=True):
    """The answer to a ping."""

    client_time: Annotated[Annotated[int, _INT64] | None, Meta(description="The number of the ping.")] = None


class SyncRequest(WireStruct, frozen=True, kw_only=True):
    """A client's request for the current state."""

    tries: Annotated[Count | None, Meta(description="Attempts that its return took, for statistics.")] = None


Payload = JobStarted | JobProgress | JobComplete | JobError | Ping | Pong | SyncRequest

TYPES: Final[dict[str, type[Payload]]] = {
    "job_started": JobStarted,
    "job_progress": JobProgress,
    "job_complete": JobComplete,
    "error": JobError,
    "ping": Ping,
    "pong": Pong,
    "sync_request": SyncRequest,
}
_NAMES: Final = {payload: name for name, payload in TYPES.items()}
TERMINAL_TYPES: Final = frozenset({"job_complete", "error"})


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded message with its envelope.

    Attributes:
        job_id: the job, a UUID.
        pipeline: the pipeline's name.
        timestamp: server time in milliseconds since the epoch.
        payload: the content; its class determines the message's type.
        seq: the job's revision that this shows; None on `pong` and on messages from clients.
    """

    job_id: str
    pipeline: str
    timestamp: int
    payload: Payload
    seq: int | None = None

    @property
    def type(self) -> str:
        """The message's name on the wire."""
        return _NAMES[type(self.payload)]

    @property
    def terminal(self) -> bool:
        """Whether this is the last message of its job."""
        return isinstance(self.payload, JobComplete | JobError)


class Unknown(msgspec.Struct, frozen=True):
    """A well-formed message of a type that this version does not know: to be counted and ignored."""

    type: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The envelope of a message on the wire."""

    type: Annotated[str, Meta(description="The type of the message, which determines its payload.")]
    job_id: Annotated[Uuid, Meta(description="The job.")]
    pipeline: Annotated[str, Meta(description="The pipeline that runs it.")]
    timestamp: Annotated[Millis, Meta(description="Server time, in milliseconds since the epoch.")]
    version: Annotated[str, Meta(description="Version of the wire contract.")]
    payload: Annotated[msgspec.Raw, Meta(description="The content, by type.")]
    seq: Annotated[
        Count | None,
        Meta(description="The job's revision that the message shows; absent on `pong` and on messages from clients."),
    ] = None


class _Incoming(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope, read as tolerantly as possible: only the type is required."""

    type: str
    job_id: str = ""
    pipeline: str = ""
    timestamp: int = 0
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    seq: int | None = None


class _JobCompleteShape(JobComplete, frozen=True, kw_only=True):
    results: msgspec.Raw


_encoder = msgspec.json.Encoder()
_incoming = msgspec.json.Decoder(_Incoming)
_payloads: Final = {name: msgspec.json.Decoder(payload) for name, payload in TYPES.items()}
_Checked = TypeVar("_Checked")


class _Whole(Envelope, Generic[_Checked], frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message with its payload."""

    payload: _Checked  # type: ignore[assignment]  # in place of its JSON


_checks: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    name: msgspec.json.Decoder(_Whole[payload])  # type: ignore[valid-type]  # a type at run time
    for name, payload in {**TYPES, "job_complete": _JobCompleteShape}.items()
}
"""The decoders by which encoding checks its own output. They pass over results, whose decoding costs."""


def encode(message: Message) -> str:
    """Encode a message for a text frame; see `encode_bytes`."""
    return encode_bytes(message).decode()


def encode_bytes(message: Message) -> bytes:
    """Encode a message.

    Raises:
        UnencodableError: a field is not as the contract requires, or the message reaches 1 MiB.
    """
    name = message.type
    try:
        data = _encoder.encode(
            _Whole(
                type=name,
                job_id=message.job_id,
                pipeline=message.pipeline,
                timestamp=message.timestamp,
                version=VERSION,
                payload=message.payload,
                seq=message.seq,
            )
        )
        _checks[name].decode(data)
    except (msgspec.MsgspecError, TypeError, UnicodeError) as error:
        raise UnencodableError(f"{name} of job {message.job_id}: {error}") from error
    if len(data) >= MAX_MESSAGE_BYTES:
        raise UnencodableError(
            f"{name} of job {message.job_id} has {len(data)} bytes; {MAX_MESSAGE_BYTES} is the limit"
        )
    return data


def decode(frame: str | bytes) -> Message | Unknown:
    """Decode a text or binary frame. Fields this version does not know are ignored.

    Returns:
        The message, or `Unknown` where only its type is new to this version.

    Raises:
        UndecodableError: the frame is not a message of the contract.
    """
    try:
        envelope = _incoming.decode(frame)
        decoder = _payloads.get(envelope.type)
        if decoder is None:
            return Unknown(envelope.type)
        payload = decoder.decode(envelope.payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UndecodableError(str(error)) from error
    return Message(
        job_id=envelope.job_id,
        pipeline=envelope.pipeline,
        timestamp=envelope.timestamp,
        payload=payload,
        seq=envelope.seq,
    )


def clip(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Make a text fit into a message: at most `limit` characters, an ellipsis for what was cut, no lone surrogates."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.encode("utf-8", "replace").decode()


def error_of(error: ShelfwireError) -> JobError:
    """Make the payload for an error, cut to what fits into any message.

    Raises:
        Exception: its details cannot be encoded as JSON.
    """
    return JobError(
        code=error.code,
        message=clip(error.message),
        user_message=clip(error.user_message),
        retryable=error.retryable,
        affected_items=[clip(name, MAX_TITLE_CHARS) for name in error.affected[:MAX_AFFECTED]] or None,
        details=error.details if len(_encoder.encode(error.details)) <= MAX_DETAILS_BYTES else None,
    )
