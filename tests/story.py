"""The contract's promises to a follower, as a check on any sequence of messages."""

from collections.abc import Iterable
from typing import Final

from shelfwire.errors import Code
from shelfwire.protocol.job import ENDED, Status
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Message, encode


class IllegalStoryError(AssertionError):
    """The messages cannot be those of one job."""


NO_WAY_BACK: Final = frozenset({*ENDED, Status.CANCELING})
"""After these statuses a job can only end."""


class Story:
    """The messages to a follower, checked one by one as they come.

    Args:
        whole: whether the follower had received nothing before; then it must receive `job_started` before anything that
            follows it.
        starts: how often it may receive `job_started`: once on a connection and once from a client, but once for each
            connection if several are taken together.

    Attributes:
        seq: the newest revision received.
        processed: the highest count received.
        ending: the terminal message, once it was received.
    """

    def __init__(self, *, whole: bool = True, starts: int = 1) -> None:
        self._whole = whole
        self._starts = starts
        self._started = 0
        self._total: int | None = None
        self._failed = 0
        self._status: str | None = None
        self._newest: Message | None = None
        self.seq = 0
        self.processed = 0
        self.ending: Message | None = None

    def hear(self, message: Message) -> None:
        """Take the next message.

        Raises:
            IllegalStoryError: it cannot come here.
        """
        _must(self.ending is None, f"{message.type} after the ending")
        self._place(message)
        match message.payload:
            case JobStarted(total_count=total):
                self._started += 1
                _must(self._started <= self._starts, "job_started again")
                self._count(self.processed, total, self._failed)
            case JobProgress() as progress:
                self._progress(progress)
            case JobComplete() as complete:
                self._complete(complete)
            case JobError() as error:
                self._error(error)
            case _:
                raise IllegalStoryError(f"a {message.type} is not among the messages of a job")
        if message.terminal:
            self.ending = message

    def _place(self, message: Message) -> None:
        newest = self._newest
        seq = message.seq
        if seq is None:
            raise IllegalStoryError(f"{message.type} does not say which revision it shows")
        _must(seq >= self.seq, f"seq fell from {self.seq} to {seq} in {message.type}")
        if newest is not None:
            names = (newest.job_id, newest.pipeline)
            _must(names == (message.job_id, message.pipeline), f"{message.job_id} is not the job {newest.job_id}")
            _must(message.timestamp >= newest.timestamp, f"time ran backwards in {message.type}")
            same = seq == newest.seq
            _must(not same or message.timestamp == newest.timestamp, f"revision {seq} has two times")
            _must(same or self._status not in ENDED, f"revision {seq} of a job that had ended as {self._status}")
        self._newest, self.seq = message, seq

    def _progress(self, progress: JobProgress) -> None:
        self._count(progress.processed_count, progress.total_count, progress.failure_count or 0)
        _must(not self._whole or self._started > 0 or not progress.processed_count, "progress before job_started")
        _must(
            self._status not in NO_WAY_BACK or progress.state in {self._status, *ENDED},
            f"{progress.state} after {self._status}",
        )
        self._status = progress.state

    def _complete(self, complete: JobComplete) -> None:
        recorded = complete.success_count + complete.failure_count
        self._count(recorded, None, complete.failure_count)
        _must(not self._whole or self._started > 0, "job_complete without job_started")
        _must(self._status not in ENDED or self._status == Status.COMPLETE, f"complete after {self._status}")

    def _error(self, error: JobError) -> None:
        ended = Status.CANCELED if error.code == Code.JOB_CANCELED else Status.FAILED
        _must(self._status not in ENDED or self._status == ended, f"{error.code} after {self._status}")

    def _count(self, processed: int, total: int | None, failed: int) -> None:
        _must(processed >= self.processed, f"processedCount fell from {self.processed} to {processed}")
        _must(failed >= self._failed, f"failureCount fell from {self._failed} to {failed}")
        _must(failed <= processed, f"{failed} of {processed} failed")
        if total is not None:
            _must(self._total in (None, total), f"totalCount was {self._total}, now {total}")
            self._total = total
        _must(self._total is None or processed <= self._total, f"{processed} of {self._total} processed")
        self.processed, self._failed = processed, failed


def legal_story(messages: Iterable[Message], ending: str | None) -> Story:
    """Check the messages that a client showed of one job, from its first connection to its last.

    Args:
        messages: all of them, in order.
        ending: the terminal message as it is stored; None where the follower left before it.

    Raises:
        IllegalStoryError: a promise of the contract is broken.
    """
    story = Story()
    for message in messages:
        story.hear(message)
    received = None if story.ending is None else encode(story.ending)
    _must(received == ending, f"the ending received is {_short(received)}, the one stored is {_short(ending)}")
    return story


def _short(text: str | None) -> str:
    return "none" if text is None else f"{text[:300]}… ({len(text)} characters)"


def _must(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - it is an assertion
    if not kept:
        raise IllegalStoryError(otherwise)
