"""The check of a story must fail where a promise is broken."""

import pytest

from shelfwire.protocol.messages import (
    JobComplete,
    JobError,
    JobProgress,
    JobStarted,
    Message,
    Payload,
    Pong,
    encode,
)
from tests.story import IllegalStoryError, legal_story

STARTED = JobStarted(total_count=5)
COMPLETE = JobComplete(success_count=4, failure_count=1, duration=0, results={})
CANCELED = JobError(code="E_JOB_CANCELED", message="m", user_message="u", retryable=True)
FAILED = JobError(code="E_CSV_UNREADABLE", message="m", user_message="u", retryable=False)


def progress(processed: int, failed: int = 0, total: int | None = 5, state: str = "running") -> JobProgress:
    return JobProgress(processed_count=processed, failure_count=failed, total_count=total, state=state)


def received(*parts: tuple[int | None, Payload], job: str = "j") -> list[Message]:
    """Messages by their seq, whose times follow it."""
    return [Message(job_id=job, pipeline="p", timestamp=seq or 0, payload=payload, seq=seq) for seq, payload in parts]


BEGINNING: list[tuple[int, Payload]] = [
    (1, JobProgress(processed_count=0, state="queued")),
    (2, STARTED),
    (2, progress(0)),
    (4, progress(3)),
]


@pytest.mark.parametrize(
    "parts",
    [
        [*BEGINNING, (6, progress(5, 1, state="complete")), (6, COMPLETE)],
        [*BEGINNING, (5, progress(3, state="canceling")), (6, CANCELED)],
        [*BEGINNING, (4, progress(3)), (5, progress(3, state="queued")), (7, FAILED)],
        [(9, STARTED), (9, COMPLETE)],
        [(2, CANCELED)],
    ],
)
def test_what_a_job_may_tell_is_legal(parts: list[tuple[int, Payload]]) -> None:
    messages = received(*parts)
    story = legal_story(messages, encode(messages[-1]))
    assert story.seq == parts[-1][0]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([*BEGINNING, (3, progress(3))], "seq fell from 4 to 3"),
        ([*BEGINNING, (5, progress(2))], "processedCount fell from 3 to 2"),
        ([*BEGINNING, (5, progress(4, 1)), (6, progress(5, 0))], "failureCount fell"),
        ([*BEGINNING, (5, STARTED)], "job_started again"),
        ([*BEGINNING, (5, progress(6))], "6 of 5 processed"),
        ([*BEGINNING, (5, progress(3, 4))], "4 of 3 failed"),
        ([*BEGINNING, (5, progress(4, total=6))], "totalCount was 5, now 6"),
        ([(3, progress(1))], "progress before job_started"),
        ([(3, COMPLETE)], "job_complete without job_started"),
        ([*BEGINNING, (6, COMPLETE), (6, COMPLETE)], "job_complete after the ending"),
        ([*BEGINNING, (6, COMPLETE), (7, progress(5))], "job_progress after the ending"),
        ([*BEGINNING, (6, JobComplete(success_count=2, failure_count=0, duration=0, results=[]))], "fell from 3 to 2"),
        ([*BEGINNING, (5, progress(3, state="canceling")), (6, progress(3))], "running after canceling"),
        ([*BEGINNING, (6, progress(5, 1, state="complete")), (6, FAILED)], "E_CSV_UNREADABLE after complete"),
        ([*BEGINNING, (6, progress(5, 1, state="failed")), (6, COMPLETE)], "complete after failed"),
        ([*BEGINNING, (6, progress(5, 1, state="failed")), (6, CANCELED)], "E_JOB_CANCELED after failed"),
        ([*BEGINNING, (6, progress(5, 1, state="complete")), (7, progress(5, 1, state="complete"))], "had ended"),
        ([*BEGINNING, (None, progress(5))], "does not say which revision"),
        ([*BEGINNING, (5, Pong())], "is not among the messages of a job"),
    ],
)
def test_what_breaks_a_promise_is_not(parts: list[tuple[int | None, Payload]], why: str) -> None:
    messages = received(*parts)
    with pytest.raises(IllegalStoryError, match=why):
        legal_story(messages, encode(messages[-1]))


def test_the_ending_must_be_the_one_stored_to_the_byte() -> None:
    messages = received(*BEGINNING, (6, COMPLETE))
    with pytest.raises(IllegalStoryError, match="the one stored is"):
        legal_story(messages, encode(messages[-1]).replace('"duration":0', '"duration":1'))


def test_messages_without_an_ending_are_legal_only_for_a_follower_that_left_before() -> None:
    messages = received(*BEGINNING)
    legal_story(messages, None)
    with pytest.raises(IllegalStoryError, match="the ending received is none"):
        legal_story(messages, encode(received((6, COMPLETE))[0]))


def test_messages_of_another_job_or_with_times_that_disagree_are_no_story() -> None:
    messages = received(*BEGINNING)
    for odd, why in (
        (received((5, progress(4)), job="k"), "k is not the job j"),
        ([Message(job_id="j", pipeline="p", timestamp=3, payload=progress(4), seq=5)], "time ran backwards"),
        ([Message(job_id="j", pipeline="p", timestamp=5, payload=progress(3), seq=4)], "revision 4 has two times"),
    ):
        with pytest.raises(IllegalStoryError, match=why):
            legal_story([*messages, *odd], None)
