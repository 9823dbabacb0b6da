"""What a job's owner may ask of it, as pure functions from one state to the next.

A living worker confirms a cancel or a pause (`protocol.attempts.release`); where none lives it takes effect at once.
Illegal wishes raise `IllegalTransitionError`; asking again for what is under way changes nothing.
"""

from collections.abc import Collection, Sequence

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
    paused,
)


def cancel(state: JobState, policy: Policy, *, now: int) -> JobState:
    """Ask for the job to stop for good.

    Raises:
        IllegalTransitionError: it has ended.
    """
    if state.ended:
        raise IllegalTransitionError(state, "be canceled")
    if not _held(state, now):
        return canceled(state, policy, now=now)
    if state.status is Status.CANCELING:
        return state
    return changed(state, now, status=Status.CANCELING, pausing=False, user_message="Canceling…")


def pause(state: JobState, *, now: int) -> JobState:
    """Ask for the job to let go of its worker and wait for `resume`, over restarts too.

    Raises:
        IllegalTransitionError: it is paused already, is being canceled or has ended.
    """
    if state.status not in {Status.QUEUED, Status.RUNNING}:
        raise IllegalTransitionError(state, "be paused")
    if not _held(state, now):
        return paused(state, now=now)
    if state.pausing:
        return state
    return changed(state, now, pausing=True, user_message="Pausing…")


def resume(state: JobState, *, now: int) -> JobState:
    """Let a paused job go on, or take a pause back that is not confirmed yet.

    Raises:
        IllegalTransitionError: it is neither paused nor about to be.
    """
    if state.status is Status.PAUSED:
        return changed(state, now, status=Status.QUEUED, run_at=now, user_message="Waiting to continue…")
    if state.pausing:
        return changed(state, now, pausing=False, user_message="Continuing…")
    raise IllegalTransitionError(state, "be resumed")


def delete(state: JobState, policy: Policy, *, now: int) -> JobState:
    """The ending of a job that is about to be erased; one that has ended stays as it is."""
    return state if state.ended else canceled(state, policy, now=now, reason="The job was deleted on request")


def expire(state: JobState, policy: Policy, *, now: int) -> JobState:
    """The ending of a job that nothing has become of for so long that it is erased; an ended one stays as it is."""
    return state if state.ended else canceled(state, policy, now=now, reason="The job made no progress and has expired")


def retry(source: JobState, job_id: str, *, now: int) -> JobState:
    """Make a new job over what `source` left undone.

    Raises:
        IllegalTransitionError: it has not ended.
    """
    if not source.ended:
        raise IllegalTransitionError(source, "be retried before it has ended")
    return create(job_id, source.pipeline, now=now, metadata=source.metadata, retry_of=source.id)


def left_undone(source: JobState, done: Collection[int], selection: Sequence[int] | None) -> list[int] | None:
    """Which items of the input a retry of `source` has to do.

    Args:
        source: the ended job.
        done: the indices of its items that were done.
        selection: which items of the input `source` itself had to do, if it is a retry of others; None for all.

    Returns:
        Indices into the input, ascending; None for all, where nobody ever counted them.

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


def _held(state: JobState, now: int) -> bool:
    return state.status in HELD and state.lease_until > now
