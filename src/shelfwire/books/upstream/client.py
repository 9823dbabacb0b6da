"""The client of one outside service, within its limits; shared by all jobs of a process.

Own code and not aiolimiter and stamina: the first admits twice its rate in the first period, both sleep by the event
loop's clock alone, and neither can hold all requests back because one answer asked for a pause.
"""

import asyncio
import email.utils
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from datetime import UTC
from typing import Any, Final

import httpx2
import structlog

from shelfwire.books.upstream.adaptive_timeout import AdaptiveTimeout
from shelfwire.books.upstream.circuit_breaker import CircuitBreaker
from shelfwire.books.upstream.errors import (
    RateLimited,
    RequestRejected,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from shelfwire.books.upstream.limits import Limits
from shelfwire.books.upstream.rate_limiter import RateLimiter, StartTime
from shelfwire.clock import Clock, SystemClock, sleep, uniform

TIMEOUT_STATUSES: Final = frozenset({408, 504})
TOO_MANY_REQUESTS: Final = 429
CONNECT_SECONDS: Final = 10.0
LONGEST_HOLD: Final = 900.0
"""Seconds; a service that asks for a longer pause is asked again all the same, in case it asked by mistake."""
SENDING: Final = ".send_request_headers.started"
TRANSPORT_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})

log = structlog.get_logger(__name__)


class UpstreamClient:
    """Sends requests to one service within its limits, retries them, and fails at once while the service is down.

    Args:
        client: sends the requests; its own timeouts are overruled. A key belongs into a header, never into the URL,
            which the client logs.
        name: the service's name in errors and logs.
        limits: see `Limits`.
        clock: the time.
        uniform: a random number from 0 to 1, for the backoff.
        retry_hint: reads from an error how many seconds it asks to wait, for services that do not use `Retry-After`,
            which is always read.
        fault: why an answer is unusable although its status does not say so, such as a web page instead of JSON, as
            the end of a sentence; None if it is usable. The service counts as unavailable then.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        name: str,
        limits: Limits,
        clock: Clock | None = None,
        uniform: Callable[[], float] = uniform,
        retry_hint: Callable[[httpx2.Response], float | None] = lambda _: None,
        fault: Callable[[httpx2.Response], str | None] = lambda _: None,
    ) -> None:
        self.name = name
        self._client = client
        self._limits = limits
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._retry_hint = retry_hint
        self._fault = fault
        self._timeout = AdaptiveTimeout(limits.least_timeout, limits.timeout)
        self._slots = asyncio.Semaphore(limits.at_once)
        self._queue = asyncio.Lock()
        self._gate = asyncio.Lock()
        self._rate = RateLimiter(limits.rate, limits.period, limits.burst)
        self._breaker = CircuitBreaker(limits.failures, limits.pause)
        self._last_failure: type[UpstreamError] = Unavailable

    @property
    def is_down(self) -> bool:
        """Whether the service has failed so often that requests fail at once."""
        return self._breaker.retry_in(self._clock.monotonic()) is not None

    @property
    def failing_seconds(self) -> float:
        """How long the service has given no good answer to any request."""
        return self._breaker.failing_seconds(self._clock.monotonic())

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, up to `Limits.attempts` times, and return the answer: of status 2xx, its body read.

        Args:
            request: one that may be sent again, with its content in memory.

        Raises:
            UpstreamTimeout: the last attempt got no answer in time, or the service is down after many did not.
            RateLimited: likewise, the service accepts no more, or asks for a longer wait than `Limits.patience`.
            Unavailable: likewise, it cannot be reached, answers with 5xx, or with more than `Limits.most_bytes`.
            RequestRejected: it answered with another status.
        """
        limits, attempt, timed_out = self._limits, 0, 0
        while True:
            attempt += 1
            self._check()
            async with self._slot(first=attempt == 1) as (start, probe):
                try:
                    return await self._attempt(request, self._timeout.timeout(timed_out), start, probe=probe)
                except UpstreamError as failure:
                    if isinstance(failure, RequestRejected) or attempt >= limits.attempts or self._refusal():
                        raise
                    timed_out += isinstance(failure, UpstreamTimeout)
            backoff = min(limits.backoff * 2 ** (attempt - 1), limits.longest_backoff)
            await sleep(self._clock, backoff * (1 - self._uniform() / 2))

    def _refusal(self) -> UpstreamError | None:
        """Why a request would fail at once because waiting would take too long; None if it may wait."""
        now = self._clock.monotonic()
        if (wait := self._breaker.retry_in(now)) is not None:
            return self._last_failure(self.name, f"has failed too often in a row and is asked again in {wait:.0f} s")
        if (held := self._rate.held(now)) > self._limits.patience:
            return RateLimited(self.name, f"asks to send nothing for {held:.0f} s more")
        return None

    def _check(self) -> None:
        if (refusal := self._refusal()) is not None:
            raise refusal

    @asynccontextmanager
    async def _slot(self, *, first: bool) -> AsyncIterator[tuple[StartTime, bool]]:
        """Hold a slot of `Limits.at_once`. Only first attempts queue up: retries would otherwise come last of all."""
        async with AsyncExitStack() as stack:
            async with self._queue if first else nullcontext():
                await stack.enter_async_context(self._slots)
                turn = await self._turn()
            yield turn

    async def _turn(self) -> tuple[StartTime, bool]:
        """Wait, first come first served, until a request may start. Return its start, and whether it is a probe."""
        async with self._gate:
            self._check()
            while (delay := self._rate.delay(self._clock.monotonic())) > 0:
                await sleep(self._clock, delay)
                self._check()
            return self._rate.start(self._clock.monotonic()), self._breaker.start()

    async def _attempt(
        self, request: httpx2.Request, seconds: float, start: StartTime, *, probe: bool
    ) -> httpx2.Response:
        try:
            response = await self._timed(request, seconds, start)
            self._raise_for_failure(response)
        except UpstreamError as failure:
            self._last_failure = type(failure)
            if self._breaker.failed(self._clock.monotonic(), probe=probe):
                log.warning("upstream is down, requests to it fail for a while", service=self.name, reason=str(failure))
            raise
        except BaseException:
            self._breaker.cancelled(probe=probe)
            raise
        if self._breaker.succeeded():
            log.info("upstream is back", service=self.name)
        if not response.is_success:
            raise RequestRejected(self.name, response.status_code, response.content)
        return response

    def _raise_for_failure(self, response: httpx2.Response) -> None:
        """Raise if an answer is a failure of the service, and hold all requests back if it asks for a pause."""
        status = response.status_code
        if response.is_server_error or status in TIMEOUT_STATUSES or status == TOO_MANY_REQUESTS:
            waits = (
                self._retry_hint(response),
                retry_after(response.headers.get("retry-after", ""), self._clock.now()),
            )
            if seconds := max((wait for wait in waits if wait is not None), default=0.0):
                self._rate.hold(self._clock.monotonic() + min(seconds, LONGEST_HOLD))
            if status == TOO_MANY_REQUESTS:
                raise RateLimited(self.name, f"takes no more requests for now (status {status})")
            if status in TIMEOUT_STATUSES:
                raise UpstreamTimeout(self.name, f"did not answer in time (status {status})")
            raise Unavailable(self.name, f"answered with status {status}")
        if (reason := self._fault(response)) is not None:
            raise Unavailable(self.name, reason)

    async def _timed(self, request: httpx2.Request, seconds: float, start: StartTime) -> httpx2.Response:
        """Exchange a request for its answer within `seconds` in all: the client's timeouts restart with every byte."""
        done = asyncio.Event()
        begun = self._clock.monotonic()
        exchange = asyncio.create_task(self._exchange(request, seconds, start))
        exchange.add_done_callback(lambda _: done.set())
        try:
            await self._clock.wait(done, seconds)
            if exchange.done():
                response = exchange.result()
                self._timeout.record(self._clock.monotonic() - begun)
                return response
        finally:
            if not exchange.done():
                exchange.cancel()
                await asyncio.wait([exchange])
            if not exchange.cancelled():
                exchange.exception()  # or asyncio logs it as never retrieved
        raise UpstreamTimeout(self.name, f"did not answer within {seconds:g} s")

    async def _exchange(self, request: httpx2.Request, seconds: float, start: StartTime) -> httpx2.Response:
        async def correct_start(event: str, _: Any) -> None:
            # A busy machine sends some requests late, and the rate is counted from when they really leave.
            if event.endswith(SENDING):
                start.at = self._clock.monotonic()

        timeout = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)).as_dict()
        request.extensions = {**request.extensions, "timeout": timeout, "trace": correct_start}
        failure: UpstreamError
        try:
            response = await self._client.send(request, stream=True)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except httpx2.TimeoutException as error:
            failure = UpstreamTimeout(self.name, f"did not answer in time ({type(error).__name__})")
        except httpx2.RequestError as error:
            failure = Unavailable(self.name, f"cannot be reached ({type(error).__name__})")
        else:
            headers = [(name, value) for name, value in response.headers.multi_items() if name not in TRANSPORT_HEADERS]
            return httpx2.Response(response.status_code, headers=headers, content=body, request=request)
        # Outside of the except clauses: the client's own error holds the request, and that the key.
        raise failure

    async def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._limits.most_bytes:
                raise Unavailable(self.name, f"answers with more than {self._limits.most_bytes:,} bytes")
        return bytes(body)


def retry_after(text: str, now: int) -> float | None:
    """The seconds that a header `Retry-After` asks to wait; None if it cannot be read.

    Args:
        text: seconds, or a date as HTTP writes it.
        now: milliseconds since the epoch.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        date = email.utils.parsedate_to_datetime(text)
        return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now / 1000, 0.0)
    except (ValueError, OverflowError):
        return None
