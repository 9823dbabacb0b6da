import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.feed import (
    CLOSE_REASONS,
    Due,
    Feed,
    ending_message,
    inline_prefix,
    progress_message,
    started_message,
    type_of,
)
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, Metadata, error_of
from shelfwire.protocol.worker_transitions import ProgressDelta

POLICY = Policy()
QUEUED = jobs.create("j", "csv_import", now=1000, metadata=Metadata(file_name="a.csv", file_size=9))
CLAIMED = worker_transitions.claim(QUEUED, POLICY, now=1000)
STARTED = worker_transitions.advance(CLAIMED, 1, ProgressDelta(total=3), POLICY, now=2000)
HALF = worker_transitions.advance(
    STARTED, 1, ProgressDelta(succeeded=1, title="Emma", author="Austen", isbn="x"), POLICY, now=3000
)
FULL = worker_transitions.advance(HALF, 1, ProgressDelta(succeeded=1, failed=1, title="Dune"), POLICY, now=4000)
COMPLETE = worker_transitions.complete(FULL, 1, "Added 2 books", POLICY, now=5999)
FAILED = worker_transitions.fail(CLAIMED, 1, error_of(ShelfwireError(BookCode.CSV_NO_BOOKS)), POLICY, now=2500)
CANCELED = owner_transitions.cancel(QUEUED, POLICY, now=1500)
S, P, E = Due.STARTED, Due.PROGRESS, Due.ENDING


@pytest.mark.parametrize(
    ("state", "sent"),
    [
        (QUEUED, (P,)),
        (CLAIMED, (P,)),
        (STARTED, (S, P)),
        (HALF, (S, P)),
        (COMPLETE, (S, P, E)),
        (FAILED, (E,)),
        (CANCELED, (E,)),
    ],
    ids=["queued", "claimed", "started", "half", "complete", "failed before the start", "canceled while queued"],
)
def test_whenever_a_follower_attaches_it_receives_the_state_of_the_job(state: JobState, sent: tuple[Due, ...]) -> None:
    assert Feed().next(state) == sent


def test_what_is_due_goes_by_the_type_of_its_message() -> None:
    assert type_of(S, HALF) == started_message(HALF).type
    assert type_of(P, HALF) == progress_message(HALF).type
    for ended in (COMPLETE, FAILED, CANCELED):
        assert type_of(E, ended) == ending_message(ended, None, results_url="/r", truncated=False).type


def test_a_follower_that_stays_receives_each_step_once_and_the_start_once() -> None:
    feed = Feed()
    sent = [feed.next(state) for state in (QUEUED, CLAIMED, STARTED, STARTED, HALF, FULL, COMPLETE, COMPLETE)]
    assert sent == [(P,), (P,), (S, P), (), (P,), (P,), (P, E), ()]


def test_a_slow_follower_receives_less_but_never_misses_start_or_ending() -> None:
    feed = Feed()
    assert feed.next(QUEUED) == (P,)
    assert feed.next(COMPLETE) == (S, P, E)


def test_progress_that_is_withheld_is_due_later_and_the_start_and_the_ending_are_not_withheld() -> None:
    feed = Feed()
    assert feed.next(QUEUED) == (P,)
    assert (feed.next(STARTED, withhold=True), feed.behind) == ((S,), True)
    assert (feed.next(STARTED, withhold=True), feed.behind) == ((), True)
    assert (feed.next(HALF), feed.behind) == ((P,), False)
    assert (feed.next(FULL, withhold=True), feed.behind) == ((), True)
    assert (feed.next(FULL), feed.behind) == ((P,), False)
    assert (feed.next(COMPLETE, withhold=True), feed.behind) == ((E,), False)


def test_a_copy_is_due_the_same_as_its_feed_and_then_goes_its_own_way() -> None:
    feed = Feed(after=STARTED.seq)
    feed.next(HALF)
    other = feed.copy()
    assert other.position == feed.position
    assert other.next(COMPLETE) == feed.next(COMPLETE) == (P, E)
    feed = Feed()
    other = feed.copy()
    feed.next(STARTED)
    assert other.position != feed.position
    assert other.next(STARTED) == (S, P)


def test_a_sync_is_answered_also_where_progress_was_withheld() -> None:
    feed = Feed()
    feed.next(STARTED)
    feed.next(HALF, withhold=True)
    assert feed.sync(HALF) == (P,)
    assert feed.next(HALF) == ()


def test_what_was_withheld_is_not_waited_for_when_an_older_state_is_offered() -> None:
    feed = Feed()
    feed.next(STARTED)
    feed.next(FULL, withhold=True)
    assert (feed.next(HALF), feed.behind) == ((), False)


def test_a_state_older_than_the_one_sent_is_not_sent() -> None:
    feed = Feed()
    feed.next(HALF)
    assert feed.next(STARTED) == ()
    assert feed.sync(STARTED) == ()
    assert feed.next(FULL) == (P,)


def test_a_follower_that_has_shown_the_newest_receives_only_what_follows() -> None:
    feed = Feed(after=HALF.seq)
    assert feed.next(HALF) == ()
    assert feed.next(FULL) == (S, P)


def test_a_follower_that_is_behind_receives_start_and_progress() -> None:
    assert Feed(after=STARTED.seq).next(HALF) == (S, P)


def test_a_position_beyond_the_jobs_counts_as_none() -> None:
    assert Feed(after=HALF.seq + 1).next(HALF) == (S, P)


def test_the_ending_is_sent_even_to_a_follower_that_has_shown_its_number() -> None:
    assert Feed(after=COMPLETE.seq).next(COMPLETE) == (E,)


def test_a_sync_sends_the_current_state_even_if_it_was_sent() -> None:
    feed = Feed()
    feed.next(HALF)
    assert feed.sync(HALF) == (P,)


def test_a_sync_before_the_snapshot_is_the_snapshot() -> None:
    assert Feed().sync(STARTED) == (S, P)


def test_a_sync_of_a_job_that_has_nothing_to_send_yet_still_answers() -> None:
    silent = msgspec.structs.replace(STARTED, user_message=None)
    assert Feed().next(silent) == (S,)
    assert Feed().sync(silent) == (S, P)


def test_a_sync_of_an_ended_job_tells_the_ending_once() -> None:
    feed = Feed()
    feed.next(HALF)
    assert feed.sync(COMPLETE) == (P, E)
    assert feed.sync(COMPLETE) == ()


def test_started_message_carries_total_metadata_and_the_seq_it_shows() -> None:
    message = started_message(HALF)
    assert (message.type, message.seq, message.timestamp) == ("job_started", HALF.seq, 3000)
    assert message.payload == msgspec.convert(
        {"totalCount": 3, "metadata": {"fileName": "a.csv", "fileSize": 9}}, type(message.payload)
    )


def test_progress_message_names_the_newest_item() -> None:
    payload = progress_message(HALF).payload
    assert isinstance(payload, JobProgress)
    assert (payload.processed_count, payload.total_count, payload.failure_count) == (1, 3, 0)
    assert payload.current_title == "Emma"
    assert payload.current_item is not None
    assert (payload.current_item.author, payload.current_item.isbn) == ("Austen", "x")
    assert payload.state == "running"


def test_progress_message_without_author_and_isbn_has_no_item() -> None:
    payload = progress_message(FULL).payload
    assert isinstance(payload, JobProgress)
    assert payload.current_item is None


def test_a_text_of_its_own_goes_before_the_one_for_syncs() -> None:
    own, other = progress_message(QUEUED, "Resuming...").payload, progress_message(HALF, "Resuming...").payload
    assert isinstance(own, JobProgress)
    assert isinstance(other, JobProgress)
    assert own.user_message == "Waiting to start…"
    assert other.user_message == "Resuming..."


def test_a_complete_jobs_ending_counts_and_sums_up() -> None:
    message = ending_message(COMPLETE, {"books": []}, results_url="/r", truncated=False)
    assert message.payload == JobComplete(
        success_count=2, failure_count=1, duration=3, results={"books": []}, summary="Added 2 books"
    )
    assert message.timestamp == 5999


def test_a_truncated_ending_says_so_and_where_the_rest_is() -> None:
    payload = ending_message(COMPLETE, {}, results_url="/r", truncated=True).payload
    assert isinstance(payload, JobComplete)
    assert payload.truncated
    assert payload.results_url == "/r"
    assert payload.summary is not None
    assert payload.summary.startswith("Added 2 books. Only the first")
    wordless = msgspec.structs.replace(COMPLETE, summary=None)
    payload = ending_message(wordless, {}, results_url="/r", truncated=True).payload
    assert isinstance(payload, JobComplete)
    assert payload.summary is not None
    assert payload.summary.startswith("Only the first")


@pytest.mark.parametrize("state", [FAILED, CANCELED], ids=["failed", "canceled"])
def test_every_other_ending_is_the_jobs_error(state: JobState) -> None:
    payload = ending_message(state, None, results_url="/r", truncated=False).payload
    assert isinstance(payload, JobError)
    assert payload == state.error


def test_every_ended_status_has_its_close_reason() -> None:
    assert CLOSE_REASONS == {
        Status.COMPLETE: "Job completed",
        Status.FAILED: "Job failed",
        Status.CANCELED: "Job canceled",
    }
    assert set(CLOSE_REASONS) == jobs.ENDED


@given(st.lists(st.integers(0, 50)), st.integers(0, 300))
def test_the_inline_prefix_is_the_longest_that_fits(sizes: list[int], limit: int) -> None:
    count = inline_prefix(sizes, limit)
    assert sum(sizes[:count]) + count <= limit or count == 0
    if count < len(sizes):
        assert sum(sizes[: count + 1]) + count + 1 > limit
