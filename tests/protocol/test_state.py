from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.feed import Due, Feed, ending_message, progress_message, started_message
from shelfwire.protocol.job import JobState, Policy, create
from shelfwire.protocol.messages import JobComplete, JobError, Message, Metadata, UndecodableError, error_of
from shelfwire.protocol.state import messages_of, read_state
from shelfwire.protocol.worker_transitions import ProgressDelta, advance, claim, complete, fail, release

POLICY = Policy(lease=10**9)
RESULTS = {"books": [{"title": "Emma"}], "errors": []}
STEPS = ("start", "done", "failed", "say", "pause", "resume")
ENDINGS = ("complete", "fail", "cancel", None)


def story(steps: Sequence[str], ending: str | None) -> list[JobState]:
    """The states of a job to which all this happened, as far as it could."""
    states = [create("j", "csv_import", now=1000, metadata=Metadata(file_name="books.csv"))]
    for now, step in enumerate([*steps, *([ending] if ending else [])], start=2000):
        state = states[-1]
        if state.status == "queued":
            states.append(state := claim(state, POLICY, now=now))
        try:
            states.append(_asked(state, step, now) or _worked(state, step, now))
        except ShelfwireError:
            continue
    return states


def _asked(state: JobState, step: str, now: int) -> JobState | None:
    match step:
        case "pause":
            asked = owner_transitions.pause(state, now=now)
            return release(asked, asked.attempt, POLICY, now=now)
        case "resume":
            return owner_transitions.resume(state, now=now)
        case "cancel":
            asked = owner_transitions.cancel(state, POLICY, now=now)
            return asked if asked.ended else release(asked, asked.attempt, POLICY, now=now)
        case _:
            return state if state.status == "paused" else None


def _worked(state: JobState, step: str, now: int) -> JobState:
    match step:
        case "complete":
            return complete(state, state.attempt, "Added books", POLICY, now=now)
        case "fail":
            return fail(state, state.attempt, error_of(ShelfwireError(BookCode.CSV_NO_BOOKS)), POLICY, now=now)
    steps = {
        "start": ProgressDelta(total=9),
        "done": ProgressDelta(succeeded=1, title="Emma", author="Jane Austen", eta_seconds=3),
        "failed": ProgressDelta(failed=1, title="?"),
        "say": ProgressDelta(user_message="Looking closely…"),
    }
    return advance(state, state.attempt, steps[step], POLICY, now=now)


def ending(state: JobState) -> Message:
    return ending_message(state, RESULTS, results_url="/api/jobs/j/results", truncated=True)


def document(state: JobState) -> dict[str, Any]:
    """What a server answers for `state`: every fact of it, under the contract's name."""
    facts = {
        "jobId": state.id,
        "pipeline": state.pipeline,
        "status": str(state.status),
        "totalCount": state.total or 0,
        "processedCount": state.processed,
        "successCount": state.succeeded,
        "failureCount": state.failed,
        "currentTitle": state.title,
        "currentItem": {"author": state.author} if state.author else None,
        "userMessage": state.user_message,
        "etaSeconds": state.eta_seconds,
        "startTime": state.started_at,
        "lastUpdateTime": state.updated_at,
        "seq": state.seq,
        "metadata": msgspec.to_builtins(state.metadata),
        "error": msgspec.to_builtins(state.error),
        "somethingNew": {"of": "a later version"},
    }
    if state.status == "complete":
        facts |= {**msgspec.to_builtins(ending(state).payload), "summary": state.summary}
    return {name: value for name, value in facts.items() if value is not None}


@given(st.lists(st.sampled_from(STEPS), max_size=8), st.sampled_from(ENDINGS), st.integers(0, 12))
def test_a_poll_tells_exactly_what_a_socket_tells_who_attaches_then(
    steps: list[str], last: str | None, after: int
) -> None:
    of_kind = {Due.STARTED: started_message, Due.PROGRESS: progress_message, Due.ENDING: ending}
    for state in story(steps, last):
        # A position beyond the job's own is one of another job's; a poll is never there.
        seen = min(after, state.seq)
        told = [of_kind[due](state) for due in Feed(seen).next(state)]
        assert list(messages_of(read_state(document(state)), seen)) == told


def test_the_ending_carries_the_results_and_where_the_rest_is() -> None:
    state = story(["start", "done"], "complete")[-1]
    payload = messages_of(read_state(document(state)))[-1].payload
    assert isinstance(payload, JobComplete)
    assert (payload.results, payload.truncated, payload.results_url) == (RESULTS, True, "/api/jobs/j/results")


def test_a_job_that_ended_badly_for_no_given_reason_still_ends() -> None:
    told = {**document(story(["start"], "fail")[-1])}
    del told["error"]
    payload = messages_of(read_state(told))[-1].payload
    assert isinstance(payload, JobError)
    assert payload.code == Code.INTERNAL


@pytest.mark.parametrize("change", [{"seq": None}, {"processedCount": -1}, {"totalCount": 1.5}, {"status": 3}])
def test_what_is_no_state_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UndecodableError):
        read_state({**document(story([], None)[-1]), **change})
