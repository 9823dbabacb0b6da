"""Renews the leases of attempts, beside whatever else goes on, and hears what their owners want.

Code that computes or blocks stops an event loop and everything on it. So where the work is on a loop, the renewals are
on another one, in a thread and on a connection of their own.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from shelfwire.client.errors import RefusedError, read
from shelfwire.client.http import HttpClient, NetworkError
from shelfwire.client.reporting.attempt import AGAIN, Attempt, AttemptLostError
from shelfwire.client.reporting.delivery import lost
from shelfwire.clock import Clock, sleep
from shelfwire.protocol.reports import ReportAnswer

RETRY_SECONDS: Final = 0.2
"""From a renewal that was not answered to the next."""
HUNG_SECONDS: Final = 300.0
"""A worker whose event loop has not turned for so long hangs, and must lose its jobs."""


class Renewed(Protocol):
    """Whose lease is renewed."""

    @property
    def renewed_at(self) -> float:
        """The monotonic time at which the last report was sent that was answered."""
        ...

    def hear(self, stop: str | None) -> None:
        """Learn what the owner wants; called in the thread of the renewals."""
        ...

    def lose(self, error: AttemptLostError) -> None:
        """Learn that the attempt is lost; called in the thread of the renewals."""
        ...


async def keep_alive(
    http: HttpClient, clock: Clock, attempt: Attempt, worker: Renewed, works: Callable[[], bool] = lambda: True
) -> None:
    """Renew the lease of an attempt until it is lost, or this is cancelled.

    Args:
        http: the way to the server.
        clock: the source of the time.
        attempt: the attempt.
        worker: whose reports renew it too.
        works: whether the worker still works; while not, nothing is renewed.
    """
    pause = every = attempt.renew_seconds
    renewed_at = clock.monotonic()
    while True:
        due = max(worker.renewed_at, renewed_at) + pause - clock.monotonic()
        if due > 0 or not works():
            await sleep(clock, due if due > 0 else RETRY_SECONDS)
            continue
        sent, pause = clock.monotonic(), every
        try:
            async with asyncio.timeout(2 * every):
                response = await http.request(attempt.request("POST", "/report", content=b"{}"))
            if response.status in AGAIN:
                pause = min(RETRY_SECONDS, every)
            else:
                worker.hear(read(response, ReportAnswer).stop)
        except (NetworkError, TimeoutError):
            # The reports find out what is wrong; this only must not miss the server's return.
            pause = min(RETRY_SECONDS, every)
        except RefusedError as error:
            if (gone := lost(error)) is not None:
                worker.lose(gone)
                return
        renewed_at = sent


class HeartbeatThread:
    """An event loop in a thread of its own, for `keep_alive`. It begins with the first attempt.

    Args:
        make_http: makes its own connection to the server.
        clock: the source of the time.
    """

    def __init__(self, make_http: Callable[[], HttpClient], clock: Clock) -> None:
        self._make_http = make_http
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: HttpClient | None = None
        self._beats: dict[str, asyncio.Task[None]] = {}
        self._turned_at = clock.monotonic()

    async def watch(self) -> None:
        """Note that the event loop which this runs on turns, until cancelled; while it does not, nothing is renewed."""
        while True:
            self._turned_at = self._clock.monotonic()
            await sleep(self._clock, 1)

    def add(self, attempt: Attempt, worker: Renewed) -> None:
        """Begin to renew the lease of an attempt."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="shelfwire-heartbeat", daemon=True)
            self._thread.start()
        self._loop.call_soon_threadsafe(self._begin, attempt, worker)

    def remove(self, attempt: Attempt) -> None:
        """Renew it no longer."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end, attempt.report_token)

    async def aclose(self) -> None:
        """End the thread."""
        if self._loop is None or self._thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        await asyncio.wrap_future(ending)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()
        self._loop = self._thread = None

    async def _close(self) -> None:
        for beat in self._beats.values():
            beat.cancel()
        await asyncio.gather(*self._beats.values(), return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _begin(self, attempt: Attempt, worker: Renewed) -> None:
        self._http = self._http or self._make_http()
        work: Coroutine[Any, Any, None] = keep_alive(self._http, self._clock, attempt, worker, self._works)
        self._beats[attempt.report_token] = asyncio.get_running_loop().create_task(work)

    def _end(self, token: str) -> None:
        beat = self._beats.pop(token, None)
        if beat is not None:
            beat.cancel()

    def _works(self) -> bool:
        return self._clock.monotonic() - self._turned_at < HUNG_SECONDS
