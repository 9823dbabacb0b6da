"""The errors of the client, and the reading of answers."""

from typing import Any, Final, Generic, TypeVar

import msgspec

from shelfwire.client.http import Response
from shelfwire.errors import Code

T = TypeVar("T")
MAX_RETRY_AFTER: Final = 24 * 3600
"""Upper limit, in seconds, of what the client believes."""


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
    """The server cannot be reached, or all attempts to reconnect failed. The job, if there is one, goes on."""

    def __init__(self, reason: str) -> None:
        entry = Code.MAX_RETRIES.entry
        super().__init__(Code.MAX_RETRIES, f"{entry.message}: {reason}", entry.user_message, entry.status)


class _Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    detail: str
    user_message: str
    details: Any = None


def problem_in(answer: Response) -> RefusedError | None:
    """Return the refusal in a shelfwire server's answer; None if the answer is not a shelfwire server's."""
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return RefusedError(
        problem.code,
        problem.detail,
        problem.user_message,
        answer.status,
        retry_after=_retry_after(answer),
        details=problem.details,
    )


def refusal(answer: Response) -> RefusedError:
    """Return the refusal in an answer, whatever server wrote it."""
    entry = Code.INTERNAL.entry
    stranger = RefusedError(
        Code.INTERNAL,
        f"The server answered {answer.status}",
        entry.user_message,
        answer.status,
        retry_after=_retry_after(answer),
    )
    return problem_in(answer) or stranger


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
