from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import IllegalTransitionError, JobState, Policy, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.worker_transitions import ProgressDelta

POLICY = Policy()
NOW = 1_700_000_000_000
QUEUED = jobs.create("j", "csv_import", now=NOW, metadata=Metadata(file_name="books.csv"))
RUNNING = worker_transitions.advance(
    worker_transitions.claim(QUEUED, POLICY, now=NOW), 1, ProgressDelta(total=3), POLICY, now=NOW
)
PAUSING = owner_transitions.pause(RUNNING, now=NOW)
PAUSED = owner_transitions.pause(QUEUED, now=NOW)
CANCELING = owner_transitions.cancel(RUNNING, POLICY, now=NOW)
COMPLETE = worker_transitions.complete(RUNNING, 1, "Done", POLICY, now=NOW)
CANCELED = owner_transitions.cancel(QUEUED, POLICY, now=NOW)
STATES = {
    "queued": QUEUED,
    "running": RUNNING,
    "pausing": PAUSING,
    "paused": PAUSED,
    "canceling": CANCELING,
    "complete": COMPLETE,
    "canceled": CANCELED,
}
REQUESTS: dict[str, Callable[[JobState], JobState]] = {
    "cancel": lambda state: owner_transitions.cancel(state, POLICY, now=NOW),
    "pause": lambda state: owner_transitions.pause(state, now=NOW),
    "resume": lambda state: owner_transitions.resume(state, now=NOW),
    "retry": lambda state: owner_transitions.retry(state, "another", now=NOW),
}
LEGAL = {
    "cancel": {"queued", "running", "pausing", "paused", "canceling"},
    "pause": {"queued", "running", "pausing"},
    "resume": {"pausing", "paused"},
    "retry": {"complete", "canceled"},
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("action", REQUESTS)
def test_a_request_is_granted_in_the_states_that_allow_it_and_in_no_other(action: str, name: str) -> None:
    state = STATES[name]
    if name in LEGAL[action]:
        after = REQUESTS[action](state)
        assert after.seq >= state.seq or after.id == "another"
    else:
        with pytest.raises(IllegalTransitionError) as refused:
            REQUESTS[action](state)
        assert refused.value.code is Code.JOB_STATE
        assert str(state.status) in refused.value.user_message


def test_a_running_job_stays_running_until_its_worker_confirms_the_pause() -> None:
    assert (PAUSING.status, PAUSING.pausing, PAUSING.user_message) == (Status.RUNNING, True, "Pausing…")
    paused = worker_transitions.release(PAUSING, 1, POLICY, now=NOW)
    assert (paused.status, paused.pausing, paused.lease_until) == (Status.PAUSED, False, 0)
    assert paused.user_message == "Paused"
    assert paused.eta_seconds is None


def test_asking_twice_for_a_pause_changes_nothing() -> None:
    assert owner_transitions.pause(PAUSING, now=NOW) == PAUSING


def test_a_job_whose_worker_is_dead_is_paused_at_once() -> None:
    assert owner_transitions.pause(RUNNING, now=RUNNING.lease_until).status is Status.PAUSED


def test_a_pause_nobody_confirmed_takes_effect_with_the_next_claim_and_costs_no_attempt() -> None:
    paused = worker_transitions.claim(PAUSING, POLICY, now=PAUSING.lease_until)
    assert (paused.status, paused.attempt) == (Status.PAUSED, 1)


def test_a_paused_job_is_never_claimed() -> None:
    assert not worker_transitions.claimable(PAUSED, now=NOW + 10 * jobs.IDLE_TTL)


def test_a_resumed_job_can_be_claimed_at_once_and_goes_on() -> None:
    resumed = owner_transitions.resume(worker_transitions.release(PAUSING, 1, POLICY, now=NOW), now=NOW + 5)
    assert (resumed.status, resumed.user_message) == (Status.QUEUED, "Waiting to continue…")
    assert worker_transitions.claim(resumed, POLICY, now=NOW + 5).attempt == 2


def test_a_pause_taken_back_before_it_was_confirmed_lets_the_worker_hand_the_job_back_to_go_on() -> None:
    resumed = owner_transitions.resume(PAUSING, now=NOW)
    assert (resumed.status, resumed.pausing) == (Status.RUNNING, False)
    assert worker_transitions.release(resumed, 1, POLICY, now=NOW).status is Status.QUEUED


def test_a_job_that_breaks_off_while_it_is_to_be_paused_is_paused_and_the_exception_counts() -> None:
    paused = worker_transitions.retry_later(PAUSING, 1, "KeyError", 1000, POLICY, now=NOW)
    assert (paused.status, paused.error_count) == (Status.PAUSED, 1)


def test_a_pausing_job_that_is_canceled_ends_canceled() -> None:
    canceling = owner_transitions.cancel(PAUSING, POLICY, now=NOW)
    assert (canceling.status, canceling.pausing) == (Status.CANCELING, False)
    assert worker_transitions.release(canceling, 1, POLICY, now=NOW).status is Status.CANCELED


def test_a_paused_job_is_canceled_at_once() -> None:
    assert owner_transitions.cancel(PAUSED, POLICY, now=NOW).status is Status.CANCELED


def test_a_job_that_finished_before_its_pause_could_be_confirmed_is_complete() -> None:
    complete = worker_transitions.complete(PAUSING, 1, "Done", POLICY, now=NOW)
    assert (complete.status, complete.pausing) == (Status.COMPLETE, False)


def test_deleting_ends_a_living_job_with_its_own_words_and_leaves_an_ended_one_alone() -> None:
    deleted = owner_transitions.delete(RUNNING, POLICY, now=NOW)
    assert deleted.status is Status.CANCELED
    assert deleted.error is not None
    assert deleted.error.message == "The job was deleted on request"
    assert owner_transitions.delete(COMPLETE, POLICY, now=NOW) is COMPLETE


def test_a_retry_is_a_new_job_over_the_same_input() -> None:
    retry = owner_transitions.retry(CANCELED, "another", now=NOW + 1)
    assert (retry.id, retry.retry_of, retry.pipeline) == ("another", CANCELED.id, CANCELED.pipeline)
    assert (retry.status, retry.seq, retry.created_at) == (Status.QUEUED, 1, NOW + 1)
    assert retry.metadata == CANCELED.metadata


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.none() | st.lists(st.integers(0, 999), unique=True))
@example(total=2, done={0, 1}, picked=None)
def test_what_is_left_and_what_was_done_are_the_whole(total: int, done: set[int], picked: list[int] | None) -> None:
    selection = None if picked is None else sorted(picked)[:total]
    places = list(range(total)) if selection is None else selection
    source = msgspec.structs.replace(COMPLETE, total=len(places))
    finished = {places[index] for index in done if index < len(places)}
    if finished == set(places):
        with pytest.raises(ShelfwireError):
            owner_transitions.left_undone(source, done, selection)
    else:
        left = owner_transitions.left_undone(source, done, selection)
        assert left is not None
        assert left == sorted(left)
        assert set(left) | finished == set(places)
        assert not set(left) & finished


@given(
    total=st.integers(0, 20),
    done=st.sets(st.integers(0, 19)),
    mended=st.sets(st.integers(-1, 21), max_size=4),
    alone=st.booleans(),
)
@example(total=3, done={0}, mended={2}, alone=True)
def test_of_mended_items_those_that_were_not_done_are_chosen(
    *, total: int, done: set[int], mended: set[int], alone: bool
) -> None:
    source = msgspec.structs.replace(COMPLETE, total=total)
    places = [3 * index for index in range(total)]
    if wrong := {index for index in mended if index in done or not 0 <= index < total}:
        with pytest.raises(ShelfwireError) as refused:
            owner_transitions.chosen(source, done, places, mended, alone=alone)
        assert (refused.value.code, (refused.value.details or {})["index"] in wrong) == (Code.ITEM_UNKNOWN, True)
        return
    found = owner_transitions.chosen(source, done, places, mended, alone=alone)
    assert found == sorted(found)
    assert set(found) == {places[index] for index in (mended if alone else set(range(total)) - done)}


def test_of_a_job_that_never_counted_its_items_none_can_be_mended() -> None:
    with pytest.raises(ShelfwireError, match="is none of its"):
        owner_transitions.chosen(msgspec.structs.replace(CANCELED, total=None), (), None, [0], alone=True)


def test_a_retry_of_a_retry_that_never_counted_is_about_the_same_items() -> None:
    uncounted = msgspec.structs.replace(CANCELED, total=None)
    assert owner_transitions.left_undone(uncounted, (), [3, 8]) == [3, 8]
    assert owner_transitions.left_undone(uncounted, (), None) is None


@pytest.mark.parametrize("state", [QUEUED, RUNNING, PAUSED, CANCELING])
def test_a_job_that_expires_unfinished_ends_as_canceled_and_says_why(state: JobState) -> None:
    ended = owner_transitions.expire(state, POLICY, now=NOW)
    assert ended.status is Status.CANCELED
    assert ended.error is not None
    assert ended.error.message == "The job made no progress and has expired"
    assert ended.seq == state.seq + 1


def test_an_ended_job_that_expires_stays_as_it_ended() -> None:
    assert owner_transitions.expire(COMPLETE, POLICY, now=NOW) is COMPLETE
