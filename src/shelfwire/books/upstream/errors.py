"""How a request to an outside service fails, and why. Neither the texts nor the causes hold anything that was sent."""

from enum import StrEnum
from typing import Final, NamedTuple, Self


class Reason(StrEnum):
    """Why a service gave no usable answer, as results, metrics and the log name it."""

    KEY_REFUSED = "key_refused"
    API_OFF = "api_off"
    BLOCKED = "blocked"
    ACCESS_REFUSED = "access_refused"
    NOT_FOUND = "not_found"
    DAY_QUOTA = "day_quota"
    RATE_QUOTA = "rate_quota"
    TIMEOUT = "timeout"
    DOWN = "down"
    BAD_ANSWER = "bad_answer"
    REQUEST_REFUSED = "request_refused"

    @property
    def is_lasting(self) -> bool:
        """Whether every request fails alike until somebody mends it, or until tomorrow."""
        return self in _LASTING

    @property
    def needs_operator(self) -> bool:
        """Whether it stays so until somebody changes the settings of the server, or the account with the service."""
        return self in _LASTING and self is not Reason.DAY_QUOTA

    @property
    def text(self) -> "ReasonText":
        """What it means."""
        return _TEXTS[self]


class ReasonText(NamedTuple):
    """A reason in words.

    Attributes:
        event: what the service does, as the end of a sentence that begins with its name.
        short: the same for a person who uses it, to stand in brackets behind the name.
        remedy: what to do, for the operator; empty where waiting is all. `{key}` and `{address}` are settings.
    """

    event: str
    short: str
    remedy: str = ""


_LASTING: Final = frozenset(
    {
        Reason.KEY_REFUSED,
        Reason.API_OFF,
        Reason.BLOCKED,
        Reason.ACCESS_REFUSED,
        Reason.NOT_FOUND,
        Reason.DAY_QUOTA,
    }
)
_TEXTS: Final = {
    Reason.KEY_REFUSED: ReasonText(
        "does not accept the API key",
        "its key is refused",
        "Check {key}: the key may be mistyped, expired or deleted",
    ),
    Reason.API_OFF: ReasonText(
        "has the API switched off for the key or its project",
        "its API is switched off",
        "Switch the API on for the project of the key in the service's console, and allow the key to use it: {key}",
    ),
    Reason.BLOCKED: ReasonText(
        "is blocked for this server's address, website or country",
        "it is blocked for this server",
        "Check the restrictions of the key, {key}: a server needs one that is not bound to a website or an app; some "
        "countries are not served at all",
    ),
    Reason.ACCESS_REFUSED: ReasonText(
        "refuses access",
        "it refuses access",
        "Check {key} and {address}",
    ),
    Reason.NOT_FOUND: ReasonText(
        "does not know what it is asked for",
        "it does not know what it is asked for",
        "Check {address}",
    ),
    Reason.DAY_QUOTA: ReasonText(
        "has no quota left for today",
        "its quota for today is used up",
        "It is renewed by tomorrow; set or change {key} for a larger one",
    ),
    Reason.RATE_QUOTA: ReasonText("takes no more requests for now", "too many requests"),
    Reason.TIMEOUT: ReasonText("does not answer in time", "no answer in time"),
    Reason.DOWN: ReasonText("is down", "it is down"),
    Reason.BAD_ANSWER: ReasonText("gives answers that cannot be used", "it answers with nonsense"),
    Reason.REQUEST_REFUSED: ReasonText("refused the request", "it refused the request"),
}


class UpstreamError(Exception):
    """The service gave no usable answer.

    Attributes:
        service: its name.
        reason: why.
    """

    usual: Reason = Reason.DOWN

    def __init__(self, service: str, text: str, *, reason: Reason | None = None) -> None:
        super().__init__(f"{service} {text}")
        self.service = service
        self.text = text
        self.reason = reason or self.usual

    def again(self, text: str) -> "UpstreamError":
        """The same failure of a request that was not sent because of it."""
        return type(self)(self.service, text, reason=self.reason)


class UpstreamTimeout(UpstreamError):  # noqa: N818 - named for what happened, like the others
    """It did not answer in time."""

    usual = Reason.TIMEOUT


class RateLimited(UpstreamError):  # noqa: N818 - as above
    """It accepts no more requests, for now or for today."""

    usual = Reason.RATE_QUOTA


class Unavailable(UpstreamError):  # noqa: N818 - as above
    """It cannot be reached, or answers with a server error."""


class TooLarge(Unavailable):
    """It answers with more than anybody wants to read, which says nothing of its other answers."""

    usual = Reason.BAD_ANSWER


class RequestRejected(UpstreamError):  # noqa: N818 - as above
    """It answered that the request is wrong, which a retry does not change.

    Attributes:
        status: the HTTP status, neither 2xx nor one that is retried.
        body: the answer; not for a log, as it may repeat what was sent.
    """

    usual = Reason.REQUEST_REFUSED

    def __init__(
        self, service: str, status: int, body: bytes, *, text: str | None = None, reason: Reason | None = None
    ) -> None:
        super().__init__(service, text or f"refused the request with status {status}", reason=reason)
        self.status = status
        self.body = body

    def again(self, text: str) -> Self:
        """See `UpstreamError.again`."""
        return type(self)(self.service, self.status, self.body, text=text, reason=self.reason)
