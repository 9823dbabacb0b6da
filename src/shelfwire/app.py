"""The composition root: the one place that knows everybody."""

import asyncio
import contextlib
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import structlog
from litestar import Litestar, asgi
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import Receive, Scope, Send

from shelfwire.clock import Clock, SystemClock, sleep
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.pipeline import Pipeline, UnavailablePipeline, columns_of
from shelfwire.jobs.results import terminal_encoder
from shelfwire.jobs.service import JobService, Token
from shelfwire.jobs.store import JobStore
from shelfwire.jobs.telemetry import Telemetry
from shelfwire.jobs.worker import Worker
from shelfwire.metrics import Metrics
from shelfwire.metrics import metrics as metrics_route
from shelfwire.plugins import Plugin, PluginContext, checked, compose, installed
from shelfwire.protocol.job import Policy
from shelfwire.protocol.messages import Metadata
from shelfwire.settings import Settings
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.tracing import traced_application, traced_pipelines
from shelfwire.web.access import Access
from shelfwire.web.connection_limit import ConnectionLimit
from shelfwire.web.middleware import RequestMiddleware
from shelfwire.web.responses import refuse, refuse_http, refuse_unexpected
from shelfwire.web.root_path import own_scope
from shelfwire.web.routes import ROUTES, allowing
from shelfwire.web.socket import ProgressSocket

SWEEP_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 5.0
"""How long running jobs have, at shutdown, to let go before their lease does it for them."""

log = structlog.get_logger(__name__)


class Shelfwire:
    """The whole server as one ASGI application, by itself or mounted into another one.

    Args:
        settings: see `Settings`.
        pipelines: kinds of jobs beside those that are installed; one takes the place of an installed one of its name.
            See `Pipeline`.
        plugins: the plug-ins to use; those that are installed unless given.
        work: whether to run jobs; without, they only wait.
        clock: the time; the machine's unless a test turns another.
        random_bytes: a cryptographic source that returns the given number of bytes.

    Raises:
        PluginError: something among the pipelines and plug-ins, given or installed, is misdeclared.

    Attributes:
        litestar: the application inside.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        pipelines: Iterable[Pipeline] = (),
        plugins: Iterable[Plugin] | None = None,
        work: bool = True,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._settings = settings or Settings()
        self._plugins = installed() if plugins is None else list(plugins)
        checked(self._plugins)
        self._pipelines = compose(self._plugins, pipelines)
        self._work = work
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._room = ConnectionLimit(self._settings.max_followers)
        self._metrics = Metrics(self._pipelines, [own for plugin in self._plugins for own in plugin.counters])
        self._service: JobService | None = None
        self.litestar = self._build()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request, as ASGI has it."""
        await self.litestar(own_scope(scope), receive, send)

    def lifespan(self, _host: object = None) -> AbstractAsyncContextManager[None]:
        """Open the store and run the jobs until the context ends.

        Hand it to the application this one is mounted into: that one's server knows no lifespan but its own. An
        application that has a lifespan already enters this one within it.

        Servers wait for open answers before they end the lifespan. Give them a limit, such as uvicorn's
        `timeout_graceful_shutdown`, or an event stream keeps them from stopping until its job ends.
        """
        return self.litestar.lifespan()

    @property
    def service(self) -> JobService:
        """What can be done with jobs from inside the process; it trusts its caller.

        Raises:
            RuntimeError: outside of the lifespan.
        """
        if self._service is None:
            raise RuntimeError("shelfwire is not running: hand its lifespan to the application it is mounted into")
        return self._service

    async def start(self, pipeline: str, inputs: Mapping[str, bytes]) -> Token:
        """Start a job from inside the process.

        Args:
            pipeline: the name of the pipeline.
            inputs: what it reads, by name.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: there is no such pipeline; `E_STORAGE_UNAVAILABLE`.
        """
        async with self.service.upload() as upload:
            for name, data in inputs.items():
                await upload.write(name, data)
            return await self.service.create(upload, pipeline, Metadata(file_size=sum(map(len, inputs.values()))))

    @asynccontextmanager
    async def _running(self, _app: Litestar) -> AsyncIterator[None]:
        context = PluginContext(self._settings, self._clock, self._metrics.count)
        async with contextlib.AsyncExitStack() as stack:
            for plugin in self._plugins:
                await stack.enter_async_context(plugin.running(context))
            engine = _engine(
                self._settings, self._pipelines, self._clock, self._random_bytes, self._metrics, work=self._work
            )
            self._service = await stack.enter_async_context(engine)
            try:
                yield
            finally:
                self._service = None

    def _build(self) -> Litestar:
        @asgi("/ws/progress", copy_scope=False)
        async def progress(scope: Scope, receive: Receive, send: Send) -> None:
            await ProgressSocket(self.service, access, self._room)(scope, receive, send)

        access = Access(self._settings, self._clock)

        routes = (*ROUTES, *(route for plugin in self._plugins for route in plugin.routes()), metrics_route)
        columns = {name: columns_of(pipeline) for name, pipeline in self._pipelines.items()}
        given = {
            "settings": self._settings,
            "access": access,
            "room": self._room,
            "metrics": self._metrics,
            "columns": columns,
        }
        app = Litestar(
            [*allowing(routes), *routes, progress],
            lifespan=[self._running],
            dependencies={
                "service": Provide(lambda: self.service, sync_to_thread=False),
                **{name: Provide(_giving(value), sync_to_thread=False) for name, value in given.items()},
            },
            cors_config=access.cors(),
            exception_handlers={ShelfwireError: refuse, HTTPException: refuse_http, Exception: refuse_unexpected},
            openapi_config=None,
            logging_config=None,
        )
        # Around everything: Litestar's own middleware sees neither what has no route nor what CORS answers.
        app.asgi_handler = RequestMiddleware(
            traced_application(app.asgi_handler),
            self._clock,
            new_id=lambda: self._random_bytes(8).hex(),
            telemetry=self._metrics,
            patience=self._settings.upload_timeout,
        )
        return app


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


@asynccontextmanager
async def _engine(
    settings: Settings,
    pipelines: Mapping[str, Pipeline],
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    telemetry: Telemetry,
    *,
    work: bool,
) -> AsyncIterator[JobService]:
    policy = _policy(settings)
    inline = settings.inline_results
    folds = {name: pipeline.fold for name, pipeline in pipelines.items()}
    able = {name: own for name, own in pipelines.items() if not isinstance(own, UnavailablePipeline)}
    async with SqliteStore(
        settings.data, encode_terminal=terminal_encoder(inline, folds), inline_limit=inline
    ) as store:
        hub = Hub(telemetry)
        committer = Committer(store, hub.publish, policy, clock, settings.flush_interval, telemetry)
        run = traced_pipelines(able) if work else {}
        worker = Worker(store, committer, hub.publish, run, policy, clock, settings.workers)
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in {
                "worker": worker.run(),
                "sweeper": _sweep(store, hub, policy, clock),
                "committer": committer.run(),
            }.items()
        ]
        for task in tasks:
            task.add_done_callback(_report)
        try:
            yield JobService(
                store,
                hub,
                worker,
                policy,
                clock,
                random_bytes,
                healthy=lambda: not any(task.done() for task in tasks),
                pipelines=pipelines,
            )
        finally:
            *others, committing = tasks
            await _cancel(*others)
            await worker.shut_down(GRACE_SECONDS)
            await _cancel(committing)
            for pipeline in pipelines.values():
                await pipeline.close()


def _policy(settings: Settings) -> Policy:
    return Policy(
        lease=round(settings.lease * 1000),
        ended_ttl=settings.job_ttl * 1000,
        stall_after=round(settings.stall_after * 1000),
        token_ttl=None if settings.token_ttl is None else settings.token_ttl * 1000,
    )


async def _sweep(store: JobStore, hub: Hub, policy: Policy, clock: Clock) -> None:
    while True:
        try:
            swept = await store.sweep(policy, clock.now())
            hub.publish(swept.endings)
            for ending in swept.endings:
                hub.erased(ending.state.id)
            if swept.erased:
                log.info("expired jobs erased", jobs=swept.erased)
        except ShelfwireError as error:
            log.warning("sweeping failed, trying again", code=error.code, reason=error.message)
        await sleep(clock, SWEEP_SECONDS)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        trace = "".join(traceback.format_exception(error))
        log.critical("the server is broken; restart it, nothing is lost", part=task.get_name(), exception=trace)
