"""What callers can do with jobs, whatever protocol they speak: create, look, follow, cancel, read results."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.clock import Clock
from shelfwire.jobs.hub import Follower, Hub
from shelfwire.jobs.store import Committed, Item, JobStore
from shelfwire.jobs.worker import Worker
from shelfwire.protocol import grants
from shelfwire.protocol.grants import Grant, Scope
from shelfwire.protocol.job import JobState, Policy, create
from shelfwire.protocol.messages import Metadata


class Created(NamedTuple):
    """A new job, and its token, which is shown only now."""

    job_id: str
    token: str


class Page(NamedTuple):
    """Some results in the order of the input.

    Attributes:
        items: the page.
        next: the index to ask after for the next page; None if the job has ended and this is the last.
        total: how many match so far.
    """

    items: list[Item]
    next: int | None
    total: int


class Upload:
    """An input on its way into the store, part by part, before its job exists."""

    def __init__(self, store: JobStore, job_id: str) -> None:
        self._store = store
        self.job_id = job_id
        self._parts = 0

    async def write(self, name: str, data: bytes) -> None:
        """Keep the next part of the input `name`."""
        await self._store.write_input(self.job_id, name, self._parts, data)
        self._parts += 1


class JobService:
    """The engine's face to the shells.

    Args:
        store: where jobs live.
        hub: tells followers.
        worker: hears of new jobs and of cancels without delay.
        policy: lease and limits.
        clock: the time.
        random_bytes: as many bytes of a cryptographic source as asked for.
        healthy: whether everything that runs beside the shells is alive.
        token_ttl: milliseconds a token lasts; None for as long as its job.
    """

    def __init__(
        self,
        store: JobStore,
        hub: Hub,
        worker: Worker,
        policy: Policy,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        healthy: Callable[[], bool],
        token_ttl: int | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._policy = policy
        self._clock = clock
        self._random_bytes = random_bytes
        self._worker = worker
        self._healthy = healthy
        self._token_ttl = token_ttl

    def now(self) -> int:
        """Return milliseconds since the epoch, for what callers are told."""
        return self._clock.now()

    async def ready(self) -> bool:
        """Whether jobs can be taken and run.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`.
        """
        await self._store.job("")
        return self._healthy()

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Upload]:
        """Begin an input; it is discarded unless `create` is called before the context ends."""
        upload = Upload(self._store, str(uuid.UUID(bytes=self._random_bytes(16), version=4)))
        try:
            yield upload
        except BaseException:
            # What went wrong first is what the caller hears of; leftovers are swept when the store opens next.
            with contextlib.suppress(ShelfwireError):
                await self._store.discard_input(upload.job_id)
            raise

    async def create(self, upload: Upload, pipeline: str, metadata: Metadata) -> Created:
        """Make the job over an uploaded input exist, durably, and let a worker know."""
        now = self._clock.now()
        token = grants.mint(self._random_bytes(grants.TOKEN_BYTES))
        expires_at = None if self._token_ttl is None else now + self._token_ttl
        grant = Grant(digest=grants.digest(token), job_id=upload.job_id, expires_at=expires_at)
        await self._store.create(create(upload.job_id, pipeline, now=now, metadata=metadata), grant)
        self._worker.wake()
        return Created(upload.job_id, token)

    async def authorize(self, job_id: str, token: str | None, scope: Scope) -> None:
        """Let a caller pass.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_TOKEN_EXPIRED` or `E_FORBIDDEN`.
        """
        if not token:
            raise ShelfwireError(Code.UNAUTHORIZED)
        grant = await self._store.grant(grants.digest(token))
        grants.check(grant, token, job_id, scope, now=self._clock.now())

    async def look(self, job_id: str) -> Committed:
        """Return a job's committed state, and its terminal message if it has ended.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: it has expired since the caller was let in.
        """
        committed = await self._store.job(job_id)
        if committed is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        return committed

    @asynccontextmanager
    async def follow(self, job_id: str, after: int = 0) -> AsyncIterator[Follower]:
        """Attach a follower.

        Args:
            job_id: the job; the caller is authorized for it.
            after: the `seq` the follower has shown already.

        Raises:
            ShelfwireError: as `look`.
        """
        with self._hub.follow(job_id, after) as (follower, offer):
            offer(await self.look(job_id))
            yield follower

    async def cancel(self, job_id: str) -> JobState:
        """Ask for a job to stop; a living worker confirms it.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it has ended.
        """
        committed = await self._store.request_cancel(job_id, self._policy, self._clock.now())
        if committed is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        self._hub.publish([committed])
        self._worker.check(job_id)
        return committed.state

    async def results(self, job_id: str, *, after: int, limit: int, ok: bool | None) -> Page:
        """Return a page of results; while the job runs it stops before the first index not yet recorded.

        Args:
            job_id: the job.
            after: the last index the caller has; -1 for none.
            limit: items at most.
            ok: only the done ones, or only the failed ones; None for all.
        """
        state = (await self.look(job_id)).state
        total = {None: state.processed, True: state.succeeded, False: state.failed}[ok]
        if state.ended:
            items = await self._store.items(job_id, after=after, limit=limit + 1, ok=ok)
            more = len(items) > limit
            return Page(items[:limit], items[limit - 1].index if more else None, total)
        items = await self._store.items(job_id, after=after, limit=limit)
        solid = [item for place, item in enumerate(items, after + 1) if item.index == place]
        seen = solid[-1].index if solid else after
        return Page([item for item in solid if ok is None or item.ok == ok], seen, total)
