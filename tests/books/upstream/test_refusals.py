import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.upstream.errors import Reason
from shelfwire.books.upstream.refusals import error_of, refusal_of, retry_delay
from tests.books import real_answers

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def new(status: int, name: str, message: str = "", *details: dict[str, Any]) -> httpx2.Response:
    """An error as Google's newer services write it."""
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return httpx2.Response(status, json={"error": error})


def old(status: int, reason: str, message: str = "") -> httpx2.Response:
    """Likewise, as the older ones do."""
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return httpx2.Response(status, json={"error": {"code": status, "message": message, "errors": errors}})


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}


def exceeded(limit: str, value: str = "20") -> dict[str, Any]:
    violation = {"quotaId": limit, "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38.5s"}
A_DAY = "Quota exceeded for quota metric 'Queries' and limit 'Queries per day' of service 'books.googleapis.com'"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (new(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")), Reason.KEY_REFUSED),
        (new(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), Reason.KEY_REFUSED),
        (new(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), Reason.KEY_REFUSED),
        (new(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"), Reason.KEY_REFUSED),
        (old(400, "keyInvalid", "Bad Request"), Reason.KEY_REFUSED),
        (new(403, "PERMISSION_DENIED", "has not been used", info("SERVICE_DISABLED")), Reason.API_OFF),
        (new(403, "PERMISSION_DENIED", "", info("API_KEY_SERVICE_BLOCKED")), Reason.API_OFF),
        (old(403, "accessNotConfigured", "Access Not Configured."), Reason.API_OFF),
        (new(403, "PERMISSION_DENIED", "", info("API_KEY_HTTP_REFERRER_BLOCKED")), Reason.BLOCKED),
        (new(403, "PERMISSION_DENIED", "", info("API_KEY_IP_ADDRESS_BLOCKED")), Reason.BLOCKED),
        (old(403, "forbidden", "Requests from referer <empty> are blocked."), Reason.BLOCKED),
        (old(403, "unknownLocation", "Cannot determine user location"), Reason.BLOCKED),
        (new(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), Reason.BLOCKED),
        (httpx2.Response(451), Reason.BLOCKED),
        (new(403, "PERMISSION_DENIED", "denied on 'projects/1/locations/us-central1'"), Reason.ACCESS_REFUSED),
        (httpx2.Response(403, text="<html>Forbidden</html>"), Reason.ACCESS_REFUSED),
        (httpx2.Response(401), Reason.ACCESS_REFUSED),
        (new(429, "RESOURCE_EXHAUSTED", A_DAY), Reason.DAY_QUOTA),
        (old(403, "dailyLimitExceeded", "Daily Limit Exceeded"), Reason.DAY_QUOTA),
        (httpx2.Response(400, json={"error": {"message": "Daily Limit Exceeded"}}), Reason.DAY_QUOTA),
        (
            new(429, "RESOURCE_EXHAUSTED", "quota", exceeded("GenerateRequestsPerDayPerProjectPerModel"), WAIT),
            Reason.DAY_QUOTA,
        ),
        (
            new(429, "RESOURCE_EXHAUSTED", "", info("RATE_LIMIT_EXCEEDED", quota_limit="defaultPerDayPerProject")),
            Reason.DAY_QUOTA,
        ),
        (
            new(429, "RESOURCE_EXHAUSTED", "", exceeded("GenerateRequestsPerMinutePerProject", "0"), WAIT),
            Reason.DAY_QUOTA,
        ),
        (
            new(429, "RESOURCE_EXHAUSTED", "", exceeded("GenerateRequestsPerMinutePerProject"), WAIT),
            Reason.RATE_QUOTA,
        ),
        (old(403, "userRateLimitExceeded", "User Rate Limit Exceeded"), Reason.RATE_QUOTA),
        (httpx2.Response(429), Reason.RATE_QUOTA),
        (httpx2.Response(200, json={"error": {"code": 403, "errors": [{"reason": "keyInvalid"}]}}), Reason.KEY_REFUSED),
        (new(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), None),
        (httpx2.Response(404, json={"error": "notfound"}), None),
        (new(503, "UNAVAILABLE", "The model is overloaded, quota or not."), None),
        (httpx2.Response(200, json={"items": [{"title": "error", "error": None}]}), None),
        (httpx2.Response(200, json={"error": None, "docs": []}), None),
    ],
)
def test_why_a_service_refuses_is_read_from_its_answer(answer: httpx2.Response, reason: Reason | None) -> None:
    refusal = refusal_of(answer)
    assert (refusal and refusal.reason) == reason


def test_of_what_a_service_says_only_short_names_are_passed_on() -> None:
    key = "AIzaSyMadeUp0123456789_abcdefghijklmnopq"
    refusal = refusal_of(new(403, "PERMISSION_DENIED", f"of {key}", info("API_KEY_INVALID"), info("key!"), info(key)))
    assert refusal is not None
    assert refusal.details == "status 403 API_KEY_INVALID PERMISSION_DENIED"
    assert refusal_of(old(403, "accessNotConfigured")) == (Reason.API_OFF, "status 403 accessNotConfigured")


def test_the_wait_that_an_error_asks_for_is_read() -> None:
    assert retry_delay(new(429, "RESOURCE_EXHAUSTED", "", WAIT)) == 38.5
    assert retry_delay(new(429, "RESOURCE_EXHAUSTED", "", {"retryDelay": 38}, {"retryDelay": "soon"})) is None
    assert retry_delay(httpx2.Response(200, json={"items": []})) is None


@given(st.sampled_from([200, 400, 401, 403, 429, 500]), JSON)
def test_whatever_an_error_looks_like_it_is_read_or_passed_over(status: int, body: Any) -> None:
    for one in (body, {"error": body}, {"error": {"errors": [body], "details": body, "message": body, "code": body}}):
        response = httpx2.Response(status, content=json.dumps(one).encode())
        error_of(response)
        refusal_of(response)
        retry_delay(response)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("googleai__unary-failure-api-key", Reason.KEY_REFUSED),
        ("googleai__unary-failure-generativelanguage-api-not-enabled", Reason.API_OFF),
        ("vertexai__unary-failure-firebasevertexai-api-not-enabled", Reason.API_OFF),
        ("vertexai__unary-failure-iam-permission-denied", Reason.ACCESS_REFUSED),
        ("vertexai__unary-failure-quota-exceeded", Reason.DAY_QUOTA),
        ("vertexai__unary-failure-unsupported-user-location", Reason.BLOCKED),
        ("vertexai__unary-failure-invalid-context-cache-id", None),
        ("googleai__unary-failure-unknown-model", None),
    ],
)
def test_real_refusals_are_understood(name: str, reason: Reason | None) -> None:
    body = real_answers.read("gemini", f"{name}.json")
    refusal = refusal_of(httpx2.Response(body["error"]["code"], json=body))
    assert (refusal and refusal.reason) == reason
