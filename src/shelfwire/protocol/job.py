"""A job's state and its legal transitions, as pure functions from one state to the next.

The store calls them inside its transaction on the row it has just read, so `seq` always grows from the stored value. A
transition that a follower can see raises `seq` by one; renewing a lease does not.
All times are milliseconds since the epoch.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.messages import JobError, Metadata, error_of

HOUR: Final = 3600 * 1000
IDLE_TTL: Final = 7 * 24 * HOUR
"""A job without progress for seven days expires (section 4 of the contract); moved on once an hour at most."""


class Status(StrEnum):
    """The status of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELING = "canceling"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED: Final = frozenset({Status.COMPLETE, Status.FAILED, Status.CANCELED})
HELD: Final = frozenset({Status.RUNNING, Status.CANCELING})
"""The statuses in which a worker holds the job, alive or not."""
CLAIMED_TURN: Final = -1
"""The turn of a job that a worker has claimed: if it comes back to the queue it goes on before others begin."""


MAX_EVENTS: Final = 50
"""What is kept of a job's history, the newest."""


class EventKind(StrEnum):
    """What happened to a job, beside progress.

    Attributes:
        CREATED: it was made.
        CLAIMED: a worker began an attempt.
        RETRYING: the attempt failed, and the job is tried again.
        RELEASED: the attempt let go of it, as when its process stops.
        LOST: the lease of a worker elsewhere has ended.
        STALLED: nothing was recorded for too long.
        PAUSING, CANCELING: that was requested while a worker had it.
        RESUMED: it goes on, or the request to pause was taken back.
        PAUSED, COMPLETE, FAILED, CANCELED: it is.
    """

    CREATED = "created"
    CLAIMED = "claimed"
    RETRYING = "retrying"
    RELEASED = "released"
    LOST = "lost"
    STALLED = "stalled"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMED = "resumed"
    CANCELING = "canceling"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


class JobEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened to a job.

    Attributes:
        at: when, in milliseconds since the epoch.
        kind: what: an `EventKind`, or what a newer version has written.
        attempt: the attempt, 0 before the first.
        worker: what a worker elsewhere that has claimed it calls itself.
        code: why it failed.
    """

    at: int
    kind: str
    attempt: int = 0
    worker: str | None = None
    code: str | None = None


class JobState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True):
    """The row of a job: everything that followers and workers need.

    Attributes:
        id: a UUID.
        pipeline: its pipeline.
        status: its status.
        stalled: whether it runs and has recorded nothing for too long; reset by the next item or change of status.
        pausing: whether a pause was requested that its worker has not confirmed yet.
        seq: the revision; grows by one with every change that a follower can see.
        attempt: the number of claims; a commit with another number is fenced off.
        number: of the attempt's commit that was applied last; 0 before the first. See `jobs.store.Change`.
        crc: the checksum of the report with this number; 0 where the worker is inside the server.
        remote: whether the attempt's worker is outside of the server; see `protocol.reports`.
        lease: milliseconds for which it holds the job without renewing; None for the policy's.
        worker: what such a worker calls itself.
        lost_after: milliseconds without a worker after which the job fails; None for never.
        lost_at: when it fails unless a worker has it by then, by the clock of `lease_until`; None while one has it.
        tags: the creator's own, by which jobs are found.
        callback_url: the address that is called when the job has ended; None for none.
        error_count: exceptions and fruitless claims since an item was recorded, which count against the attempt limit.
        fruitless_claims: claims in a row that recorded nothing new.
        run_at: since when it waits for its turn, or will: the order of the queue, by the same clock as `lease_until`.
        lease_until: by when its worker must renew the lease, or until when a queued job waits after an error; on a
            clock that nobody sets, neither for people nor for another process. 0 where none waits for it, as once the
            lease of a remote worker has ended.
        created_at, started_at, updated_at, ended_at: when it was made, first knew its total, last changed, ended.
        started_steady: when it started, by the clock of `lease_until`; None in rows of older versions.
        took: milliseconds from the start to the end by that clock; None where it is not known.
        expires_at: when state, input, results and tokens are erased.
        total: number of items, once known.
        succeeded, failed: items recorded, by outcome.
        reported: items done according to a caller that records none; see `protocol.legacy`.
        title, author, isbn: the item recorded last.
        user_message: a message for the user, beside the counts.
        eta_seconds: whole seconds left, from the measured rate.
        metadata: what the job works on.
        error: why it failed or was canceled.
        summary: a sentence for the user about the outcome.
        retry_of: the ended job whose failed and unrecorded items this one retries.
        caller: who made it, as a digest; the callers of a pipeline take turns. "" is this machine: the application that
            shelfwire is part of, and callers at a loopback address.
        turn: its place in the queue of its pipeline; see `next_turn`.
        history: what happened to it since it was made, the newest `MAX_EVENTS`.
        rest: members that a newer shelfwire has written, and this one does not know; see `decode_row`.
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
    number: int = 0
    crc: int = 0
    remote: bool = False
    lease: int | None = None
    worker: str | None = None
    lost_after: int | None = None
    lost_at: int | None = None
    tags: tuple[str, ...] = ()
    callback_url: str | None = None
    error_count: int = msgspec.field(default=0, name="strikes")  # the names in stored rows
    fruitless_claims: int = msgspec.field(default=0, name="barren")
    started_at: int | None = None
    ended_at: int | None = None
    started_steady: int | None = None
    took: int | None = None
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
    caller: str = ""
    turn: int = 0
    history: tuple[JobEvent, ...] = ()
    rest: Mapping[str, Any] | None = None

    @property
    def recorded(self) -> int:
        """Recorded items, whatever their outcome."""
        return self.succeeded + self.failed

    @property
    def processed(self) -> int:
        """Processed items: those recorded, or those reported by a caller that records none."""
        return max(self.recorded, self.reported)

    @property
    def ended(self) -> bool:
        """Whether the job can never change again."""
        return self.status in ENDED

    @property
    def lapsed(self) -> bool:
        """Whether the lease of its remote worker has ended, and nobody has claimed it since."""
        return self.remote and self.status in HELD and self.lease_until == 0

    @property
    def duration(self) -> int:
        """Whole seconds from the start to the end; 0 for a job that never started or has not ended."""
        if self.started_at is None or self.ended_at is None:
            return 0
        took = self.ended_at - self.started_at if self.took is None else self.took
        return max(0, took) // 1000


class _NewerRow(JobState, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A row with members that this version does not know."""


_decode: Final = msgspec.json.Decoder(JobState).decode
_decode_newer: Final = msgspec.json.Decoder(_NewerRow).decode
_decode_list: Final = msgspec.json.Decoder(list[JobState]).decode
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_row(text: bytes | str) -> JobState:
    """Decode a row as it is stored. Members of a newer version are kept, so that they are written back.

    Raises:
        msgspec.DecodeError: it is damaged, or shows something that this version cannot know, such as a new status.
    """
    try:
        return _decode(text)
    except msgspec.ValidationError:
        known = msgspec.structs.asdict(_decode_newer(text))
        members = msgspec.json.decode(text)
        return JobState(**{**known, "rest": {name: members[name] for name in members.keys() - _MEMBERS} or None})


def decode_rows(text: bytes | str) -> list[JobState]:
    """Decode a JSON list of rows, as `decode_row` does each."""
    try:
        return _decode_list(text)
    except msgspec.ValidationError:
        return [decode_row(row) for row in _split(text)]


def stored_row(state: JobState) -> JobState | msgspec.Raw:
    """Return what a row is encoded from, as JSON, to be stored: with the members of newer versions in their place."""
    if state.rest is None:
        return state
    members = msgspec.to_builtins(msgspec.structs.replace(state, rest=None))
    return msgspec.Raw(msgspec.json.encode({**state.rest, **members}))


_MEMBERS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(JobState))


class IllegalTransitionError(ShelfwireError):
    """The job's status does not permit the request."""

    def __init__(self, state: JobState, action: str) -> None:
        super().__init__(
            Code.JOB_STATE,
            f"Job {state.id} is {state.status} and cannot {action}",
            user_message=f"This job is {state.status} and cannot {action}.",
            details={"status": str(state.status)},
        )


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's limits for all jobs.

    Attributes:
        lease: milliseconds for which a worker holds a job without renewing.
        ended_ttl: milliseconds for which an ended job is kept.
        token_ttl: milliseconds for which a token is valid; None for as long as its job.
        stall_after: milliseconds without an item after which a running job is stalled; 0 is never.
        max_errors: number of errors, with nothing recorded between them, after which a job is given up.
    """

    lease: int = 1500
    ended_ttl: int = 24 * 3600 * 1000
    token_ttl: int | None = None
    stall_after: int = 60_000
    max_errors: int = 5


def create(
    job_id: str,
    pipeline: str,
    *,
    now: int,
    steady: int | None = None,
    metadata: Metadata | None = None,
    retry_of: str | None = None,
    caller: str = "",
) -> JobState:
    """A new job, waiting for a worker since `steady`; the store gives it its turn, by `next_turn`."""
    return JobState(
        id=job_id,
        pipeline=pipeline,
        status=Status.QUEUED,
        seq=1,
        created_at=now,
        updated_at=now,
        run_at=now if steady is None else steady,
        lease_until=0,
        expires_at=now + IDLE_TTL,
        user_message="Waiting to start…",
        metadata=metadata,
        retry_of=retry_of,
        caller=caller,
    )


def next_turn(taken: int, last: int | None) -> int:
    """The turn of a job that joins the queue of its pipeline: when it is made, and when it is resumed.

    In each round every caller has one turn. So before a caller's only job at most two of each other one start, however
    many these have queued: what is left of the round, and the next. And nobody who comes again and again keeps others
    from theirs. It is start-time fair queueing (Goyal, Vin and Cheng, 1996) with jobs of one size. No clock is
    involved.

    Args:
        taken: the highest turn that was claimed in this queue, `CLAIMED_TURN` before the first.
        last: the highest turn of the caller's own jobs in the queue; None where there are none.
    """
    return max(taken, CLAIMED_TURN if last is None else last) + 1


Transition = Callable[[JobState, int], JobState]
"""From the stored row and the time to the next row."""


def changed(state: JobState, now: int, **fields: object) -> JobState:
    """Return the next revision of a row with these fields, by default not stalled."""
    fields = {"stalled": False, "seq": state.seq + 1, "updated_at": max(now, state.updated_at), **fields}
    after = msgspec.structs.replace(state, **fields)
    kind = _event(state, after)
    if kind is None:
        return after
    worker = after.worker if kind is EventKind.CLAIMED else None
    code = Code.INTERNAL if kind is EventKind.RETRYING else after.error.code if after.error else None
    event = JobEvent(now, kind, after.attempt, worker, None if code is None else str(code))
    return msgspec.structs.replace(after, history=(*state.history, event)[-MAX_EVENTS:])


def _event(before: JobState, after: JobState) -> EventKind | None:
    """What happened between two revisions; None if that was progress alone."""
    if after.attempt != before.attempt:
        return EventKind.CLAIMED
    if after.status is not before.status:
        return _requeued(before, after) if after.status is Status.QUEUED else EventKind(after.status)
    if after.pausing is not before.pausing:
        return EventKind.PAUSING if after.pausing else EventKind.RESUMED
    if after.stalled and not before.stalled:
        return EventKind.LOST if after.lapsed else EventKind.STALLED
    return None


def _requeued(before: JobState, after: JobState) -> EventKind:
    if before.status is Status.PAUSED:
        return EventKind.RESUMED
    return EventKind.RETRYING if after.error_count > before.error_count else EventKind.RELEASED


def paused(state: JobState, *, now: int) -> JobState:
    """The job without a worker, until its owner resumes it."""
    return changed(
        state,
        now,
        status=Status.PAUSED,
        pausing=False,
        lease_until=0,
        lost_at=None,
        eta_seconds=None,
        user_message="Paused",
    )


def lost_at(state: JobState, since: int) -> int | None:
    """When the job fails if no worker has it from `since` on; None for never."""
    return None if state.lost_after is None else since + state.lost_after


def canceled(
    state: JobState, policy: Policy, *, now: int, steady: int | None = None, reason: str | None = None
) -> JobState:
    """The ending of a canceled job."""
    error = error_of(ShelfwireError(Code.JOB_CANCELED, reason))
    return ended(state, Status.CANCELED, policy, now, steady, error=error)


def ended(
    state: JobState, status: Status, policy: Policy, now: int, steady: int | None = None, **fields: object
) -> JobState:
    """The job's last revision, with these fields; its duration is measured by `steady` if that is given."""
    began = state.started_steady
    return changed(
        state,
        now,
        status=status,
        pausing=False,
        ended_at=now,
        took=None if steady is None or began is None else steady - began,
        expires_at=now + policy.ended_ttl,
        lease_until=0,
        lost_at=None,
        eta_seconds=None,
        user_message=None,
        **fields,
    )
