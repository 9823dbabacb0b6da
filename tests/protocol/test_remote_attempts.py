"""The transitions of an attempt whose worker is outside of the server."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.errors import Code
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.worker_transitions import (
    LeaseLostError,
    ProgressDelta,
    RemoteWorker,
    advance,
    claim,
    claimable,
    complete,
    lapse,
    release,
    retry_later,
)

POLICY = Policy()
NOW = 1_700_000_000_000
LEASE = 10_000
WORKER = RemoteWorker(lease=LEASE, name="a worker")
QUEUED = jobs.create("j", "pdf_report", now=NOW)
CLAIMED = claim(QUEUED, POLICY, now=NOW, remote=WORKER)
STARTED = advance(CLAIMED, 1, ProgressDelta(total=3, succeeded=1), POLICY, now=NOW)
LAPSED = lapse(STARTED, POLICY, now=NOW + LEASE)
MORTAL = msgspec.structs.replace(STARTED, lost_after=900_000)


def test_a_remote_attempt_has_a_lease_of_its_own() -> None:
    assert (CLAIMED.lease_until, CLAIMED.remote, CLAIMED.worker) == (NOW + LEASE, True, "a worker")
    renewed = advance(CLAIMED, 1, ProgressDelta(), POLICY, now=NOW + 5)
    assert (renewed.lease_until, renewed.seq) == (NOW + 5 + LEASE, CLAIMED.seq)
    longer = advance(CLAIMED, 1, ProgressDelta(lease=60_000), POLICY, now=NOW)
    assert (longer.lease_until, longer.seq) == (NOW + 60_000, CLAIMED.seq)
    assert advance(longer, 1, ProgressDelta(succeeded=1), POLICY, now=NOW).lease_until == NOW + 60_000


def test_a_job_that_ended_inside_the_server_keeps_nothing_of_a_remote_attempt() -> None:
    inside = claim(LAPSED, POLICY, now=NOW + LEASE)
    assert (inside.remote, inside.lease, inside.worker, inside.crc) == (False, None, None, 0)
    assert inside.lease_until == NOW + LEASE + POLICY.lease


def test_a_lease_that_ends_is_shown_and_the_job_can_be_claimed() -> None:
    assert lapse(STARTED, POLICY, now=NOW + LEASE - 1) is STARTED
    assert (LAPSED.status, LAPSED.stalled, LAPSED.user_message) == (Status.RUNNING, True, "Waiting for the worker…")
    assert (LAPSED.seq, LAPSED.lapsed, STARTED.lapsed) == (STARTED.seq + 1, True, False)
    assert claimable(LAPSED, now=NOW)
    assert lapse(LAPSED, POLICY, now=NOW + LEASE) is LAPSED, "it is shown once"


@pytest.mark.parametrize("step", [ProgressDelta(), ProgressDelta(succeeded=1), ProgressDelta(user_message="Again")])
def test_the_attempt_wins_its_job_back_by_its_next_report_in_one_revision(step: ProgressDelta) -> None:
    back = advance(LAPSED, 1, step, POLICY, now=NOW + LEASE + 1)
    assert (back.seq, back.stalled, back.lapsed) == (LAPSED.seq + 1, False, False)
    assert back.user_message != LAPSED.user_message
    assert back.lease_until == NOW + LEASE + 1 + LEASE
    assert not claimable(back, now=NOW + LEASE + 1)


def test_a_job_that_somebody_has_claimed_is_not_won_back() -> None:
    taken = claim(LAPSED, POLICY, now=NOW + LEASE, remote=WORKER)
    assert (taken.attempt, taken.number, taken.crc) == (2, 0, 0)
    with pytest.raises(LeaseLostError):
        advance(taken, 1, ProgressDelta(), POLICY, now=NOW + LEASE)


def test_a_pending_stop_takes_effect_when_the_lease_ends_and_at_once_after_that() -> None:
    canceling = owner_transitions.cancel(STARTED, POLICY, now=NOW)
    pausing = owner_transitions.pause(STARTED, now=NOW)
    assert lapse(canceling, POLICY, now=NOW + LEASE).status is Status.CANCELED
    assert lapse(pausing, POLICY, now=NOW + LEASE).status is Status.PAUSED
    assert owner_transitions.cancel(LAPSED, POLICY, now=NOW).status is Status.CANCELED
    assert owner_transitions.pause(LAPSED, now=NOW).status is Status.PAUSED


def test_leases_of_workers_inside_the_server_do_not_lapse() -> None:
    inside = claim(QUEUED, POLICY, now=NOW)
    assert lapse(inside, POLICY, now=NOW + 3_600_000) is inside


def test_a_job_that_its_worker_made_fails_when_no_worker_has_it_for_long() -> None:
    lapsed = lapse(MORTAL, POLICY, now=NOW + LEASE)
    due = NOW + LEASE + 900_000
    assert lapsed.lost_at == due
    assert lapse(lapsed, POLICY, now=due - 1) is lapsed
    lost = lapse(lapsed, POLICY, now=due)
    assert lost.error is not None
    assert (lost.status, lost.error.code, lost.error.retryable) == (Status.FAILED, Code.WORKER_LOST, True)
    assert lapse(lost, POLICY, now=due) is lost
    back = advance(lapsed, 1, ProgressDelta(), POLICY, now=due - 1)
    assert back.lost_at is None
    assert claim(lapsed, POLICY, now=due - 1, remote=WORKER).lost_at is None


def test_it_fails_too_while_it_is_queued_but_never_while_it_is_paused() -> None:
    released = release(MORTAL, 1, POLICY, now=NOW)
    retried = retry_later(MORTAL, 1, "why", 1000, POLICY, now=NOW)
    assert (released.lost_at, retried.lost_at) == (NOW + 900_000, NOW + 901_000)
    assert lapse(released, POLICY, now=NOW + 900_000).status is Status.FAILED
    paused = owner_transitions.pause(released, now=NOW)
    assert (paused.status, paused.lost_at) == (Status.PAUSED, None)
    assert owner_transitions.resume(paused, now=NOW + 5).lost_at == NOW + 5 + 900_000


def test_a_worker_that_hangs_up_at_once_costs_the_job_neither_its_place_nor_its_message() -> None:
    handed = release(claim(QUEUED, POLICY, now=NOW + 9, remote=WORKER), 1, POLICY, now=NOW + 9)
    assert (handed.run_at, handed.user_message, handed.fruitless_claims) == (NOW, "Waiting to start…", 0)
    later = release(msgspec.structs.replace(STARTED, number=1), 1, POLICY, now=NOW + 9)
    assert (later.run_at, later.user_message) == (NOW + 9, "Waiting to continue…")


def test_a_retry_takes_over_the_tags_and_waits_for_a_worker_as_long_as_it_takes() -> None:
    tagged = msgspec.structs.replace(MORTAL, tags=("user:17",))
    again = owner_transitions.retry(complete(tagged, 1, "", POLICY, now=NOW), "k", now=NOW)
    assert (again.tags, again.lost_after, again.lost_at) == (("user:17",), None, None)


Step = Callable[[JobState, int], JobState]
STEPS: dict[str, Step] = {
    "claim": lambda state, now: claim(state, POLICY, now=now, remote=WORKER),
    "report": lambda state, now: advance(state, state.attempt, ProgressDelta(succeeded=1), POLICY, now=now),
    "renew": lambda state, now: advance(state, state.attempt, ProgressDelta(), POLICY, now=now),
    "lapse": lambda state, now: lapse(state, POLICY, now=now),
    "cancel": lambda state, now: owner_transitions.cancel(state, POLICY, now=now),
    "pause": lambda state, now: owner_transitions.pause(state, now=now),
    "resume": lambda state, now: owner_transitions.resume(state, now=now),
    "release": lambda state, now: release(state, state.attempt, POLICY, now=now),
    "retry": lambda state, now: retry_later(state, state.attempt, "why", 1000, POLICY, now=now),
}
HISTORIES = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 2 * LEASE)), max_size=30)


@given(HISTORIES)
def test_whatever_happens_seq_and_progress_never_fall_and_an_ended_job_stays_as_it_is(
    steps: list[tuple[str, int]],
) -> None:
    state, now = msgspec.structs.replace(QUEUED, lost_after=3 * LEASE), NOW
    for name, passed in steps:
        now += passed
        before = state
        try:
            state = STEPS[name](state, now)
        except (LeaseLostError, jobs.IllegalTransitionError):
            continue
        assert state.seq - before.seq in {0, 1}
        assert (state.processed, state.attempt) >= (before.processed, before.attempt)
        assert state.lapsed <= (state.stalled and state.lease_until == 0)
        assert not before.ended or state == before
        assert msgspec.json.decode(msgspec.json.encode(state), type=JobState) == state
