"""The composition root: the one place that knows everybody."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from litestar import Litestar, asgi
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import Receive, Scope, Send

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.clock import Clock, SystemClock
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.context import Pipeline
from shelfwire.jobs.ending import concluder
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import JobStore
from shelfwire.jobs.worker import Worker
from shelfwire.pipelines.csv_import.pipeline import CsvImport
from shelfwire.protocol.job import Policy
from shelfwire.settings import Settings
from shelfwire.stores.sqlite import SqliteStore
from shelfwire.web import routes
from shelfwire.web.answers import refuse, refuse_http, refuse_unexpected
from shelfwire.web.socket import ProgressSocket

SWEEP_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 5.0
"""How long running jobs have, at shutdown, to let go before their lease does it for them."""

log = structlog.get_logger(__name__)


def build(
    settings: Settings,
    *,
    pipelines: Iterable[Pipeline] = (CsvImport(),),
    clock: Clock | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Litestar:
    """Make the whole server as one ASGI application; its lifespan opens the store and runs the jobs.

    Args:
        settings: see `Settings`.
        pipelines: the kinds of jobs it runs.
        clock: the time; the machine's unless a test turns another.
        random_bytes: a cryptographic source of so many bytes.
    """
    clock = clock or SystemClock()
    by_name = {pipeline.name: pipeline for pipeline in pipelines}

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with _engine(settings, by_name, clock, random_bytes) as service:
            app.state.service = service
            app.state.socket = ProgressSocket(service, settings.max_followers)
            yield

    @asgi("/ws/progress", copy_scope=False)
    async def progress(scope: Scope, receive: Receive, send: Send) -> None:
        await app.state.socket(scope, receive, send)

    def service_of(state: State) -> JobService:
        service: JobService = state.service
        return service

    app = Litestar(
        [routes.import_csv, routes.job_state, routes.results, routes.cancel, routes.live, routes.ready, progress],
        lifespan=[lifespan],
        dependencies={
            "service": Provide(service_of, sync_to_thread=False),
            "settings": Provide(lambda: settings, sync_to_thread=False),
        },
        exception_handlers={ShelfwireError: refuse, HTTPException: refuse_http, Exception: refuse_unexpected},
        openapi_config=None,
        logging_config=None,
    )
    return app


@asynccontextmanager
async def _engine(
    settings: Settings, pipelines: dict[str, Pipeline], clock: Clock, random_bytes: Callable[[int], bytes]
) -> AsyncIterator[JobService]:
    policy = Policy(lease=round(settings.lease * 1000), ended_ttl=settings.job_ttl * 1000)
    inline = settings.inline_results
    async with SqliteStore(settings.data, conclude=concluder(inline), inline_limit=inline) as store:
        hub = Hub()
        committer = Committer(store, hub.publish, policy, clock, settings.flush_interval)
        worker = Worker(store, committer, hub.publish, pipelines, policy, clock, random.random, settings.workers)
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in {
                "worker": worker.run(),
                "sweeper": _sweep(store, clock),
                "committer": committer.run(),
            }.items()
        ]
        for task in tasks:
            task.add_done_callback(_report)
        token_ttl = None if settings.token_ttl is None else settings.token_ttl * 1000
        try:
            yield JobService(
                store,
                hub,
                worker,
                policy,
                clock,
                random_bytes,
                healthy=lambda: not any(task.done() for task in tasks),
                token_ttl=token_ttl,
            )
        finally:
            *others, committing = tasks
            await _cancel(*others)
            await worker.leave(GRACE_SECONDS)
            await _cancel(committing)


async def _sweep(store: JobStore, clock: Clock) -> None:
    while True:
        try:
            erased = await store.sweep(clock.now())
            if erased:
                log.info("expired jobs erased", jobs=erased)
        except ShelfwireError as error:
            log.warning("sweeping failed, trying again", code=error.code, reason=error.message)
        await clock.wait(asyncio.Event(), SWEEP_SECONDS)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the server is broken; restart it, nothing is lost", part=task.get_name(), exc_info=error)
