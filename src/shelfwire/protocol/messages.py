"""The wire messages: one envelope, a payload by type, strict encoding and tolerant decoding.

Source: section 1 of the wire contract. All field names are camelCase on the wire; counts, durations (whole seconds)
and timestamps (milliseconds since the epoch) are JSON integers.
"""

from typing import Annotated, Any, Final

import msgspec

from shelfwire.errors import ShelfwireError

VERSION: Final = "1.0.0"
MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_INLINE_BYTES: Final = 1000 * 1024
"""Results that leave room in a message for everything around them."""
"""Deployed clients drop messages of this size and more."""
MAX_TITLE_CHARS: Final = 200
MAX_TEXT_CHARS: Final = 2000
"""Of any other text in a message, so that no message can grow out of bounds."""
MAX_AFFECTED: Final = 100
"""Names that an error tells; more help nobody."""
MAX_DETAILS_BYTES: Final = 64 * 1024
"""Of an error's details as JSON; larger ones are left out."""

_INT64: Final = msgspec.Meta(extra_json_schema={"format": "int64"})
Count = Annotated[int, msgspec.Meta(ge=0), _INT64]
Millis = Annotated[int, msgspec.Meta(ge=0), _INT64]
Seconds = Annotated[int, msgspec.Meta(ge=0), _INT64]
Uuid = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
Address = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri-reference"})]


class UndecodableError(ValueError):
    """The frame is not a message: not JSON, or a field of the envelope or payload is missing or of a wrong type."""


class UnencodableError(ValueError):
    """The message breaks the contract (a negative or fractional count, 1 MiB or more): a defect of the caller's."""


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Optional fields default to None and are left out while unset: the contract forbids writing null for them."""


class Metadata(_Wire, frozen=True, kw_only=True):
    """What the job works on.

    Attributes:
        file_name: what the caller calls the file.
        file_size: bytes of the file.
        photo_count: how many photos were sent.
    """

    file_name: str | None = None
    file_size: Count | None = None
    photo_count: Count | None = None


class CurrentItem(_Wire, frozen=True, kw_only=True):
    """The item a progress message names beside its title.

    Attributes:
        isbn: its number.
        author: who wrote it.
    """

    isbn: str | None = None
    author: str | None = None


class JobStarted(_Wire, frozen=True, kw_only=True, tag_field=None):
    """Sent once on a connection, when the number of items is known.

    Attributes:
        total_count: items in the input.
        estimated_duration: seconds the whole job is expected to take.
        metadata: what the job works on.
    """

    total_count: Count
    estimated_duration: Seconds | None = None
    metadata: Metadata | None = None


class JobProgress(_Wire, frozen=True, kw_only=True):
    """The job's newest state; may replace any number of earlier ones.

    Attributes:
        processed_count: items recorded, done or failed; never falls.
        total_count: items in the input, once known.
        failure_count: items that failed.
        current_title: the item recorded last, as a person knows it.
        current_item: more of the item recorded last.
        user_message: what to tell a person beside the counts.
        state: the job's status.
        eta_seconds: seconds that are left, from the measured rate.
    """

    processed_count: Count
    total_count: Count | None = None
    failure_count: Count | None = None
    current_title: Annotated[str, msgspec.Meta(max_length=MAX_TITLE_CHARS)] | None = None
    current_item: CurrentItem | None = None
    user_message: str | None = None
    state: str | None = None
    eta_seconds: Seconds | None = None


class JobComplete(_Wire, frozen=True, kw_only=True):
    """The good ending. `results` is there even when it is empty.

    Attributes:
        success_count: items that were done.
        failure_count: items that failed.
        duration: seconds from the start to the end.
        results: what the pipeline made of the items; its shape is the pipeline's.
        summary: what the job came to, for a person.
        results_url: where all results are, relative to the server, if not all are here.
        truncated: true if `results` holds only the first of them.
    """

    success_count: Count
    failure_count: Count
    duration: Seconds
    results: Any
    summary: str | None = None
    results_url: Address | None = None
    truncated: bool | None = None


class JobError(_Wire, frozen=True, kw_only=True):
    """The other ending: the job failed or was canceled. Terminal.

    Attributes:
        code: an entry of the table of error codes; pipelines may add their own.
        message: what happened, for a developer.
        user_message: the same for a person, with what to do next.
        retryable: whether a new job with the same input may succeed.
        affected_items: names of the items concerned.
        details: values that help a program.
    """

    code: str
    message: str
    user_message: str
    retryable: bool
    affected_items: list[str] | None = None
    details: Any = None


class Ping(_Wire, frozen=True, kw_only=True):
    """A client's question for a sign of life.

    Attributes:
        client_time: any number; it comes back as it went.
    """

    client_time: Annotated[int, _INT64] | None = None


class Pong(_Wire, frozen=True, kw_only=True):
    """The answer to a ping.

    Attributes:
        client_time: the number of the ping.
    """

    client_time: Annotated[int, _INT64] | None = None


class SyncRequest(_Wire, frozen=True, kw_only=True):
    """A client's question for the state now."""


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
    """A message with its envelope.

    Attributes:
        job_id: the job, a UUID.
        pipeline: the pipeline's name.
        timestamp: server time in milliseconds since the epoch.
        payload: what it says; its class gives the message's type.
        seq: the revision of the job that this shows; None on `pong` and on messages from clients.
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
        """Whether the job's story ends with this message."""
        return isinstance(self.payload, JobComplete | JobError)


class Unknown(msgspec.Struct, frozen=True):
    """A well-formed message of a type this version does not know: to be counted and passed over."""

    type: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message as it stands on the wire.

    Attributes:
        type: the message's name; says how to read the payload.
        job_id: the job.
        pipeline: the pipeline that runs it.
        timestamp: server time, in milliseconds since the epoch.
        version: of the wire contract.
        payload: what the message says.
        seq: the job's revision that the message shows; not on a pong, nor on what clients send.
    """

    type: str
    job_id: Uuid
    pipeline: str
    timestamp: Millis
    version: str
    payload: msgspec.Raw
    seq: Count | None = None


class _Incoming(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope as tolerantly as it can be read: only the type is needed to know what to do with it."""

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
_envelopes = msgspec.json.Decoder(Envelope)
_payloads: Final = {name: msgspec.json.Decoder(payload) for name, payload in TYPES.items()}
_checks: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    **_payloads,
    "job_complete": msgspec.json.Decoder(_JobCompleteShape),
}
"""What encoding checks its own output by; results were just encoded, and decoding a whole library costs."""


def encode(message: Message) -> str:
    """Encode a message for one text frame.

    Raises:
        UnencodableError: a field is not what the contract allows, or the whole reaches 1 MiB.
    """
    name = message.type
    try:
        payload = _encoder.encode(message.payload)
        _checks[name].decode(payload)
        data = _encoder.encode(
            Envelope(
                type=name,
                job_id=message.job_id,
                pipeline=message.pipeline,
                timestamp=message.timestamp,
                version=VERSION,
                payload=msgspec.Raw(payload),
                seq=message.seq,
            )
        )
        _envelopes.decode(data)
    except (msgspec.MsgspecError, TypeError, UnicodeError) as error:
        raise UnencodableError(f"{name} of job {message.job_id}: {error}") from error
    if len(data) >= MAX_MESSAGE_BYTES:
        raise UnencodableError(
            f"{name} of job {message.job_id} has {len(data)} bytes; {MAX_MESSAGE_BYTES} is the limit"
        )
    return data.decode()


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
    """Make a text fit for a message: at most `limit` characters, an ellipsis for what was cut, no lone surrogates."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.encode("utf-8", "replace").decode()


def error_of(error: ShelfwireError) -> JobError:
    """The payload that tells a follower of `error`, with no more of it than fits into any message.

    Raises:
        Exception: JSON cannot say its details.
    """
    return JobError(
        code=error.code,
        message=clip(error.message),
        user_message=clip(error.user_message),
        retryable=error.retryable,
        affected_items=[clip(name, MAX_TITLE_CHARS) for name in error.affected[:MAX_AFFECTED]] or None,
        details=error.details if len(_encoder.encode(error.details)) <= MAX_DETAILS_BYTES else None,
    )
