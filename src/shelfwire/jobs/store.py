"""What any store must do, with its duties.

Every method is one transaction, atomic and durable before it returns; a store may put several into one commit. Times
are milliseconds since the epoch and come from the caller. All methods raise `ShelfwireError` with
`E_STORAGE_UNAVAILABLE` where the store cannot be read or written; nothing was changed then.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from shelfwire.protocol.job import JobState, Policy, Transition
from shelfwire.protocol.tokens import Grant
from shelfwire.protocol.worker_transitions import ProgressDelta


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One entry of a job's item log.

    Attributes:
        index: the item's place in the input, from 0.
        ok: whether it was done; else it failed.
        title: what a person calls it.
        body: JSON of the outcome: the result if it was done, else `{"code", "message", "userMessage", "retryable"}`.
        source: in a retry, the item's place in the input of the first job.
    """

    index: int
    ok: bool
    title: str | None
    body: msgspec.Raw
    source: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt wants committed.

    Attributes:
        job_id, attempt: who asks; an attempt that does not hold the job is fenced off.
        created_at: when its job was made, which tells it from a later one that was given the id of an erased one.
        step: its progress.
        items: the newly recorded items, each the JSON of an `Item`, as many as `step` counts.
        closing: how the attempt ends, applied after `step`; None while it goes on.
    """

    job_id: str
    attempt: int
    created_at: int
    step: ProgressDelta
    items: Sequence[msgspec.Raw] = ()
    closing: Transition | None = None


Conclude = Callable[[JobState, Sequence[Item]], str]
"""Makes the terminal message of an ended job from its final state and the first items of its log.

A store is given one, and calls it within the transaction that ends a job; it must be pure.
"""


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row as it stands after a commit, with the terminal message if the job has ended."""

    state: JobState
    terminal: str | None = None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A job a worker has taken, if its status is `running`; else the claim has ended or paused it.

    Attributes:
        state: the row.
        recorded: the indices of the items that are in its log already.
        selection: in a retry, which items of the input it is about, ascending; None for all.
        terminal: its last message, if the claim has ended it.
    """

    state: JobState
    recorded: Sequence[int] = ()
    selection: Sequence[int] | None = None
    terminal: str | None = None


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a request the repetition of an earlier one.

    Attributes:
        key: digest of the caller and the key it sent.
        fingerprint: digest of what it asks for; the same key with another one is refused.
    """

    key: bytes
    fingerprint: bytes


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did.

    Attributes:
        erased: how many jobs are gone.
        endings: of those among them that had not ended before, for who still listens.
    """

    erased: int
    endings: Sequence[Committed]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is in a store.

    Attributes:
        jobs: how many jobs, by pipeline and status.
        waiting_since: since when the queued job could have been claimed that has waited for longest; None if none has.
    """

    jobs: Mapping[tuple[str, str], int]
    waiting_since: int | None = None


class JobStore(Protocol):
    """The rows, the item logs, the inputs and the tokens' digests."""

    async def write_input(self, job_id: str, name: str, part: int, data: bytes) -> None:
        """Keep part number `part` (from 0) of an input. The job's row need not exist yet."""
        ...

    async def discard_input(self, job_id: str) -> None:
        """Erase the inputs of a job that was never created."""
        ...

    async def read_input(self, job_id: str, name: str) -> bytes:
        """Return the whole input, its parts in order; empty if there is none."""
        ...

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes) -> bool:
        """Keep what an attempt must not have to ask for again; it goes into the job's retries too.

        Args:
            job_id: the job.
            attempt: who asks; False, and nothing kept, where it does not hold the job any more.
            name: what it is found by; what was kept under it before is replaced.
            data: anything.
        """
        ...

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """Return what was kept under a name; None if nothing was."""
        ...

    async def create(
        self, state: JobState, grant: Grant, *, upload_id: str | None = None, idempotency: Idempotency | None = None
    ) -> str:
        """Make the job exist, with its first token; or give the token to the job that the same request has made.

        Args:
            state: the new row.
            grant: the token.
            upload_id: what its inputs were written under; they become the job's. None for the job's own id.
            idempotency: recognises a repeated request; the key lives as long as the job.

        Returns:
            The id of the job that the token is good for. If that is an earlier one, the new inputs are erased.

        Raises:
            ShelfwireError: `E_JOB_EXISTS`; `E_IDEMPOTENCY_MISMATCH`; `E_JOB_STATE`: the earlier job has too many
                tokens. Nothing was changed.
        """
        ...

    async def retry(
        self, source_id: str, job_id: str, grant: Grant, now: int, idempotency: Idempotency | None = None
    ) -> str | None:
        """Make a new job over a copy of an ended job's input, by `protocol.control.retry` and `left_undone`.

        Returns:
            As `create`; None where there is no such job.

        Raises:
            IllegalTransitionError: it has not ended.
            ShelfwireError: `E_JOB_STATE`: nothing is left to do; the others as `create`.
        """
        ...

    async def grant(self, digest: bytes, now: int) -> Grant | None:
        """Return what is known of the token with this digest; None too if its job has expired, swept or not."""
        ...

    async def add_grant(
        self, grant: Grant, now: int, *, asked_with: bytes | None = None, replaces: bytes | None = None
    ) -> bool:
        """Give an existing job one more token; False where there is no such job, or not the token it is asked for with.

        Args:
            grant: the token.
            now: the time; tokens of the job that have expired are erased.
            asked_with: digest of the token it is asked for with, which may have been revoked since it was checked.
            replaces: digest of a token that expires `protocol.grants.GRACE` from now, if not before.

        Raises:
            ShelfwireError: `E_JOB_STATE`: the job has `protocol.grants.MAX_GRANTS` tokens.
        """
        ...

    async def revoke(self, digest: bytes) -> None:
        """Erase a token, if there is one with this digest."""
        ...

    async def job(self, job_id: str) -> Committed | None:
        """Return a job's row, with the terminal message of an ended one."""
        ...

    async def claim(self, pipelines: Sequence[str], policy: Policy, now: int) -> Claimed | None:
        """Take the job of these pipelines that has been claimable for longest, by `protocol.attempts.claim`.

        Two workers never get the same attempt of a job.
        """
        ...

    async def commit(self, changes: Sequence[Change], policy: Policy, now: int) -> list[Committed | None]:
        """Write all `changes` in one transaction: items, progress, renewed leases, endings.

        Each change is applied to the row as it is stored then, by `protocol.attempts.advance` and the closing's
        transition. A change whose attempt does not hold its job any more, or whose job was erased and its id given to
        another, writes nothing and answers None, without harm to the others. Answers come in the order of the changes.
        """
        ...

    async def request(self, job_id: str, wish: Transition, now: int) -> Committed | None:
        """Change a row as its owner wishes, by one of `protocol.control`; None where there is no such job.

        Raises:
            IllegalTransitionError: the wish is not possible in the job's state.
        """
        ...

    async def delete(self, job_id: str, policy: Policy, now: int) -> Committed | None:
        """End a job by `protocol.control.delete` and erase all that is its own; None where there is no such job.

        Returns:
            The ending, for those who still listen.
        """
        ...

    async def items(self, job_id: str, *, after: int, limit: int, ok: bool | None = None) -> list[Item]:
        """Return up to `limit` items with an index above `after`, in the order of their index.

        Args:
            job_id: the job.
            after: the last index the caller has; -1 for none.
            limit: how many at most.
            ok: only the done ones, or only the failed ones; None for all.
        """
        ...

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """Erase every job that has expired, with its input, items and tokens; end it by `protocol.control.expire`."""
        ...

    async def counts(self, now: int) -> Counts:
        """Count the jobs, for who watches the server; cheap enough to be asked every few seconds."""
        ...
