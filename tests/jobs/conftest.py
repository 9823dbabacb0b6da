"""The engine on a real store, with a clock to turn and pipelines that do as a test tells them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx2
import msgspec
import pytest

from shelfwire.app import Running, Shelfwire
from shelfwire.client.http_client import NetworkHttpClient
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.figures import Recorder
from shelfwire.jobs.frames import Frame
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.job import Job
from shelfwire.jobs.leases import LeaseWatcher
from shelfwire.jobs.operator import Operator
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.readiness import Readiness
from shelfwire.jobs.remote import RemoteAttempts
from shelfwire.jobs.remote_claims import RemoteClaims, RemoteRules
from shelfwire.jobs.results import listed, terminal_encoder
from shelfwire.jobs.service import JobService
from shelfwire.jobs.slots import Slots
from shelfwire.jobs.waiters import Waiters
from shelfwire.jobs.worker import Worker
from shelfwire.jobs.workers import Workers
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.messages import Message, Metadata, decode
from shelfwire.remote import RemoteWorker
from shelfwire.settings import Settings
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import FakeClock

POLICY = Policy(max_errors=3)
REMOTE = "pdf_report"
"""A pipeline whose workers are outside of the engine."""
Body = Callable[[Job], Awaitable[str]]


class Scripted(Pipeline):
    """A pipeline whose body is a test's function."""

    name = "csv_import"

    def __init__(self, body: Body) -> None:
        self.body = body

    async def run(self, job: Job) -> str:
        return await self.body(job)


@dataclass
class Engine:
    """One process's engine, as the composition root builds it."""

    store: SqliteStore
    clock: FakeClock
    hub: Hub
    committer: Committer
    worker: Worker
    service: JobService
    remote: RemoteAttempts
    leases: LeaseWatcher
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def submit(self, data: bytes = b"") -> str:
        async with self.service.upload() as upload:
            await upload.write("file", data)
            return (await self.service.create(upload, "csv_import", Metadata(file_name="a.csv"))).job_id

    async def story(self, job_id: str) -> list[Message]:
        """Follow a job to its end, turning the clock whenever nothing comes."""
        told: list[Message] = []
        async with self.service.follow(job_id) as follower:
            async for frame in self.turning(follower.frames()):
                message = decode(frame.text)
                assert isinstance(message, Message)
                told.append(message)
        return told

    async def turning(self, frames: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
        """Iterate, turning the clock by a tick whenever the next element is not there at once."""
        while True:
            step = asyncio.ensure_future(anext(frames, None))
            while not step.done():
                # Written in turn: a store that is slow on a busy machine must not be outrun by the clock.
                with contextlib.suppress(ShelfwireError):
                    await self.store.discard_input("no upload")
                await asyncio.wait({step}, timeout=0.002)
                self.clock.advance(0.05)
            element = step.result()
            if element is None:
                return
            yield element

    async def until(self, job_id: str, status: Status) -> JobState:
        """The job's row once it has the status, turning the clock until then."""
        async with self.service.follow(job_id) as follower:
            async for frame in self.turning(follower.frames()):
                if frame.state.status is status:
                    return frame.state
        raise AssertionError(f"the job ended without being {status}")

    async def stop(self) -> None:
        for task in self.tasks[:1]:
            task.cancel()
        await asyncio.gather(*self.tasks[:1], return_exceptions=True)
        await self.worker.shut_down(grace=5)
        for task in self.tasks[1:]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()


class MakeEngine(Protocol):
    """Starts an engine on the test's data folder; each call is a new process as far as the engine can tell."""

    def __call__(
        self, body: Body, *, slots: int = 4, running: bool = True, **policy: int | None
    ) -> AbstractAsyncContextManager[Engine]: ...


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    return engines(tmp_path)


def engines(folder: Path, *, elsewhere: bool = False) -> MakeEngine:
    """Make engines whose pipeline runs inside them; or elsewhere, over HTTP in memory."""

    @asynccontextmanager
    async def make(body: Body, *, slots: int = 4, running: bool = True, **options: int | None) -> AsyncIterator[Engine]:
        policy = msgspec.structs.replace(POLICY, **options)
        clock, hub = FakeClock(), Hub()
        async with SqliteStore(
            folder / "data",
            encode_terminal=terminal_encoder(700_000, {"csv_import": listed("books")}),
            inline_limit=700_000,
            steady=clock.steady,
        ) as store:
            committer = Committer(store, hub.publish, policy, clock, interval=0.05)
            pipelines = {"csv_import": Scripted(body)}
            inside = {} if elsewhere else pipelines
            waiters = Waiters()
            remote = RemoteAttempts(store, committer, policy, clock, 700_000, waiters.wake, uniform=lambda: 0.0)
            rules = RemoteRules(frozenset(inside), frozenset({REMOTE}), lost_after=900_000)
            claims = RemoteClaims(store, remote, waiters, hub.publish, policy, clock, os.urandom, rules)
            worker = Worker(
                store, committer, hub.publish, inside, policy, clock, Slots(slots, dict.fromkeys(inside)), lambda: 0.0
            )
            service = JobService(
                store,
                hub,
                Workers(worker, claims, remote),
                policy,
                clock,
                os.urandom,
                Readiness(store, clock, committer.takeover),
                pipelines=pipelines,
            )
            leases = LeaseWatcher(store, remote, waiters, hub.publish, policy, clock)
            engine = Engine(store, clock, hub, committer, worker, service, remote, leases)
            if running:
                work = _elsewhere(folder, service, clock, body, slots) if elsewhere else worker.run()
                engine.tasks = [asyncio.create_task(work), asyncio.create_task(committer.run())]
            try:
                yield engine
            finally:
                await engine.stop()

    return make


async def _elsewhere(folder: Path, service: JobService, clock: FakeClock, body: Body, slots: int) -> None:
    app = Shelfwire(Settings(data=folder / "data", create_limit=0), plugins=[], clock=clock)
    store = service._store
    app._running_engine = Running(
        service, Operator(service, store, clock), Recorder(app._context.metrics, store, clock)
    )
    http = NetworkHttpClient("http://127.0.0.1:8787", transport=httpx2.ASGITransport(app))
    await RemoteWorker(pipelines=[Scripted(body)], slots=slots, http=http, clock=clock).run()
