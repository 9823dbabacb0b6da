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

from shelfwire.books.fair_lock import FairLock
from shelfwire.books.upstream.adaptive_timeout import AdaptiveTimeout
from shelfwire.books.upstream.circuit_breaker import CircuitBreaker
from shelfwire.books.upstream.errors import (
    RateLimited,
    Reason,
    RequestRejected,
    TooLarge,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from shelfwire.books.upstream.limits import LONGEST_HOLD, Limits
from shelfwire.books.upstream.rate_limiter import RateLimiter, StartTime
from shelfwire.books.upstream.refusals import Refusal, error_of, retry_delay
from shelfwire.books.upstream.shared_lane import SharedLane, Turn
from shelfwire.books.upstream.traits import Traits
from shelfwire.clock import Clock, SystemClock, sleep, uniform
from shelfwire.jobs.job import RUNNING_JOB

TIMEOUT_STATUSES: Final = frozenset({408, 504})
TOO_MANY_REQUESTS: Final = 429
_FORBIDDEN: Final = 403
CONNECT_SECONDS: Final = 10.0
REFUSED_HOLD: Final = 300.0
"""Seconds until a service is asked again that somebody had to see to; longer than most lists take."""
TRIAL_SECONDS: Final = 2.0
"""How long the first request of all goes alone: a refused key is sent once, and a service that hangs delays nobody."""
SHORT_PAUSE: Final = 5.0
"""Seconds; a longer pause that a service asks for is logged."""
MOST_REDIRECTS: Final = 3
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
        traits: what is particular to the service.
        report: receives the reason of every failed attempt; must return at once and never raise.
        lane: the turns that it takes with other nodes; None where it is alone.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        name: str,
        limits: Limits,
        clock: Clock | None = None,
        uniform: Callable[[], float] = uniform,
        traits: Traits = Traits(),  # noqa: B008 - it cannot change
        report: Callable[[Reason], None] = lambda _: None,
        lane: SharedLane | None = None,
    ) -> None:
        self.name = name
        self._lane = lane
        self._client = client
        self._limits = limits
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._traits = traits
        self._report = report
        self._trial: asyncio.Event | None = None
        self._timeout = AdaptiveTimeout(limits.least_timeout, limits.timeout)
        self._slots = asyncio.Semaphore(limits.at_once)
        self._queue = FairLock()
        self._gate = asyncio.Lock()
        self._rate = RateLimiter(limits.rate, limits.period, limits.burst)
        self._breaker = CircuitBreaker(limits.failures, limits.pause)
        self._last_failure: UpstreamError = Unavailable(name, "has not been asked yet")

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
            RateLimited: likewise, the service accepts no more, or asks for a longer wait than `Limits.patience`; at
                once, and without asking again for a while, if its quota for the day is spent.
            Unavailable: likewise, it cannot be reached, answers with 5xx, or with more than `Limits.most_bytes`.
            RequestRejected: it answered with another status. If it refuses the key or its owner, which no other request
                can change, it is not asked again for a while.
        """
        limits, attempt, timed_out = self._limits, 0, 0
        while True:
            attempt += 1
            self._check()
            async with self._slot(first=attempt == 1) as (start, probe):
                try:
                    return await self._attempt(request, self._timeout.timeout(timed_out), start, probe=probe)
                except UpstreamError as failure:
                    is_final = isinstance(failure, RequestRejected | TooLarge) or failure.reason.is_lasting
                    if is_final or attempt >= limits.attempts or self._refusal():
                        raise
                    timed_out += isinstance(failure, UpstreamTimeout)
            backoff = min(limits.backoff * 2 ** (attempt - 1), limits.longest_backoff)
            await sleep(self._clock, backoff * (1 - self._uniform() / 2))

    def _refusal(self) -> UpstreamError | None:
        """Why a request would fail at once because waiting would take too long; None if it may wait."""
        now = self._clock.monotonic()
        if (wait := self._breaker.retry_in(now)) is not None:
            last = self._last_failure
            if last.reason.is_lasting:
                return last.again(last.text)
            return last.again(f"has failed too often in a row and is asked again in {wait:.0f} s")
        if (held := self._rate.held(now)) > self._limits.patience:
            return RateLimited(self.name, f"asks to send nothing for {held:.0f} s more")
        return None

    def _check(self) -> None:
        if (refusal := self._refusal()) is not None:
            raise refusal

    @asynccontextmanager
    async def _slot(self, *, first: bool) -> AsyncIterator[tuple[StartTime, bool]]:
        """Hold a slot of `Limits.at_once`. Only first attempts queue up: retries would otherwise come last of all.

        In the queue jobs take turns, so that one with hundreds of requests does not keep the others waiting for all.
        """
        async with AsyncExitStack() as stack:
            async with self._queue.turn(RUNNING_JOB.get()) if first else nullcontext():
                await self._wait_for_trial()
                await stack.enter_async_context(self._slots)
                try:
                    turn = await self._turn()
                except BaseException:
                    self._end_trial()
                    raise
            yield turn

    async def _wait_for_trial(self) -> None:
        """Wait for the end of the first request of all, if that is under way."""
        if self._trial is None:
            self._trial = asyncio.Event()
        elif not self._trial.is_set():
            await self._clock.wait(self._trial, TRIAL_SECONDS)
            self._end_trial()

    def _end_trial(self) -> None:
        if self._trial is not None:
            self._trial.set()

    async def _turn(self) -> tuple[StartTime, bool]:
        """Wait, first come first served, until a request may start. Return its start, and whether it is a probe."""
        async with self._gate:
            self._check()
            while (delay := self._rate.delay(self._clock.monotonic())) > 0:
                await sleep(self._clock, delay)
                self._check()
            if self._lane is not None:
                await self._wait_for(await self._lane.take())
            return self._rate.start(self._clock.monotonic()), self._breaker.start()

    async def _wait_for(self, turn: Turn) -> None:
        """Wait for the turn that this node has among all nodes, or take over why there is none."""
        if turn.reason is not None:
            self._hear_refusal(turn.reason, turn.held)
        elif turn.held:
            self._rate.hold(self._clock.monotonic() + turn.held)
        self._check()
        if turn.wait:
            await sleep(self._clock, turn.wait)
            self._check()

    def _hear_refusal(self, reason: Reason, seconds: float) -> None:
        """Note that the service has refused another node, which has the same key."""
        refusal = Refusal(reason, "as another node was answered")
        self._last_failure = self._refused(refusal, httpx2.Response(_FORBIDDEN))
        if self._breaker.refused(self._clock.monotonic(), seconds):
            event = "upstream refuses the requests of another node, none is sent to it for a while"
            log.warning(event, service=self.name, code=reason, reason=str(self._last_failure), seconds=round(seconds))

    async def _share(self, failure: UpstreamError) -> None:
        """Let other nodes know of a pause that an answer asks for."""
        now = self._clock.monotonic()
        seconds = self._breaker.retry_in(now) if failure.reason.is_lasting else self._rate.held(now)
        if self._lane is not None and seconds:
            await self._lane.hold(seconds, failure.reason)

    async def _attempt(
        self, request: httpx2.Request, seconds: float, start: StartTime, *, probe: bool
    ) -> httpx2.Response:
        try:
            response = await self._timed(request, seconds, start)
            self._raise_for_failure(response)
        except UpstreamError as failure:
            self._failed(failure, probe=probe)
            await self._share(failure)
            raise
        except BaseException:
            self._breaker.cancelled(probe=probe)
            raise
        finally:
            self._end_trial()
        if self._breaker.succeeded():
            log.info("upstream is back", service=self.name)
        if not response.is_success:
            self._report(Reason.REQUEST_REFUSED)
            raise RequestRejected(self.name, response.status_code, response.content)
        return response

    def _failed(self, failure: UpstreamError, *, probe: bool) -> None:
        """Note a failure of the service: the first time that it becomes unusable is logged, with what to do."""
        now, reason = self._clock.monotonic(), failure.reason
        self._report(reason)
        if isinstance(failure, TooLarge):
            self._breaker.cancelled(probe=probe)
            return
        if probe or reason.is_lasting or not self.is_down:
            self._last_failure = failure
        if not reason.is_lasting:
            if self._breaker.failed(now, probe=probe):
                log.warning("upstream is down, requests to it fail for a while", service=self.name, reason=str(failure))
            return
        hold = REFUSED_HOLD if reason.needs_operator else LONGEST_HOLD
        if self._breaker.refused(now, hold):
            logged = log.error if reason.needs_operator else log.warning
            event = "upstream refuses all requests, none is sent to it for a while"
            logged(event, service=self.name, code=reason, reason=str(failure), seconds=hold)

    def _raise_for_failure(self, response: httpx2.Response) -> None:
        """Raise if an answer is a failure of the service, and hold all requests back if it asks for a pause."""
        status = response.status_code
        refusal = self._traits.refusal(response)
        if refusal is not None and refusal.reason.is_lasting:
            raise self._refused(refusal, response)
        is_limited = status == TOO_MANY_REQUESTS or refusal is not None
        if response.is_server_error or status in TIMEOUT_STATUSES or is_limited:
            self._hold(response)
            if is_limited:
                details = refusal.details if refusal else f"status {status}"
                raise RateLimited(self.name, f"takes no more requests for now ({details})")
            if status in TIMEOUT_STATUSES:
                raise UpstreamTimeout(self.name, f"did not answer in time (status {status})")
            raise Unavailable(self.name, f"answered with status {status}")
        if response.is_success and (error := error_of(response)) is not None:
            raise Unavailable(self.name, f"answered with an error ({error.details})", reason=Reason.BAD_ANSWER)
        if (reason := self._traits.fault(response)) is not None:
            raise Unavailable(self.name, reason, reason=Reason.BAD_ANSWER)

    def _refused(self, refusal: Refusal, response: httpx2.Response) -> UpstreamError:
        reason, words = refusal.reason, refusal.reason.text
        remedy = words.remedy.format(key=self._traits.key, address=self._traits.address)
        text = f"{words.event} ({refusal.details}). {remedy}"
        if reason is Reason.DAY_QUOTA:
            return RateLimited(self.name, text, reason=reason)
        return RequestRejected(self.name, response.status_code, response.content, text=text, reason=reason)

    def _hold(self, response: httpx2.Response) -> None:
        """Let no request start for as long as an answer asks."""
        now = self._clock.monotonic()
        asked = (retry_delay(response), retry_after(response.headers.get("retry-after", ""), self._clock.now()))
        seconds = min(max((wait for wait in asked if wait is not None), default=0.0), LONGEST_HOLD)
        if seconds > SHORT_PAUSE and self._rate.held(now) <= SHORT_PAUSE:
            log.warning("upstream asks for a pause", service=self.name, seconds=round(seconds))
        if seconds:
            self._rate.hold(now + seconds)

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
            response, body = await self._sent(request)
        except httpx2.TimeoutException as error:
            failure = UpstreamTimeout(self.name, f"did not answer in time ({type(error).__name__})")
        except httpx2.DecodingError:
            failure = Unavailable(
                self.name, "answered with something that cannot be unpacked", reason=Reason.BAD_ANSWER
            )
        except httpx2.RequestError as error:
            failure = Unavailable(self.name, f"cannot be reached ({type(error).__name__})")
        else:
            headers = [(name, value) for name, value in response.headers.multi_items() if name not in TRANSPORT_HEADERS]
            return httpx2.Response(response.status_code, headers=headers, content=body, request=request)
        # Outside of the except clauses: the client's own error holds the request, and that the key.
        raise failure

    async def _sent(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        """Send a request, and again to where its answer points on the same host: a key goes nowhere else."""
        for _ in range(MOST_REDIRECTS):
            response = await self._client.send(request, stream=True)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
            if request.method != "GET" or response.next_request is None:
                return response, body
            if not _is_same_host(request.url, response.next_request.url):
                break
            request = response.next_request
        text = f"points elsewhere in place of an answer (status {response.status_code})"
        raise Unavailable(self.name, f"{text}. Check {self._traits.address}", reason=Reason.BAD_ANSWER)

    async def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._limits.most_bytes:
                raise TooLarge(self.name, f"answers with more than {self._limits.most_bytes:,} bytes")
        return bytes(body)


def _is_same_host(one: httpx2.URL, other: httpx2.URL) -> bool:
    """Whether another address is on the same host, and not less secure."""
    if (one.scheme, one.port) != (other.scheme, other.port):
        return one.host == other.host and other.scheme == "https" and other.port is None
    return one.host == other.host


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
