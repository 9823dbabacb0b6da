"""The transitions that a job's owner requests, as pure functions from one row to the next.

A living worker confirms a cancel or a pause (`worker_transitions.release`); without one it takes effect at once.
Illegal requests raise `IllegalTransitionError`; repeating a request that is pending changes nothing.
"""

from collections.abc import Collection, Sequence

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.job import (
    HELD,
    IllegalTransitionError,
    JobState,
    Policy,
    Status,
    canceled,
    changed,
    create,
    lost_at,
    paused,
)


def cancel(state: JobState, policy: Policy, *, now: int, steady: int | None = None) -> JobState:
    """Request that the job stop for good.

    Args:
        state: the row as it is stored.
        policy: the operator's limits.
        now: the time.
        steady: the time by which leases are kept; see `worker_transitions.claimable`.

    Raises:
        IllegalTransitionError: it has ended.
    """
    if state.ended:
        raise IllegalTransitionError(state, "be canceled")
    if not _held(state, now if steady is None else steady):
        return canceled(state, policy, now=now, steady=steady)
    if state.status is Status.CANCELING:
        return state
    return changed(state, now, status=Status.CANCELING, pausing=False, user_message="Canceling…")


def pause(state: JobState, *, now: int, steady: int | None = None) -> JobState:
    """Request that the job release its worker and wait for `resume`, also over restarts.

    Args:
        state: the row as it is stored.
        now: the time.
        steady: the time by which leases are kept; see `worker_transitions.claimable`.

    Raises:
        IllegalTransitionError: it is paused already, is being canceled or has ended.
    """
    if state.status not in {Status.QUEUED, Status.RUNNING}:
        raise IllegalTransitionError(state, "be paused")
    if not _held(state, now if steady is None else steady):
        return paused(state, now=now)
    if state.pausing:
        return state
    return changed(state, now, pausing=True, user_message="Pausing…")


def resume(state: JobState, *, now: int, steady: int | None = None) -> JobState:
    """Let a paused job continue, or withdraw a pause that is not confirmed yet.

    Args:
        state: the row as it is stored.
        now: the time.
        steady: the time by which jobs take turns; see `worker_transitions.claimable`.

    Raises:
        IllegalTransitionError: it is neither paused nor about to be.
    """
    if state.status is Status.PAUSED:
        since = now if steady is None else steady
        return changed(
            state,
            now,
            status=Status.QUEUED,
            run_at=since,
            lost_at=lost_at(state, since),
            user_message="Waiting to continue…",
        )
    if state.pausing:
        return changed(state, now, pausing=False, user_message="Continuing…")
    raise IllegalTransitionError(state, "be resumed")


def delete(state: JobState, policy: Policy, *, now: int) -> JobState:
    """The ending of a job that is about to be erased; one that has ended stays as it is."""
    return state if state.ended else canceled(state, policy, now=now, reason="The job was deleted on request")


def expire(state: JobState, policy: Policy, *, now: int) -> JobState:
    """The ending of a job that is erased because it made no progress for too long; an ended one stays as it is."""
    return state if state.ended else canceled(state, policy, now=now, reason="The job made no progress and has expired")


def retry(source: JobState, job_id: str, *, now: int, steady: int | None = None) -> JobState:
    """Make a new job of the same caller over the failed and unrecorded items of `source`; it waits since `steady`.

    Raises:
        IllegalTransitionError: it has not ended.
    """
    if not source.ended:
        raise IllegalTransitionError(source, "be retried before it has ended")
    made = create(
        job_id,
        source.pipeline,
        now=now,
        steady=steady,
        metadata=source.metadata,
        retry_of=source.id,
        caller=source.caller,
    )
    return msgspec.structs.replace(made, tags=source.tags, callback_url=source.callback_url)


def left_undone(source: JobState, done: Collection[int], selection: Sequence[int] | None) -> list[int] | None:
    """Return the items of the input that a retry of `source` has to do.

    Args:
        source: the ended job.
        done: the indices of its items that were done.
        selection: the items of the input that `source` itself had to do, if it is a retry; None for all.

    Returns:
        Indices into the input, ascending; None for all, if they were never counted.

    Raises:
        ShelfwireError: `E_JOB_STATE`: nothing is left.
    """
    if source.total is None:
        return None if selection is None else list(selection)
    places = range(source.total) if selection is None else selection
    left = [place for index, place in enumerate(places) if index not in done]
    if not left:
        raise ShelfwireError(
            Code.JOB_STATE,
            f"Every item of job {source.id} was done; nothing is left to retry",
            user_message="Everything in this job worked. There is nothing to try again.",
        )
    return left


def chosen(
    source: JobState, done: Collection[int], selection: Sequence[int] | None, mended: Collection[int], *, alone: bool
) -> list[int]:
    """Return the items of the input that a retry of `source` has to do, some of which its owner has mended.

    Args:
        source: the ended job.
        done: as for `left_undone`.
        selection: likewise.
        mended: the indices in the log of `source` of the mended items.
        alone: whether these alone are to be done.

    Returns:
        Indices into the input, ascending.

    Raises:
        ShelfwireError: `E_ITEM_UNKNOWN`: one of them was done, or is none of the job's.
    """
    places = range(source.total or 0) if selection is None else selection
    for index in mended:
        if index in done or not 0 <= index < len(places):
            what = "was done" if index in done else "is none of its"
            raise ShelfwireError(
                Code.ITEM_UNKNOWN,
                f"Item {index} of job {source.id} {what}: mend items that failed, or that are not recorded",
                user_message="One of these was done already. Load the list anew, and try the others again.",
                details={"index": index},
            )
    undone = (index for index in range(len(places)) if index not in done)
    return [places[index] for index in (sorted(mended) if alone else undone)]


def _held(state: JobState, steady: int) -> bool:
    return state.status in HELD and state.lease_until > steady
