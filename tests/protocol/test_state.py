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
from shelfwire.protocol.messages import JobComplete, JobError, Message, Metadata, UndecodableError, encode, error_of
from shelfwire.protocol.state import State, messages_of, state_of
from shelfwire.protocol.worker_transitions import ProgressDelta, advance, claim, complete, fail, release

POLICY = Policy(lease=10**9)
RESULTS = {"books": [{"title": "Emma"}], "errors": []}
STEPS = ("start", "done", "failed", "say", "pause", "resume")
ENDINGS = ("complete", "fail", "cancel", None)


def history(steps: Sequence[str], ending: str | None) -> list[JobState]:
    """The states of a job to which all this happened, as far as it could."""
    states = [create("j", "csv_import", now=1000, metadata=Metadata(file_name="books.csv"))]
    for now, step in enumerate([*steps, *([ending] if ending else [])], start=2000):
        state = states[-1]
        if state.status == "queued":
            states.append(state := claim(state, POLICY, now=now))
        try:
            states.append(_controlled(state, step, now) or _worked(state, step, now))
        except ShelfwireError:
            continue
    return states


def _controlled(state: JobState, step: str, now: int) -> JobState | None:
    match step:
        case "pause":
            requested = owner_transitions.pause(state, now=now)
            return release(requested, requested.attempt, POLICY, now=now)
        case "resume":
            return owner_transitions.resume(state, now=now)
        case "cancel":
            requested = owner_transitions.cancel(state, POLICY, now=now)
            return requested if requested.ended else release(requested, requested.attempt, POLICY, now=now)
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


def document(state: JobState) -> bytes:
    """What a server answers for `state`."""
    return msgspec.json.encode(state_of(state, encode(ending(state)) if state.ended else None))


def read(document: bytes, **changes: Any) -> State:
    """What a client reads, with other members than the document has."""
    return msgspec.json.decode(msgspec.json.encode({**msgspec.json.decode(document), **changes}), type=State)


@given(st.lists(st.sampled_from(STEPS), max_size=8), st.sampled_from(ENDINGS), st.integers(0, 12))
def test_a_poll_shows_exactly_what_a_socket_sends_to_a_follower_that_attaches_then(
    steps: list[str], last: str | None, after: int
) -> None:
    of_kind = {Due.STARTED: started_message, Due.PROGRESS: progress_message, Due.ENDING: ending}
    for state in history(steps, last):
        # A position beyond the job's own is one of another job's; a poll is never there.
        seen = min(after, state.seq)
        sent = [of_kind[due](state) for due in Feed(seen).next(state)]
        assert list(messages_of(read(document(state)), seen)) == sent


def test_the_ending_carries_the_results_and_where_the_rest_is() -> None:
    state = history(["start", "done"], "complete")[-1]
    payload = messages_of(read(document(state)))[-1].payload
    assert isinstance(payload, JobComplete)
    assert (payload.results, payload.truncated, payload.results_url) == (RESULTS, True, "/api/jobs/j/results")


def test_results_go_from_the_terminal_message_to_the_document_byte_for_byte() -> None:
    state = history(["start", "done"], "complete")[-1]
    terminal = encode(ending(state)).replace('"Emma"', r'"Em\u006da" ')
    assert rb'{"title":"Em\u006da" }' in msgspec.json.encode(state_of(state, terminal))


def test_results_that_are_no_json_are_refused_when_they_are_read() -> None:
    state = history(["start", "done"], "complete")[-1]
    broken = msgspec.structs.replace(state_of(state, None), results=msgspec.Raw(b'"\xff"'))
    with pytest.raises(UndecodableError):
        messages_of(broken)


def test_a_job_that_ended_badly_for_no_given_reason_still_ends() -> None:
    failed = msgspec.structs.replace(state_of(history(["start"], "fail")[-1], None), error=None)
    payload = messages_of(failed)[-1].payload
    assert isinstance(payload, JobError)
    assert payload.code == Code.INTERNAL


def test_members_and_statuses_of_later_versions_do_no_harm() -> None:
    state = read(document(history(["start", "done"], None)[-1]), status="dreaming", dream={"of": "electric sheep"})
    assert [message.type for message in messages_of(state)] == ["job_started", "job_progress"]


def test_what_is_unset_is_left_out() -> None:
    members = msgspec.json.decode(document(history([], None)[0]), type=dict[str, Any])
    assert not {"stalled", "pausing", "error", "results", "startTime"} & members.keys()
    assert None not in members.values()


@pytest.mark.parametrize("change", [{"seq": None}, {"processedCount": -1}, {"totalCount": 1.5}, {"status": 3}])
def test_what_is_no_state_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(document(history([], None)[-1]), **change)
