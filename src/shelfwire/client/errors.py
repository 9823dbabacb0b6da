"""The errors of the client, and the reading of answers."""

from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

import msgspec

from shelfwire.client.http import Response
from shelfwire.errors import Code

T = TypeVar("T")
MAX_RETRY_AFTER: Final = 24 * 3600
"""Upper limit, in seconds, of what the client believes."""
DENIED: Final = frozenset({401, 403, 407, 511})
"""Statuses by which a proxy, or a network with a login page, refuses to connect to the server."""
GATEWAY: Final = frozenset({502, 503, 504})
"""Statuses of a proxy that does not reach the server, or has lost its answer."""
TOO_LARGE_ON_THE_WAY: Final = (
    "This is larger than the connection to the service allows. Split it and send the parts one by one, or ask the "
    "operator to allow more."
)
SIGN_IN: Final = (
    "The network does not let you through to the service. Sign in to the network or its proxy, then try again."
)
AWAY: Final = "The service cannot be reached at the moment. Please try again in a moment."


class RefusedError(Exception):
    """The server refused a request.

    Attributes:
        code: an error code; this client may not know it.
        message: what happened, for a developer.
        user_message: what happened and what to do next, for the user.
        status: the HTTP status, or the WebSocket's close code.
        retry_after: seconds after which to try again, if the server says so.
        details: further JSON values for a program, if the server gives any.
    """

    def __init__(
        self,
        code: str,
        message: str,
        user_message: str,
        status: int,
        *,
        retry_after: int | None = None,
        details: Any = None,
    ) -> None:
        self.code = code
        self.message = message
        self.user_message = user_message
        self.status = status
        self.retry_after = retry_after
        self.details = details
        super().__init__(f"{code}: {message}")


class ConnectionLostError(RefusedError):
    """The server cannot be reached, or all attempts to reconnect failed. The job, if there is one, goes on.

    Attributes:
        idempotency_key: of a request whose answer was lost and that may have started a job: the same call with this key
            starts no second one. Otherwise None.
    """

    def __init__(
        self,
        reason: str,
        *,
        user_message: str | None = None,
        retry_after: int | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        entry = Code.MAX_RETRIES.entry
        self.idempotency_key = idempotency_key
        super().__init__(
            Code.MAX_RETRIES,
            f"{entry.message}: {reason}",
            user_message or entry.user_message,
            entry.status,
            retry_after=retry_after,
        )


class _Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    detail: str
    user_message: str
    details: Any = None


def problem_in(answer: Response) -> RefusedError | None:
    """Return the refusal in a shelfwire server's answer; None if the answer is not a shelfwire server's.

    Some of its answers, and what libraries leave of them, have the code in a header and no body.
    """
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        code = next((code for code in Code if code == answer.headers.get("x-error-code")), None)
        if code is None:
            return None
        problem = _Problem(code=code, detail=code.entry.message, user_message=code.entry.user_message)
    return RefusedError(
        problem.code,
        problem.detail,
        problem.user_message,
        answer.status,
        retry_after=_retry_after(answer),
        details=problem.details,
    )


def refusal(answer: Response) -> RefusedError:
    """Return the refusal in an answer, whatever server wrote it.

    What something else answers in the server's place, such as a proxy or the login page of a network, says nothing of
    the job or its token: such a 401 is a lost connection.
    """
    return problem_in(answer) or _refusal_of_another(answer)


def _refusal_of_another(answer: Response) -> RefusedError:
    message = f"Something between this client and the server answered {answer.status}"
    retry_after = _retry_after(answer)
    match answer.status:
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RefusedError(
                Code.FILE_TOO_LARGE,
                f"{message}: its limit is lower than the server's",
                TOO_LARGE_ON_THE_WAY,
                answer.status,
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            user_message = Code.RATE_LIMITED.entry.user_message
            return RefusedError(Code.RATE_LIMITED, message, user_message, answer.status, retry_after=retry_after)
        case status if status in DENIED:
            return ConnectionLostError(message, user_message=SIGN_IN)
        case status if status in GATEWAY:
            return ConnectionLostError(
                f"{message}: it does not reach the server", user_message=AWAY, retry_after=retry_after
            )
        case _:
            return _not_ours(answer)


class _Success(msgspec.Struct, Generic[T], frozen=True):
    data: T


def data_of(answer: Response) -> Any:
    """Return the content of a good answer; None if it has no body.

    Raises:
        RefusedError: it is not a good answer, or not one of a shelfwire server.
    """
    return None if answer.good and not answer.body else read(answer, Any)


def read(answer: Response, kind: type[T]) -> T:
    """Return the content of a good answer as a `kind`.

    Raises:
        RefusedError: it is not a good answer, or not one of a shelfwire server.
    """
    if not answer.good:
        raise refusal(answer)
    try:
        return msgspec.json.decode(answer.body, type=_Success[kind]).data  # type: ignore[valid-type]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # whose text could quote a token
        raise _not_ours(answer) from None


def _not_ours(answer: Response) -> RefusedError:
    return RefusedError(
        Code.INTERNAL,
        f"What answered {answer.status} is not a shelfwire server",
        "Something else answers in the server's place. Check the address and the network.",
        answer.status,
    )


def _retry_after(answer: Response) -> int | None:
    seconds = answer.headers.get("retry-after", "")
    return min(int(seconds), MAX_RETRY_AFTER) if seconds.isascii() and seconds.isdecimal() else None
