"""The way to one outside service, with its limits: shared by all jobs of the node.

Own code and not aiolimiter and stamina: the first lets twice its rate through in the first period, both sleep by the
event loop's clock alone, and neither can be told to hold everybody back because one was told to wait.
"""

import asyncio
import email.utils
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC
from typing import Any, Final

import httpx2
import structlog

from shelfwire.books.upstream.limits import AdaptiveTimeout, Breaker, Limits, RateLimiter, Slot
from shelfwire.clock import Clock, SystemClock, uniform

OK: Final = range(200, 300)
TIMEOUTS: Final = frozenset({408, 504})
TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = range(500, 600)
CONNECT_SECONDS: Final = 10.0
LONGEST_HOLD: Final = 900.0
"""Seconds; a service that asks for more than this is asked again all the same, lest a slip of its own lasts a year."""
SENDING: Final = ".send_request_headers.started"
_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})

log = structlog.get_logger(__name__)


class OutgoingFailure(Exception):  # noqa: N818 - the ways to fail are named for what happened
    """The service gave no answer that can be used. Neither the text nor the cause holds anything that was sent.

    Attributes:
        service: its name.
    """

    def __init__(self, service: str, what: str) -> None:
        super().__init__(f"{service} {what}")
        self.service = service


class TimedOut(OutgoingFailure):
    """It did not answer in time."""


class Limited(OutgoingFailure):
    """It takes no more requests for now."""


class Unavailable(OutgoingFailure):
    """It cannot be reached, or answers with an error of its own."""


class Refused(OutgoingFailure):
    """It answered that the request is wrong, which asking again does not change.

    Attributes:
        status: the HTTP status, neither 2xx nor one that is tried again.
        body: what it said; not for a log, as it may repeat what was sent.
    """

    def __init__(self, service: str, status: int, body: bytes) -> None:
        super().__init__(service, f"refused the request with status {status}")
        self.status = status
        self.body = body


class UpstreamClient:
    """Sends requests to one service within its limits, again where that may help, and not at all while it is dead.

    Args:
        client: what sends; its own time-outs are overruled. A key belongs into a header, never into the URL, which
            the client logs.
        name: what to call the service, in errors and logs.
        limits: see `Limits`.
        clock: the time.
        uniform: a random number from 0 to 1, for the backoff.
        asked: reads how many seconds an answer asks to wait, where the service has a way of its own to say so;
            `Retry-After` is read in any case.
        wrong: tells what is wrong with an answer whose status does not say so, such as a web page where JSON was asked
            for, as the end of a sentence; the service counts as unavailable then.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        name: str,
        limits: Limits,
        clock: Clock | None = None,
        uniform: Callable[[], float] = uniform,
        asked: Callable[[httpx2.Response], float | None] = lambda _: None,
        wrong: Callable[[httpx2.Response], str | None] = lambda _: None,
    ) -> None:
        self.name = name
        self._client = client
        self._limits = limits
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._asked = asked
        self._wrong = wrong
        self._haste = AdaptiveTimeout(limits.least_timeout, limits.timeout)
        self._places = asyncio.Semaphore(limits.at_once)
        self._line = asyncio.Lock()
        self._gate = asyncio.Lock()
        self._pace = RateLimiter(limits.rate, limits.period, limits.burst)
        self._breaker = Breaker(limits.failures, limits.pause)
        self._last: type[OutgoingFailure] = Unavailable

    @property
    def given_up(self) -> bool:
        """Whether the service has failed so often that requests fail at once."""
        return self._breaker.wait(self._clock.monotonic()) is not None

    @property
    def failing_seconds(self) -> float:
        """How long it has given no good answer to anybody."""
        return self._breaker.failing(self._clock.monotonic())

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, several times if need be, and return its answer: one of status 2xx, read to its end.

        Args:
            request: one that may be sent again, with its content in memory.

        Raises:
            TimedOut: the last attempt got no answer in time, or many before it.
            Limited: likewise, the service takes no more, or asks for a longer wait than a job should have.
            Unavailable: likewise, it cannot be reached, answers with 5xx, or with more bytes than it may.
            Refused: it answered with another status.
        """
        limits, attempt, timed_out = self._limits, 0, 0
        while True:
            attempt += 1
            self._check()
            async with self._place(first=attempt == 1) as (slot, probe):
                request.extensions = {**request.extensions, "trace": self._moving(slot)}
                try:
                    return await self._attempt(request, self._haste.timeout(timed_out), probe=probe)
                except Refused:
                    raise
                except OutgoingFailure as failure:
                    if attempt >= limits.attempts or self._shut() is not None:
                        raise
                    timed_out += isinstance(failure, TimedOut)
            backoff = min(limits.backoff * 2 ** (attempt - 1), limits.longest_backoff)
            await self._sleep(backoff * (1 - self._uniform() / 2))

    def _shut(self) -> OutgoingFailure | None:
        """Why a request would fail at once, where waiting would take too long."""
        now = self._clock.monotonic()
        if (wait := self._breaker.wait(now)) is not None:
            return self._last(self.name, f"has failed too often in a row and is asked again in {wait:.0f} s")
        if (held := self._pace.held(now)) > self._limits.patience:
            return Limited(self.name, f"wants to be left alone for {held:.0f} s more")
        return None

    def _check(self) -> None:
        if (failure := self._shut()) is not None:
            raise failure

    @asynccontextmanager
    async def _place(self, *, first: bool) -> AsyncIterator[tuple[Slot, bool]]:
        """Be one of those under way. Only first attempts wait in line: what is asked again would else be the last."""
        async with self._line if first else nullcontext():
            await self._places.acquire()
            try:
                turn = await self._turn()
            except BaseException:
                self._places.release()
                raise
        try:
            yield turn
        finally:
            self._places.release()

    async def _turn(self) -> tuple[Slot, bool]:
        """Wait until a request may begin, in the order of asking. Tell whether it tries how things are."""
        async with self._gate:
            self._check()
            while (delay := self._pace.delay(self._clock.monotonic())) > 0:
                await self._sleep(delay)
                self._check()
            return self._pace.begin(self._clock.monotonic()), self._breaker.begin()

    def _moving(self, slot: Slot) -> Callable[[str, Any], Awaitable[None]]:
        """Moves a slot to the moment in which its request really goes out: a busy machine makes some of them late."""

        async def trace(event: str, _: Any) -> None:
            if event.endswith(SENDING):
                slot.at = self._clock.monotonic()

        return trace

    async def _attempt(self, request: httpx2.Request, seconds: float, *, probe: bool) -> httpx2.Response:
        try:
            return await self._judged(request, seconds)
        except Refused:
            raise
        except OutgoingFailure as failure:
            self._last = type(failure)
            if self._breaker.failed(self._clock.monotonic(), probe=probe):
                log.warning("an outside service is given up for a while", service=self.name, reason=str(failure))
            raise
        except BaseException:
            self._breaker.withdrawn(probe=probe)
            raise

    async def _judged(self, request: httpx2.Request, seconds: float) -> httpx2.Response:
        response = await self._timed(request, seconds)
        status = response.status_code
        if status in SERVER_ERRORS or status in TIMEOUTS or status == TOO_MANY_REQUESTS:
            self._hold(response)
            if status == TOO_MANY_REQUESTS:
                raise Limited(self.name, f"takes no more requests for now (status {status})")
            if status in TIMEOUTS:
                raise TimedOut(self.name, f"did not answer in time (status {status})")
            raise Unavailable(self.name, f"answered with status {status}")
        if (what := self._wrong(response)) is not None:
            raise Unavailable(self.name, what)
        if self._breaker.succeeded():
            log.info("an outside service is back", service=self.name)
        if status not in OK:
            raise Refused(self.name, status, response.content)
        return response

    def _hold(self, response: httpx2.Response) -> None:
        waits = (self._asked(response), retry_after(response.headers.get("retry-after", ""), self._clock.now()))
        seconds = max((wait for wait in waits if wait is not None), default=0.0)
        if seconds > 0:
            self._pace.hold(self._clock.monotonic() + min(seconds, LONGEST_HOLD))

    async def _timed(self, request: httpx2.Request, seconds: float) -> httpx2.Response:
        # The client's time-outs begin anew with every byte; this one does not.
        done = asyncio.Event()
        begun = self._clock.monotonic()
        exchange = asyncio.create_task(self._exchange(request, seconds))
        exchange.add_done_callback(lambda _: done.set())
        try:
            await self._clock.wait(done, seconds)
            if exchange.done():
                response = exchange.result()
                self._haste.answered(self._clock.monotonic() - begun)
                return response
        finally:
            if not exchange.done():
                exchange.cancel()
                await asyncio.wait([exchange])
            if not exchange.cancelled():
                exchange.exception()  # or asyncio reports it as one that nobody saw
        raise TimedOut(self.name, f"did not answer within {seconds:g} s")

    async def _exchange(self, request: httpx2.Request, seconds: float) -> httpx2.Response:
        timeout = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        request.extensions = {**request.extensions, "timeout": timeout.as_dict()}
        failure: OutgoingFailure
        try:
            response = await self._client.send(request, stream=True)
            try:
                return self._read(request, response, await self._body(response))
            finally:
                await response.aclose()
        except httpx2.TimeoutException as error:
            failure = TimedOut(self.name, f"did not answer in time ({type(error).__name__})")
        except httpx2.RequestError as error:
            failure = Unavailable(self.name, f"cannot be reached ({type(error).__name__})")
        # Out here, and not above: the client's own error holds the request, and that the key.
        raise failure

    async def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._limits.most_bytes:
                raise Unavailable(self.name, f"answers with more than {self._limits.most_bytes:,} bytes")
        return bytes(body)

    @staticmethod
    def _read(request: httpx2.Request, response: httpx2.Response, body: bytes) -> httpx2.Response:
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_WIRE]
        return httpx2.Response(
            response.status_code, headers=headers, content=body, request=request, extensions=response.extensions
        )

    async def _sleep(self, seconds: float) -> None:
        await self._clock.wait(asyncio.Event(), seconds)


def retry_after(text: str, now: int) -> float | None:
    """How many seconds a header `Retry-After` asks to wait, or None if it cannot be read.

    Args:
        text: seconds, or a date as HTTP has it.
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
