"""The form of answers: the success envelope that deployed decoders know, and problem documents (RFC 9457)."""

import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.root_path import path_of

JSON_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = "X-Request-Id"
X_ERROR_CODE: Final = "X-Error-Code"
"""The header of every refusal that repeats its code: phones and browsers hide the body of a refused upgrade."""
CACHE_CONTROL: Final = "Cache-Control"
NO_STORE: Final = "no-store"
"""Of whatever holds a token or someone's data: a phone would keep it on its disk."""
REVALIDATE: Final = "private, no-cache"
"""Of a state, which may be kept by the one who asked for it, and asked for again by its `ETag`."""
ERROR_CODE: Final = "shelfwire.code"
"""The member of a request's state with the code that it was refused with, for the log and the metrics."""
QUIET: Final = "shelfwire.quiet"
"""The member of a request's state that is true where the log needs no line of it unless it is refused."""
RETRY_AFTER: Final = "retryAfter"
"""The member of an error's details that says after how many whole seconds to try again."""
RETRY_AFTER_SECONDS: Final = 2
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Stamp(msgspec.Struct, frozen=True):
    """When an answer was given."""

    timestamp: Annotated[str, msgspec.Meta(description="ISO 8601, UTC.", extra_json_schema={"format": "date-time"})]


class Success(msgspec.Struct, Generic[T], frozen=True):
    """The envelope of every good answer."""

    success: Annotated[Literal[True], msgspec.Meta(description="For old decoders.")]
    data: Annotated[T, msgspec.Meta(description="The content of the answer.")]
    metadata: Annotated[Stamp, msgspec.Meta(description="When it was answered.")]
    meta: Annotated[Stamp, msgspec.Meta(description="The same, for another generation of decoders.")]


class OldError(msgspec.Struct, frozen=True):
    """The members of an error that old decoders read."""

    code: Annotated[str, msgspec.Meta(description="The code.")]
    message: Annotated[str, msgspec.Meta(description="What happened, for a developer.")]


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A refusal, as RFC 9457 has it, with the members that old decoders read."""

    type: Annotated[str, msgspec.Meta(description="A URN that ends in the code.")]
    title: Annotated[str, msgspec.Meta(description="What happened, for a person.")]
    status: Annotated[int, msgspec.Meta(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, msgspec.Meta(description="What happened, for a developer.")]
    code: Annotated[str, msgspec.Meta(description="An entry of the table of error codes.")]
    user_message: Annotated[str, msgspec.Meta(description="What happened and what to do next, for a person.")]
    retryable: Annotated[bool, msgspec.Meta(description="Whether the same request may succeed later.")]
    success: Annotated[Literal[False], msgspec.Meta(description="For old decoders.")]
    error: Annotated[OldError, msgspec.Meta(description="For old decoders.")]
    details: Annotated[Any, msgspec.Meta(description="Values that help a program.")] = None


def success(data: T, now: int) -> Success[T]:
    """Put the content of an answer into its envelope.

    Args:
        data: the content.
        now: milliseconds since the epoch.
    """
    stamp = Stamp(datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"))
    return Success(success=True, data=data, metadata=stamp, meta=stamp)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type=JSON_TYPE)


def success_response(data: Any, now: int, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the success envelope; see `success`. Nobody keeps the answer unless `headers` say so."""
    return json_response(success(data, now), status, {CACHE_CONTROL: NO_STORE, **(headers or {})})


def problem(error: ShelfwireError, status: int | None = None) -> Problem:
    """Return the problem document of an error, with the status of its code unless another is given."""
    return Problem(
        type=f"urn:shelfwire:error:{error.code}",
        title=error.user_message,
        status=status or error.status,
        detail=error.message,
        code=error.code,
        user_message=error.user_message,
        retryable=error.retryable,
        success=False,
        error=OldError(error.code, error.message),
        details=error.details,
    )


def headers(error: ShelfwireError) -> dict[str, str]:
    """Return the headers that go with a problem document."""
    details = error.details or {}
    fields = {X_ERROR_CODE: str(error.code), CACHE_CONTROL: NO_STORE}
    match error.status:
        case 401:
            header = details.get("header")
            fields["WWW-Authenticate"] = f'ApiKey header="{header}"' if header else _bearer_challenge(error)
        case 429 | 503:
            fields["Retry-After"] = str(details.get(RETRY_AFTER, RETRY_AFTER_SECONDS))
    return fields


def _bearer_challenge(error: ShelfwireError) -> str:
    """Return the challenge of RFC 6750, section 3, whose descriptions have neither quotes nor backslashes."""
    description = re.sub(r"[^ !#-\[\]-~]", "", error.message)
    return f'Bearer error="invalid_token", error_description="{description}"'


def refusal(request: Request, error: ShelfwireError, extra: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request that is refused, and note its code for the log and the metrics.

    Args:
        request: the request.
        error: why it is refused.
        extra: headers beside those that go with the error.
    """
    request.scope["state"][ERROR_CODE] = str(error.code)
    fields = {**headers(error), **(extra or {})}
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        # The rest of the request's body may still be on its way, and nobody is going to read it.
        fields["Connection"] = "close"
    return Response(msgspec.json.encode(problem(error)), error.status, fields, media_type=PROBLEM_TYPE)


def refusal_of(request: Request, error: Exception) -> Response:
    """Return the answer to a request whose handler failed. Of a defect the log has the cause and the caller nothing."""
    match error:
        case ShelfwireError():
            if error.code == Code.INTERNAL:
                log.error("request failed", method=request.method, path=path_of(request.scope), reason=error.message)
            return refusal(request, error)
        case ClientDisconnect():
            return refusal(request, ShelfwireError(Code.INVALID_REQUEST, "The client hung up"))
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return refusal(request, ShelfwireError(Code.NOT_FOUND, error.detail))
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return refusal(request, ShelfwireError(Code.INVALID_REQUEST, error.detail))
    # Formatted here: whoever mounts us may have a log that shows the values of all variables.
    trace = "".join(traceback.format_exception(error))
    log.error("request failed", method=request.method, path=path_of(request.scope), exception=trace)
    return refusal(request, ShelfwireError(Code.INTERNAL))
