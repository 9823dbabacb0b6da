"""Why a service refuses, read from its answer. Pure.

Google's services say it in the body, in two forms: `errors[].reason` of the old one (`keyInvalid`), `status` and
`details[].reason` of the new one (`API_KEY_INVALID`); of quotas, only the name of the limit tells a minute's from a
day's. Source: https://cloud.google.com/apis/design/errors and the answers that their users report. Other services are
understood by their status alone.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx2
import msgspec

from shelfwire.books.upstream.errors import Reason

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _LEGAL = 400, 401, 403, 429, 451
_NOT_FOUND: Final = 404
_PROXY: Final = 407
_REFUSING: Final = frozenset({_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _LEGAL, _PROXY})
_MOST_NAMES: Final = 20
_MOST_TEXT: Final = 4096
_SHORT_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}|[a-z]{2,20}(?:[A-Z][a-z]{1,20}){0,5}")
"""A constant, or words in camel case. A key of Google's is neither."""
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_UNMET: Final = "failedprecondition"
_NOT_LETTERS: Final = re.compile(r"[^a-z]+")

_KEY: Final = frozenset({"apikeyinvalid", "keyinvalid", "keyexpired", "apikeyexpired", "credentialsmissing"})
_OFF: Final = frozenset(
    {
        "servicedisabled",
        "accessnotconfigured",
        "apikeyserviceblocked",
        "billingdisabled",
        "consumersuspended",
        "consumerinvalid",
    }
)
_BLOCKED: Final = frozenset(
    {
        "apikeyhttpreferrerblocked",
        "apikeyipaddressblocked",
        "apikeyandroidappblocked",
        "apikeyiosappblocked",
        "iprefererblocked",
        "locationpolicyviolated",
        "unknownlocation",
    }
)
_DAY: Final = frozenset({"dailylimitexceeded", "dailylimitexceededunreg"})
_QUOTA: Final = _DAY | frozenset(
    {"ratelimitexceeded", "userratelimitexceeded", "resourceexhausted", "quotaexceeded", "limitexceeded"}
)
_OF_THE_KEY: Final = re.compile(r"api.?key .{0,40}(?:not valid|invalid|expired|leaked|not found|unknown|deleted)")
_NEEDS_KEY: Final = re.compile(r"unregistered callers|missing .{0,20}api.?key|without .{0,40}identity")
_OF_A_PLACE: Final = re.compile(r"refer+er|ip address|user location|\bcountry\b|\bregion\b|\bterritory\b")
_OF_A_DAY: Final = re.compile(r"per ?day|daily")
_OF_NO_QUOTA: Final = re.compile(r"limit: 0\b")
_OF_A_QUOTA: Final = re.compile(r"quota|limit ?exceeded")


class Refusal(NamedTuple):
    """What an answer says.

    Attributes:
        reason: why the service refuses.
        details: its status and short names, such as "status 400 API_KEY_INVALID": nothing that was sent.
    """

    reason: Reason
    details: str


class ServiceError(NamedTuple):
    """An error in the body of an answer, as Google's services write it.

    Attributes:
        status: the HTTP status that it states; that of the answer, unless that pretends success.
        names: its short names.
        text: its message, in lower case.
        members: all of it.
    """

    status: int
    names: tuple[str, ...]
    text: str
    members: dict[str, Any]

    @property
    def details(self) -> str:
        """Status and names, for a developer."""
        names = sorted({name for name in self.names if _SHORT_NAME.fullmatch(name)})
        return " ".join((f"status {self.status}", *names))


def error_of(response: httpx2.Response) -> ServiceError | None:
    """The error that an answer holds; None if it is a good one. Status 200 with nothing but an `error` is none."""
    body = _members(_decoded(response.content)) if not response.is_success or _may_hold_error(response) else {}
    error = body.get("error")
    if response.is_success and (not error or body.keys() - {"error", "status", "code", "message"}):
        return None
    if not isinstance(error, dict):
        text = error if isinstance(error, str) else response.content[:_MOST_TEXT].decode("utf-8", "replace")
        return ServiceError(response.status_code, (), text.lower(), {})
    stated = error.get("code")
    status = stated if response.is_success and type(stated) is int else response.status_code
    names = tuple(name for name in _names(error) if isinstance(name, str))
    return ServiceError(status, names, str(error.get("message") or "")[:_MOST_TEXT].lower(), error)


def refusal_of(response: httpx2.Response) -> Refusal | None:
    """Why a service refuses all requests, for now or for good; None if the answer does not say that it does."""
    error = error_of(response)
    if error is None or (error.status not in _REFUSING and not response.is_success):
        return None
    reason = _reason(error)
    return None if reason is None else Refusal(reason, error.details)


def refusal_of_address(response: httpx2.Response) -> Refusal | None:
    """The same of a service with one address for all questions: if that is not there, it is there for nobody."""
    if response.status_code == _NOT_FOUND and (error := error_of(response)):
        return Refusal(Reason.NOT_FOUND, error.details)
    return refusal_of(response)


def retry_delay(response: httpx2.Response) -> float | None:
    """The seconds that an error asks to wait, as Google's services write them in the body; None if it does not."""
    error = error_of(response)
    for detail in _details(error.members) if error else ():
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := _DELAY.fullmatch(delay)):
            return float(seconds[1])
    return None


def _reason(error: ServiceError) -> Reason | None:
    names = {_NOT_LETTERS.sub("", name.lower()) for name in error.names}
    is_unmet = _UNMET in names
    is_forbidden = error.status in {_UNAUTHORIZED, _FORBIDDEN, _PROXY}
    is_day = bool(names & _DAY) or _is_of_a_day(error)
    found = {
        Reason.KEY_REFUSED: names & _KEY or _OF_THE_KEY.search(error.text) or _NEEDS_KEY.search(error.text),
        Reason.API_OFF: names & _OFF,
        Reason.BLOCKED: error.status == _LEGAL
        or names & _BLOCKED
        or ((is_unmet or is_forbidden) and not names & _QUOTA and _OF_A_PLACE.search(error.text)),
        Reason.DAY_QUOTA if is_day else Reason.RATE_QUOTA: error.status == _TOO_MANY
        or names & _QUOTA
        or _is_spent(error),
        Reason.ACCESS_REFUSED: is_unmet or is_forbidden,
    }
    return next((reason for reason, applies in found.items() if applies), None)


def _is_spent(error: ServiceError) -> bool:
    return error.status in {_BAD_REQUEST, _FORBIDDEN} and bool(_OF_A_QUOTA.search(error.text))


def _is_of_a_day(error: ServiceError) -> bool:
    """Whether the limit is one of a day, or there is no quota at all, so that no minute's wait helps."""
    limits = [limit for detail in _details(error.members) for limit in _limits(detail)]
    if limits:
        return any("perday" in limit.lower() for limit, _ in limits) or any(value == "0" for _, value in limits)
    return bool(_OF_A_DAY.search(error.text) or _OF_NO_QUOTA.search(error.text))


def _limits(detail: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of the limits that were exceeded, with their values."""
    metadata = _members(detail.get("metadata"))
    named = [(metadata.get("quota_limit"), metadata.get("quota_limit_value"))]
    named += [(one.get("quotaId"), one.get("quotaValue")) for one in _objects(detail.get("violations"))]
    for limit, value in named:
        if isinstance(limit, str):
            yield limit, str(value)


def _names(error: dict[str, Any]) -> Iterator[Any]:
    yield error.get("status")
    for one in (*_objects(error.get("details")), *_objects(error.get("errors"))):
        yield one.get("reason")


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    return _objects(error.get("details"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value[:_MOST_NAMES] if isinstance(one, dict)] if isinstance(value, list) else []


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _may_hold_error(response: httpx2.Response) -> bool:
    return b'"error"' in response.content[:_MOST_TEXT]


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
