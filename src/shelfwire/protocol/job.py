"""A job's state and its legal transitions, as pure functions from one state to the next.

The store calls them inside its transaction on the row it has just read, so `seq` always grows from what is stored and
never from anybody's memory. A transition that a follower can see raises `seq` by one; renewing a lease does not.
All times are milliseconds since the epoch.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from shelfwire.errors import CODES, Code, ShelfwireError
from shelfwire.protocol.messages import MAX_TITLE_CHARS, JobError, Metadata, clip, error_of

HOUR: Final = 3600 * 1000
IDLE_TTL: Final = 7 * 24 * HOUR
"""A job without progress for seven days expires (section 4 of the contract); moved on once an hour at most."""
MAX_BARREN_CLAIMS: Final = 10
"""From this claim in a row that recorded nothing new, each claim counts against the attempt limit."""


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELING = "canceling"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED: Final = frozenset({Status.COMPLETE, Status.FAILED, Status.CANCELED})
HELD: Final = frozenset({Status.RUNNING, Status.CANCELING})
"""The states in which a worker holds the job, alive or not."""


class JobState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The row of a job: everything a person or a worker needs to know of it.

    Attributes:
        id: a UUID.
        pipeline: which pipeline runs it.
        status: where it stands.
        stalled: whether it runs and has recorded nothing for too long; over with the next item or change of status.
        pausing: whether a pause was asked of the worker that holds it, and not confirmed yet.
        seq: the revision; grows by one with every change a follower can see.
        attempt: how often it was claimed; a commit that carries another number is fenced off.
        strikes: exceptions and barren claims that count against the attempt limit.
        barren: claims in a row that recorded nothing new.
        run_at: not to be claimed before.
        lease_until: the worker that holds it must renew before.
        created_at, started_at, updated_at, ended_at: when it was made, first knew its total, last changed, ended.
        expires_at: state, input, results and tokens are erased after this.
        total: number of items, once known.
        succeeded, failed: items recorded, by outcome.
        reported: items done by the word of a caller that records none; see `protocol.legacy`.
        title, author, isbn: the item recorded last.
        user_message: what to tell a person beside the counts.
        eta_seconds: whole seconds left, from the measured rate.
        metadata: what the job works on.
        error: why it failed or was canceled.
        summary: what it came to, for a person.
        retry_of: the ended job whose failed and unrecorded items this one does.
    """

    id: str
    pipeline: str
    status: Status
    seq: int
    created_at: int
    updated_at: int
    expires_at: int
    run_at: int
    lease_until: int
    attempt: int = 0
    strikes: int = 0
    barren: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    total: int | None = None
    pausing: bool = False
    stalled: bool = False
    succeeded: int = 0
    failed: int = 0
    reported: int = 0
    title: str | None = None
    author: str | None = None
    isbn: str | None = None
    user_message: str | None = None
    eta_seconds: int | None = None
    metadata: Metadata | None = None
    error: JobError | None = None
    summary: str | None = None
    retry_of: str | None = None

    @property
    def recorded(self) -> int:
        """Items in the log, whatever their outcome."""
        return self.succeeded + self.failed

    @property
    def processed(self) -> int:
        """Items done: those recorded, or as many as a caller that records none has reported."""
        return max(self.recorded, self.reported)

    @property
    def ended(self) -> bool:
        """Whether the job can never change again."""
        return self.status in ENDED

    @property
    def duration(self) -> int:
        """Whole seconds from the start to the end; 0 for a job that never started or has not ended."""
        if self.started_at is None or self.ended_at is None:
            return 0
        return max(0, self.ended_at - self.started_at) // 1000


class IllegalTransitionError(ShelfwireError):
    """The job's state does not allow what was asked."""

    def __init__(self, state: JobState, wish: str) -> None:
        super().__init__(
            Code.JOB_STATE,
            f"Job {state.id} is {state.status} and cannot {wish}",
            user_message=f"This job is {state.status} and cannot {wish}.",
            details={"status": str(state.status)},
        )


class LeaseLostError(Exception):
    """The attempt no longer holds the job: another worker took it over, or it has ended. Nothing was written."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides about every job's life.

    Attributes:
        lease: milliseconds a worker holds a job without renewing.
        ended_ttl: milliseconds an ended job is kept.
        token_ttl: milliseconds a token lasts; None for as long as its job.
        stall_after: milliseconds without an item after which a running job is stalled; 0 is never.
        max_strikes: so many count against a job before it is given up.
    """

    lease: int = 1500
    ended_ttl: int = 24 * 3600 * 1000
    token_ttl: int | None = None
    stall_after: int = 60_000
    max_strikes: int = 5


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt achieved since its last commit. None leaves a field as it is.

    Attributes:
        total, metadata: set when the pipeline has learned how many items there are.
        succeeded, failed: newly recorded items.
        title, author, isbn: the newest of these items.
        user_message: what to tell a person from now on.
        eta_seconds: whole seconds left.
        reported: see `JobState`; never lowers what was reported before.
        stalled: the attempt has recorded nothing for too long, and this is what to tell a person; an item in the same
            step makes that untrue.
    """

    total: int | None = None
    metadata: Metadata | None = None
    succeeded: int = 0
    failed: int = 0
    reported: int = 0
    title: str | None = None
    author: str | None = None
    isbn: str | None = None
    user_message: str | None = None
    eta_seconds: int | None = None
    stalled: str | None = None

    @property
    def active(self) -> bool:
        """Whether the attempt did something."""
        changes = self.succeeded, self.failed, self.reported
        return any(changes) or self.total is not None or self.user_message is not None

    @property
    def visible(self) -> bool:
        """Whether a follower can see a difference; false for a mere renewal of the lease."""
        return self.active or self.stalled is not None


def create(
    job_id: str, pipeline: str, *, now: int, metadata: Metadata | None = None, retry_of: str | None = None
) -> JobState:
    """A new job, waiting for a worker."""
    return JobState(
        id=job_id,
        pipeline=pipeline,
        status=Status.QUEUED,
        seq=1,
        created_at=now,
        updated_at=now,
        run_at=now,
        lease_until=0,
        expires_at=now + IDLE_TTL,
        user_message="Waiting to start…",
        metadata=metadata,
        retry_of=retry_of,
    )


def claimable(state: JobState, *, now: int) -> bool:
    """Whether a worker may take the job: it waits and its time has come, or the lease of who held it has ended."""
    if state.status is Status.QUEUED:
        return state.run_at <= now
    return state.status in HELD and state.lease_until <= now


def claim(state: JobState, policy: Policy, *, now: int) -> JobState:
    """Take the job with the next attempt number; the caller has asked `claimable`.

    A job whose cancel was asked for ends here, and so does one whose claims came to nothing too often; one whose pause
    was asked for is paused. Only a job that is `running` now is the caller's.
    """
    if not claimable(state, now=now):
        raise IllegalTransitionError(state, "be claimed")
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now)
    if state.pausing:
        return paused(state, now=now)
    barren = state.barren + 1
    strikes = state.strikes + (barren >= MAX_BARREN_CLAIMS)
    if strikes >= policy.max_strikes:
        return _exhausted(state, policy, now, f"{barren} attempts in a row recorded nothing before they were lost")
    return changed(
        state,
        now,
        status=Status.RUNNING,
        attempt=state.attempt + 1,
        barren=barren,
        strikes=strikes,
        lease_until=now + policy.lease,
        eta_seconds=None,
        user_message="Starting…" if state.started_at is None else "Continuing…",
    )


def advance(state: JobState, attempt: int, step: Advance, policy: Policy, *, now: int) -> JobState:
    """Add what `attempt` achieved, and renew its lease.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    lease_until = now + policy.lease
    if not step.visible:
        return msgspec.structs.replace(state, lease_until=lease_until)
    recorded = step.succeeded + step.failed or step.reported > state.reported
    silence = step.stalled if state.status is Status.RUNNING and not state.pausing else None
    stalled = not recorded and (state.stalled or silence is not None)
    message = _first(_text(step.user_message), None if recorded else _first(silence, state.user_message))
    idle = now + IDLE_TTL - state.expires_at < HOUR or not step.active
    return changed(
        state,
        now,
        stalled=stalled,
        lease_until=lease_until,
        expires_at=state.expires_at if idle else now + IDLE_TTL,
        total=_first(step.total, state.total),
        metadata=_first(step.metadata, state.metadata),
        started_at=now if step.total is not None and state.started_at is None else state.started_at,
        succeeded=state.succeeded + step.succeeded,
        failed=state.failed + step.failed,
        reported=max(state.reported, step.reported),
        barren=0 if recorded else state.barren,
        title=_text(step.title) if recorded or step.title else state.title,
        author=_text(step.author) if recorded else state.author,
        isbn=_text(step.isbn) if recorded else state.isbn,
        user_message=message,
        eta_seconds=None if stalled else _first(step.eta_seconds, state.eta_seconds),
    )


def complete(state: JobState, attempt: int, summary: str, policy: Policy, *, now: int) -> JobState:
    """The attempt did all there was to do, even if a cancel came too late to stop it.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    started = state.started_at if state.started_at is not None else now
    total = state.processed if state.total is None else state.total
    return _ended(state, Status.COMPLETE, policy, now, started_at=started, total=total, summary=clip(summary))


def fail(state: JobState, attempt: int, error: JobError, policy: Policy, *, now: int) -> JobState:
    """The attempt found that the job as a whole cannot be done, and trying again would not help.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    return _ended(state, Status.FAILED, policy, now, error=error)


def hand_back(state: JobState, attempt: int, policy: Policy, *, now: int) -> JobState:
    """The worker has stopped, and nothing counts against the job: it is canceled or paused if that was asked for.

    Else the worker leaves, and the job waits for the next one.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    state = msgspec.structs.replace(state, barren=max(0, state.barren - 1))
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now)
    if state.pausing:
        return paused(state, now=now)
    return changed(
        state,
        now,
        status=Status.QUEUED,
        run_at=now,
        lease_until=0,
        eta_seconds=None,
        user_message="Waiting to continue…",
    )


def retry_later(state: JobState, attempt: int, reason: str, delay: int, policy: Policy, *, now: int) -> JobState:
    """The attempt broke off with an exception: wait `delay` milliseconds and try again, or give up at the limit.

    Args:
        state: the row as it is stored.
        attempt: the attempt that broke off.
        reason: what went wrong, technically.
        delay: see `backoff`.
        policy: the operator's limits.
        now: the time.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now)
    strikes = state.strikes + 1
    if strikes >= policy.max_strikes:
        return _exhausted(state, policy, now, reason)
    if state.pausing:
        return paused(msgspec.structs.replace(state, strikes=strikes), now=now)
    return changed(
        state,
        now,
        status=Status.QUEUED,
        strikes=strikes,
        run_at=now + delay,
        lease_until=0,
        eta_seconds=None,
        user_message=f"Something went wrong. Trying again in {max(1, round(delay / 1000))} s…",
    )


def backoff(strikes: int, fraction: float) -> int:
    """Milliseconds to wait after the exception that follows `strikes` earlier ones.

    Doubles from one second to one minute; `fraction` in [0, 1) takes off up to half of it, so that jobs which failed
    together do not come back together.
    """
    full = min(60_000, 1000 * 2 ** min(strikes, 6))
    return int(full * (1 - fraction / 2))


T = TypeVar("T")

Transition = Callable[[JobState, int], JobState]
"""From the stored row and the time to the next row: what an attempt asks of the store at its end, or an owner."""


def changed(state: JobState, now: int, **fields: object) -> JobState:
    """The next revision of a row, with these fields; it is not stalled unless they say so."""
    fields = {"stalled": False, "seq": state.seq + 1, "updated_at": max(now, state.updated_at), **fields}
    return msgspec.structs.replace(state, **fields)


def paused(state: JobState, *, now: int) -> JobState:
    """The job without a worker, until its owner resumes it."""
    return changed(
        state, now, status=Status.PAUSED, pausing=False, lease_until=0, eta_seconds=None, user_message="Paused"
    )


def canceled(state: JobState, policy: Policy, *, now: int, reason: str | None = None) -> JobState:
    """The ending of a job whose owner does not want it any more."""
    error = error_of(ShelfwireError(Code.JOB_CANCELED, reason))
    return _ended(state, Status.CANCELED, policy, now, error=error)


def _fence(state: JobState, attempt: int) -> None:
    if state.attempt != attempt or state.status not in HELD:
        raise LeaseLostError(state.id)


def _first(new: T | None, old: T | None) -> T | None:
    return old if new is None else new


def _text(text: str | None) -> str | None:
    return clip(text, MAX_TITLE_CHARS) if text else None


def _ended(state: JobState, status: Status, policy: Policy, now: int, **fields: object) -> JobState:
    return changed(
        state,
        now,
        status=status,
        pausing=False,
        ended_at=now,
        expires_at=now + policy.ended_ttl,
        lease_until=0,
        eta_seconds=None,
        user_message=None,
        **fields,
    )


def _exhausted(state: JobState, policy: Policy, now: int, reason: str) -> JobState:
    message = f"{CODES[Code.ATTEMPTS_EXHAUSTED].message}: {reason}"
    return _ended(state, Status.FAILED, policy, now, error=error_of(ShelfwireError(Code.ATTEMPTS_EXHAUSTED, message)))
