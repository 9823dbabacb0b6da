"""How answers look: the success envelope that deployed decoders know, and problem documents (RFC 9457)."""

import traceback
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED, HTTP_500_INTERNAL_SERVER_ERROR

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.root_path import path_of

PROBLEM_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = "X-Request-Id"
ERROR_CODE: Final = "shelfwire.code"
"""The member of a request's state that tells the code it was refused with, for the log and the metrics."""
RETRY_AFTER: Final = "retryAfter"
"""The member of an error's details that says after how many whole seconds to try again."""
RETRY_AFTER_SECONDS: Final = 2
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Stamp(msgspec.Struct, frozen=True):
    """When an answer was given.

    Attributes:
        timestamp: in ISO 8601, UTC.
    """

    timestamp: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Success(msgspec.Struct, Generic[T], frozen=True):
    """The envelope of every good answer.

    Attributes:
        success: for old decoders.
        data: what was asked for.
        metadata: when it was answered.
        meta: the same, for another generation of decoders.
    """

    success: Literal[True]
    data: T
    metadata: Stamp
    meta: Stamp


def success(data: T, now: int) -> Success[T]:
    """Put what was asked for into its envelope.

    Args:
        data: what was asked for.
        now: milliseconds since the epoch.
    """
    stamp = Stamp(datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"))
    return Success(success=True, data=data, metadata=stamp, meta=stamp)


class OldError(msgspec.Struct, frozen=True):
    """What old decoders read of an error.

    Attributes:
        code: the code.
        message: what happened, for a developer.
    """

    code: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A refusal, as RFC 9457 has it, with the members that old decoders read.

    Attributes:
        type: a URN that ends in the code.
        title: what happened, for a person.
        status: the HTTP status.
        detail: what happened, for a developer.
        code: an entry of the table of error codes.
        user_message: what happened and what to do next, for a person.
        retryable: whether the same request may succeed later.
        success: for old decoders.
        error: for old decoders.
        details: values that help a program.
    """

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str
    code: str
    user_message: str
    retryable: bool
    success: Literal[False]
    error: OldError
    details: Any = None


def problem(error: ShelfwireError, status: int | None = None) -> Problem:
    """The problem document of an error, with the status of its code unless another is given."""
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
    """The headers that go with a problem document."""
    details = error.details or {}
    match error.status:
        case 401:
            header = details.get("header")
            return {"WWW-Authenticate": f'ApiKey header="{header}"' if header else "Bearer"}
        case 429 | 503:
            return {"Retry-After": str(details.get(RETRY_AFTER, RETRY_AFTER_SECONDS))}
        case _:
            return {}


def refuse(request: Request[Any, Any, Any], error: ShelfwireError) -> Response[Problem]:
    """Litestar's handler for our errors."""
    request.scope["state"][ERROR_CODE] = str(error.code)
    extra = headers(error)
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        # The rest of the request's body may still be on its way, and nobody is going to read it.
        extra["Connection"] = "close"
    return Response(problem(error), status_code=error.status, headers=extra, media_type=PROBLEM_TYPE)


def refuse_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Litestar's handler for what its router and validation raise."""
    extra = error.headers or {}
    match error.status_code:
        case code if code == HTTP_404_NOT_FOUND:
            ours = ShelfwireError(Code.NOT_FOUND, f"No such route: {path_of(request.scope)}")
        case code if code == HTTP_405_METHOD_NOT_ALLOWED:
            ours = ShelfwireError(Code.METHOD_NOT_ALLOWED, f"{path_of(request.scope)} does not take {request.method}")
        case code if code >= HTTP_500_INTERNAL_SERVER_ERROR:
            return refuse_unexpected(request, error)
        case _:
            ours = ShelfwireError(Code.INVALID_REQUEST, _reason(error))
    response = refuse(request, ours)
    response.headers.update({name: value for name, value in extra.items() if name.lower() == "allow"})
    return response


def _reason(error: HTTPException) -> str:
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        # Litestar's own text repeats the URL, and with it any token in the query.
        return "; ".join(f"{reason.get('key')}: {reason.get('message')}" for reason in error.extra)
    return error.detail


def refuse_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Litestar's handler for defects: the log has the cause, the caller has our apology."""
    # Formatted here: whoever mounts us may have a log that shows the values of all variables.
    trace = "".join(traceback.format_exception(error))
    log.error("request broke", method=request.method, path=path_of(request.scope), exception=trace)
    return refuse(request, ShelfwireError(Code.INTERNAL))
