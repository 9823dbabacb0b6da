"""What any store must do, with its duties.

Every method is one transaction, atomic and durable before it returns; a store may put several into one commit. Times
are milliseconds since the epoch and come from the caller. All methods raise `ShelfwireError` with
`E_STORAGE_UNAVAILABLE` where the store cannot be read or written; nothing was changed then.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from shelfwire.protocol.grants import Grant
from shelfwire.protocol.job import Advance, JobState, Policy, Transition


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One entry of a job's item log.

    Attributes:
        index: the item's place in the input, from 0.
        ok: whether it was done; else it failed.
        title: what a person calls it.
        body: JSON of the outcome: the result if it was done, else `{"code", "message", "userMessage", "retryable"}`.
    """

    index: int
    ok: bool
    title: str | None
    body: msgspec.Raw


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt wants committed.

    Attributes:
        job_id, attempt: who asks; an attempt that does not hold the job is fenced off.
        step: its progress.
        items: the newly recorded items, each the JSON of an `Item`, as many as `step` counts.
        closing: how the attempt ends, applied after `step`; None while it goes on.
    """

    job_id: str
    attempt: int
    step: Advance
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
    """A job a worker has taken, and the indices of the items that are in its log already.

    The claim may have ended the job instead; then `terminal` is its last message and there is nothing to run.
    """

    state: JobState
    recorded: Sequence[int] = ()
    terminal: str | None = None


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

    async def create(self, state: JobState, grant: Grant) -> None:
        """Make the job exist, with its first token.

        Raises:
            ShelfwireError: `E_JOB_EXISTS`.
        """
        ...

    async def grant(self, digest: bytes) -> Grant | None:
        """Return what is known of the token with this digest."""
        ...

    async def job(self, job_id: str) -> Committed | None:
        """Return a job's row, with the terminal message of an ended one."""
        ...

    async def claim(self, pipelines: Sequence[str], policy: Policy, now: int) -> Claimed | None:
        """Take the job of these pipelines that has been claimable for longest, by `protocol.job.claim`.

        Two workers never get the same attempt of a job.
        """
        ...

    async def commit(self, changes: Sequence[Change], policy: Policy, now: int) -> list[Committed | None]:
        """Write all `changes` in one transaction: items, progress, renewed leases, endings.

        Each change is applied to the row as it is stored then, by `protocol.job.advance` and the closing's transition.
        A change whose attempt does not hold its job any more writes nothing and answers None, without harm to the
        others. Answers come in the order of the changes.
        """
        ...

    async def request_cancel(self, job_id: str, policy: Policy, now: int) -> Committed | None:
        """Apply `protocol.job.request_cancel`; None where there is no such job.

        Raises:
            IllegalTransitionError: the job has ended.
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

    async def sweep(self, now: int) -> int:
        """Erase every job that has expired, with its input, items and tokens; return how many."""
        ...
