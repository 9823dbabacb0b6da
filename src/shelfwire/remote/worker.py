"""Claims jobs from a server, and runs their pipelines here."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from shelfwire.client.errors import ConnectionLostError, RefusedError
from shelfwire.client.http import HttpClient, key_header
from shelfwire.client.http_client import NetworkHttpClient
from shelfwire.client.reporting.attempt import (
    AGAIN,
    LAST_PAUSE,
    MAX_WAIT,
    Attempt,
    Retries,
    claimed,
    worker_name,
)
from shelfwire.client.reporting.heartbeat import HeartbeatThread
from shelfwire.clock import Clock, SystemClock, sleep, uniform
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.protocol.reports import DEFAULT_LEASE, MAX_LEASE, MIN_LEASE
from shelfwire.remote.run import AttemptRun

SLOTS: Final = 4
GRACE_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class RemoteWorker:
    """Runs jobs of some pipelines, which wait on a server, in this process.

    The pipelines are written as for a server, and see the same `Job`. A worker that dies loses its jobs when their
    leases end, and the next one goes on from what was recorded.

    Args:
        url: the server's, such as `http://127.0.0.1:8787`.
        api_key: a key of the role `work`, on a server that requires one. A secret.
        pipelines: what it runs.
        slots: how many jobs at once.
        lease: whole seconds after which another worker may have a job, if this process dies; 1 to 3600. It is renewed
            from a thread, so a pipeline may compute for longer without a turn of the event loop.
        grace: seconds that pipelines have to stop when the worker is cancelled.
        http: the connection to the server; by default the network.
        clock: the source of the time.

    Raises:
        ValueError: the URL cannot be a server's, the key cannot be one, the lease is out of bounds, or two pipelines
            have the same name.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8787",
        api_key: str | None = None,
        *,
        pipelines: Sequence[Pipeline],
        slots: int = SLOTS,
        lease: int = DEFAULT_LEASE,
        grace: float = GRACE_SECONDS,
        http: HttpClient | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._pipelines = {pipeline.name: pipeline for pipeline in pipelines}
        if not pipelines or len(self._pipelines) < len(pipelines):
            raise ValueError("Give at least one pipeline, and each once")
        if not MIN_LEASE <= lease <= MAX_LEASE or slots < 1:
            raise ValueError(f"A lease is {MIN_LEASE} to {MAX_LEASE} whole seconds, and there is at least one slot")
        self._key = key_header(api_key)
        self._slots = slots
        self._lease = lease
        self._grace = grace
        clock = clock or SystemClock()
        address = url.rstrip("/")
        self._retries = Retries(http or NetworkHttpClient(address), clock, uniform)
        self._heartbeat = HeartbeatThread(partial(NetworkHttpClient, address), clock) if http is None else None
        self._runs: dict[asyncio.Task[None], AttemptRun] = {}
        self._failing = False

    async def run(self) -> None:
        """Claim and run jobs until cancelled; then stop them within the grace, and hand back those that are not done.

        What was recorded is kept. Call it once.

        Raises:
            RefusedError: the server does not give this worker any jobs: its key is missing or of another role, or the
                server runs one of the pipelines itself.
            ShelfwireError: a pipeline is not ready to run here.
        """
        for pipeline in self._pipelines.values():
            pipeline.ready()
        watching = None if self._heartbeat is None else asyncio.create_task(self._heartbeat.watch())
        try:
            while True:
                if len(self._runs) >= self._slots:
                    await asyncio.wait(self._runs, return_when=asyncio.FIRST_COMPLETED)
                    continue
                attempt = await self._claim()
                if attempt is not None:
                    self._begin(attempt)
        finally:
            await self._shut_down()
            if watching is not None:
                watching.cancel()

    async def _claim(self) -> Attempt | None:
        wanted = {
            "pipelines": list(self._pipelines),
            "wait": MAX_WAIT,
            "leaseSeconds": self._lease,
            "worker": worker_name(),
        }
        try:
            attempt = await claimed(self._retries, self._key, wanted, seconds=0)
        except RefusedError as error:
            if not isinstance(error, ConnectionLostError) and error.status not in AGAIN:
                raise
            if not self._failing:  # the others repeat it
                log.warning("no job can be claimed, trying again", code=error.code, reason=error.message)
            self._failing = True
            await sleep(self._retries.clock, LAST_PAUSE * (0.5 + self._retries.random_fraction() / 2))
            return None
        if self._failing:
            self._failing = False
            log.warning("jobs can be claimed again")
        return attempt

    def _begin(self, attempt: Attempt) -> None:
        assert attempt.state is not None  # noqa: S101 - every claim has one
        pipeline = self._pipelines[attempt.state.pipeline]
        run = AttemptRun(pipeline, self._retries, attempt, self._heartbeat)
        task = asyncio.create_task(run.run())
        self._runs[task] = run
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        run = self._runs.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an attempt broke off", job=run.draft.state.id, reason=repr(error))

    async def _shut_down(self) -> None:
        for run in self._runs.values():
            run.draft.halt()
        if self._runs:
            _, late = await asyncio.wait(list(self._runs), timeout=self._grace)
            for task in late:
                state = self._runs[task].draft.state
                log.warning("a job did not stop in time; its lease will expire", job=state.id, attempt=state.attempt)
                task.cancel()
        for pipeline in self._pipelines.values():
            await pipeline.close()
        if self._heartbeat is not None:
            await self._heartbeat.aclose()
        await self._retries.http.aclose()
