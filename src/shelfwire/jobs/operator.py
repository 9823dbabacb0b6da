"""What operators do: find jobs, act on many at once, and read who did what."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from cachetools import TTLCache

from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import MAX_COUNT, JobFilter, JobPage, Position, StatusCounts
from shelfwire.jobs.operator_store import HOUR, AuditEntry, AuditFilter
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import Idempotency, InputSize, JobStore
from shelfwire.protocol.job import ENDED, JobState, Status
from shelfwire.protocol.tokens import Grant

T = TypeVar("T")
MAX_BULK: Final = 1000
"""Jobs that one call acts on."""
AT_ONCE: Final = 50
"""Jobs whose changes may share a commit."""
MAX_FAILED: Final = 100
"""Failures that one call names."""
MAX_READS: Final = 10_000
"""Reads that are remembered, so that each is noted once an hour."""
OK: Final = "ok"


class BulkAction(StrEnum):
    """What can be done to many jobs at once."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


APPLICABLE: Final[Mapping[BulkAction, frozenset[Status]]] = {
    BulkAction.CANCEL: frozenset({Status.QUEUED, Status.RUNNING, Status.PAUSED}),
    BulkAction.PAUSE: frozenset({Status.QUEUED, Status.RUNNING}),
    BulkAction.RESUME: frozenset({Status.PAUSED}),
    BulkAction.RETRY: ENDED,
    BulkAction.DELETE: frozenset(Status),
}
"""The statuses of the jobs that an action is for; others do not match."""


class Bulk(NamedTuple):
    """An action on many jobs.

    Attributes:
        action: what to do.
        wanted: which jobs.
        as_of: when the jobs were counted; later ones are left alone.
        after: `BulkOutcome.next` of the call before; None for the first.
    """

    action: BulkAction
    wanted: JobFilter
    as_of: int
    after: Position | None = None

    def applicable(self) -> JobFilter | None:
        """Return what finds the jobs that the action is for; None if there are none."""
        statuses = APPLICABLE[self.action].intersection(self.wanted.status or Status)
        if not statuses:
            return None
        until = min(self.as_of + 1, self.as_of + 1 if self.wanted.until is None else self.wanted.until)
        return msgspec.structs.replace(self.wanted, status=tuple(sorted(statuses)), until=until)


class BulkOutcome(NamedTuple):
    """What became of one call.

    Attributes:
        matches: the jobs that there were; `MAX_COUNT + 1` for more than `MAX_COUNT`.
        done: number of those that it was done to.
        failed: the others of this call, and why, `MAX_FAILED` at most.
        left: the jobs that there are behind these.
        next: where they begin; None if this was the last call.
    """

    matches: int
    done: int
    failed: Sequence[tuple[str, str]]
    left: int
    next: Position | None


class Operator:
    """The engine's interface to operators. It trusts its caller, which has checked the key.

    Args:
        service: what is done to jobs.
        store: where jobs are kept.
        clock: the time.

    Attributes:
        leaving: set when the server shuts down.
    """

    def __init__(self, service: JobService, store: JobStore, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self.leaving = asyncio.Event()
        self._shared: dict[str, tuple[float, asyncio.Task[Any]]] = {}
        self._reads: TTLCache[tuple[str, str, str, int], None] = TTLCache(MAX_READS, HOUR / 1000, clock.monotonic)

    async def once_a_second(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `work` of this name returns, or returned within the last second: for all who ask the same."""
        now = self._clock.monotonic()
        at, task = self._shared.get(name, (-math.inf, None))
        if task is None or now - at >= 1 or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(work())
            self._shared[name] = (now, task)
        found: T = await asyncio.shield(task)
        return found

    async def jobs(
        self, wanted: JobFilter, *, after: Position | None = None, limit: int = 100, oldest_first: bool = False
    ) -> JobPage:
        """Return a page of the jobs that match; see `OperatorStore.jobs`."""
        return await self._store.jobs(wanted, after=after, limit=limit, oldest_first=oldest_first)

    async def counts(self, wanted: JobFilter) -> StatusCounts:
        """Count the jobs that match, by status; see `OperatorStore.count_jobs`."""
        return await self._store.count_jobs(wanted)

    async def tokens(self, job_id: str) -> Sequence[Grant]:
        """Return the tokens of a job's owner that are valid or will expire with the job."""
        now = self._clock.now()
        return [one for one in await self._store.tokens(job_id) if one.expires_at is None or one.expires_at > now]

    async def inputs(self, job_id: str) -> Sequence[InputSize]:
        """Return the inputs of a job, by name."""
        return await self._store.inputs(job_id)

    async def audit(self, wanted: AuditFilter, limit: int) -> Sequence[AuditEntry]:
        """Return entries of the audit, the newest first."""
        return await self._store.audited(wanted, limit=limit)

    async def note(self, key: str, action: str, outcome: str, details: str | None = None) -> None:
        """Add an entry to the audit that is about no job."""
        entry = AuditEntry(at=self._clock.now(), key=key, action=action, outcome=outcome, details=details)
        await self._store.audit(entry)

    async def note_read(self, key: str, action: str, job_id: str) -> None:
        """Add to the audit that somebody reads what a job is about, once an hour."""
        now = self._clock.now()
        read = (key, action, job_id, now // HOUR)
        if read not in self._reads:
            self._reads[read] = None
            await self._store.audit(AuditEntry(at=now, key=key, action=action, job_id=job_id))

    @asynccontextmanager
    async def acting(self, key: str, action: str, job_id: str) -> AsyncIterator[AuditEntry]:
        """Yield the entry that is added to the audit with an action; if that is refused, the refusal is added."""
        entry = AuditEntry(at=self._clock.now(), key=key, action=action, job_id=job_id)
        try:
            yield entry
        except ShelfwireError as error:
            if error.code != Code.STORAGE_UNAVAILABLE:
                await self._store.audit(msgspec.structs.replace(entry, outcome=str(error.code)))
            raise

    async def count_bulk(self, bulk: Bulk) -> int:
        """Count the jobs that an action would be done to; `MAX_COUNT + 1` for more than `MAX_COUNT`."""
        wanted = bulk.applicable()
        if wanted is None:
            return 0
        if bulk.after is None:
            return min(sum((await self._store.count_jobs(wanted)).values()), MAX_COUNT + 1)
        at = bulk.after.created_at
        behind = msgspec.structs.replace(wanted, since=max(at, wanted.since or 0))
        counts = await self._store.count_jobs(behind)
        same_time = msgspec.structs.replace(behind, until=at + 1)
        page = await self._store.jobs(same_time, limit=MAX_BULK, oldest_first=True)
        before = sum(state.id <= bulk.after.id for state in page.states)
        return min(sum(counts.values()) - before, MAX_COUNT + 1)

    async def bulk(self, bulk: Bulk, expect: int, key: str) -> BulkOutcome:
        """Do something to up to `MAX_BULK` jobs, the oldest first; each that is done is in the audit.

        Args:
            bulk: what to do.
            expect: how many jobs the caller takes it to be about.
            key: the name of the caller's key.

        Raises:
            ShelfwireError: `E_MATCHES_CHANGED`: they are not as many; nothing was done.
        """
        matches = await self.count_bulk(bulk)
        if matches != expect:
            raise ShelfwireError(
                Code.MATCHES_CHANGED,
                f"{matches} jobs match, and not {expect}",
                details={"matches": matches},
            )
        wanted = bulk.applicable()
        done, failed, after = 0, list[tuple[str, str]](), bulk.after
        following: Position | None = None
        handled = 0
        while wanted is not None and handled < MAX_BULK:
            page = await self._store.jobs(wanted, after=after, limit=AT_ONCE, oldest_first=True)
            outcomes = await asyncio.gather(*(self._do(bulk, state, key) for state in page.states))
            done += outcomes.count(OK)
            failed += [(s.id, code) for s, code in zip(page.states, outcomes, strict=True) if code != OK]
            handled += len(page.states)
            after = following = page.next
            if after is None:
                break
        left = 0 if following is None else await self.count_bulk(bulk._replace(after=following))
        await self.note(key, f"bulk:{bulk.action}", OK, f"{done} of {matches} jobs, {len(failed)} refused")
        return BulkOutcome(matches, done, failed[:MAX_FAILED], left, following if left else None)

    async def _do(self, bulk: Bulk, state: JobState, key: str) -> str:
        """Do it to one job; return `OK` or the code of the refusal."""
        actions: Mapping[BulkAction, Callable[..., Awaitable[Any]]] = {
            BulkAction.CANCEL: self._service.cancel,
            BulkAction.PAUSE: self._service.pause,
            BulkAction.RESUME: self._service.resume,
            BulkAction.DELETE: self._service.delete,
        }
        try:
            async with self.acting(key, str(bulk.action), state.id) as entry:
                if bulk.action is BulkAction.RETRY:
                    await self._service.retry(state.id, idempotency=_once(state.id), audit=entry)
                else:
                    await actions[bulk.action](state.id, audit=entry)
        except ShelfwireError as error:
            # The row was there a moment ago.
            return str(Code.NOT_FOUND if error.code == Code.UNAUTHORIZED else error.code)
        return OK


def _once(job_id: str) -> Idempotency:
    """Recognise a job that was retried with many others before, as long as that retry is kept: it gets no second one.

    So a call may be made again because its answer was lost, two operators may have the same thought, and whoever
    retries what has failed once more retries the retries that failed, and not what they were made of.
    """
    same = hashlib.sha256(f"bulk retry {job_id}".encode()).digest()
    return Idempotency(key=same, fingerprint=same)
