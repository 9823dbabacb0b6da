"""Gives jobs to workers outside of the server: they make them, claim them and wait for them."""

import asyncio
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog

from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.remote import RemoteAttempts, ends_at
from shelfwire.jobs.remote_draft import clean_metadata
from shelfwire.jobs.store import Claimed, Committed, InputSize, JobStore, RemoteClaim
from shelfwire.jobs.waiters import Waiters
from shelfwire.protocol import reports, tokens, worker_transitions
from shelfwire.protocol.job import ENDED, Policy, Status, create
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import Grant
from shelfwire.protocol.worker_transitions import ProgressDelta, RemoteWorker

BUSY_SECONDS: Final = 0.25
"""How often to look whether a certain job has become claimable."""
_NAME: Final = re.compile(reports.PIPELINE_PATTERN)

log = structlog.get_logger(__name__)


class Work(NamedTuple):
    """A claimed attempt.

    Attributes:
        claimed: the row, and how far its log is.
        token: the secret to report with, which is known only now.
        inputs: the job's inputs.
        lease_until: when the lease ends, in milliseconds since the epoch, for people.
    """

    claimed: Claimed
    token: str
    inputs: Sequence[InputSize]
    lease_until: int


class NewWork(NamedTuple):
    """A new job that its creator works on: the secret of its owner, the grant of that, and the attempt."""

    token: str
    grant: Grant
    work: Work


class RemoteRules(NamedTuple):
    """The operator's rules for workers outside of the server.

    Attributes:
        internal: the names of the pipelines that the server runs itself, which are not for them.
        pipelines: the names that anybody can make jobs of; None for any.
        lost_after: milliseconds without a worker after which a job fails that its worker has made.
    """

    internal: frozenset[str]
    pipelines: frozenset[str] | None
    lost_after: int


class RemoteClaims:
    """Makes jobs for remote workers, and gives them those that wait.

    Args:
        store: where jobs are kept.
        attempts: takes over what was claimed.
        waiters: those who wait for a job.
        publish: receives the rows of claimed jobs.
        policy: lifetimes and limits.
        clock: source of the time.
        random_bytes: returns n bytes from a cryptographic source.
        rules: the operator's.

    Attributes:
        waiters: as given.
    """

    def __init__(
        self,
        store: JobStore,
        attempts: RemoteAttempts,
        waiters: Waiters,
        publish: Callable[[Iterable[Committed]], None],
        policy: Policy,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        rules: RemoteRules,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self.waiters = waiters
        self._publish = publish
        self._policy = policy
        self._clock = clock
        self._random_bytes = random_bytes
        self._rules = rules
        self._leaving = False
        self._turns: dict[str, int] = {}
        """When a job of each pipeline was claimed last, so that they take turns."""

    async def create(
        self,
        pipeline: str,
        worker: RemoteWorker,
        *,
        job_id: str | None = None,
        total: int | None = None,
        metadata: Metadata | None = None,
        tags: Sequence[str] = (),
        callback_url: str | None = None,
        caller: str = "",
    ) -> NewWork:
        """Make a job that the caller itself works on, and claim it, in one transaction.

        Args:
            pipeline: the name of its pipeline.
            worker: the caller.
            job_id: its own choice of a UUID.
            total: items in the input.
            metadata: describes the input.
            tags: by which the job can be found.
            callback_url: the address, checked, that is called when the job has ended.
            caller: whose turns it takes, if another worker has to go on with it; see `JobState.caller`.

        Raises:
            ShelfwireError: `E_PIPELINE_INTERNAL`, `E_JOB_EXISTS`.
        """
        self.check_names([pipeline])
        now, steady = self._clock.now(), self._clock.steady()
        metadata = None if metadata is None else clean_metadata(metadata)
        job_id = job_id or self._new_id()
        made = create(job_id, pipeline, now=now, steady=steady, metadata=metadata, caller=caller)
        lost_after = self._rules.lost_after
        made = msgspec.structs.replace(made, tags=tuple(tags), callback_url=callback_url, lost_after=lost_after)
        state = worker_transitions.claim(made, self._policy, now=now, steady=steady, remote=worker)
        delta = ProgressDelta(total=total)
        state = worker_transitions.advance(state, state.attempt, delta, self._policy, now=now, steady=steady)
        token, secret = self._mint(), self._mint()
        grant = tokens.issue(tokens.digest(token), state.id, ttl=self._policy.token_ttl, now=now)
        report = RemoteClaim(digest=tokens.digest(secret), worker=worker)
        await self._store.create(state, grant, report=report.grant(state))
        log.info("job created", job=state.id, pipeline=pipeline, attempt=state.attempt, worker=worker.name)
        claimed = Claimed(state=state)
        self._attempts.begin(report.digest, claimed)
        return NewWork(token, grant, Work(claimed, secret, (), ends_at(state, self._clock)))

    async def claim(
        self,
        pipelines: Sequence[str],
        worker: RemoteWorker,
        *,
        wait: float,
        gone: asyncio.Event,
        allowed: Callable[[Sequence[str]], object] = lambda _: None,
    ) -> Work | None:
        """Claim the next waiting job of some pipelines; None if there was none in time, or the caller is gone.

        Args:
            pipelines: their names.
            worker: the caller.
            wait: seconds to wait for one.
            gone: set when the caller hangs up.
            allowed: raises where the caller may not have jobs of the pipelines that it is given, or may not any more.

        Raises:
            ShelfwireError: `E_PIPELINE_INTERNAL`; `E_OVERLOADED`: the server shuts down.
        """
        self.check_names(pipelines)
        until = self._clock.monotonic() + wait
        while not gone.is_set():
            self._check_staying()
            allowed(pipelines)
            with self.waiters.waiting(pipelines) as news:
                work = await self._take(pipelines, worker)
                if work is None:
                    await self._wait(news, gone, until - self._clock.monotonic())
                woken = news.is_set()
            if work is not None or (woken and gone.is_set()):
                # There may be more jobs, or this one has not looked.
                for pipeline in pipelines if work is None else [work.claimed.state.pipeline]:
                    self.waiters.wake(pipeline)
            if work is not None:
                return await self._unless_gone(work, gone)
            if not woken:
                self._check_staying()
                return None
        return None

    async def claim_job(
        self,
        job_id: str,
        worker: RemoteWorker,
        *,
        wait: float,
        gone: asyncio.Event,
        allowed: Callable[[Sequence[str]], object],
    ) -> Work | None:
        """Claim a certain job; None if another worker has it until the wait is over, or the caller is gone.

        Args:
            job_id: the job.
            worker: the caller.
            wait: seconds to wait for it.
            gone: set when the caller hangs up.
            allowed: as for `claim`.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: there is no such job; `E_JOB_STATE`: it has ended or is paused; as `claim`.
        """
        until = self._clock.monotonic() + wait
        while not gone.is_set():
            self._check_staying()
            found = await self._store.job(job_id)
            if found is None or found.state.expires_at <= self._clock.now():
                raise ShelfwireError(Code.NOT_FOUND, f"There is no job {job_id}")
            state = found.state
            allowed([state.pipeline])
            self.check_names([state.pipeline])
            if state.status in {Status.PAUSED, *ENDED}:
                raise ShelfwireError(
                    Code.JOB_STATE,
                    f"Job {job_id} is {state.status} and cannot be claimed",
                    details={"status": str(state.status)},
                )
            work = await self._take([state.pipeline], worker, job_id)
            if work is not None:
                return await self._unless_gone(work, gone)
            left = until - self._clock.monotonic()
            if left <= 0:
                return None
            await self._wait(asyncio.Event(), gone, min(left, BUSY_SECONDS))
        return None

    def check_names(self, pipelines: Sequence[str]) -> None:
        """Check that remote workers may have jobs of these pipelines.

        Raises:
            ShelfwireError: `E_PIPELINE_INTERNAL`.
        """
        for name in pipelines:
            if name in self._rules.internal:
                raise ShelfwireError(Code.PIPELINE_INTERNAL, f"The server runs the pipeline {name} itself")

    @property
    def names(self) -> frozenset[str]:
        """The pipelines that the operator has named for remote workers."""
        return self._rules.pipelines or frozenset()

    def may_have(self, pipeline: str, *, local: bool = False) -> bool:
        """Whether a job of a pipeline of this name can be made for a remote worker; see `JobService.pipeline`."""
        names = self._rules.pipelines
        named = names is None or pipeline in names or (local and not names)
        return named and pipeline not in self._rules.internal and _NAME.fullmatch(pipeline) is not None

    def leave(self) -> None:
        """Answer all who wait, because the server shuts down."""
        self._leaving = True
        self.waiters.wake_all()

    def _check_staying(self) -> None:
        if self._leaving:
            raise ShelfwireError(
                Code.OVERLOADED, "The server is shutting down. Ask again in a moment", details={"retryAfter": 1}
            )

    async def _wait(self, news: asyncio.Event, gone: asyncio.Event, seconds: float) -> None:
        """Return when there is news, the caller is gone, or the time is over."""
        if seconds <= 0:
            return
        hang_up = asyncio.create_task(gone.wait())
        either = asyncio.Event()
        hang_up.add_done_callback(lambda _: either.set())
        waits = asyncio.create_task(news.wait())
        waits.add_done_callback(lambda _: either.set())
        try:
            await self._clock.wait(either, seconds)
        finally:
            hang_up.cancel()
            waits.cancel()

    async def _take(self, pipelines: Sequence[str], worker: RemoteWorker, job_id: str | None = None) -> Work | None:
        while self._attempts.may_claim:
            secret = self._mint()
            remote = RemoteClaim(digest=tokens.digest(secret), worker=worker, job_id=job_id)
            claimed = await self._store.claim(
                sorted(pipelines, key=lambda name: self._turns.get(name, 0)),
                self._policy,
                self._clock.now(),
                self._clock.steady(),
                remote=remote,
                take_over=self._attempts.may_take_over,
            )
            if claimed is None:
                return None
            state = claimed.state
            self._turns[state.pipeline] = max(self._turns.values(), default=0) + 1
            self._publish([Committed(state=state, terminal=claimed.terminal)])
            if state.status is Status.RUNNING:
                self._attempts.begin(remote.digest, claimed)
                worked = {"job": state.id, "pipeline": state.pipeline, "attempt": state.attempt}
                log.info("job claimed", **worked, worker=worker.name)
                return Work(claimed, secret, await self._store.inputs(state.id), ends_at(state, self._clock))
            if job_id is not None:
                break
        return None

    async def _unless_gone(self, work: Work, gone: asyncio.Event) -> Work | None:
        if not gone.is_set():
            return work
        await self._attempts.hand_back(tokens.digest(work.token))
        return None

    def _new_id(self) -> str:
        return str(uuid.UUID(bytes=self._random_bytes(16), version=4))

    def _mint(self) -> str:
        return tokens.mint(self._random_bytes(tokens.TOKEN_BYTES))
