"""The transitions of an attempt at a job: claim it, advance it, end it or release it.

Pure, as `protocol.job`. All are refused once the attempt does not hold the job any more.
"""

from typing import Final, TypeVar

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.job import (
    CLAIMED_TURN,
    HELD,
    HOUR,
    IDLE_TTL,
    IllegalTransitionError,
    JobState,
    Policy,
    Status,
    canceled,
    changed,
    ended,
    lost_at,
    paused,
)
from shelfwire.protocol.messages import MAX_TITLE_CHARS, JobError, Metadata, clip, error_of

MAX_FRUITLESS_CLAIMS: Final = 10
"""From this claim in a row that recorded nothing new, each claim counts against the attempt limit."""


MAX_BACKOFF: Final = 60_000
"""Milliseconds that a job waits at most before it is tried again."""

T = TypeVar("T")


class LeaseLostError(Exception):
    """The attempt no longer holds the job: another worker took it over, or it has ended. Nothing was written."""


class RemoteWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker outside of the server.

    Attributes:
        lease: milliseconds for which it holds the job without renewing.
        name: what it calls itself.
    """

    lease: int
    name: str | None = None


class ProgressDelta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The progress of an attempt since its last commit. None leaves a field as it is.

    Attributes:
        total, metadata: set when the number of items is known.
        succeeded, failed: newly recorded items.
        title, author, isbn: the newest of these items.
        user_message: the new message for the user.
        eta_seconds: whole seconds left.
        reported: see `JobState`; never lowers the earlier value.
        stalled: the message for the user when the attempt has recorded nothing for too long; ignored if the same step
            records an item.
        shown: whether `title`, `author` and `isbn` are of an item in progress, which counts as a sign of life.
        lease: the attempt's lease from now on, in milliseconds.
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
    shown: bool = False
    lease: int | None = None

    @property
    def active(self) -> bool:
        """Whether the attempt did something."""
        changes = self.succeeded, self.failed, self.reported
        return any(changes) or self.total is not None or self.user_message is not None

    @property
    def visible(self) -> bool:
        """Whether a follower can see a difference; false if only the lease is renewed."""
        return self.active or self.shown or self.stalled is not None


def claimable(state: JobState, *, now: int, steady: int | None = None) -> bool:
    """Whether a worker may claim the job: it waits and its time has come, or the lease of its worker has expired.

    Args:
        state: the row as it is stored.
        now: the time.
        steady: the time of a clock that nobody sets, by which leases and backoffs are kept; `now` unless given. No job
            waits longer than `MAX_BACKOFF`; one that seems to was made to by the clock of another process.
    """
    steady = _steady(now, steady)
    if state.status is Status.QUEUED:
        return not steady < state.lease_until <= steady + MAX_BACKOFF
    return state.status in HELD and state.lease_until <= steady


def claim(
    state: JobState, policy: Policy, *, now: int, steady: int | None = None, remote: RemoteWorker | None = None
) -> JobState:
    """Claim the job with the next attempt number; the caller has checked `claimable`.

    A job with a pending cancel ends here, and so does one after too many fruitless claims; one with a pending pause is
    paused. Only a job that is `running` now is the caller's.

    Args:
        state: the row as it is stored.
        policy: the operator's limits.
        now: the time.
        steady: the time by which leases are kept; see `claimable`.
        remote: the worker, if it is outside of the server.
    """
    if not claimable(state, now=now, steady=steady):
        raise IllegalTransitionError(state, "be claimed")
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now, steady=steady)
    if state.pausing:
        return paused(state, now=now)
    fruitless_claims = state.fruitless_claims + 1
    error_count = state.error_count + (fruitless_claims >= MAX_FRUITLESS_CLAIMS)
    if error_count >= policy.max_errors:
        reason = f"{fruitless_claims} attempts in a row recorded nothing before they were lost"
        return _exhausted(state, policy, now, reason)
    return changed(
        state,
        now,
        status=Status.RUNNING,
        attempt=state.attempt + 1,
        number=0,
        turn=CLAIMED_TURN,
        crc=0,
        remote=remote is not None,
        lease=None if remote is None else remote.lease,
        worker=None if remote is None else remote.name,
        lost_at=None,
        fruitless_claims=fruitless_claims,
        error_count=error_count,
        lease_until=_steady(now, steady) + (policy.lease if remote is None else remote.lease),
        eta_seconds=None,
        user_message="Starting…" if state.started_at is None else "Continuing…",
    )


def lapse(state: JobState, policy: Policy, *, now: int, steady: int | None = None) -> JobState:
    """What follows from the time alone: the lease of a remote worker has ended, or nobody has had the job for too long.

    A pending cancel or pause takes effect. Otherwise the job is shown as stalled and can be claimed, and the attempt
    wins it back by its next report if nobody has.

    Args:
        state: the row as it is stored; returned as it is where nothing follows.
        policy: the operator's limits.
        now: the time.
        steady: the time by which leases are kept; see `claimable`.
    """
    then = _steady(now, steady)
    if state.lost_at is not None and state.lost_at <= then and not state.ended:
        return ended(state, Status.FAILED, policy, now, steady, error=error_of(ShelfwireError(Code.WORKER_LOST)))
    if not state.remote or state.status not in HELD or not 0 < state.lease_until <= then:
        return state
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now, steady=steady)
    if state.pausing:
        return paused(state, now=now)
    return changed(
        state,
        now,
        stalled=True,
        lease_until=0,
        lost_at=lost_at(state, then),
        eta_seconds=None,
        user_message="Waiting for the worker…",
    )


def renumber(state: JobState, created_at: int, shown: int) -> JobState:
    """Return the row at a revision above one that followers have been shown and that the store has lost since.

    Followers take nothing for news that is not above what they have.

    Args:
        state: the row as it is stored.
        created_at: of the job that they follow.
        shown: the revision.
    """
    if state.created_at != created_at or state.ended or state.seq >= shown:
        return state
    return msgspec.structs.replace(state, seq=shown + 1)


def advance(
    state: JobState, attempt: int, step: ProgressDelta, policy: Policy, *, now: int, steady: int | None = None
) -> JobState:
    """Add the progress of `attempt`, and renew its lease.

    Args:
        state: the row as it is stored.
        attempt: the attempt.
        step: what it achieved.
        policy: the operator's limits.
        now: the time.
        steady: the time by which leases are kept; see `claimable`.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    state = state if step.lease is None else msgspec.structs.replace(state, lease=step.lease)
    lease_until = _steady(now, steady) + (policy.lease if state.lease is None else state.lease)
    if state.lapsed:
        state = msgspec.structs.replace(state, stalled=False, user_message=None, lost_at=None)
        step = step if step.visible else msgspec.structs.replace(step, user_message="Continuing…")
    if not step.visible:
        return msgspec.structs.replace(state, lease_until=lease_until)
    starts = step.total is not None and state.started_at is None
    recorded = step.succeeded + step.failed or step.reported > state.reported
    silence = step.stalled if state.status is Status.RUNNING and not state.pausing else None
    alive = recorded or step.shown
    stalled = not alive and (state.stalled or silence is not None)
    kept = None if recorded or (step.shown and state.stalled) else _first(silence, state.user_message)
    message = _first(_text(step.user_message), kept)
    idle = now + IDLE_TTL - state.expires_at < HOUR or not step.active
    return changed(
        state,
        now,
        stalled=stalled,
        lease_until=lease_until,
        expires_at=state.expires_at if idle else now + IDLE_TTL,
        total=_first(step.total, state.total),
        metadata=_first(step.metadata, state.metadata),
        started_at=now if starts else state.started_at,
        started_steady=steady if starts else state.started_steady,
        succeeded=state.succeeded + step.succeeded,
        failed=state.failed + step.failed,
        reported=max(state.reported, step.reported),
        fruitless_claims=0 if recorded else state.fruitless_claims,
        error_count=0 if recorded else state.error_count,
        title=_text(step.title) if alive or step.title else state.title,
        author=_text(step.author) if alive else state.author,
        isbn=_text(step.isbn) if alive else state.isbn,
        user_message=message,
        eta_seconds=None if stalled else _first(step.eta_seconds, state.eta_seconds),
    )


def complete(
    state: JobState, attempt: int, summary: str, policy: Policy, *, now: int, steady: int | None = None
) -> JobState:
    """End the job as complete, even if a cancel came too late to stop it; `steady` measures how long it took.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    started = state.started_at if state.started_at is not None else now
    total = state.processed if state.total is None else state.total
    return ended(state, Status.COMPLETE, policy, now, steady, started_at=started, total=total, summary=clip(summary))


def fail(
    state: JobState, attempt: int, error: JobError, policy: Policy, *, now: int, steady: int | None = None
) -> JobState:
    """End the job as failed: it cannot be done as a whole, and trying again would not help; `steady` as in `complete`.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    return ended(state, Status.FAILED, policy, now, steady, error=error)


def release(state: JobState, attempt: int, policy: Policy, *, now: int, steady: int | None = None) -> JobState:
    """Release the job from its worker without counting an error: it is canceled or paused if that was requested.

    Otherwise it waits for the next worker.

    Args:
        state: the row as it is stored.
        attempt: the attempt that holds it.
        policy: the operator's limits.
        now: the time.
        steady: the time by which jobs take turns; see `claimable`.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    state = msgspec.structs.replace(state, fruitless_claims=max(0, state.fruitless_claims - 1))
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now, steady=steady)
    if state.pausing:
        return paused(state, now=now)
    # A worker may claim and hang up over and over, and the job keeps its place and what its owner sees.
    untouched = state.remote and state.number == 0
    run_at = state.run_at if untouched else _steady(now, steady)
    return changed(
        state,
        now,
        status=Status.QUEUED,
        run_at=run_at,
        lease_until=0,
        lost_at=lost_at(state, _steady(now, steady)),
        eta_seconds=None,
        user_message="Waiting to start…" if untouched and state.started_at is None else "Waiting to continue…",
    )


def retry_later(
    state: JobState, attempt: int, reason: str, delay: int, policy: Policy, *, now: int, steady: int | None = None
) -> JobState:
    """The attempt failed with an exception: retry after `delay` milliseconds, or give up at the limit.

    Args:
        state: the row as it is stored.
        attempt: the attempt that failed.
        reason: what went wrong, for a developer.
        delay: see `backoff`.
        policy: the operator's limits.
        now: the time.
        steady: the time by which the delay is kept; see `claimable`.

    Raises:
        LeaseLostError: `attempt` does not hold the job any more.
    """
    _fence(state, attempt)
    if state.status is Status.CANCELING:
        return canceled(state, policy, now=now, steady=steady)
    due = _steady(now, steady) + delay
    error_count = state.error_count + 1
    if error_count >= policy.max_errors:
        return _exhausted(state, policy, now, reason)
    if state.pausing:
        return paused(msgspec.structs.replace(state, error_count=error_count), now=now)
    return changed(
        state,
        now,
        status=Status.QUEUED,
        error_count=error_count,
        run_at=due,
        lease_until=due,
        lost_at=lost_at(state, due),
        eta_seconds=None,
        user_message=f"Something went wrong. Trying again in {max(1, round(delay / 1000))} s…",
    )


def backoff(error_count: int, fraction: float) -> int:
    """Return the milliseconds to wait after an exception that `error_count` others preceded.

    Doubles from one second to one minute; `fraction` in [0, 1) takes off up to half, so that jobs that failed together
    are not retried together.
    """
    full = min(MAX_BACKOFF, 1000 * 2 ** min(error_count, 6))
    return int(full * (1 - fraction / 2))


def _steady(now: int, steady: int | None) -> int:
    return now if steady is None else steady


def _fence(state: JobState, attempt: int) -> None:
    if state.attempt != attempt or state.status not in HELD:
        raise LeaseLostError(state.id)


def _first(new: T | None, old: T | None) -> T | None:
    return old if new is None else new


def _text(text: str | None) -> str | None:
    return clip(text, MAX_TITLE_CHARS) if text else None


def _exhausted(state: JobState, policy: Policy, now: int, reason: str) -> JobState:
    message = f"{Code.ATTEMPTS_EXHAUSTED.entry.message}: {reason}"
    return ended(state, Status.FAILED, policy, now, error=error_of(ShelfwireError(Code.ATTEMPTS_EXHAUSTED, message)))
