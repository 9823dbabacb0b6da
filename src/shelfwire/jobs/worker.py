"""Claims jobs, runs their pipelines, keeps their leases, and commits how each attempt ends."""

import asyncio
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from shelfwire.clock import Clock, sleep, uniform
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.job import RUNNING_JOB, Job
from shelfwire.jobs.nodes import Position
from shelfwire.jobs.pipeline import OPTIONS, NoOptions, Pipeline
from shelfwire.jobs.slots import Slots
from shelfwire.jobs.stall import StallDetector
from shelfwire.jobs.store import Claimed, Committed, JobStore
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Policy, Status, Transition
from shelfwire.protocol.messages import error_of

POLL_SECONDS: Final = 1.0
"""How often to look for claimable jobs, in case a notification was missed."""
SHORTEST_SECONDS: Final = 0.02
"""How long to wait at least until a job is due: another node may be about to claim it."""
MARGIN_SECONDS: Final = 0.003
"""How long after the end of a lease to look, so that it has surely ended."""
SPREAD_SECONDS: Final = 0.02
"""How long a node with all slots but one in use lets others go first, where several share a store."""

log = structlog.get_logger(__name__)


class Worker:
    """Runs jobs in the slots that they may take.

    Args:
        store: where jobs are claimed.
        committer: makes their progress durable.
        publish: receives the rows of claimed jobs.
        pipelines: by name; jobs of other pipelines are left alone.
        policy: lease and limits.
        clock: source of the time.
        slots: how many jobs run at once, and whose.
        uniform: returns random numbers in [0, 1), for the backoff, and so that nodes do not all look at once.

    Attributes:
        failing: whether the last claim failed.
    """

    def __init__(
        self,
        store: JobStore,
        committer: Committer,
        publish: Callable[[Iterable[Committed]], None],
        pipelines: Mapping[str, Pipeline],
        policy: Policy,
        clock: Clock,
        slots: Slots,
        uniform: Callable[[], float] = uniform,
    ) -> None:
        self._store = store
        self._committer = committer
        self._publish = publish
        self._pipelines = pipelines
        self._policy = policy
        self._clock = clock
        self._slots = slots
        self._uniform = uniform
        self._news = asyncio.Event()
        self.failing = False
        self._runs: dict[asyncio.Task[None], Draft] = {}
        self._stall_detectors: dict[Draft, StallDetector] = {}

    @property
    def stalled(self) -> int:
        """Number of jobs running here that have recorded nothing for too long."""
        return sum(draft.state.stalled for draft in self._runs.values())

    def wake(self) -> None:
        """Look for a claimable job at once, because one was added."""
        self._news.set()

    def check(self, job_id: str) -> None:
        """Apply a control request for this job at once if it runs here, not only at the next lease renewal."""
        for draft in self._runs.values():
            if draft.state.id == job_id:
                self._committer.mark(draft, urgent=True)

    def positions(self) -> list[Position]:
        """Return the jobs that run here, as of their last commit."""
        return [Position.of(draft.state) for draft in self._runs.values() if not draft.finished.is_set()]

    def hear(self, rows: Sequence[JobState], gone: Sequence[Position]) -> None:
        """Let jobs that run here know what somebody else has done to them, as it was read again."""
        known = {(row.id, row.created_at): row for row in rows}
        erased = {(one.job_id, one.created_at) for one in gone}
        for draft in self._runs.values():
            state = draft.state
            row = known.get((state.id, state.created_at))
            changed = row is not None and _held(row) != _held(state)
            if changed or (state.id, state.created_at) in erased:
                self._committer.mark(draft, urgent=True)

    async def run(self) -> None:
        """Claim and run jobs until cancelled; the caller then waits for `shut_down`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew())
            while True:
                self._news.clear()
                if not await self._claim_one():
                    await self._clock.wait(self._news, await self._until_due())
                elif self._store.nodes is not None:
                    await sleep(self._clock, SPREAD_SECONDS * self._slots.share_of(len(self._runs)))

    async def _until_due(self) -> float:
        """Seconds until a job may become claimable, of which nobody would tell."""
        nodes, steady = self._store.nodes, self._clock.steady()
        if nodes is None or self.failing or not (open_to := tuple(self._open_to())):
            return POLL_SECONDS
        try:
            due = await nodes.next_due(open_to, steady)
        except ShelfwireError:
            return POLL_SECONDS  # the next claim says so
        left = math.inf if due is None else (due - self._clock.steady()) / 1000 + MARGIN_SECONDS
        if left < POLL_SECONDS:
            return max(SHORTEST_SECONDS, left)
        return POLL_SECONDS * (1 - 0.2 * self._uniform())

    async def shut_down(self, grace: float) -> None:
        """Release all running jobs after `run` was cancelled; waits up to `grace` seconds for them to stop."""
        for draft in self._runs.values():
            draft.halt()
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=grace)
            for task in late:
                state = self._runs[task].state
                log.warning("a job did not stop in time; its lease will expire", job=state.id, attempt=state.attempt)
                task.cancel()

    def _open_to(self) -> dict[str, frozenset[str]]:
        return self._slots.open_to([draft.state for draft in self._runs.values()])

    async def _claim_one(self) -> bool:
        open_to = self._open_to()
        if not open_to or not self._committer.takeover.permits_claims:
            return False
        now, steady = self._clock.now(), self._clock.steady()
        if any(draft.state.lease_until <= steady and not draft.finished.is_set() for draft in self._runs.values()):
            # The store stands still: its first answer would be the claim of a job that runs here.
            return False
        began, take_over = self._clock.monotonic(), self._committer.takeover.permits
        try:
            claimed = await self._store.claim(
                tuple(open_to), self._policy, now, steady, passing=open_to, take_over=take_over
            )
        except ShelfwireError as error:
            self._committer.takeover.disturbed()
            # Only the first is an error, which quiet terminals show too; the others repeat it.
            report = log.warning if self.failing else log.error
            report("claiming failed, trying again", code=error.code, reason=error.message)
            self.failing = True
            return False
        self.failing = False
        self._committer.takeover.took(self._clock.monotonic() - began)
        if claimed is None:
            return False
        self._publish([Committed(state=claimed.state, terminal=claimed.terminal)])
        if claimed.state.status is not Status.RUNNING:
            return True
        self._slots.taken(claimed.state.pipeline)
        draft = Draft(claimed.state, renewed_at=began)
        task = asyncio.create_task(self._attempt(claimed, draft))
        self._runs[task] = draft
        self._stall_detectors[draft] = StallDetector(self._clock.monotonic(), self._policy.stall_after / 1000)
        task.add_done_callback(self._finished)
        return True

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._stall_detectors[self._runs.pop(task)]
        self._news.set()

    async def _attempt(self, claimed: Claimed, draft: Draft) -> None:
        state = claimed.state
        # For log lines of the pipeline and of what it calls.
        structlog.contextvars.bind_contextvars(job=state.id, attempt=state.attempt)
        RUNNING_JOB.set(state.id)
        bound = log.bind(job=state.id, pipeline=state.pipeline, attempt=state.attempt)
        bound.info("job claimed", recorded=state.processed)
        running = asyncio.create_task(self._run(claimed, draft))
        draft.stop = running.cancel
        try:
            await asyncio.wait({running})
        finally:
            running.cancel()
        if draft.lost:
            if not draft.given_up:
                bound.warning("job lost to another attempt")
            return
        final = await self._committer.finish(draft, self._validated_closing(running, draft, bound))
        if final is not None:
            bound.info("attempt over", status=final.status, succeeded=final.succeeded, failed=final.failed)

    async def _run(self, claimed: Claimed, draft: Draft) -> str:
        pipeline = self._pipelines[claimed.state.pipeline]
        job = Job(self._store, self._committer, draft, claimed, pipeline.options(), self._clock)
        if pipeline.options is not NoOptions and (sent := await job.input(OPTIONS)):
            job.options = msgspec.json.decode(sent, type=pipeline.options)
        return await pipeline.run(job)

    def _validated_closing(
        self, running: asyncio.Task[str], draft: Draft, bound: structlog.stdlib.BoundLogger
    ) -> Transition:
        """Choose the closing transition, and try it: an ending that cannot be stored must not break a shared commit.

        Nor must one that is stored and cannot be read any more.
        """
        try:
            closing = self._closing(running, draft, bound)
            msgspec.json.decode(msgspec.json.encode(closing(draft.state, self._clock.now())), type=JobState)
        except Exception as error:  # noqa: BLE001 - whatever the pipeline returned, only this attempt ends
            return self._after_failure(error, draft, bound)
        return closing

    def _closing(self, running: asyncio.Task[str], draft: Draft, bound: structlog.stdlib.BoundLogger) -> Transition:
        attempt, policy = draft.state.attempt, self._policy
        if running.cancelled() and draft.halted:
            return lambda state, now: worker_transitions.release(
                state, attempt, policy, now=now, steady=self._clock.steady()
            )
        error = RuntimeError("the pipeline cancelled itself") if running.cancelled() else running.exception()
        if error is None:
            return lambda state, now: worker_transitions.complete(
                state, attempt, running.result(), policy, now=now, steady=self._clock.steady()
            )
        if isinstance(error, ShelfwireError) and not error.retryable:
            payload = error_of(error)
            return lambda state, now: worker_transitions.fail(
                state, attempt, payload, policy, now=now, steady=self._clock.steady()
            )
        return self._after_failure(error, draft, bound)

    def _after_failure(self, error: BaseException, draft: Draft, bound: structlog.stdlib.BoundLogger) -> Transition:
        attempt, policy = draft.state.attempt, self._policy
        # Formatted here: the log of a host application may show the values of all local variables.
        bound.error("attempt failed", exception="".join(traceback.format_exception(error)))
        reason = f"{Code.INTERNAL}: {type(error).__name__}" if not isinstance(error, ShelfwireError) else str(error)
        delay = worker_transitions.backoff(draft.state.error_count, self._uniform())
        return lambda state, now: worker_transitions.retry_later(
            state, attempt, reason, delay, policy, now=now, steady=self._clock.steady()
        )

    async def _renew(self) -> None:
        third = self._policy.lease / 3 / 1000
        while True:
            self._committer.takeover.beats(third)
            await sleep(self._clock, third)
            for draft in self._runs.values():
                if not draft.halted and (
                    text := self._stall_detectors[draft].check(self._clock.monotonic(), draft.activity)
                ):
                    draft.stalled = text
                    self._committer.mark(draft)
                if self._clock.monotonic() - draft.renewed_at >= third:
                    # An operator may have made the commit interval longer than the lease.
                    self._committer.mark(draft, urgent=True)


def _held(state: JobState) -> tuple[object, ...]:
    """What a worker must know of a row that somebody else has changed."""
    return state.attempt, state.status, state.pausing
