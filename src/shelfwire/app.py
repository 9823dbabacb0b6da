"""The composition root: the one place that knows everybody."""

import asyncio
import contextlib
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, Unpack

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.clock import Clock, sleep
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.callbacks import CallbackRules
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.deliverer import Deliverer, OnEnd
from shelfwire.jobs.figures import Recorder
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.leases import LeaseWatcher
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.nodes import Nodes
from shelfwire.jobs.operator import Operator
from shelfwire.jobs.outbox import announcer
from shelfwire.jobs.pipeline import OPTIONS, Pipeline, UnavailablePipeline, stored_options
from shelfwire.jobs.readiness import Readiness
from shelfwire.jobs.remote import RemoteAttempts
from shelfwire.jobs.remote_claims import RemoteClaims, RemoteRules
from shelfwire.jobs.rereading import Rereader
from shelfwire.jobs.results import terminal_encoder
from shelfwire.jobs.service import JobService, Token
from shelfwire.jobs.slots import Slots
from shelfwire.jobs.starting import Wanted, start
from shelfwire.jobs.store import Committed, JobStore
from shelfwire.jobs.telemetry import Telemetry
from shelfwire.jobs.waiters import Waiters
from shelfwire.jobs.worker import Worker
from shelfwire.jobs.workers import Workers
from shelfwire.metrics import Metrics
from shelfwire.plugins import Plugin, PluginContext, ServiceError, checked, compose, installed
from shelfwire.plugins.checks import described
from shelfwire.protocol.job import Policy, Status
from shelfwire.protocol.tokens import TOKEN_BYTES
from shelfwire.settings import Settings, SettingsError, check_callbacks, check_database, slots_of
from shelfwire.stores.opening import OpenStore as OpenStore  # noqa: PLC0414 - others import it from here
from shelfwire.stores.opening import clock_for, opener
from shelfwire.tracing import traced_pipelines
from shelfwire.web.access import Access
from shelfwire.web.application import Application
from shelfwire.web.connection_limit import ConnectionLimit
from shelfwire.web.keys import Role, new_key
from shelfwire.web.openapi import check_names, openapi
from shelfwire.web.route import Context, Route
from shelfwire.web.routes import gathered
from shelfwire.webhooks import WebhookSender, resolve

SWEEP_SECONDS: Final = 60.0
MAX_INTERRUPTED: Final = 1000
"""The most jobs of a process before that are looked after, for statistics."""
GRACE_SECONDS: Final = 5.0
"""How long running jobs have, at shutdown, to let go before their lease does it for them."""

log = structlog.get_logger(__name__)


class Running(NamedTuple):
    """What runs: its interface to transports, that to operators, and its figures over time."""

    service: JobService
    operator: Operator
    recorder: Recorder


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
        open_store: makes the store; unless given one in `settings.database`, or in the folder `settings.data`.
        on_end: is called and awaited, at least once, after a job has ended and that is durable; see
            `jobs.deliverer.OnEnd`.

    Raises:
        PluginError: something among the pipelines and plug-ins, given or installed, is misdeclared.
        SettingsError: `pipeline_slots` names a pipeline that there is not; `callback_hosts` is set without secrets.
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
        open_store: OpenStore | None = None,
        on_end: OnEnd | None = None,
    ) -> None:
        self._settings = settings or Settings()
        check_callbacks(self._settings)
        check_database(self._settings)
        self._plugins = installed() if plugins is None else list(plugins)
        checked(self._plugins)
        self._pipelines = compose(self._plugins, pipelines)
        _check_slots(self._settings, self._pipelines)
        self._work = work
        self._on_end = on_end
        self._clock = clock or clock_for(self._settings)
        self._random_bytes = random_bytes
        self._open_store = open_store or opener(self._settings, self._clock, random_bytes)
        named = {*self._pipelines, *(self._settings.remote_names or ())}
        self._metrics = Metrics(named, self._plugins)
        self._running_engine: Running | None = None
        self._context = Context(
            running=lambda: self.service,
            operating=lambda: self._engine.operator,
            recording=lambda: self._engine.recorder,
            settings=self._settings,
            access=Access(self._settings, self._clock, self._random_bytes, self._nodes),
            connections=ConnectionLimit(self._settings.max_followers),
            metrics=self._metrics,
            pipelines=self._pipelines,
            routes=gathered(self._plugins, self._pipelines),
            exports={pipeline: plugin.exports for plugin in self._plugins for pipeline in plugin.labels},
            callbacks=CallbackRules(self._settings.callback_hosts, resolve),
        )
        check_names(self._context.routes, self._pipelines.values())
        self._application = self._applied(standalone=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI has it."""
        await self._application(scope, receive, send)

    def standalone(self) -> ASGIApp:
        """Return the application for a server of its own: on a loopback address it answers for no other host.

        Mounted into another application, the hosts are that one's concern, unless `allowed_hosts` says otherwise.
        """
        return self._applied(standalone=True)

    def _applied(self, *, standalone: bool) -> Application:
        return Application(
            self._context,
            self.lifespan,
            self._clock,
            new_id=self.new_request_id,
            standalone=standalone,
        )

    def dismiss(self) -> None:
        """Dismiss all followers, waiting workers and watching operators, because the server shuts down."""
        self._engine.service.readiness.leaving = True
        self._engine.service.dismiss_followers()
        self._engine.operator.leaving.set()

    def new_local_key(self) -> str:
        """Make an API key that programs of this machine may operate the server with, as long as the process lives."""
        key = new_key(Role.ADMIN, self._random_bytes(TOKEN_BYTES))
        self._context.access.add_local_key(key)
        return key

    @property
    def context(self) -> Context:
        """The application as handlers of requests see it."""
        return self._context

    def new_request_id(self) -> str:
        """Make the id of a request that has none."""
        return self._random_bytes(8).hex()

    @property
    def routes(self) -> Sequence[Route]:
        """Every HTTP route, those of plug-ins included."""
        return self._context.routes

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the routes, as JSON values."""
        return openapi(self._context.routes, self._pipelines, self._settings.root_path or "/")

    def lifespan(self, _host: object = None) -> AbstractAsyncContextManager[None]:
        """Open the store and run the jobs until the context ends.

        Hand it to the application this one is mounted into: that one's server knows no lifespan but its own. An
        application that has a lifespan already enters this one within it.

        Servers wait for open answers before they end the lifespan. Give them a limit, such as uvicorn's
        `timeout_graceful_shutdown`, or an event stream keeps them from stopping until its job ends.
        """
        return self._running()

    @property
    def service(self) -> JobService:
        """What can be done with jobs from inside the process; it trusts its caller.

        Raises:
            RuntimeError: outside of the lifespan.
        """
        return self._engine.service

    def _nodes(self) -> Nodes | None:
        return None if self._running_engine is None else self._running_engine.service.nodes

    @property
    def _engine(self) -> Running:
        if self._running_engine is None:
            raise RuntimeError("shelfwire is not running: hand its lifespan to the application it is mounted into")
        return self._running_engine

    async def start(
        self,
        pipeline: str,
        inputs: Mapping[str, bytes],
        options: msgspec.Struct | None = None,
        **wanted: Unpack[Wanted],
    ) -> Token:
        """Start a job from inside the process.

        Args:
            pipeline: the name of the pipeline.
            inputs: what it reads, by name.
            options: an instance of the pipeline's options; their defaults unless given.
            **wanted: what else is wanted of the job; see `Wanted`.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: there is no such pipeline; `E_INVALID_REQUEST`: the id, a tag or the scopes
                are not valid; `E_CALLBACK_REFUSED`; `E_JOB_EXISTS`; `E_IDEMPOTENCY_MISMATCH`; `E_STORAGE_UNAVAILABLE`.
        """
        if (url := wanted.get("callback_url")) is not None:
            await self._context.callbacks.admit(url)
        stored = None if options is None else stored_options(options)
        given = dict(inputs) if stored is None else {**inputs, OPTIONS: stored}
        return await start(self.service, pipeline, given, wanted)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        context = PluginContext(self._settings, self._clock, self._metrics.count, self._nodes)
        async with contextlib.AsyncExitStack() as stack:
            for plugin in self._plugins:
                await _enter(stack, plugin, context)
            engine = _engine(
                self._settings,
                self._pipelines,
                self._clock,
                self._random_bytes,
                self._metrics,
                self._open_store,
                self._on_end,
                work=self._work,
            )
            self._running_engine = await stack.enter_async_context(engine)
            try:
                yield
            finally:
                self._running_engine = None


async def _enter(stack: contextlib.AsyncExitStack, plugin: Plugin, context: PluginContext) -> None:
    """Open the services of a plug-in until the stack is closed.

    Raises:
        ServiceError: they cannot be opened.
    """
    try:
        await stack.enter_async_context(plugin.running(context))
    except ServiceError:
        raise
    except Exception as error:
        raise ServiceError(
            f"The plug-in {plugin.name!r} cannot open its services: {described(error)}. Set up what it needs, or "
            "uninstall it"
        ) from error


@asynccontextmanager
async def _engine(
    settings: Settings,
    pipelines: Mapping[str, Pipeline],
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    telemetry: Metrics,
    open_store: OpenStore,
    on_end: OnEnd | None,
    *,
    work: bool,
) -> AsyncIterator[Running]:
    policy = _policy(settings)
    folds = {name: pipeline.fold for name, pipeline in pipelines.items()}
    able = {name: own for name, own in pipelines.items() if not isinstance(own, UnavailablePipeline)}
    encode_terminal = terminal_encoder(settings.inline_results, folds, settings.root_path)
    announce = announcer(settings.root_path, to_application=on_end is not None)
    secrets = [secret.reveal() for secret in settings.callback_secrets]
    async with (
        open_store(encode_terminal=encode_terminal, steady=clock.steady, announce=announce) as store,
        WebhookSender(CallbackRules(settings.callback_hosts, resolve), secrets, clock.now) as sender,
    ):
        deliverer = Deliverer(store.outbox, sender.send, on_end, clock, telemetry)
        nodes = store.nodes
        send = None if nodes is None else nodes.send
        hub = Hub(telemetry, clock, settings.flush_interval, deliverer.wake, send)
        committer = Committer(store, hub.publish, policy, clock, settings.flush_interval, telemetry)
        run = able if work else {}
        defaults = {name: own.slots for name, own in run.items()}
        slots = Slots(settings.workers, defaults, slots_of(settings.pipeline_slots))
        publish = partial(_publish_claimed, hub, telemetry, clock)
        recorder = Recorder(telemetry, store, clock)
        worker = Worker(store, committer, publish, traced_pipelines(run), policy, clock, slots)
        waiters = Waiters()
        remote = RemoteAttempts(store, committer, policy, clock, settings.inline_results, waiters.wake)
        rules = _remote_rules(settings, pipelines)
        claims = RemoteClaims(store, remote, waiters, publish, policy, clock, random_bytes, rules)
        workers = Workers(worker, claims, remote, send)
        watcher = LeaseWatcher(store, remote, waiters, hub.publish, policy, clock)
        rereader = None if nodes is None else Rereader(nodes, hub, workers, clock, store.request)
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in {
                "worker": worker.run(),
                "leases": watcher.run(),
                "sweeper": _sweep(store, hub, policy, clock),
                "figures": _record(recorder, store, telemetry, clock.now()),
                **({} if rereader is None else {"hints": rereader.listen(), "rereader": rereader.run()}),
                **({"deliverer": deliverer.run()} if on_end is not None or settings.callback_hosts else {}),
                "committer": committer.run(),
            }.items()
        ]
        for task in tasks:
            task.add_done_callback(_report)

        def failing() -> list[str]:
            parts = {
                "progress cannot be committed": committer.failing,
                "jobs cannot be claimed": worker.failing,
                "what other nodes change cannot be read": rereader is not None and rereader.failing,
                "a part of the server is broken, see its log": any(task.done() for task in tasks),
            }
            return [said for said, fails in parts.items() if fails]

        try:
            service = JobService(
                store,
                hub,
                workers,
                policy,
                clock,
                random_bytes,
                Readiness(store, clock, committer.takeover, failing),
                pipelines=pipelines,
            )
            yield Running(service, Operator(service, store, clock), recorder)
        finally:
            *others, committing = tasks
            await _cancel(*others)
            await worker.shut_down(GRACE_SECONDS)
            await _cancel(committing)
            await recorder.store()
            for pipeline in pipelines.values():
                await pipeline.close()


def _publish_claimed(hub: Hub, telemetry: Telemetry, clock: Clock, claimed: Iterable[Committed]) -> None:
    rows = list(claimed)
    hub.publish(rows)
    for state in (row.state for row in rows):
        if state.status is Status.RUNNING:
            telemetry.claimed(state, (clock.steady() - state.run_at) / 1000)


async def _record(recorder: Recorder, store: JobStore, telemetry: Telemetry, since: int) -> None:
    """Record figures until cancelled, among them how many jobs a process before this one had begun."""
    begun = JobFilter(status=(Status.RUNNING, Status.CANCELING, Status.QUEUED), until=since)
    if store.nodes is None:  # else they may run on another node
        with contextlib.suppress(ShelfwireError):
            page = await store.jobs(begun, limit=MAX_INTERRUPTED)
            telemetry.interrupted([state.id for state in page.states if state.attempt])
    await recorder.run()


def _check_slots(settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
    for name in slots_of(settings.pipeline_slots):
        if name not in pipelines:
            known = ", ".join(sorted(pipelines))
            raise SettingsError(f"pipeline_slots names {name}, and this server has no such pipeline. It has: {known}")


def _remote_rules(settings: Settings, internal: Iterable[str]) -> RemoteRules:
    return RemoteRules(
        internal=frozenset(internal),
        pipelines=settings.remote_names,
        lost_after=settings.worker_lost_after * 1000,
    )


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
                hub.erased(ending)
            if swept.erased:
                log.info("expired jobs erased", jobs=swept.erased)
            for job_id in swept.damaged:
                log.error("an expired job could not be read", job=job_id)
            if swept.failure is not None:
                raise swept.failure
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
