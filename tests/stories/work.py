"""A job under any interleaving of work, crashes, takeovers and requests, for tests of what its followers receive.

The model is as simple as the design says: a row and a log. Time and crashes are steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.feed import Due, ending_message, progress_message, started_message
from shelfwire.protocol.job import HELD, IllegalTransitionError, JobState, Policy, Status
from shelfwire.protocol.messages import encode, error_of
from shelfwire.protocol.worker_transitions import LeaseLostError, ProgressDelta

POLICY = Policy(max_errors=3)
TOTAL = 12
SELDOM = st.integers(0, 5).map(lambda number: number == 5)
"""What ends most stories too early, if it comes as often as all else."""


@dataclass
class Worker:
    """An attempt that believes it holds the job, and what it has not committed."""

    attempt: int
    recorded: set[int]
    draft: list[tuple[int, bool]] = field(default_factory=list)
    started: bool = False


class Work(RuleBasedStateMachine):
    """A job's row and log, its worker and its owner's requests."""

    @initialize(retried=st.booleans(), begun=st.booleans())
    def begin(self, retried: bool, begun: bool) -> None:  # noqa: FBT001
        self.now = 1_000_000
        self.row = jobs.create("j", "csv_import", now=self.now)
        if retried:
            source = owner_transitions.cancel(self.row, POLICY, now=self.now)
            self.row = owner_transitions.retry(source, "k", now=self.now)
        self.erased = False
        self.log: dict[int, bool] = {}
        self.times_recorded: dict[int, int] = {}
        self.committed: dict[int, JobState] = {self.row.seq: self.row}
        self.terminal: str | None = None
        self.workers: list[Worker] = []
        if begun:
            self.a_worker_claims()
            self.workers[0].recorded.add(0)
            self.workers[0].draft.append((0, True))

    def commit(self, state: JobState) -> None:
        """What a store does at the end of its transaction."""
        assert not self.row.ended or state == self.row, "promise 3: an ended job never changes again"
        self.row = state
        self.committed[state.seq] = state
        if state.ended and self.terminal is None:
            self.terminal = encode(ending_message(state, {"log": len(self.log)}, results_url="/r", truncated=False))

    def attempt(self, worker: Worker, change: Callable[[JobState], JobState]) -> bool:
        """One change of a draft and its closing, as one transaction."""
        step = ProgressDelta(
            total=None if worker.started else TOTAL,
            succeeded=sum(ok for _, ok in worker.draft),
            failed=sum(not ok for _, ok in worker.draft),
        )
        try:
            state = change(worker_transitions.advance(self.row, worker.attempt, step, POLICY, now=self.now))
        except LeaseLostError:
            self.workers.remove(worker)
            return False
        for index, ok in worker.draft:
            self.log[index] = ok
            self.times_recorded[index] = self.times_recorded.get(index, 0) + 1
        worker.draft, worker.started = [], True
        self.commit(state)
        return True

    @rule(milliseconds=st.sampled_from([0, 1, 100, POLICY.lease, 60_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @precondition(lambda self: worker_transitions.claimable(self.row, now=self.now))
    @rule()
    def a_worker_claims(self) -> None:
        state = worker_transitions.claim(self.row, POLICY, now=self.now)
        self.commit(state)
        if state.status is Status.RUNNING:
            self.workers.append(Worker(state.attempt, set(self.log)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), count=st.integers(1, 5), ok=st.booleans(), commit=st.booleans())
    def a_worker_records(self, data: st.DataObject, count: int, ok: bool, commit: bool) -> None:  # noqa: FBT001
        worker = data.draw(st.sampled_from(self.workers))
        left = [index for index in range(TOTAL) if index not in worker.recorded]
        for index in data.draw(st.permutations(left))[:count]:
            worker.recorded.add(index)
            worker.draft.append((index, ok))
        if commit:
            self.attempt(worker, lambda state: state)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_commits(self, data: st.DataObject) -> None:
        self.attempt(data.draw(st.sampled_from(self.workers)), lambda state: state)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_is_killed(self, data: st.DataObject) -> None:
        self.workers.remove(data.draw(st.sampled_from(self.workers)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), how=st.sampled_from(["finish", "hand back", "exception", "give up", "confirm"]))
    def an_attempt_ends(self, data: st.DataObject, how: str) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        number, now = worker.attempt, self.now
        error = error_of(ShelfwireError(BookCode.CSV_UNREADABLE))
        endings: dict[str, Callable[[JobState], JobState]] = {
            "finish": lambda state: worker_transitions.complete(state, number, "Done", POLICY, now=now),
            "hand back": lambda state: worker_transitions.release(state, number, POLICY, now=now),
            "exception": lambda state: worker_transitions.retry_later(state, number, "why", 1000, POLICY, now=now),
            "give up": lambda state: worker_transitions.fail(state, number, error, POLICY, now=now),
            "confirm": lambda state: worker_transitions.release(state, number, POLICY, now=now),
        }
        if how == "finish" and len(worker.recorded) < TOTAL:
            return
        if how == "confirm" and self.row.status is not Status.CANCELING and not self.row.pausing:
            return
        if self.attempt(worker, endings[how]):
            self.workers.remove(worker)

    @precondition(lambda self: not self.row.ended)
    @rule(really=SELDOM)
    def the_owner_cancels(self, really: bool) -> None:  # noqa: FBT001
        if really:
            self.commit(owner_transitions.cancel(self.row, POLICY, now=self.now))

    @rule()
    def the_owner_pauses(self) -> None:
        if self.row.status in (Status.QUEUED, Status.RUNNING):
            self.commit(owner_transitions.pause(self.row, now=self.now))
        else:
            with pytest.raises(IllegalTransitionError):
                owner_transitions.pause(self.row, now=self.now)

    @rule()
    def the_owner_resumes(self) -> None:
        if self.row.status is Status.PAUSED or self.row.pausing:
            self.commit(owner_transitions.resume(self.row, now=self.now))
        else:
            with pytest.raises(IllegalTransitionError):
                owner_transitions.resume(self.row, now=self.now)

    @precondition(lambda self: not self.erased)
    @rule(really=SELDOM)
    def the_owner_deletes(self, really: bool) -> None:  # noqa: FBT001
        if really:
            self.commit(owner_transitions.delete(self.row, POLICY, now=self.now))
            self.erased = True

    def frame(self, due: Due) -> str:
        if due is Due.ENDING:
            assert self.terminal is not None
            return self.terminal
        return encode(started_message(self.row) if due is Due.STARTED else progress_message(self.row))

    @invariant()
    def promise_7_once(self) -> None:
        assert all(times == 1 for times in self.times_recorded.values())
        assert self.row.processed == len(self.log)
        assert (self.row.succeeded, self.row.failed) == (
            sum(self.log.values()),
            len(self.log) - sum(self.log.values()),
        )

    @invariant()
    def what_was_processed_stays_so(self) -> None:
        history = [self.committed[seq].processed for seq in sorted(self.committed)]
        assert history == sorted(history)

    @invariant()
    def only_a_job_with_a_worker_has_a_lease_and_only_a_queued_one_waits_after_an_error(self) -> None:
        waits = self.row.status is Status.QUEUED and self.row.lease_until == self.row.run_at
        assert self.row.status in HELD or waits or not self.row.lease_until
        assert not self.row.pausing or self.row.status is Status.RUNNING
