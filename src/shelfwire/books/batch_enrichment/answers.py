"""The JSON answers of one service, from the cache or else from the service, each asked for once at a time.

The cache keeps answers for as long as we say, whatever the service's headers say: those are made for browsers.
"""

import asyncio
import email.utils
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx2
import msgspec
from hishel import AsyncBaseStorage, CacheOptions
from hishel.httpx2 import AsyncCacheTransport

from shelfwire.books.batch_enrichment.port import ProviderDown
from shelfwire.books.batch_enrichment.single_flight import Flights
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import RequestRejected, UpstreamError
from shelfwire.clock import Clock

DAY: Final = 86_400
KNOWN_SECONDS: Final = 30 * DAY
"""How long a book that a service knows is not asked for again."""
UNKNOWN_SECONDS: Final = DAY
"""Likewise one that it does not know: it may have it tomorrow."""

GRACE_SECONDS: Final = 5.0
"""How long a service may give no answer before its books are given up with it: most outages are restarts."""
LOOK_AGAIN_SECONDS: Final = 0.5

NESTED: Final = "answered with JSON that is nested too deeply"

Params = tuple[tuple[str, str], ...]


def wrong_json(response: httpx2.Response) -> str | None:
    """What is wrong with an answer that should be a JSON object; see `outgoing.UpstreamClient`."""
    if not response.is_success:
        return None
    try:
        answer = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "answered with something that is not JSON"
    except RecursionError:
        return NESTED
    return None if isinstance(answer, dict) else "answered with JSON that is no object"


class Answers:
    """What one service answers.

    Args:
        base: the URL that paths go below, without a slash at the end.
        upstream: the way to the service.
        cache: where answers are kept.
        headers: to send with every request; they are never kept, so a key belongs here.
        is_known: whether an answer tells of a book.
        clock: the time.
        grace: see `GRACE_SECONDS`.
    """

    def __init__(
        self,
        base: str,
        upstream: UpstreamClient,
        cache: AsyncBaseStorage,
        *,
        headers: Mapping[str, str],
        is_known: Callable[[dict[str, Any]], bool],
        clock: Clock,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._base = base
        self._upstream = upstream
        self._cache = cache
        self._headers = dict(headers)
        self._is_known = is_known
        self._clock = clock
        self._grace = grace
        self._flights: Flights[str, dict[str, Any]] = Flights()

    def url(self, path: str, params: Params) -> httpx2.URL:
        """Where the answer to a question is."""
        return httpx2.URL(f"{self._base}/{path}", params=params)

    async def get(self, url: httpx2.URL) -> dict[str, Any]:
        """Return the JSON object at a URL, from the cache if it is there.

        Raises:
            ProviderDown: the service gave none.
        """
        return await self.kept(url, lambda: self.ask(url))

    async def kept(self, url: httpx2.URL, ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Return what the cache has for a URL, or what `ask` gives, which then goes into it.

        Raises:
            ProviderDown: the service gave no answer.
        """
        return await self._flights.join(str(url), lambda: self._cached(httpx2.Request("GET", url), ask))

    async def ask(self, url: httpx2.URL) -> dict[str, Any]:
        """Ask the service, whatever the cache knows.

        Raises:
            ProviderDown: it gave no answer.
        """
        request = httpx2.Request("GET", url, headers=self._headers)
        while True:
            try:
                response = await self._upstream.send(request)
            except RequestRejected as refusal:
                raise ProviderDown(f"{refusal.service} refused the request with status {refusal.status}") from None
            except UpstreamError as failure:
                if not self._may_come_back():
                    raise ProviderDown(str(failure)) from None
            else:
                answer: dict[str, Any] = msgspec.json.decode(response.content)
                return answer
            await self._clock.wait(asyncio.Event(), LOOK_AGAIN_SECONDS)

    def _may_come_back(self) -> bool:
        """Whether the service was given up only a moment ago. All its requests wait for the same moment to pass."""
        return self._upstream.is_down and self._upstream.failing_seconds < self._grace

    async def _cached(self, request: httpx2.Request, ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        transport = AsyncCacheTransport(_Asking(self, ask), self._cache, CacheOptions(shared=False))
        try:
            response = await transport.handle_async_request(request)
            answer: dict[str, Any] = msgspec.json.decode(await response.aread())
        except RecursionError:  # it could just be read, but with the calls that are open here not be written
            raise ProviderDown(f"{self._upstream.name} {NESTED}") from None
        return answer

    def answered(self, answer: dict[str, Any]) -> httpx2.Response:
        """An answer as the cache takes it, with how long it is to be kept."""
        headers = {
            "Cache-Control": f"max-age={KNOWN_SECONDS if self._is_known(answer) else UNKNOWN_SECONDS}",
            "Content-Type": "application/json",
            "Date": email.utils.formatdate(self._clock.now() / 1000, usegmt=True),
        }
        return httpx2.Response(200, headers=headers, content=msgspec.json.encode(answer))


class _Asking(httpx2.AsyncBaseTransport):
    """What the cache turns to for what it does not have."""

    def __init__(self, answers: Answers, ask: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._answers = answers
        self._ask = ask

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:  # noqa: ARG002 - `ask` knows it
        return self._answers.answered(await self._ask())
