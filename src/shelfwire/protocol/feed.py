"""The messages that are due to a follower, and how they are made of a job's row.

The position of a follower is a number: the last `seq` sent to it. `Feed` compares it with the newest committed row and
returns which messages are due; the functions below make them.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import CurrentItem, JobComplete, JobProgress, JobStarted, Message

CLOSE_REASONS: Mapping[Status, str] = {
    Status.COMPLETE: "Job completed",
    Status.FAILED: "Job failed",
    Status.CANCELED: "Job canceled",
}
"""Reasons of the close with 1000 after the terminal message."""

RESUMING = "Resuming..."
"""The contract's message in answer to a `sync_request`, for a job that has none of its own."""


class Due(StrEnum):
    """A message that is due to a follower."""

    STARTED = "started"
    PROGRESS = "progress"
    ENDING = "ending"


def type_of(due: Due, state: JobState) -> str:
    """The type of the message for `due`, as of `state`."""
    if due is Due.ENDING:
        return "job_complete" if state.status is Status.COMPLETE else "error"
    return "job_started" if due is Due.STARTED else "job_progress"


class Feed:
    """The position of one follower on one connection.

    Args:
        after: the `seq` that the follower has shown already; 0 for none.

    Attributes:
        seq: the newest revision of which something was sent on this connection, or withheld.
        behind: whether progress was withheld that is due later.
        over: whether the terminal message was sent; nothing is due after that.
    """

    __slots__ = ("_after", "_started", "behind", "over", "seq")

    def __init__(self, after: int = 0) -> None:
        self._after: int | None = after
        self._started = False
        self.seq = 0
        self.behind = False
        self.over = False

    @property
    def position(self) -> tuple[int | None, bool, int, bool, bool]:
        """All that decides what is due next: feeds at one position are due the same for any state."""
        return self._after, self._started, self.seq, self.behind, self.over

    def copy(self) -> "Feed":
        """Return another feed at the same position."""
        feed = Feed()
        feed._after, feed._started, feed.seq, feed.behind, feed.over = self.position
        return feed

    def next(self, state: JobState, *, withhold: bool = False) -> tuple[Due, ...]:
        """Return what is due, in order, now that `state` is committed; the caller sends all of it or closes.

        The first call makes the snapshot. Nothing is due for a state that was sent already, or an older one.

        Args:
            state: the newest one.
            withhold: whether it is too early for progress, because some was sent just now. The caller calls again when
                it is time, if `behind` is true then. Starts and endings are never withheld, and an ending makes the
                progress before it superfluous.
        """
        if self.over:
            return ()
        if self._after is not None:
            if self._after <= state.seq:
                self.seq = self._after
            self._after = None
        due: list[Due] = []
        behind, self.behind = self.behind, self.behind and withhold
        if state.seq > self.seq or (behind and state.seq == self.seq):
            self.seq = state.seq
            if state.started_at is not None and not self._started:
                self._started = True
                due.append(Due.STARTED)
            progressed = bool(state.processed or state.user_message)
            self.behind = progressed and withhold and not state.ended
            if progressed and not withhold:
                due.append(Due.PROGRESS)
        if state.ended and state.seq >= self.seq:
            self.over = True
            due.append(Due.ENDING)
        return tuple(due)

    def sync(self, state: JobState) -> tuple[Due, ...]:
        """Return the answer to a `sync_request`: what is due, and the current state in any case until the end."""
        due = self.next(state)
        if self.over or state.seq < self.seq or Due.PROGRESS in due:
            return due
        return (*due, Due.PROGRESS)


def started_message(state: JobState) -> Message:
    """`job_started` as of `state`, which must have started."""
    assert state.total is not None  # noqa: S101 - started_at and total are set together
    return _message(state, JobStarted(total_count=state.total, metadata=state.metadata))


def progress_message(state: JobState, user_message: str | None = None) -> Message:
    """`job_progress` as of `state`; with `user_message` if the state has none."""
    return _message(
        state,
        JobProgress(
            processed_count=state.processed,
            total_count=state.total,
            failure_count=state.failed,
            current_title=state.title,
            current_item=current_item(state),
            user_message=state.user_message or user_message,
            state=str(state.status),
            eta_seconds=state.eta_seconds,
        ),
    )


def current_item(state: JobState) -> CurrentItem | None:
    """The item recorded last, without its title; None if no more is known about it."""
    return CurrentItem(isbn=state.isbn, author=state.author) if state.isbn or state.author else None


def ending_message(state: JobState, results: Any, *, results_url: str, truncated: bool) -> Message:
    """The terminal message of an ended job.

    Args:
        state: the final state.
        results: the inline results of a completed job; unused for the other endings.
        results_url: the route of all results; sent if `truncated`.
        truncated: whether `results` holds only the first of them.
    """
    if state.status is not Status.COMPLETE:
        assert state.error is not None  # noqa: S101 - every other ending sets it
        return _message(state, state.error)
    return _message(
        state,
        JobComplete(
            success_count=state.succeeded,
            failure_count=state.failed,
            duration=state.duration,
            results=results,
            summary=terminal_summary(state.summary, truncated=truncated),
            results_url=results_url if truncated else None,
            truncated=truncated or None,
        ),
    )


def terminal_summary(summary: str | None, *, truncated: bool) -> str | None:
    """The summary in a terminal message; it says so if not all results are there, since deployed clients show it."""
    if not truncated:
        return summary
    note = "Only the first results are shown here; the rest can be fetched."
    return f"{summary}. {note}" if summary else note


def inline_prefix(sizes: Sequence[int], limit: int) -> int:
    """The number of items, from the first, that fit into `limit` bytes of JSON with a comma each."""
    used = 0
    for count, size in enumerate(sizes):
        used += size + 1
        if used > limit:
            return count
    return len(sizes)


def _message(state: JobState, payload: Any) -> Message:
    return Message(job_id=state.id, pipeline=state.pipeline, timestamp=state.updated_at, payload=payload, seq=state.seq)
