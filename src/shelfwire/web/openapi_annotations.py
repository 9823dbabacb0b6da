"""What the OpenAPI document says of a route beyond its types: bodies, refusals, headers, and who may call it.

Each of these is an argument of Litestar's route decorators.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityRequirement,
)
from litestar.openapi.spec.enums import OpenAPIFormat

from shelfwire.books.csv_import.options import GeminiUse
from shelfwire.errors import Code, ErrorCode
from shelfwire.web.responses import PROBLEM_TYPE, Problem

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "multipart/form-data"
SCHEMA_TYPE: Final = "application/schema+json"

ALWAYS: Final = (Code.INVALID_REQUEST, Code.INTERNAL, Code.STORAGE_UNAVAILABLE)
"""What any request may be refused with."""
OWNER: Final = (Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN)
"""What a request with a job's token may be refused with."""
CREATING: Final = (
    Code.UNAUTHORIZED,
    Code.FORBIDDEN,
    Code.JOB_EXISTS,
    Code.JOB_STATE,
    Code.FILE_TOO_LARGE,
    Code.UNSUPPORTED_MEDIA,
    Code.IDEMPOTENCY_MISMATCH,
    Code.RATE_LIMITED,
)
"""What a request for a new job may be refused with."""

TOKEN: Final[Sequence[SecurityRequirement]] = ({"token": []},)
TOKEN_OR_QUERY: Final[Sequence[SecurityRequirement]] = ({"token": []}, {"tokenInQuery": []})
API_KEY: Final[Sequence[SecurityRequirement]] = ({"apiKey": []}, {})


def _text(meaning: str, **more: Any) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=meaning, **more)


BINARY: Final = _text("The file.", format=OpenAPIFormat.BINARY, min_length=1)
PHOTO: Final = _text("The file; what is no photo becomes a failed item.", format=OpenAPIFormat.BINARY)
OWN_ID: Final = _text("The caller's own choice of the job's id.", format=OpenAPIFormat.UUID)
GEMINI_WISH: Final = _text(
    "Whether Gemini helps to read the list: where nothing else is sure of it, always or never.",
    enum=list(map(str, GeminiUse)),
    default=str(GeminiUse.AUTO),
)
DOCUMENT: Final = Schema(type=OpenAPIType.OBJECT)
LINES: Final = _text("The items of the page, each a line of JSON as in `items`.")
TABLE: Final = _text("The items of the page as a table with a header, safe to open in a spreadsheet.")
EVENTS: Final = Schema(
    type=OpenAPIType.OBJECT,
    description="One event. The stream ends after the one with the terminal message.",
    required=["event", "data"],
    properties={
        "event": _text("The message's type."),
        "id": _text("The message's `seq`; left out where the next event has the same."),
        "data": _text(
            "The message.", content_media_type=JSON_TYPE, content_schema=Reference("#/components/schemas/Message")
        ),
    },
)
NOTHING_MORE: Final = ResponseSpec(None, description="The job's ending was seen already; do not come back.")
IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    param_in="header",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=255, pattern="^[!-~]([ -~]*[!-~])?$"),
    description="A secret of the caller's own: the same request with the same key is answered with the same job.",
)
ENRICH: Final = Parameter(
    name="enrich",
    param_in="query",
    schema=Schema(type=OpenAPIType.BOOLEAN, default=False),
    description="Whether the books that are found are looked up with the providers of book data too.",
)
LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID",
    param_in="header",
    schema=Schema(type=OpenAPIType.STRING),
    description="The `id` of the last event that was seen; browsers send it when they come back. It wins over `after`.",
)


def _header(name: str, meaning: str) -> ResponseHeader:
    return ResponseHeader(name=name, description=meaning, documentation_only=True, required=True, value="")


LOCATION: Final = _header("Location", "Where the new job's state is.")
ETAG: Final = _header("ETag", "The job's `seq`.")
LINK: Final = ResponseHeader(
    name="Link", description='The next page, with `rel="next"`.', documentation_only=True, value=""
)


def refusals(*codes: ErrorCode) -> dict[int, ResponseSpec]:
    """The refusals of a route by their HTTP status, those included that any route has."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in (*codes, *ALWAYS):
        by_status.setdefault(code.entry.status, []).append(code)
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            description=" ".join(f"`{code}`: {code.entry.message}." for code in same),
            media_type=PROBLEM_TYPE,
        )
        for status, same in sorted(by_status.items())
    }


def schema_name(title: str) -> str:
    """The name of a struct's schema in the document: `Success[State]` becomes `SuccessState`."""
    return re.sub(r"\W+", "", title)


def reference(struct: Any) -> Reference:
    """Point to the schema of a struct, generic or not."""
    arguments = "".join(argument.__name__ for argument in getattr(struct, "__args__", ()))
    return Reference(f"#/components/schemas/{schema_name(struct.__name__ + arguments)}")


def form(**fields: Schema) -> OpenAPIMediaType:
    """A form; its first field is needed."""
    first = next(iter(fields))
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, properties=dict(fields), required=[first]))


def operation(
    *,
    body: Mapping[str, OpenAPIMediaType | Reference] | None = None,
    body_required: bool = True,
    headers: Sequence[Parameter] = (),
    answers: Mapping[str, Schema | Reference] | None = None,
) -> type[Operation]:
    """The class of an operation that says more than its handler's signature can.

    Args:
        body: what it takes, by media type.
        body_required: whether there must be one.
        headers: what it reads of the request's headers.
        answers: the schemas of the good answer by media type, where there are several.
    """

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            if body is not None:
                content = {kind: _media(schema) for kind, schema in body.items()}
                self.request_body = RequestBody(content=content, required=body_required)
            self.parameters = [*(self.parameters or ()), *headers] or None
            if answers is not None:
                # Litestar puts the handler's own status first.
                good: Any = next(iter((self.responses or {}).values()), None)
                good.content = {kind: _media(schema) for kind, schema in answers.items()}

    return Described


def _media(schema: OpenAPIMediaType | Schema | Reference) -> OpenAPIMediaType:
    return schema if isinstance(schema, OpenAPIMediaType) else OpenAPIMediaType(schema=schema)
