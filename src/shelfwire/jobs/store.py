"""The port to the store, with the duties of every implementation.

Every method is one transaction, atomic and durable before it returns; a store may put several into one commit. Times
are milliseconds since the epoch and come from the caller. All methods raise `ShelfwireError`:

- `E_STORAGE_UNAVAILABLE` where the store cannot be read or written now, as when it is locked, its disk is full or its
  connection is lost. Usually nothing was changed, but the answer to a change that was made may have been lost as well.
- `E_INTERNAL` where it refuses this very work, and would again: a row cannot be read, or a constraint is violated.
  Nothing was changed.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.committed import Committed as Committed  # noqa: PLC0414 - others import it from here
from shelfwire.jobs.corrections import CorrectionStore
from shelfwire.jobs.nodes import Nodes
from shelfwire.jobs.operator_store import AuditEntry, OperatorStore
from shelfwire.jobs.outbox import Outbox
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Policy, Transition
from shelfwire.protocol.tokens import Grant, Scope
from shelfwire.protocol.worker_transitions import LeaseLostError, ProgressDelta, RemoteWorker

REPORT_GRANTS: Final = 10
"""The attempts of a job, the newest included, whose report tokens are known."""
MIN_RETURN: Final = 5000
"""Milliseconds that a remote worker has at least, after a store was opened, before its lease ends."""


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a job's item log.

    Attributes:
        index: the item's place in the input, from 0.
        ok: whether it was done; else it failed.
        title: a name for people.
        body: JSON of the outcome: the result if it was done, else `{"code", "message", "userMessage", "retryable"}`.
        source: in a retry, the item's place in the input of the first job.
    """

    index: int
    ok: bool
    title: str | None
    body: msgspec.Raw
    source: int | None = None


NewItem = tuple[int, bool, str | None, str, int | None]
"""An `Item` on its way into the log: its members, the body as JSON in one line."""


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt's changes for a commit.

    Attributes:
        job_id, attempt: the author of the change; an attempt that does not hold the job is fenced off.
        created_at: when the job was made, to distinguish it from a later one with the id of an erased one.
        delta: its progress.
        items: the newly recorded items, as many as `delta` counts.
        closing: how the attempt ends, applied after `delta`; None while it goes on.
        results: JSON that the ending shows in place of the list of items; None for that list.
        number: counts the changes of the attempt from 1, so that one whose answer was lost can be sent again; 0 for a
            change that never is, or changes nothing but the lease. Of a remote worker it is its newest report's.
        crc: the checksum of that report.
        follows: the number of the attempt's change before this one; None where that is not known.
    """

    job_id: str
    attempt: int
    created_at: int
    delta: ProgressDelta
    items: Sequence[NewItem] = ()
    closing: Transition | None = None
    results: msgspec.Raw | None = None
    number: int = 0
    crc: int = 0
    follows: int | None = None

    def applied_to(self, row: JobState) -> bool:
        """Whether the row shows that the change was applied to it already."""
        return self.number > 0 and (row.attempt, row.number) == (self.attempt, self.number)

    def apply(self, row: JobState | None, policy: Policy, *, now: int, steady: int | None) -> JobState | None:
        """Return the row with the change, or as it is where that was applied before.

        Args:
            row: the row as it is stored; None if there is none.
            policy: the operator's limits.
            now: the time.
            steady: the time of a clock that nobody sets; see `worker_transitions.claimable`.

        Returns:
            None where the attempt has lost the job, or the row is another job's. Also where the store has lost changes
            that it had confirmed, as after a failover to a copy that was behind: another attempt does them again.
        """
        if row is None or row.created_at != self.created_at:
            return None
        if self.applied_to(row):
            return row
        if self.follows is not None and (row.attempt, row.number) < (self.attempt, self.follows):
            return None
        try:
            row = worker_transitions.advance(row, self.attempt, self.delta, policy, now=now, steady=steady)
        except LeaseLostError:
            return None
        row = row if self.closing is None else self.closing(row, now)
        return msgspec.structs.replace(row, number=self.number, crc=self.crc) if self.number else row


class EncodeTerminal(Protocol):
    """Encodes the terminal message of an ended job.

    A store calls it within the transaction that ends a job; it must be pure.
    """

    def __call__(self, state: JobState, head: Sequence[Item], results: msgspec.Raw | None = None) -> str:
        """Encode it.

        Args:
            state: the final state.
            head: the first items of its log.
            results: see `Change`.
        """
        ...


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a claim: the worker holds the job if its status is `running`; else the claim ended or paused it.

    Attributes:
        state: the row.
        recorded: the indices of the items that are in its log already.
        selection: in a retry, which items of the input it is about, ascending; None for all.
        terminal: the terminal message, if the claim ended the job.
    """

    state: JobState
    recorded: Sequence[int] = ()
    selection: Sequence[int] | None = None
    terminal: str | None = None


class RemoteClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim of a worker outside of the server.

    Attributes:
        digest: of its report token, which is valid for the claimed attempt.
        worker: the worker.
        job_id: the only job that it takes; None for the next one.
    """

    digest: bytes
    worker: RemoteWorker
    job_id: str | None = None

    def grant(self, state: JobState) -> Grant:
        """Return the grant of the report token, for the row of the claimed job."""
        return Grant(digest=self.digest, job_id=state.id, scopes=frozenset({Scope.REPORT}), attempt=state.attempt)


class Lapses(msgspec.Struct, frozen=True, kw_only=True):
    """What followed from the time alone.

    Attributes:
        changed: the rows that changed.
        next_at: when something will follow next, by the clock of leases; None if nothing will.
    """

    changed: Sequence[Committed]
    next_at: int | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log of a job is.

    Attributes:
        indices, selection: as `Claimed.recorded` and `Claimed.selection`.
    """

    indices: Sequence[int]
    selection: Sequence[int] | None = None


class InputSize(msgspec.Struct, frozen=True, kw_only=True):
    """An input of a job, and its size in bytes."""

    name: str
    size: int


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """Items of an ended job that its owner has mended, for a retry of it.

    Attributes:
        indices: their indices in that job's log.
        alone: whether the retry covers them alone, and nothing else that was left undone.
        name, data: the input of the retry that says how; it takes the place of one of this name that the job has.
    """

    indices: Collection[int]
    alone: bool
    name: str
    data: bytes


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """Identifies a request, so that its repetition is recognised.

    Attributes:
        key: digest of the caller and the key it sent.
        fingerprint: digest of the request; the same key with another fingerprint is refused.
    """

    key: bytes
    fingerprint: bytes


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a sweep.

    Attributes:
        erased: number of erased jobs.
        endings: the endings of those that had not ended before, for their followers.
        damaged: the ids of expired jobs whose rows could not be read; they are erased as well, if they can be.
        failure: why the sweep broke off, after what is reported here; None if it did not.
    """

    erased: int
    endings: Sequence[Committed]
    damaged: Sequence[str] = ()
    failure: ShelfwireError | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a store.

    Attributes:
        jobs: number of jobs, by pipeline and status.
        deliveries: number of webhooks that are waiting or were given up, by status.
        waiting_since: when the oldest waiting job became claimable; None if none waits.
        lapsed: number of running jobs that no worker has, because the lease of one elsewhere has ended.
    """

    jobs: Mapping[tuple[str, str], int]
    deliveries: Mapping[str, int] = MappingProxyType({})
    waiting_since: int | None = None
    lapsed: int = 0


class JobStore(OperatorStore, CorrectionStore, Protocol):
    """Job rows, item logs, inputs and token digests, and what is to be told when jobs end.

    What operators ask is in `OperatorStore`, what owners correct in `CorrectionStore`. The transaction that ends a job,
    by whichever method, writes the deliveries that `outbox.Announce` makes of it; the store was given that function.
    """

    @property
    def outbox(self) -> Outbox:
        """The deliveries."""
        ...

    @property
    def nodes(self) -> Nodes | None:
        """The other processes that share the store; None for one that belongs to a single process."""
        ...

    async def write_input(self, job_id: str, name: str, part: int, data: bytes) -> None:
        """Store part number `part` (from 0) of an input. The job's row need not exist yet."""
        ...

    async def discard_input(self, job_id: str) -> None:
        """Erase the inputs of a job that was never created."""
        ...

    async def read_input(self, job_id: str, name: str) -> bytes:
        """Return the whole input, its parts in order; empty if there is none."""
        ...

    async def inputs(self, job_id: str) -> list[InputSize]:
        """Return the inputs of a job, by name."""
        ...

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes, *, limit: int | None = None) -> bool:
        """Keep data that a later attempt must not fetch again, such as a paid answer; retries of the job inherit it.

        Args:
            job_id: the job.
            attempt: the author.
            name: the key; data kept under it before are replaced.
            data: any bytes.
            limit: the most bytes that a job may keep; None for any number.

        Returns:
            False, and nothing is kept, if the attempt does not hold the job any more.

        Raises:
            ShelfwireError: `E_FILE_TOO_LARGE`: more than `limit` would be kept.
        """
        ...

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """Return the data kept under a name; None if there are none."""
        ...

    async def create(
        self,
        state: JobState,
        grant: Grant,
        *,
        upload_id: str | None = None,
        idempotency: Idempotency | None = None,
        report: Grant | None = None,
    ) -> str:
        """Insert a job with its first token; or give the token to the job that the same request has made before.

        Args:
            state: the new row; the store sets its turn, by `protocol.job.next_turn`.
            grant: the token.
            upload_id: the id under which its inputs were written; they become the job's. None for the job's own id.
            idempotency: recognises a repeated request; the key lives as long as the job.
            report: the report token, where the new row is claimed already by a remote worker.

        Returns:
            The id of the job that the token is good for. If that is an earlier one, the new inputs are erased; where it
            has `protocol.tokens.MAX_GRANTS` tokens, the one that expires first goes, of those that do not expire the
            oldest.

        Raises:
            ShelfwireError: `E_JOB_EXISTS`; `E_IDEMPOTENCY_MISMATCH`. Nothing was changed.
        """
        ...

    async def retry(
        self,
        source_id: str,
        job_id: str,
        grant: Grant,
        now: int,
        idempotency: Idempotency | None = None,
        steady: int | None = None,
        audit: AuditEntry | None = None,
        mended: Mended | None = None,
    ) -> str | None:
        """Make a new job over a copy of an ended job's input, by `owner_transitions.retry` and `left_undone`.

        It waits since `steady`, and takes its turn like a job that is created. For `audit` see `request`. With `mended`
        it has that input, and covers what `owner_transitions.chosen` returns.

        Returns:
            As `create`; None where there is no such job.

        Raises:
            IllegalTransitionError: it has not ended.
            ShelfwireError: `E_JOB_STATE`: nothing is left to do; `E_ITEM_UNKNOWN`: as `chosen`; the others as `create`.
        """
        ...

    async def grant(self, digest: bytes, now: int) -> Grant | None:
        """Return the grant of the token with this digest; None too if its job has expired, swept or not."""
        ...

    async def look_up(self, digests: Collection[bytes], now: int) -> Mapping[bytes, tuple[Grant, Committed]]:
        """Return the grants of some tokens with the rows of their jobs, by digest, as `grant` and `job` do.

        It is asked for all followers that come in one moment at once. What cannot be read may be left out, and so may
        be terminal messages that would take much memory together, with their jobs; the caller then asks for each.
        """
        ...

    async def add_grant(
        self,
        grant: Grant,
        now: int,
        *,
        authorized_by: bytes | None = None,
        replaces: bytes | None = None,
        audit: AuditEntry | None = None,
    ) -> bool:
        """Give an existing job one more token. Where that is one too many, expired ones go, the oldest first.

        Args:
            grant: the token.
            now: the time.
            authorized_by: digest of the token that the request was made with; it may have been revoked meanwhile.
            replaces: digest of a token that expires `protocol.tokens.GRACE` from now, if not before. Neither it nor
                others that expire until then count as tokens.
            audit: see `request`.

        Returns:
            False if the job or the token `authorized_by` does not exist.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it has too many, by `protocol.tokens.may_add`.
        """
        ...

    async def revoke(self, digest: bytes) -> None:
        """Erase a token, if there is one with this digest."""
        ...

    async def job(self, job_id: str) -> Committed | None:
        """Return a job's row, with the terminal message of an ended one."""
        ...

    async def claim(
        self,
        pipelines: Sequence[str],
        policy: Policy,
        now: int,
        steady: int | None = None,
        *,
        passing: Mapping[str, Collection[str]] = MappingProxyType({}),
        remote: RemoteClaim | None = None,
        take_over: bool = True,
    ) -> Claimed | None:
        """Take the job of these pipelines whose turn it is, by `worker_transitions.claim`.

        First come the jobs that other workers have lost, the longest waiting one first. Then come the queues of the
        pipelines, in the order of `pipelines`. In a queue the lowest `JobState.turn` is first, of these the job that
        has waited for longest.

        Two workers never get the same attempt of a job. A job whose rows cannot be read, or cannot be changed to what
        the claim makes of them, is passed over.

        Args:
            pipelines: their names, the most urgent one first.
            policy: the operator's limits.
            now: the time.
            steady: the time by which leases are kept; see `worker_transitions.claimable`.
            passing: by pipeline, the callers (`JobState.caller`) whose queued jobs are passed over.
            remote: the worker, if it is outside of the server. Its report token is stored in the same transaction; it
                does not count as a token of the owner, and those of all but the last `REPORT_GRANTS` attempts go.
            take_over: whether also jobs whose lease has ended; without, only queued ones and those that were freed,
                whose `lease_until` is 0.
        """
        ...

    async def lapse(self, policy: Policy, now: int, steady: int | None = None) -> Lapses:
        """Apply `worker_transitions.lapse` to every job that it concerns, apart from damaged ones.

        Cheap enough to be called every second.
        """
        ...

    async def claimable(self, pipelines: Sequence[str], now: int) -> list[str]:
        """Return those of the pipelines that have a job to be claimed; `now` is the time by which leases are kept."""
        ...

    async def ahead(self, state: JobState, *, limit: int) -> int:
        """Return how many queued jobs of its pipeline have their turn before a queued job; `limit` for more.

        Jobs that have waited since the same time are not among them.
        """
        ...

    async def recorded(self, state: JobState) -> Recorded:
        """Return how far the log of a job is."""
        ...

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        """Write all `changes` in one transaction: items, progress, renewed leases, endings.

        Each change is applied to the row as it is stored then, by `worker_transitions.advance` and the closing
        transition. A change whose attempt does not hold its job any more, or whose job was erased and its id given to
        another, writes nothing and yields None; the others are written. Results are in the order of the changes.

        The row keeps the change's `number` and `crc`, if there is a number. A change that was applied before
        (`Change.applied_to`) writes nothing and yields the row as it is stored.

        `steady` is the time by which leases are kept; see `worker_transitions.claimable`.
        """
        ...

    async def request(
        self, job_id: str, transition: Transition, now: int, audit: AuditEntry | None = None
    ) -> Committed | None:
        """Apply one of `owner_transitions` to a row; None where there is no such job.

        A paused job that is queued again takes a new turn, by `protocol.job.next_turn`. With the change an entry is
        added to the audit, if there is one.

        Raises:
            IllegalTransitionError: the job's state does not allow it.
        """
        ...

    async def delete(self, job_id: str, policy: Policy, now: int, audit: AuditEntry | None = None) -> Committed | None:
        """End a job by `owner_transitions.delete` and erase all its data, also where its row cannot be read.

        The job is gone with one transaction. Inputs and items of a large one may be erased by others that follow; what
        fails of them is done by `sweep`. For `audit` see `request`.

        Returns:
            The ending, for the job's followers; None where there is no such job.
        """
        ...

    async def items(
        self, job_id: str, *, after: int, limit: int, ok: bool | None = None, within: int | None = None
    ) -> list[Item]:
        """Return up to `limit` items with an index above `after`, in the order of their index.

        Args:
            job_id: the job.
            after: the last index the caller has; -1 for none.
            limit: maximum number of items.
            ok: only the done ones, or only the failed ones; None for all.
            within: maximum number of bytes of their bodies together; no limit unless given. The first comes in any
                case. What does not fit is not read into memory.
        """
        ...

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """Erase every job that has expired, with its input, items and tokens; end it by `owner_transitions.expire`.

        Each is a transaction of its own. One that cannot be erased does not keep the others. Deliveries go
        `outbox.RETENTION` after their end, or after they should have been given up. Old entries of the
        audit and old figures go as well.
        """
        ...

    async def check(self) -> None:
        """Commit something small, to find out whether the store can be written and what it writes will be found again.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: it cannot, or it will not be.
        """
        ...

    async def counts(self, now: int) -> Counts:
        """Count the jobs, for monitoring; cheap enough to be called every few seconds.

        `now` is the time by which leases are kept and jobs take turns; see `worker_transitions.claimable`.
        """
        ...
