"""The schedule of deliveries, and what they say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.jobs.outbox import (
    DELAYS,
    MAX_BODY_BYTES,
    MAX_RETRY_AFTER,
    PERSISTENCE,
    Delivery,
    DeliveryStatus,
    Outcome,
    after_try,
    announcer,
    split_place,
    webhook_body,
)
from shelfwire.protocol import job as jobs
from shelfwire.protocol.job import Policy, Status, create, ended
from shelfwire.protocol.messages import MAX_AFFECTED, MAX_TEXT_CHARS, MAX_TITLE_CHARS, JobError, decode

NOW = 1_700_000_000_000
FAILED = Outcome(error="HTTP 500")


def delivery() -> Delivery:
    (made,) = announcer()(final())
    return made


def final(status: Status = Status.COMPLETE, **fields: object) -> jobs.JobState:
    state = create("00000000-0000-4000-8000-000000000001", "csv_import", now=NOW)
    state = msgspec.structs.replace(state, callback_url="https://Hooks.example.com:8443/a?b=c", total=3, succeeded=2)
    return ended(state, status, Policy(), NOW, **fields)  # type: ignore[arg-type]


def test_a_delivery_is_tried_on_the_schedule_of_the_contract_until_a_day_is_over() -> None:
    one, waits, now = delivery(), [], NOW
    while one.status is DeliveryStatus.WAITING:
        waits.append((one.due_at - now) / 1000)
        now = one.due_at
        one = after_try(one, FAILED, now=now, chance=0.5)
    assert waits == [0, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800]
    assert (one.status, one.tries, one.last_error) == (DeliveryStatus.GIVEN_UP, 11, "HTTP 500")
    assert one.ended_at == now
    assert now <= NOW + PERSISTENCE


@given(st.integers(0, 20), st.floats(0, 1, exclude_max=True), st.integers(0, 10**9))
def test_a_wait_is_spread_by_a_fifth_and_is_never_shorter_than_the_receiver_asks_up_to_an_hour(
    tries: int, chance: float, retry_after: int
) -> None:
    one = msgspec.structs.replace(delivery(), tries=tries)
    after = after_try(one, Outcome(error="HTTP 503", retry_after=retry_after), now=NOW, chance=chance)
    wait, delay = after.due_at - NOW, DELAYS[min(tries, len(DELAYS) - 1)]
    asked = min(retry_after, MAX_RETRY_AFTER)
    assert max(0.8 * delay, asked) - 1 <= wait <= max(1.2 * delay, asked) + 1
    assert after.tries == tries + 1


def test_a_receiver_that_is_gone_is_called_no_more() -> None:
    after = after_try(delivery(), Outcome(error="HTTP 410", final=True), now=NOW, chance=0)
    assert after.status is DeliveryStatus.GIVEN_UP


def test_a_webhook_is_the_terminal_message_without_results() -> None:
    one = delivery()
    message = decode(one.body)
    assert (one.id, one.host) == (f"{message.job_id}.{message.seq}", "hooks.example.com:8443")  # type: ignore[union-attr]
    payload = msgspec.json.decode(one.body)["payload"]
    assert (payload["successCount"], payload["results"], payload["truncated"]) == (2, {}, True)
    assert payload["resultsUrl"] == f"/jobs/api/jobs/{one.job_id}/results".removeprefix("/jobs")
    assert "summary" not in payload


def test_an_error_that_is_too_large_for_a_webhook_leaves_out_its_details() -> None:
    text = "\x01" * MAX_TEXT_CHARS
    error = JobError(
        code="E_INTERNAL",
        message=text,
        user_message=text,
        retryable=False,
        affected_items=["é" * MAX_TITLE_CHARS] * MAX_AFFECTED,
        details="x" * (MAX_BODY_BYTES - 2),
    )
    body = webhook_body(final(Status.FAILED, error=error))
    assert len(body.encode()) <= MAX_BODY_BYTES
    assert msgspec.json.decode(body)["payload"]["message"] == text


@pytest.mark.parametrize("place", ["", "x.y", "-1.a", "9" * 16 + ".a"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        split_place(place)
