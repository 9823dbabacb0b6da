"""The ways to receive the inputs of a job: a form, a JSON body, or a body that is one file."""

import codecs
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.callbacks import MAX_URL_CHARS
from shelfwire.jobs.pipeline import CALLBACK_URL, JOB_ID
from shelfwire.web.responses import JSON_TYPE
from shelfwire.web.route import Schema
from shelfwire.web.uploads import MAX_INPUT_NAME, Body, Submission, parsed, too_large

FORM_TYPE: Final = "multipart/form-data"
FORM_BYTES: Final = 64 * 1024
"""The greatest size of a form without its files."""
TEXT_CHARS: Final = 1024
"""The greatest length of a form field that is no input."""
MAX_VALUES: Final = 300_000
"""A JSON body with more would hold up everybody's messages while it is parsed: a value takes about a microsecond."""
VALUE_MARKS: Final = (b",", b"[", b"{")
_TextDecoder: Final = codecs.getincrementaldecoder("utf-8")
REQUEST: Final = "request"
"""The name of the input that a JSON body becomes."""
FILE: Final[Schema] = {"type": "string", "format": "binary", "minLength": 1, "description": "The file."}
OWN_ID: Final[Schema] = {
    "type": "string",
    "format": "uuid",
    "description": "The caller's own choice of the job's id.",
}
CALLBACK: Final[Schema] = {
    "type": "string",
    "maxLength": MAX_URL_CHARS,
    "description": "The address that is called when the job has ended.",
}
_OWN_FIELDS: Final = {JOB_ID: TEXT_CHARS, CALLBACK_URL: MAX_URL_CHARS}
"""The form fields that every request may have, and the greatest length of each."""


class Intake(Protocol):
    """A way to receive the inputs of a job, for one media type or several."""

    @property
    def expected(self) -> str:
        """What is to be sent, as the object of a sentence."""
        ...

    @property
    def schema(self) -> Any:
        """The type or JSON schema of the body."""
        ...

    async def receive(self, body: Body, into: Submission) -> None:
        """Read a body.

        Raises:
            ShelfwireError: it cannot be used.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormIntake:
    """Takes a form, `multipart/form-data`.

    Attributes:
        field: the only form field that is an input; others are ignored. None takes them all, under their names.
        names: the inputs that the field becomes where it may come several times, in order; the field's own name else.
        limit: bytes of all inputs together; what the server takes unless given.
        each: bytes of one input, where that is less.
        field_schema: the JSON schema of the field.
    """

    field: str | None = None
    names: Sequence[str] = ()
    limit: int | None = None
    each: int | None = None
    field_schema: Schema = dataclasses.field(default_factory=lambda: FILE)

    @property
    def expected(self) -> str:
        """See `Intake`."""
        return f"{FORM_TYPE} with the file in the field '{self.main_field}'"

    @property
    def schema(self) -> Schema:
        """See `Intake`."""
        # Where every field is an input, programs must know how one may be named; see `Submission.begin`.
        any_field: Schema = (
            {} if self.field else {"propertyNames": {"maxLength": MAX_INPUT_NAME, "pattern": "^[ -~]+$"}}
        )
        return {
            "type": "object",
            **any_field,
            "properties": {self.main_field: self.field_schema, JOB_ID: OWN_ID, CALLBACK_URL: CALLBACK},
            "required": [self.main_field],
        }

    @property
    def main_field(self) -> str:
        """The form field that is needed."""
        return self.field or "file"

    async def receive(self, body: Body, into: Submission) -> None:
        """See `Intake`."""
        boundary = body.parameters.get("boundary")
        if body.media_type != FORM_TYPE or not boundary:
            raise unsupported(body, [self])
        limit = self.limit or into.limit
        reader = _FormReader(self, into, limit)
        try:
            with PushMultipartParser(boundary, max_segment_count=100) as parser:
                async for chunk in body.chunks(limit, FORM_BYTES):
                    for event in parser.parse(chunk):
                        await reader.take(event)
        except MultipartError as error:
            raise ShelfwireError(Code.INVALID_REQUEST, f"The form cannot be read: {error}. Was it cut off?") from None
        if not into.inputs:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"The form has no field '{self.main_field}'",
                user_message="No file was sent. Choose a file and try again.",
            )
        if not any(received.size for received in into.inputs.values()):
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                "The file is empty",
                user_message="This file is empty. Export your library again and send the new file.",
            )


class _FormReader:
    """Puts into a submission what the parser of a form finds."""

    def __init__(self, intake: FormIntake, into: Submission, limit: int) -> None:
        self._intake = intake
        self._into = into
        self._limit = limit
        self._total = 0
        self._texts: dict[str, str] = {}
        self._segment: MultipartSegment | None = None

    async def take(self, event: MultipartSegment | bytearray | None) -> None:
        """Take what the parser found: the head of a field, some of its bytes, or its end."""
        if isinstance(event, MultipartSegment):
            self._segment = event if self._begin(event) else None
        elif self._segment is None:
            return
        elif (name := self._segment.name or "") in self._texts:
            self._take_text(name, event)
        elif event is None:
            await self._into.end()
        else:
            self._total += len(event)
            if self._total > self._limit:
                raise too_large(self._limit)
            if self._intake.each is not None and self._segment.bytes_received > self._intake.each:
                raise too_large(self._intake.each)
            await self._into.add(event)

    def _begin(self, segment: MultipartSegment) -> bool:
        """Begin a field and return whether it is wanted; of several texts with one name, the first is."""
        field = segment.name or ""
        if field in _OWN_FIELDS or field in self._into.text_fields:
            wanted = field not in self._texts
            self._texts.setdefault(field, "")
            self._decoder = _TextDecoder("replace")  # a character may come in two chunks
            return wanted
        name = self._input_of(field)
        if name is None:
            return False
        if name in self._into.inputs:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"The form field '{field}' came more than once; it takes one file. Send each in a request of its own",
                user_message="Only one file can be sent at once. Send the others one by one.",
            )
        self._into.begin(name, segment.filename)
        return True

    def _input_of(self, field: str) -> str | None:
        """Return the name of the input that a field becomes; None if it is none."""
        intake, count = self._intake, len(self._into.inputs)
        if intake.field is None:
            return field
        if field != intake.field:
            return None
        if not intake.names:
            return field
        if count >= len(intake.names):
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"The field '{field}' came more than {count} times",
                user_message=f"At most {count} can be sent at once. Send the rest in a second go.",
                details={"limit": count},
            )
        return intake.names[count]

    def _take_text(self, name: str, event: bytearray | None) -> None:
        self._texts[name] += self._decoder.decode(event or b"", final=event is None)
        if len(self._texts[name]) > _OWN_FIELDS.get(name, TEXT_CHARS):
            raise ShelfwireError(Code.INVALID_REQUEST, f"The form field {name} is too long")
        if event is not None:
            return
        if name == JOB_ID:
            self._into.job_id = self._texts[name]
        elif name == CALLBACK_URL:
            self._into.callback_url = self._texts[name]
        else:
            self._into.texts[name] = self._texts[name]


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonIntake:
    """Takes a JSON body.

    Attributes:
        schema: its type or JSON schema.
        limit: bytes of the body; what the server takes unless given.
        unpack: makes the inputs of a body, which is decoded to the type `schema` and has a member `job_id`; it may
            have one `callback_url`. Without, the body itself is the input `request`, once the pipeline has checked it.
    """

    schema: Any = dataclasses.field(default_factory=dict)
    limit: int | None = None
    unpack: Callable[[Any], Iterable[tuple[str, bytes]]] | None = None

    @property
    def expected(self) -> str:
        """See `Intake`."""
        return JSON_TYPE

    async def receive(self, body: Body, into: Submission) -> None:
        """See `Intake`."""
        data = await body.read(self.limit or into.limit)
        if self.unpack is not None:
            sent: Any = parsed(data, self.schema)
            into.job_id, into.callback_url = sent.job_id, getattr(sent, "callback_url", None)
            for name, part in self.unpack(sent):
                await into.put(name, part)
            return
        if sum(map(data.count, VALUE_MARKS)) > MAX_VALUES:
            raise ShelfwireError(
                Code.INVALID_REQUEST, f"The body has far more than {MAX_VALUES:,} values. Send it in parts"
            )
        content: Any = parsed(data)
        if isinstance(content, dict):
            into.job_id, into.callback_url = _text(content, JOB_ID, "a UUID"), _text(content, CALLBACK_URL, "a URL")
        into.total = into.check(content)
        # The same request may come back with its members in another order.
        await into.put(REQUEST, data, same_as=msgspec.json.encode(content, order="deterministic"))


def _text(content: dict[str, Any], member: str, what: str) -> str | None:
    """Return a member of a JSON body that is a text, if it is there."""
    value = content.get(member)
    if value is not None and not isinstance(value, str):
        raise ShelfwireError(Code.INVALID_REQUEST, f"{member} must be {what} in a string")
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileIntake:
    """Takes a body that is one file.

    Attributes:
        name: the input that it becomes.
        expected: what is to be sent, as the object of a sentence.
        limit: bytes.
        schema: its JSON schema.
    """

    name: str
    expected: str
    limit: int
    schema: Schema = dataclasses.field(default_factory=lambda: FILE)

    async def receive(self, body: Body, into: Submission) -> None:
        """See `Intake`."""
        into.begin(self.name)
        async for chunk in body.chunks(self.limit):
            await into.add(chunk)
        await into.end()
        if not into.inputs[self.name].size:
            raise ShelfwireError(
                Code.INVALID_REQUEST, "The body is empty", user_message="No file was sent. Choose one."
            )


def unsupported(body: Body, intakes: Iterable[Intake]) -> ShelfwireError:
    """Return the refusal of a body whose media type none of some intakes takes."""
    expected = " or ".join(dict.fromkeys(intake.expected for intake in intakes))
    return ShelfwireError(Code.UNSUPPORTED_MEDIA, f"Content-Type is {body.media_type or 'missing'}; send {expected}")
