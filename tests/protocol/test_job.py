from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import IllegalTransitionError, JobState, Policy, Status
from shelfwire.protocol.messages import Metadata, error_of
from shelfwire.protocol.worker_transitions import (
    MAX_FRUITLESS_CLAIMS,
    LeaseLostError,
    ProgressDelta,
    advance,
    backoff,
    claim,
    claimable,
    complete,
    fail,
    release,
    renumber,
    retry_later,
)

POLICY = Policy()
NOW = 1_700_000_000_000
QUEUED = jobs.create("j", "csv_import", now=NOW)
RUNNING = claim(QUEUED, POLICY, now=NOW)
STARTED = advance(RUNNING, 1, ProgressDelta(total=3), POLICY, now=NOW)
CANCELING = owner_transitions.cancel(STARTED, POLICY, now=NOW)
COMPLETE = complete(STARTED, 1, "Done", POLICY, now=NOW)
FAILED = fail(STARTED, 1, error_of(ShelfwireError(BookCode.CSV_UNREADABLE)), POLICY, now=NOW)
CANCELED = release(CANCELING, 1, POLICY, now=NOW)
ENDED = [COMPLETE, FAILED, CANCELED]

Attempt = Callable[[JobState, int], JobState]
BY_ATTEMPT: dict[str, Attempt] = {
    "advance": lambda state, attempt: advance(state, attempt, ProgressDelta(succeeded=1), POLICY, now=NOW),
    "complete": lambda state, attempt: complete(state, attempt, "Done", POLICY, now=NOW),
    "fail": lambda state, attempt: fail(state, attempt, error_of(ShelfwireError(Code.INTERNAL)), POLICY, now=NOW),
    "release": lambda state, attempt: release(state, attempt, POLICY, now=NOW),
    "retry_later": lambda state, attempt: retry_later(state, attempt, "why", 1000, POLICY, now=NOW),
}


def test_a_new_job_waits_with_a_word_for_its_owner() -> None:
    assert (QUEUED.status, QUEUED.seq, QUEUED.processed) == (Status.QUEUED, 1, 0)
    assert QUEUED.user_message == "Waiting to start…"
    assert QUEUED.expires_at == NOW + 7 * 24 * 3600 * 1000


def test_a_claim_takes_the_next_attempt_and_a_lease() -> None:
    assert (RUNNING.status, RUNNING.attempt, RUNNING.lease_until) == (Status.RUNNING, 1, NOW + POLICY.lease)
    assert RUNNING.seq == 2
    assert RUNNING.user_message == "Starting…"


def test_a_claim_of_a_job_that_had_started_continues_it() -> None:
    taken = claim(STARTED, POLICY, now=STARTED.lease_until)
    assert taken.attempt == 2
    assert taken.user_message == "Continuing…"
    assert taken.started_at == STARTED.started_at


@pytest.mark.parametrize("state", [RUNNING, CANCELING, *ENDED], ids=lambda state: str(state.status))
def test_a_job_that_is_held_or_ended_cannot_be_claimed(state: JobState) -> None:
    with pytest.raises(IllegalTransitionError) as refused:
        claim(state, POLICY, now=NOW)
    assert refused.value.code is Code.JOB_STATE


def test_a_job_cannot_be_claimed_before_its_time() -> None:
    waiting = retry_later(RUNNING, 1, "why", 1000, POLICY, now=NOW)
    assert not claimable(waiting, now=NOW + 999)
    assert claimable(waiting, now=NOW + 1000)


@pytest.mark.parametrize("name", BY_ATTEMPT)
@pytest.mark.parametrize("state", [QUEUED, *ENDED], ids=lambda state: str(state.status))
def test_nothing_can_be_written_to_a_job_that_no_attempt_holds(name: str, state: JobState) -> None:
    with pytest.raises(LeaseLostError):
        BY_ATTEMPT[name](state, state.attempt)


@pytest.mark.parametrize("name", BY_ATTEMPT)
def test_an_attempt_that_was_overtaken_is_fenced_off(name: str) -> None:
    taken_over = claim(STARTED, POLICY, now=STARTED.lease_until)
    with pytest.raises(LeaseLostError):
        BY_ATTEMPT[name](taken_over, 1)
    assert BY_ATTEMPT[name](taken_over, 2).seq > taken_over.seq


def test_the_start_is_when_the_total_was_first_known() -> None:
    assert (STARTED.total, STARTED.started_at) == (3, NOW)
    again = advance(STARTED, 1, ProgressDelta(total=3), POLICY, now=NOW + 5)
    assert again.started_at == NOW


def test_progress_adds_up_and_shows_the_newest_item() -> None:
    one = advance(STARTED, 1, ProgressDelta(succeeded=1, title="Emma", author="A", isbn="1"), POLICY, now=NOW + 1)
    two = advance(one, 1, ProgressDelta(failed=1, title="x" * 999), POLICY, now=NOW + 2)
    assert (one.title, one.author, one.isbn, one.user_message) == ("Emma", "A", "1", None)
    assert (two.succeeded, two.failed, two.processed) == (1, 1, 2)
    assert two.title is not None
    assert len(two.title) == 200
    assert (two.author, two.isbn) == (None, None)


def test_a_message_for_its_owner_stays_until_something_is_recorded() -> None:
    said = advance(STARTED, 1, ProgressDelta(user_message="Looking…"), POLICY, now=NOW)
    assert said.user_message == "Looking…"
    assert advance(said, 1, ProgressDelta(total=4), POLICY, now=NOW).user_message == "Looking…"
    assert advance(said, 1, ProgressDelta(succeeded=1), POLICY, now=NOW).user_message is None
    assert advance(said, 1, ProgressDelta(succeeded=1, user_message="Still"), POLICY, now=NOW).user_message == "Still"


def test_metadata_and_eta_stay_until_they_are_replaced() -> None:
    known = advance(
        STARTED, 1, ProgressDelta(succeeded=1, metadata=Metadata(file_name="a"), eta_seconds=9), POLICY, now=NOW
    )
    later = advance(known, 1, ProgressDelta(succeeded=1), POLICY, now=NOW)
    assert later.metadata == Metadata(file_name="a")
    assert later.eta_seconds == 9


def test_renewing_the_lease_is_seen_by_nobody() -> None:
    renewed = advance(STARTED, 1, ProgressDelta(eta_seconds=5), POLICY, now=NOW + 900)
    assert msgspec.structs.replace(renewed, lease_until=STARTED.lease_until) == STARTED
    assert renewed.lease_until == NOW + 900 + POLICY.lease


def test_progress_moves_the_expiry_once_an_hour_and_renewing_does_not() -> None:
    later = NOW + jobs.HOUR
    assert advance(STARTED, 1, ProgressDelta(succeeded=1), POLICY, now=later).expires_at == later + jobs.IDLE_TTL
    assert advance(STARTED, 1, ProgressDelta(succeeded=1), POLICY, now=later - 1).expires_at == STARTED.expires_at
    assert advance(STARTED, 1, ProgressDelta(), POLICY, now=later).expires_at == STARTED.expires_at


def test_time_that_runs_backwards_does_not_move_the_job_back() -> None:
    assert advance(STARTED, 1, ProgressDelta(succeeded=1), POLICY, now=NOW - 60_000).updated_at == NOW
    assert complete(STARTED, 1, "Done", POLICY, now=NOW - 60_000).duration == 0


def test_the_duration_is_in_whole_seconds_and_zero_before_the_end() -> None:
    assert complete(STARTED, 1, "Done", POLICY, now=NOW + 2999).duration == 2
    assert STARTED.duration == 0
    assert owner_transitions.cancel(QUEUED, POLICY, now=NOW + 5000).duration == 0


def test_a_job_that_ends_without_a_start_has_its_total_and_start_filled_in() -> None:
    ended = complete(RUNNING, 1, "Nothing to do", POLICY, now=NOW + 3)
    assert (ended.total, ended.started_at) == (0, NOW + 3)


def test_an_ended_job_is_kept_for_a_day() -> None:
    for state in ENDED:
        assert state.ended
        assert state.expires_at == NOW + 24 * 3600 * 1000
        assert state.lease_until == 0


def test_a_queued_job_is_canceled_at_once() -> None:
    canceled = owner_transitions.cancel(QUEUED, POLICY, now=NOW)
    assert canceled.status is Status.CANCELED
    assert canceled.error is not None
    assert canceled.error.code == Code.JOB_CANCELED


def test_a_running_job_is_canceling_until_its_worker_confirms() -> None:
    assert CANCELING.status is Status.CANCELING
    assert CANCELING.user_message == "Canceling…"
    assert CANCELED.status is Status.CANCELED


def test_a_job_whose_worker_is_dead_is_canceled_at_once() -> None:
    assert owner_transitions.cancel(STARTED, POLICY, now=STARTED.lease_until).status is Status.CANCELED


def test_asking_twice_to_cancel_changes_nothing_while_the_worker_lives() -> None:
    assert owner_transitions.cancel(CANCELING, POLICY, now=NOW) == CANCELING
    assert owner_transitions.cancel(CANCELING, POLICY, now=CANCELING.lease_until).status is Status.CANCELED


@pytest.mark.parametrize("state", ENDED, ids=lambda state: str(state.status))
def test_an_ended_job_cannot_be_canceled(state: JobState) -> None:
    with pytest.raises(IllegalTransitionError, match=f"is {state.status} and cannot be canceled"):
        owner_transitions.cancel(state, POLICY, now=NOW)


def test_a_cancel_that_came_too_late_leaves_the_job_complete() -> None:
    assert complete(CANCELING, 1, "Done", POLICY, now=NOW).status is Status.COMPLETE


@pytest.mark.parametrize("name", ["release", "retry_later"])
def test_a_canceling_job_that_its_worker_lets_go_is_canceled(name: str) -> None:
    assert BY_ATTEMPT[name](CANCELING, 1).status is Status.CANCELED


def test_a_canceling_job_whose_worker_died_is_canceled_by_the_next_claim() -> None:
    assert claim(CANCELING, POLICY, now=CANCELING.lease_until).status is Status.CANCELED


def test_a_job_handed_back_can_be_claimed_at_once_and_nothing_counts_against_it() -> None:
    state = QUEUED
    for _ in range(30):
        state = release(claim(state, POLICY, now=NOW), state.attempt + 1, POLICY, now=NOW)
    assert (state.status, state.error_count, state.fruitless_claims) == (Status.QUEUED, 0, 0)
    assert claimable(state, now=NOW)


def test_an_exception_is_tried_again_up_to_the_limit() -> None:
    state = QUEUED
    for attempt in range(1, POLICY.max_errors + 1):
        state = claim(state, POLICY, now=NOW + attempt * 1000)
        state = retry_later(state, attempt, "KeyError", 1000, POLICY, now=NOW + attempt * 1000)
        if attempt < POLICY.max_errors:
            assert state.status is Status.QUEUED
            assert state.user_message == "Something went wrong. Trying again in 1 s…"
    assert state.status is Status.FAILED
    assert state.error is not None
    assert state.error.code == Code.ATTEMPTS_EXHAUSTED
    assert "KeyError" in state.error.message


def test_progress_clears_the_errors_before_it() -> None:
    state = QUEUED
    for _ in range(3 * POLICY.max_errors):
        state = claim(state, POLICY, now=NOW)
        state = retry_later(state, state.attempt, "broken", 0, POLICY, now=NOW)
        assert state.error_count == 1
        state = claim(state, POLICY, now=NOW)
        state = advance(state, state.attempt, ProgressDelta(succeeded=1), POLICY, now=NOW)
        assert state.error_count == 0
        state = release(state, state.attempt, POLICY, now=NOW)


def test_a_job_that_kills_its_worker_each_time_is_given_up_in_the_end() -> None:
    state, claims = QUEUED, 0
    while not state.ended:
        state = claim(state, POLICY, now=NOW + claims * POLICY.lease)
        claims += 1
    assert claims == MAX_FRUITLESS_CLAIMS + POLICY.max_errors - 1
    assert state.error is not None
    assert state.error.code == Code.ATTEMPTS_EXHAUSTED


def test_a_job_that_gets_on_a_little_with_each_claim_is_never_given_up() -> None:
    state = QUEUED
    for attempt in range(1, 50):
        now = NOW + attempt * POLICY.lease
        state = claim(state, POLICY, now=now)
        state = advance(state, attempt, ProgressDelta(succeeded=1), POLICY, now=now)
    assert state.status is Status.RUNNING


@given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_the_backoff_grows_to_a_minute_and_jitter_takes_at_most_half(error_count: int, fraction: float) -> None:
    full = backoff(error_count, 0.0)
    assert 1000 <= full <= 60_000
    assert full <= backoff(error_count + 1, 0.0)
    assert full / 2 - 1 <= backoff(error_count, fraction) <= full


def test_an_error_keeps_its_affected_items_and_details() -> None:
    error = error_of(ShelfwireError(Code.INTERNAL, "m", details={"a": 1}, affected=["x"]))
    assert error.affected_items == ["x"]
    assert error.details == {"a": 1}
    assert error_of(ShelfwireError(Code.INTERNAL)).affected_items is None


def test_a_job_is_stalled_until_an_item_comes_and_promises_no_time_meanwhile() -> None:
    going = advance(STARTED, 1, ProgressDelta(succeeded=1, eta_seconds=9), POLICY, now=NOW)
    stalled = advance(going, 1, ProgressDelta(stalled="No progress"), POLICY, now=NOW + 1)
    assert (stalled.stalled, stalled.user_message, stalled.eta_seconds) == (True, "No progress", None)
    assert stalled.seq == going.seq + 1
    said = advance(stalled, 1, ProgressDelta(user_message="Waiting for the provider", eta_seconds=9), POLICY, now=NOW)
    assert (said.stalled, said.user_message, said.eta_seconds) == (True, "Waiting for the provider", None)
    moved = advance(said, 1, ProgressDelta(failed=1, eta_seconds=8), POLICY, now=NOW)
    assert (moved.stalled, moved.user_message, moved.eta_seconds) == (False, None, 8)


def test_an_item_in_the_same_step_makes_a_stall_untrue() -> None:
    moved = advance(STARTED, 1, ProgressDelta(succeeded=1, stalled="No progress"), POLICY, now=NOW)
    assert (moved.stalled, moved.user_message) == (False, None)


def test_what_is_shown_within_an_item_is_a_sign_of_life_and_counts_nothing() -> None:
    going = advance(STARTED, 1, ProgressDelta(succeeded=1, title="Emma", author="Austen", isbn="1"), POLICY, now=NOW)
    stalled = advance(going, 1, ProgressDelta(stalled="No progress"), POLICY, now=NOW)
    shown = advance(stalled, 1, ProgressDelta(title="Dune", shown=True), POLICY, now=NOW)
    assert (shown.title, shown.author, shown.isbn, shown.processed) == ("Dune", None, None, 1)
    assert (shown.stalled, shown.user_message) == (False, None)
    assert shown.seq == stalled.seq + 1


@pytest.mark.parametrize("state", [CANCELING, owner_transitions.pause(STARTED, now=NOW)], ids=["canceling", "pausing"])
def test_a_job_that_is_about_to_stop_is_not_called_stalled(state: JobState) -> None:
    still = advance(state, 1, ProgressDelta(stalled="No progress"), POLICY, now=NOW)
    assert (still.stalled, still.user_message) == (False, state.user_message)


@pytest.mark.parametrize("change", [change for name, change in BY_ATTEMPT.items() if name != "advance"])
def test_whatever_else_becomes_of_a_stalled_job_it_is_not_stalled_then(change: Attempt) -> None:
    stalled = advance(STARTED, 1, ProgressDelta(stalled="No progress"), POLICY, now=NOW)
    assert not change(stalled, 1).stalled
    assert not claim(stalled, POLICY, now=stalled.lease_until).stalled


def test_silence_does_not_keep_a_job_from_expiring() -> None:
    later = NOW + 2 * jobs.HOUR
    assert advance(STARTED, 1, ProgressDelta(stalled="No progress"), POLICY, now=later).expires_at == STARTED.expires_at
    assert advance(STARTED, 1, ProgressDelta(succeeded=1), POLICY, now=later).expires_at > STARTED.expires_at


def test_a_row_that_a_store_has_taken_back_comes_above_what_followers_were_shown() -> None:
    shown = STARTED.seq + 3
    assert renumber(STARTED, STARTED.created_at, shown) == msgspec.structs.replace(STARTED, seq=shown + 1)


@pytest.mark.parametrize(
    ("row", "created_at", "shown"),
    [(STARTED, NOW + 1, STARTED.seq + 3), (COMPLETE, NOW, COMPLETE.seq + 3), (STARTED, NOW, STARTED.seq)],
    ids=["another job under the same id", "an ended job", "nothing newer was shown"],
)
def test_other_rows_keep_their_revision(row: JobState, created_at: int, shown: int) -> None:
    assert renumber(row, created_at, shown) is row
