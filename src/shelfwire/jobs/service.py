"""Operations on jobs, independent of the transport: create, read, follow, control, page results, issue tokens.

It trusts its caller, which has called `authorize` unless a method takes a token itself.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import structlog

from shelfwire.clock import Clock, sleep
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.admission import EXPIRY_SECONDS, Admission
from shelfwire.jobs.corrections import MAX_CORRECTION_BYTES, Corrections
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Follower, Hub
from shelfwire.jobs.listing import JobFilter, JobPage, Position
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.page_size import MAX_PAGE_BYTES, may_be_cut
from shelfwire.jobs.patience import when_available
from shelfwire.jobs.pipeline import MENDED, OriginalTable, Pipeline, RemotePipeline, mended_of
from shelfwire.jobs.readiness import Readiness
from shelfwire.jobs.store import Committed, Idempotency, Item, JobStore, Mended
from shelfwire.jobs.telemetry import Figure, Stats
from shelfwire.jobs.workers import Workers
from shelfwire.protocol import owner_transitions, tokens
from shelfwire.protocol.job import JobState, Policy, Status, Transition, create
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import ALL_SCOPES, Grant, Scope

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Token(NamedTuple):
    """A new token, whose secret is known only now.

    Attributes:
        job_id: the only job it is valid for.
        token: the secret.
        scopes: the operations it allows.
        expires_at: milliseconds since the epoch; None lasts as long as the job.
    """

    job_id: str
    token: str
    scopes: frozenset[Scope]
    expires_at: int | None


class Terms(NamedTuple):
    """What the creator of a job asks for beside the job itself.

    Attributes:
        tags: by which the job can be found.
        callback_url: the address that is called when the job has ended, admitted by `callbacks.CallbackRules`.
        scopes: the operations that the first token allows.
        token_ttl: lifetime of that token in milliseconds; limited by the server's policy.
    """

    tags: Sequence[str] = ()
    callback_url: str | None = None
    scopes: frozenset[Scope] = ALL_SCOPES
    token_ttl: int | None = None


class Mending(NamedTuple):
    """What an owner has mended of the items of an ended job, for a retry.

    Attributes:
        items: by the item's index in that job, JSON values of the form that its pipeline declares.
        alone: whether these items alone are to be done.
    """

    items: Mapping[int, Any]
    alone: bool


MAX_MENDED_BYTES: Final = 4 * 1024 * 1024
"""What a retry keeps of what is mended, as JSON."""
MAX_AHEAD: Final = 1000
TERMS: Final = Terms()
"""Of a creator that asks for nothing."""


class Page(NamedTuple):
    """A page of results in the order of the input.

    Attributes:
        items: the page.
        next: the cursor of the next page; None if the job has ended and this is the last.
        total: number of matching items so far.
        pipeline: the job's pipeline.
    """

    items: list[Item]
    next: int | None
    total: int
    pipeline: str


class InputWriter:
    """An input on its way into the store, part by part, before its job exists.

    Attributes:
        upload_id: the id under which it is written.
        creation: makes its job, once that has begun.
    """

    def __init__(self, store: JobStore, upload_id: str) -> None:
        self._store = store
        self.upload_id = upload_id
        self.creation: asyncio.Task[str] | None = None
        self._parts = 0

    async def write(self, name: str, data: bytes) -> None:
        """Store the next part of the input `name`."""
        await self._store.write_input(self.upload_id, name, self._parts, data)
        self._parts += 1


class JobService:
    """The interface of the engine to its transports.

    Args:
        store: where jobs are kept.
        hub: notifies followers.
        workers: are notified of new jobs and control requests without delay.
        policy: lease, lifetimes and limits.
        clock: source of the time.
        random_bytes: returns n bytes from a cryptographic source.
        readiness: whether it can serve.
        pipelines: the pipelines that the server runs, by name.

    Attributes:
        clock: source of the time.
        outbox: what is to be told when jobs end.
        admission: admits direct followers.
        claims: gives jobs to workers outside of the server.
        remote: the attempts of these.
        nodes: the other nodes that share the store; None where there are none.
        readiness: as given.
    """

    def __init__(
        self,
        store: JobStore,
        hub: Hub,
        workers: Workers,
        policy: Policy,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        readiness: Readiness,
        pipelines: Mapping[str, Pipeline],
    ) -> None:
        self._store = store
        self.admission = Admission(store, hub, clock)
        self.outbox = store.outbox
        self.nodes = store.nodes
        self._hub = hub
        self._policy = policy
        self.clock = clock
        self._random_bytes = random_bytes
        self._workers = workers
        self.readiness = readiness
        self._pipelines = pipelines
        self.claims = workers.claims
        self.remote = workers.remote
        self._background: set[asyncio.Task[Any]] = set()

    def now(self) -> int:
        """Return milliseconds since the epoch, for answers to callers."""
        return self.clock.now()

    async def ready(self) -> bool:
        """Whether jobs can be taken and run; see `Readiness`.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`.
        """
        await self.readiness.check()
        return not self.readiness.problems()

    async def stats(self) -> Stats:
        """Return the current figures; without those of jobs while the store cannot be read."""
        now = self.clock.steady()
        counts = None
        with contextlib.suppress(ShelfwireError):
            counts = await self._store.counts(now)
        since = now if counts is None or counts.waiting_since is None else counts.waiting_since
        return Stats(
            jobs=None if counts is None else counts.jobs,
            queue_age=max(0, now - since) / 1000,
            followers=self._hub.transports(),
            sent_bytes=self._hub.sent_bytes,
            stalled=self._workers.stalled + (0 if counts is None else counts.lapsed),
            deliveries=None if counts is None else counts.deliveries,
        )

    def followers_of(self, job_id: str) -> Mapping[str, int]:
        """Return the number of followers of a job that are attached to this node, by transport."""
        return self._hub.transports_of(job_id)

    def dismiss_followers(self) -> None:
        """Dismiss all followers and waiting workers because the server shuts down; they return to its successor."""
        self._hub.dismiss_all()
        self.claims.leave()

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[InputWriter]:
        """Begin an input; it is discarded unless `create` is called before the context ends."""
        upload = InputWriter(self._store, self._new_id())
        try:
            yield upload
        except BaseException:
            if upload.creation is not None and not upload.creation.done():
                # Its caller was cancelled. The input must not be erased under a job that is just being made of it.
                self._in_background(self._discard(upload))
            else:
                await self._discard(upload)
            raise

    async def _discard(self, upload: InputWriter) -> None:
        """Erase an input that no job was made of, once that is known; leftovers are swept when the store opens next."""
        if upload.creation is not None:
            await asyncio.wait([upload.creation])
        with contextlib.suppress(ShelfwireError):
            await self._store.discard_input(upload.upload_id)

    def pipeline(self, name: str, *, local: bool = False) -> Pipeline:
        """Return the pipeline of this name, that jobs can be made for.

        Args:
            name: the name.
            local: whether the caller may have jobs made for any remote worker, unless the operator has named some.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: there is none of this name; or an error of the pipeline itself.
        """
        pipeline = self._pipelines.get(name)
        if pipeline is None and self.claims.may_have(name, local=local):
            return RemotePipeline(name)
        if pipeline is None:
            known = ", ".join(sorted({*self._pipelines, *self.claims.names}))
            raise ShelfwireError(
                Code.NOT_FOUND,
                f"There is no pipeline of this name. This server has: {known}. One that is done elsewhere has to be "
                "named in the setting remote_pipelines",
            )
        pipeline.ready()
        return pipeline

    async def create(
        self,
        upload: InputWriter,
        pipeline: str,
        metadata: Metadata,
        *,
        job_id: str | None = None,
        idempotency: Idempotency | None = None,
        caller: str = "",
        local: bool = False,
        terms: Terms = TERMS,
    ) -> Token:
        """Create a job over an uploaded input, durably, and notify the worker.

        Args:
            upload: the input, complete.
            pipeline: the name of its pipeline.
            metadata: describes the input.
            job_id: the caller's choice of a UUID.
            idempotency: recognises a repeated request, which is answered with a token for the job it has made before.
            caller: whose turns it takes; see `JobState.caller`.
            local: see `pipeline`.
            terms: what else its creator asks for.

        Raises:
            ShelfwireError: `E_NOT_FOUND`, `E_JOB_EXISTS`, `E_IDEMPOTENCY_MISMATCH` or `E_JOB_STATE`; see
                `JobStore.create`.
        """
        self.pipeline(pipeline, local=local)
        state = create(
            job_id or self._new_id(),
            pipeline,
            now=self.clock.now(),
            steady=self.clock.steady(),
            metadata=metadata,
            caller=caller,
        )
        state = msgspec.structs.replace(state, tags=tuple(terms.tags), callback_url=terms.callback_url)
        token, grant = self._first_token(state.id, terms=terms)
        made = await self._uninterrupted(
            upload, self._store.create(state, grant, upload_id=upload.upload_id, idempotency=idempotency)
        )
        log.info("job created" if made == state.id else "idempotent replay", job=made, pipeline=pipeline, attempt=0)
        self._hub.forget_tokens(made)  # of an earlier job one may have made room
        self._workers.wake(pipeline)
        return Token(made, token, grant.scopes, grant.expires_at)

    async def retry(
        self,
        job_id: str,
        caller: Grant | None = None,
        idempotency: Idempotency | None = None,
        audit: AuditEntry | None = None,
        mending: Mending | None = None,
    ) -> Token:
        """Make a new job over the failed and unrecorded items of an ended one.

        Args:
            job_id: the ended one.
            caller: the caller's grant; the new job's token allows no more and lasts no longer. None for a caller inside
                the process.
            idempotency: see `create`.
            audit: what is added to the audit with it.
            mending: items that are mended.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it has not ended, or nothing is left; `E_ITEM_UNKNOWN`: a mended item was
                done, or is none of the job's; `E_INVALID_REQUEST`: the pipeline takes none, or none of this form;
                `E_FILE_TOO_LARGE`: too much is mended; `E_IDEMPOTENCY_MISMATCH`.
        """
        mended = None if mending is None else await self._mended(job_id, mending)
        retry_id = self._new_id()
        token, grant = self._first_token(retry_id, caller)
        now, steady = self.clock.now(), self.clock.steady()
        made = await self._store.retry(job_id, retry_id, grant, now, idempotency, steady, audit, mended)
        if made is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        log.info("job created", job=made, retry_of=job_id, attempt=0)
        self._hub.forget_tokens(made)
        self._workers.wake()
        return Token(made, token, grant.scopes, grant.expires_at)

    async def _mended(self, job_id: str, mending: Mending) -> Mended:
        """Return the input of a retry with what is mended, also for earlier retries.

        Raises:
            ShelfwireError: see `retry`.
        """
        state = (await self.get(job_id)).state
        pipeline = self._pipelines.get(state.pipeline)
        kind = None if pipeline is None else pipeline.mending
        if kind is None:
            raise ShelfwireError(Code.INVALID_REQUEST, f"Items of {state.pipeline} cannot be mended: retry without any")
        selection = (await self._store.recorded(state)).selection
        places = range(state.total or 0) if selection is None else selection
        mended = mended_of(await self._store.read_input(job_id, MENDED), kind)
        for index, item in mending.items.items():
            try:
                checked = msgspec.convert(item, kind)
            except msgspec.ValidationError as error:
                raise ShelfwireError(
                    Code.INVALID_REQUEST, f"Item {index} cannot be mended so: {error}", details={"index": index}
                ) from None
            if 0 <= index < len(places):  # others are refused with the retry itself
                mended[places[index]] = checked
        data = msgspec.json.encode(mended)
        if len(data) > MAX_MENDED_BYTES:
            raise ShelfwireError(
                Code.FILE_TOO_LARGE,
                f"What is mended of the first job is more than {MAX_MENDED_BYTES:,} bytes altogether",
                user_message="These are too many corrections for one list. Correct the rest in the file itself.",
                details={"limit": MAX_MENDED_BYTES},
            )
        return Mended(indices=mending.items, alone=mending.alone, name=MENDED, data=data)

    async def authorize(self, job_id: str, token: str | None, scope: Scope) -> Grant:
        """Return the grant of a token if it authorizes `scope` on the job; raise otherwise.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_TOKEN_EXPIRED` or `E_FORBIDDEN`.
        """
        if not token:
            raise ShelfwireError(Code.UNAUTHORIZED)
        now = self.clock.now()
        grant = await self._store.grant(tokens.digest(token), now)
        good = grant is not None and tokens.opens(grant, job_id, now=now)
        try:
            checked = tokens.check(grant, token, job_id, scope, now=now)
        except ShelfwireError as error:
            if good:
                self._hub.telemetry.noted(Figure.UNAUTHORIZED, int(error.code != Code.FORBIDDEN))
            raise
        self._hub.telemetry.noted(Figure.UNAUTHORIZED)
        return checked

    async def derive_token(
        self,
        caller: Grant,
        *,
        scopes: frozenset[Scope] | None = None,
        ttl: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Token:
        """Issue one more token for a job. Without `scopes` it replaces the caller's, which expires a minute later.

        Args:
            caller: the caller's grant; see `authorize`. One without a digest is of no token: nothing is replaced.
            scopes: the scopes of the new token.
            ttl: lifetime in milliseconds; limited by the caller's token and by the server's policy.
            audit: what is added to the audit with it.

        Raises:
            ShelfwireError: `E_FORBIDDEN`: more scopes than the caller has; `E_JOB_STATE`: too many tokens.
        """
        now, token = self.clock.now(), self._mint()
        limits = [limit for limit in (ttl, self._policy.token_ttl) if limit is not None]
        grant = tokens.derive(caller, tokens.digest(token), scopes=scopes, ttl=min(limits, default=None), now=now)
        replaces = (caller.digest or None) if scopes is None else None
        by = caller.digest or None
        if not await self._store.add_grant(grant, now, authorized_by=by, replaces=replaces, audit=audit):
            raise ShelfwireError(Code.UNAUTHORIZED)
        self._hub.forget_tokens(grant.job_id)
        return Token(grant.job_id, token, grant.scopes, grant.expires_at)

    async def revoke(self, grant: Grant) -> None:
        """Revoke a token, and dismiss the followers that it authorized."""

        def dismiss(_: object = None) -> None:
            self._hub.revoke(grant.job_id, grant.digest)

        async def look() -> None:
            if await self._store.grant(grant.digest, self.clock.now()) is None:
                dismiss()

        await self._publishing(grant.job_id, self._store.revoke(grant.digest), dismiss, look)

    async def jobs(
        self,
        *,
        status: Status | Sequence[Status] = (),
        pipeline: str | None = None,
        tag: str | None = None,
        after: Position | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return a page of the jobs that match all of what is given, the newest first.

        Args:
            status: any of these.
            pipeline: the pipeline.
            tag: one of its tags, such as an application's own name of the person it is for. It is no right.
            after: `JobPage.next` of the page before.
            limit: maximum number of jobs.
        """
        statuses = (status,) if isinstance(status, Status) else tuple(status)
        wanted = JobFilter(status=statuses, pipeline=pipeline, tag=tag)
        return await self._store.jobs(wanted, after=after, limit=limit)

    async def get(self, job_id: str) -> Committed:
        """Return a job's committed state, and its terminal message if it has ended.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: it was erased or has expired since the caller was authorized.
        """
        committed = await self._store.job(job_id)
        if committed is None or committed.state.expires_at <= self.clock.now():
            raise ShelfwireError(Code.UNAUTHORIZED)
        self._hub.show(committed)
        return committed

    async def queue_position(self, state: JobState) -> int | None:
        """Return how many jobs of its pipeline are before a job that waits, `MAX_AHEAD` at most; None for any other."""
        return await self._store.ahead(state, limit=MAX_AHEAD) if state.status is Status.QUEUED else None

    async def get_with(self, token: str | None, job_id: str) -> Committed:
        """Return the state of a token's job, as `get` does.

        Raises:
            ShelfwireError: as `authorize` for the scope `watch`, and as `get`.
        """
        _, committed = await self._get_with(token, job_id)
        return committed

    async def _get_with(self, token: str | None, job_id: str) -> tuple[Grant, Committed]:
        grant = await self.authorize(job_id, token, Scope.WATCH)
        try:
            committed = await self.get(grant.job_id)
        except ShelfwireError as error:
            if error.code == Code.UNAUTHORIZED and await self._store.grant(grant.digest, self.clock.now()) is not None:
                self._hub.telemetry.noted(Figure.UNAUTHORIZED, 1, 0)
            raise
        # Once more: before the row was read, the id may have been given to another job, which the token is not for.
        return await self.authorize(job_id, token, Scope.WATCH), committed

    @asynccontextmanager
    async def follow(self, job_id: str, after: int = 0) -> AsyncIterator[Follower]:
        """Attach a follower.

        Args:
            job_id: the job; the caller is authorized for it.
            after: the newest `seq` the follower has already.

        Raises:
            ShelfwireError: as `get`.
        """
        with self._hub.follow(job_id, after) as (follower, offer):
            offer(await self.get(job_id))
            yield follower

    @asynccontextmanager
    async def follow_with(self, token: str | None, job_id: str, after: int = 0) -> AsyncIterator[Follower]:
        """Attach a follower by its token; it is dismissed when the token is revoked, or expires.

        Raises:
            ShelfwireError: as `authorize` for the scope `watch`, and as `get`.
        """
        job_id = tokens.canonical(job_id)
        with self._hub.follow(job_id, after, tokens.digest(token or "")) as (follower, offer):
            # Attached first, so that a revocation from here on dismisses the follower.
            grant, row = await self._get_with(token, job_id)
            offer(row)
            if grant.expires_at is None:
                yield follower
                return
            expiring = asyncio.create_task(self._expire(follower, grant.expires_at))
            try:
                yield follower
            finally:
                expiring.cancel()

    async def _expire(self, follower: Follower, at: int) -> None:
        """Dismiss a follower when its token expires, or the clock is set to after that."""
        while (left := at - self.clock.now()) > 0:
            await sleep(self.clock, min(left / 1000, EXPIRY_SECONDS))
        follower.dismiss(Dismissal.EXPIRED)

    async def wait(self, follower: Follower, after: int, seconds: float) -> Committed:
        """Return a job's state once it is newer than `after` or final, or after `seconds`, or on dismissal.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: the token was revoked meanwhile; `E_TOKEN_EXPIRED`.
        """
        follower.transport = "poll"
        state = follower.newest.state
        if state.seq == after and not state.ended and follower.dismissal is None:
            follower.news.clear()
            await self.clock.wait(follower.news, seconds)
        if follower.dismissal is Dismissal.REVOKED:
            raise ShelfwireError(Code.UNAUTHORIZED)
        if follower.dismissal is Dismissal.EXPIRED:
            raise ShelfwireError(Code.TOKEN_EXPIRED)
        return follower.newest

    async def cancel(self, job_id: str, audit: AuditEntry | None = None) -> Committed:
        """Request that a job stop for good, and return the committed row; a living worker confirms it.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it has ended.
        """
        steady = self.clock.steady()
        return await self._request(
            "cancel",
            job_id,
            lambda state, now: owner_transitions.cancel(state, self._policy, now=now, steady=steady),
            audit,
        )

    async def pause(self, job_id: str, audit: AuditEntry | None = None) -> Committed:
        """Request that a job wait until it is resumed, and return the committed row; a living worker confirms it.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it is paused already, is being canceled or has ended.
        """
        steady = self.clock.steady()
        return await self._request(
            "pause", job_id, lambda state, now: owner_transitions.pause(state, now=now, steady=steady), audit
        )

    async def resume(self, job_id: str, audit: AuditEntry | None = None) -> Committed:
        """Let a paused job go on, and return the committed row.

        Raises:
            ShelfwireError: `E_JOB_STATE`: it is not paused.
        """
        steady = self.clock.steady()
        committed = await self._request(
            "resume", job_id, lambda state, now: owner_transitions.resume(state, now=now, steady=steady), audit
        )
        self._workers.wake(committed.state.pipeline)
        return committed

    async def delete(self, job_id: str, audit: AuditEntry | None = None) -> None:
        """End a job if it has not ended, notify its followers, and erase all its data. Waits for no worker."""
        now = self.clock.now()

        def publish(ended: Committed | None) -> None:
            if ended is None:
                return
            log.info("job deleted", job=job_id, attempt=ended.state.attempt, status=ended.state.status)
            if ended.state.ended_at == now:  # else its ending was published before
                self._hub.publish([ended])
                self._workers.check(job_id)
            self._hub.erased(ended)

        deleting = self._store.delete(job_id, self._policy, now, audit)
        if await self._publishing(job_id, deleting, publish, lambda: self._look(job_id)) is None:
            raise ShelfwireError(Code.UNAUTHORIZED)

    async def _publishing(
        self,
        job_id: str,
        commit: Coroutine[Any, Any, T],
        publish: Callable[[T], None],
        look: Callable[[], Awaitable[None]],
    ) -> T:
        """Commit and publish, also where the caller is cancelled in between: followers would wait for ever.

        Args:
            job_id: the job that is changed.
            commit: the call of the store.
            publish: receives its answer.
            look: finds out what is stored, and publishes it; called once the store can be used again, if there was no
                answer.
        """

        async def both() -> T:
            try:
                committed = await commit
            except ShelfwireError as error:
                if error.code == Code.STORAGE_UNAVAILABLE and self._hub.is_followed(job_id):
                    # It may have been committed all the same, and its answer lost.
                    self._in_background(self._look_again(look))
                raise
            # At once: a claim that was committed later must not be published before it.
            publish(committed)
            return committed

        task = self._in_background(both())
        await _waited(task)
        return task.result()

    async def _uninterrupted(self, upload: InputWriter, create: Coroutine[Any, Any, str]) -> str:
        """Make a job, also where the caller is cancelled meanwhile."""
        upload.creation = self._in_background(create)
        await _waited(upload.creation)
        return upload.creation.result()

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _look_again(self, look: Callable[[], Awaitable[None]]) -> None:
        # A row that cannot be read is reported by those who claim or erase it.
        with contextlib.suppress(ShelfwireError):
            await when_available(self.clock, look)

    async def _look(self, job_id: str) -> None:
        """Show followers the row of a job as it is stored, after a change of it that was not answered."""
        self._hub.correct(job_id, await self._store.job(job_id))

    async def _request(
        self, name: str, job_id: str, transition: Transition, audit: AuditEntry | None = None
    ) -> Committed:
        def publish(committed: Committed | None) -> None:
            if committed is None:
                return
            attempt, status = committed.state.attempt, committed.state.status
            log.info("control requested", action=name, job=job_id, attempt=attempt, status=status)
            self._hub.publish([committed])
            self._workers.check(job_id)

        requesting = self._store.request(job_id, transition, self.clock.now(), audit)
        committed = await self._publishing(job_id, requesting, publish, lambda: self._look(job_id))
        if committed is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        return committed

    async def corrections(self, job_id: str) -> Corrections:
        """Return what was corrected of a job's items."""
        return await self._store.corrections(job_id)

    async def correct(
        self, job_id: str, given: Mapping[int, Sequence[Any]], *, whole: bool, audit: AuditEntry | None = None
    ) -> None:
        """Keep what a person corrects of a job's items, beside its log.

        Args:
            job_id: the job.
            given: by index, JSON values of the form that the pipeline declares; none take back what there is.
            whole: whether all other items' are taken back.
            audit: what is added to the audit with it.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: the pipeline takes none of this form; `E_ITEM_UNKNOWN`: the job has no
                such item; `E_FILE_TOO_LARGE`: there would be too many.
        """
        state = (await self.get(job_id)).state
        kind = self._correction_of(state)
        for index in given:
            if not 0 <= index < (state.total or 0):
                raise ShelfwireError(
                    Code.ITEM_UNKNOWN,
                    f"Job {job_id} has no item {index} to be corrected",
                    user_message="There is no such entry. Load the list anew, and try again.",
                    details={"index": index},
                )
        encoded: dict[int, msgspec.Raw | None] = {}
        for index, values in given.items():
            try:
                checked = msgspec.convert(values, list[kind])  # type: ignore[valid-type]  # a variable
            except msgspec.ValidationError as error:
                raise ShelfwireError(
                    Code.INVALID_REQUEST, f"Item {index} cannot be corrected so: {error}", details={"index": index}
                ) from None
            encoded[index] = msgspec.Raw(msgspec.json.encode(checked)) if checked else None
        if not await self._store.correct(job_id, encoded, whole=whole, limit=MAX_CORRECTION_BYTES, audit=audit):
            raise ShelfwireError(Code.UNAUTHORIZED)

    def _correction_of(self, state: JobState) -> type[msgspec.Struct]:
        pipeline = self._pipelines.get(state.pipeline)
        if pipeline is None or pipeline.correction is None:
            raise ShelfwireError(Code.INVALID_REQUEST, f"Results of {state.pipeline} cannot be corrected")
        return pipeline.correction

    async def _corrected(self, state: JobState, items: Sequence[Item]) -> list[Item]:
        """Apply what was corrected of some items, in the order of their index."""
        pipeline = self._pipelines.get(state.pipeline)
        if not items or pipeline is None or pipeline.correction is None:
            return list(items)
        given = await self._store.corrections(state.id, first=items[0].index, last=items[-1].index)
        decode = msgspec.json.Decoder(list[pipeline.correction]).decode  # type: ignore[name-defined]  # a variable
        kept = (pipeline.corrected(item, decode(given[item.index])) if item.index in given else item for item in items)
        return [item for item in kept if item is not None]

    async def results(self, job_id: str, *, after: int, limit: int, ok: bool | None, corrected: bool = False) -> Page:
        """Return a page of results, of at most `MAX_PAGE_BYTES` or one item.

        While the job runs it stops before the first index not yet recorded.

        Args:
            job_id: the job.
            after: the last index the caller has; -1 for none.
            limit: maximum number of items.
            ok: only the done ones, or only the failed ones; None for all.
            corrected: whether what was corrected is applied; items that were struck out are left out then.
        """
        state = (await self.get(job_id)).state
        page = await self._page(state, after=after, limit=limit, ok=ok)
        return page._replace(items=await self._corrected(state, page.items)) if corrected else page

    async def _page(self, state: JobState, *, after: int, limit: int, ok: bool | None) -> Page:
        job_id = state.id
        total = {None: state.recorded, True: state.succeeded, False: state.failed}[ok]
        if state.ended:
            items = await self._store.items(job_id, after=after, limit=limit + 1, ok=ok, within=MAX_PAGE_BYTES)
            page = items[:limit]
            more = len(items) > limit or (
                may_be_cut(items) and bool(await self._store.items(job_id, after=items[-1].index, limit=1, ok=ok))
            )
            return Page(page, page[-1].index if more else None, total, state.pipeline)
        items = await self._store.items(job_id, after=after, limit=limit, within=MAX_PAGE_BYTES)
        contiguous = [item for index, item in enumerate(items, after + 1) if item.index == index]
        matching = [item for item in contiguous if ok is None or item.ok == ok]
        return Page(matching, after + len(contiguous), total, state.pipeline)

    async def read_input(self, job_id: str, name: str) -> bytes:
        """Return an input of a job; empty if there is none of this name."""
        return await self._store.read_input(job_id, name)

    async def original(self, job_id: str) -> OriginalTable:
        """Return a job's input as the table that a person sent.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: it is no table; or it cannot be read any more.
        """
        state = (await self.get(job_id)).state
        pipeline = self._pipelines.get(state.pipeline)
        table = None if pipeline is None else await pipeline.original(partial(self.read_input, job_id))
        if table is None:
            raise ShelfwireError(
                Code.INVALID_REQUEST,
                f"The input of a job of {state.pipeline} is no table, so that it has no original rows",
            )
        return table

    def _new_id(self) -> str:
        return str(uuid.UUID(bytes=self._random_bytes(16), version=4))

    def _mint(self) -> str:
        return tokens.mint(self._random_bytes(tokens.TOKEN_BYTES))

    def _first_token(self, job_id: str, caller: Grant | None = None, terms: Terms = TERMS) -> tuple[str, Grant]:
        token, now = self._mint(), self.clock.now()
        if caller is None:
            limits = [limit for limit in (terms.token_ttl, self._policy.token_ttl) if limit is not None]
            ttl = min(limits, default=None)
            return token, tokens.issue(tokens.digest(token), job_id, ttl=ttl, now=now, scopes=terms.scopes)
        grant = tokens.derive(caller, tokens.digest(token), scopes=None, ttl=self._policy.token_ttl, now=now)
        return token, msgspec.structs.replace(grant, job_id=job_id)


async def _waited(task: asyncio.Task[Any]) -> None:
    """Wait for a task, which goes on where the caller is cancelled."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.add_done_callback(_note_failure)
        raise


def _note_failure(task: asyncio.Task[Any]) -> None:
    """Log why a change failed whose caller no longer waits for it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        reason = str(error) if isinstance(error, ShelfwireError) else type(error).__name__
        log.warning("a request failed after its caller was cancelled", reason=reason)
