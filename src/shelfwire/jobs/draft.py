"""The uncommitted changes of an attempt."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

import msgspec

from shelfwire.jobs.eta import Eta, FractionEta
from shelfwire.jobs.store import Change, Committed, NewItem
from shelfwire.protocol.job import JobState, Status, Transition
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.worker_transitions import ProgressDelta

PER_CENT: Final = 100
"""The total of work of which only a fraction is known."""


class Draft:
    """The uncommitted changes of one attempt, in memory: the pipeline adds to them, the committer takes them.

    Attributes:
        state: the row as of the last commit.
        lost: whether the attempt has lost its job, so that nothing of it is committed any more.
        halted: whether the pipeline was stopped: the job is lost, a cancel or pause was requested, or the worker shuts
            down.
        stop: interrupts the pipeline.
        finished: set when the ending is committed, or the job is lost.
        below_limit: set while fewer outcomes are uncommitted than `Job.pending` allows.
        items: the items recorded since the last commit began.
        in_flight: number of items in the commit under way, or in the one to repeat.
        repeat: a change that may or may not be committed: its answer is missing. It is sent again as it was before
            anything else, so that the store can recognise it.
        given_up: whether something in the attempt cannot be stored, so that only its failure is committed.
        activity: grows with every item that is recorded, reported or shown.
        renewed_at: when the commit began that renewed the lease last, or the claim, in monotonic seconds.
        published_at: when followers were last notified of it, in monotonic seconds.
        due_at: when they are to be notified of the newest row, if they have not been yet.
        fraction: the part that is done, in work without items; None in work with items.
        closing: how the attempt ends; None while it goes on.
        results: what the ending shows in place of the list of items; None for that list.
        lease: see `ProgressDelta`.
    """

    def __init__(self, state: JobState, *, renewed_at: float = -math.inf) -> None:
        self.state = state
        self.renewed_at = renewed_at
        self.stop: Callable[[], object] = bool
        self.lost = False
        self.halted = False
        self.finished = asyncio.Event()
        self.below_limit = asyncio.Event()
        self.below_limit.set()
        self.items: list[NewItem] = []
        self.in_flight = 0
        self.repeat: Change | None = None
        self.given_up = False
        self.activity = 0
        self.stalled: str | None = None
        self.succeeded = 0
        self.failed = 0
        self.reported = 0
        self.title: str | None = None
        self.author: str | None = None
        self.isbn: str | None = None
        self.user_message: str | None = None
        self.total: int | None = None
        self.metadata: Metadata | None = None
        self.shown = False
        self.closing: Transition | None = None
        self.results: msgspec.Raw | None = None
        self.lease: int | None = None
        self.published_at = -math.inf
        self.due_at = -math.inf
        self.fraction: float | None = None
        self._eta = Eta()
        self._fraction_eta = FractionEta()
        self._number = 0
        self._taken_at = renewed_at

    def halt(self) -> None:
        """Stop the pipeline; how the attempt ends is then decided by the row as it is stored at that time."""
        self.halted = True
        self.stop()

    @property
    def uncommitted(self) -> int:
        """Number of outcomes that would be lost if the process died now."""
        return len(self.items) + self.in_flight

    def take(self, now: float) -> Change:
        """Take the changes for a commit, or the one to repeat; the caller puts it back if its answer is missing.

        Args:
            now: monotonic seconds, for the rate.
        """
        self._taken_at = now
        if self.repeat is not None:
            return self.repeat
        processed = max(self.state.recorded + self.succeeded + self.failed, self.state.reported, self.reported)
        total = self.state.total if self.total is None else self.total
        number, crc, follows = self._stamp()
        change = Change(
            job_id=self.state.id,
            attempt=self.state.attempt,
            created_at=self.state.created_at,
            delta=ProgressDelta(
                total=self.total,
                metadata=self.metadata,
                succeeded=self.succeeded,
                failed=self.failed,
                reported=self.reported,
                title=self.title,
                author=self.author,
                isbn=self.isbn,
                user_message=self.user_message,
                eta_seconds=self._left(now, processed, total),
                stalled=self.stalled,
                shown=self.shown,
                lease=self.lease,
            ),
            items=self.items,
            closing=self.closing,
            results=self.results,
            number=number,
            crc=crc,
            follows=follows,
        )
        self.in_flight = len(self.items)
        self.items, self.succeeded, self.failed, self.reported = [], 0, 0, 0
        self.total = self.metadata = self.user_message = self.stalled = self.lease = None
        self.shown = False
        return change

    def advance(self, fraction: float, total: int | None) -> None:
        """Note which part of work without items is done; it never falls.

        Args:
            fraction: from 0 to 1.
            total: the number that followers see as all of it, if it is known.
        """
        self.fraction = max(fraction, self.fraction or 0.0)
        if total is not None:
            # A little more: 0.29 of 100 is 28.999…
            self.reported = max(self.reported, math.floor(self.fraction * total + 1e-6))

    def _left(self, now: float, processed: int, total: int | None) -> int | None:
        """Whole seconds left, by the items or by the fraction."""
        if self.fraction is None:
            return self._eta.update(now, processed, total)
        return self._fraction_eta.update(now, self.fraction)

    def give_up(self, change: Change, closing: Transition) -> Change:
        """Replace a change that cannot be stored by the attempt's failure; nothing else is committed of it."""
        self.given_up = True
        number, crc, _ = self._stamp()
        return Change(
            job_id=change.job_id,
            attempt=change.attempt,
            created_at=change.created_at,
            delta=ProgressDelta(),
            closing=closing,
            number=number,
            crc=crc,
            follows=change.follows,
        )

    def confirm(self, change: Change, answer: Committed | None) -> None:
        """Take the answer to a commit.

        Args:
            change: what was committed of this draft.
            answer: the row as it is now; None if the job is lost.
        """
        was_stopping = _stopping(self.state)
        self.lost = answer is None or self.given_up
        self.in_flight = 0
        self.repeat = None
        if answer is not None:
            self.state = answer.state
            self.renewed_at = self._taken_at
        if self.lost or change.closing is not None:
            self.finished.set()
        if self.lost or (_stopping(self.state) and not was_stopping):
            self.halt()
        self.below_limit.set()

    def _stamp(self) -> tuple[int, int, int | None]:
        """The number and the checksum of the next change, and what it follows; see `Change`."""
        self._number += 1
        return self._number, 0, self._number - 1


def _stopping(state: JobState) -> bool:
    return state.pausing or state.status is Status.CANCELING
