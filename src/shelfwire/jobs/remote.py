"""Attempts whose workers are outside of the server: what they report goes through the one committer.

A report is written into its attempt's draft, as a pipeline inside would write there, and answered once the commit that
holds it is durable. Reports that come while a commit is under way share the next one. Source: section 9 of the wire
contract.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from shelfwire.clock import Clock, uniform
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.attempt_files import AttemptFiles
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.remote_draft import RemoteDraft
from shelfwire.jobs.stall import StallDetector
from shelfwire.jobs.store import Claimed, Committed, JobStore
from shelfwire.protocol import reports, tokens, worker_transitions
from shelfwire.protocol.job import HELD, JobState, Policy, Status, Transition
from shelfwire.protocol.messages import clip
from shelfwire.protocol.reports import End, Report, ReportAnswer

PATIENCE_SECONDS: Final = 10.0
"""How long a report waits for a store that cannot be written, before its sender is asked to come again."""
FRESH: Final = 0.9
"""The part of a lease that must be left for a renewal to write nothing."""
FORGET_AFTER: Final = 60_000
"""Milliseconds after the end of its lease that an attempt is forgotten; it can be made again from the store."""

log = structlog.get_logger(__name__)


class RemoteAttempts:
    """The engine's interface to workers outside of the server.

    Args:
        store: where jobs are kept.
        committer: makes reports durable.
        policy: lifetimes and limits.
        clock: source of the time.
        inline_limit: the most bytes of results in an ending.
        wake: lets somebody look for a job of a pipeline.
        uniform: returns random numbers in [0, 1), for the backoff.

    Attributes:
        files: what attempts read and keep.
    """

    def __init__(
        self,
        store: JobStore,
        committer: Committer,
        policy: Policy,
        clock: Clock,
        inline_limit: int,
        wake: Callable[[str], None],
        uniform: Callable[[], float] = uniform,
    ) -> None:
        self._store = store
        self._committer = committer
        self._policy = policy
        self._clock = clock
        self._inline_limit = inline_limit
        self._wake = wake
        self._uniform = uniform
        self._drafts: dict[bytes, RemoteDraft] = {}
        self._digests: dict[str, bytes] = {}
        self.files = AttemptFiles(store, clock)

    @property
    def is_stuck(self) -> bool:
        """Whether the store cannot be written, so that leases end of workers that have renewed them."""
        return self._committer.failing

    @property
    def stalled(self) -> int:
        """Number of jobs that workers elsewhere hold, and record nothing of for long."""
        steady = self._clock.steady()
        held = [draft.state for draft in self._drafts.values() if not draft.finished.is_set()]
        return sum(state.stalled and state.lease_until > steady for state in held)

    @property
    def may_claim(self) -> bool:
        """Whether jobs may be claimed; see `TakeoverRule`."""
        return not self.is_stuck and self._committer.takeover.permits_claims

    @property
    def may_take_over(self) -> bool:
        """Whether leases may be taken to have ended; see `TakeoverRule`."""
        return self._committer.takeover.permits

    def begin(self, digest: bytes, claimed: Claimed) -> RemoteDraft:
        """Remember a new attempt by the digest of its report token, in place of an earlier one at the same job."""
        stall = StallDetector(self._clock.monotonic(), self._policy.stall_after / 1000)
        draft = RemoteDraft(claimed.state, claimed.recorded, claimed.selection, stall)
        self._forget(self._digests.get(draft.state.id))
        self._drafts[digest] = draft
        self._digests[draft.state.id] = digest
        return draft

    async def hand_back(self, digest: bytes) -> None:
        """Let another worker have what was claimed for one that has hung up, by the digest of its report token."""
        draft = self._drafts.get(digest)
        if draft is None:
            return
        draft.closing = self._closing(draft.state, End(release=reports.Release()))
        with contextlib.suppress(ShelfwireError):  # it is lost already, or will be when its lease ends
            await self._committed(draft, self._mark(draft))

    async def report(self, job_id: str, token: str | None, body: bytes) -> ReportAnswer:
        """Take a report, and return once it is durable.

        Args:
            job_id: the job.
            token: the report token, as the caller sent it.
            body: the report.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN`, `E_LEASE_LOST`, `E_REPORT_NUMBER`; as
                `reports.decode_report` and `RemoteDraft.add`; `E_STORAGE_UNAVAILABLE`: send it again. A refused report
                changes nothing.
        """
        draft, row = await self._attempt(job_id, token)
        report = reports.decode_report(body)
        crc = reports.checksum(body)
        if draft is not None and report.number > draft.number + 1 and not draft.pending:
            # Another node may have taken those in between.
            self._forget(self._digests.get(draft.state.id))
            draft, row = await self._attempt(job_id, token)
        if draft is None:
            if report.has_content and (row.number, row.crc) == (report.number, crc):
                return self._answer(row)
            raise ShelfwireError(Code.LEASE_LOST)
        if not report.has_content:
            return await self._renew(draft, report)
        if (report.number, crc) != (draft.number, draft.crc):
            self._add(draft, report, crc)
        if draft.answer is None or (draft.answer.done() and not draft.lost):
            return self._answer(draft.state, draft.repeated)
        repeated = draft.repeated
        return self._answer(await self._committed(draft, draft.answer), repeated)

    def _add(self, draft: RemoteDraft, report: Report, crc: int) -> None:
        if draft.closing is not None:
            raise ShelfwireError(Code.LEASE_LOST, "The attempt has ended by an earlier report")
        if report.number != draft.number + 1:
            raise _wrong_number(report.number, draft.number + 1)
        closing = None if report.end is None else self._closing(draft.state, report.end)
        draft.add(report, crc, closing, inline_limit=self._inline_limit)
        draft.lease = _lease(report) or draft.lease
        self._notice_stall(draft)
        self._committer.mark(draft, urgent=True)

    def check(self, job_id: str) -> None:
        """Answer the attempt's next report by the row as it is then, because its owner has changed it."""
        digest = self._digests.get(job_id)
        if digest is not None:
            self._drafts[digest].stale = True

    def forget_idle(self) -> None:
        """Forget attempts that have not been heard of since their lease ended a minute ago."""
        limit = self._clock.steady() - FORGET_AFTER
        for digest, draft in list(self._drafts.items()):
            if draft.state.lease_until < limit and not draft.uncommitted and not draft.pending:
                self._forget(digest)

    async def _attempt(self, job_id: str, token: str | None) -> tuple[RemoteDraft | None, JobState]:
        """The attempt that a token is for, and the job's row; no attempt if it does not hold the job any more."""
        digest = tokens.digest(token or "")
        draft = self._drafts.get(digest)
        if draft is not None and draft.state.id == tokens.canonical(job_id):
            return draft, draft.state
        grant = await self.files.authorize(job_id, token)
        row = await self._store.job(grant.job_id)
        if row is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        if row.state.attempt != grant.attempt:
            raise ShelfwireError(Code.LEASE_LOST)
        if row.state.status not in HELD:
            return None, row.state
        recorded = await self._store.recorded(row.state)
        # Somebody may have asked the same meanwhile.
        draft = self._drafts.get(digest) or self.begin(
            digest, Claimed(state=row.state, recorded=recorded.indices, selection=recorded.selection)
        )
        return draft, draft.state

    async def _renew(self, draft: RemoteDraft, report: Report) -> ReportAnswer:
        self._notice_stall(draft)
        state, lease = draft.state, _lease(report)
        length = lease or state.lease or self._policy.lease
        left = state.lease_until - self._clock.steady()
        told = draft.stale or draft.stalled is not None
        if told or left <= length * FRESH or lease not in {None, state.lease}:
            draft.lease = lease or draft.lease
            state = await self._committed(draft, self._mark(draft))
        return self._answer(state)

    def _notice_stall(self, draft: RemoteDraft) -> None:
        """Look whether a worker that is heard of makes progress. The lease tells of one that is not."""
        text = draft.stall.check(self._clock.monotonic(), draft.activity)
        draft.stalled = text or draft.stalled

    def _mark(self, draft: RemoteDraft) -> asyncio.Future[Committed | None]:
        durable = draft.durable()
        self._committer.mark(draft, urgent=True)
        return durable

    async def _committed(self, draft: RemoteDraft, durable: asyncio.Future[Committed | None]) -> JobState:
        """The row once a commit is durable.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: not in time, it may be yet; `E_LEASE_LOST`, `E_UNAUTHORIZED`.
        """
        waiting = asyncio.Event()
        durable.add_done_callback(lambda _: waiting.set())
        await self._clock.wait(waiting, PATIENCE_SECONDS)
        if not durable.done():
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
        committed = durable.result()
        if draft.finished.is_set():
            self._forget(self._digests.get(draft.state.id), draft)
        if committed is None:
            # An erased job is unknown to everybody.
            found = await self._store.job(draft.state.id)
            same = found is not None and found.state.created_at == draft.state.created_at
            raise ShelfwireError(Code.LEASE_LOST if same else Code.UNAUTHORIZED)
        if draft.finished.is_set() and durable is draft.answer:
            state = committed.state
            log.info(
                "attempt over",
                job=state.id,
                pipeline=state.pipeline,
                attempt=state.attempt,
                status=state.status,
                succeeded=state.succeeded,
                failed=state.failed,
            )
        if committed.state.status is Status.QUEUED:
            self._wake(committed.state.pipeline)
        return committed.state

    def _answer(self, state: JobState, repeated: Sequence[int] = ()) -> ReportAnswer:
        return ReportAnswer(
            seq=state.seq,
            status=state.status,
            number=state.number,
            stop="cancel" if state.status is Status.CANCELING else "pause" if state.pausing else None,
            lease_until=ends_at(state, self._clock),
            repeated=list(repeated) if repeated else msgspec.UNSET,
        )

    def _closing(self, state: JobState, end: End) -> Transition:
        attempt, policy, steady = state.attempt, self._policy, self._clock.steady
        if (done := end.complete) is not None:
            return lambda row, now: worker_transitions.complete(
                row, attempt, done.summary, policy, now=now, steady=steady()
            )
        if (failure := end.fail) is not None:
            return lambda row, now: worker_transitions.fail(
                row, attempt, failure.to_error(), policy, now=now, steady=steady()
            )
        if (broken := end.retry) is not None:
            reason = clip(broken.message) or "the worker gave no reason"
            delay = worker_transitions.backoff(state.error_count, self._uniform())
            return lambda row, now: worker_transitions.retry_later(
                row, attempt, reason, delay, policy, now=now, steady=steady()
            )
        return lambda row, now: worker_transitions.release(row, attempt, policy, now=now, steady=steady())

    def _forget(self, digest: bytes | None, only: RemoteDraft | None = None) -> None:
        draft = None if digest is None else self._drafts.get(digest)
        if digest is not None and draft is not None and only in {None, draft}:
            del self._drafts[digest]
            del self._digests[draft.state.id]


def ends_at(state: JobState, clock: Clock) -> int:
    """When the lease of a row ends, as people tell the time; now, if nobody holds the job."""
    left = state.lease_until - clock.steady() if state.status in HELD else 0
    return clock.now() + max(0, left)


def _lease(report: Report) -> int | None:
    return None if report.lease_seconds is None else report.lease_seconds * 1000


def _wrong_number(number: int, expected: int) -> ShelfwireError:
    if not number:
        reason = f"The report has content, and so it needs a number: {expected}"
    elif number == expected - 1:
        reason = f"The report has the number {number}, as an earlier one with other content; the next one is {expected}"
    else:
        reason = f"The report has the number {number}, and the attempt's next one is {expected}"
    return ShelfwireError(Code.REPORT_NUMBER, reason, details={"expected": expected})
