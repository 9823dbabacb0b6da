"""The JSON answers of one service, from the cache or else from the service, each asked for once at a time.

The cache keeps answers for as long as we say, whatever the service's headers say: those are made for browsers.
"""

import asyncio
import codecs
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx2
import msgspec

from shelfwire.books.batch_enrichment.answer_cache import AnswerCache
from shelfwire.books.batch_enrichment.port import ProviderDown
from shelfwire.books.batch_enrichment.single_flight import SingleFlight
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import Reason, RequestRejected, UpstreamError
from shelfwire.clock import Clock

DAY: Final = 86_400
KNOWN_SECONDS: Final = 30 * DAY
"""How long the answer about a book that the service knows is kept."""
UNKNOWN_SECONDS: Final = DAY
"""How long the answer that a book is unknown is kept: the service may have it tomorrow."""

GRACE_SECONDS: Final = 5.0
"""How long a service may be down before requests for its books fail: most outages are restarts."""
POLL_SECONDS: Final = 0.5

MISSING: Final = frozenset({404, 410})
OTHER_CHARSET: Final = "cp1252"
NESTED: Final = "answered with JSON that is nested too deeply"

Params = tuple[tuple[str, str], ...]


def json_fault(response: httpx2.Response) -> str | None:
    """Why a good answer is not the JSON object that it should be; None if it is. See `UpstreamClient`."""
    if not response.is_success:
        return None
    try:
        answer = _decoded(response)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "answered with something that is not JSON"
    except RecursionError:
        return NESTED
    return None if isinstance(answer, dict) else "answered with JSON that is no object"


def _decoded(response: httpx2.Response) -> Any:
    """The JSON of an answer, which is UTF-8 by its definition, and something else all the same behind some proxies."""
    body = response.content.removeprefix(codecs.BOM_UTF8)
    try:
        body.decode()
    except UnicodeDecodeError:
        charset = response.charset_encoding or OTHER_CHARSET
        try:
            body = body.decode(charset).encode()
        except LookupError:
            body = body.decode(OTHER_CHARSET).encode()
    return msgspec.json.decode(body)


class CachedService:
    """A service of book data behind a cache.

    Args:
        base: the URL that paths are appended to, without a slash at the end.
        upstream: the client of the service.
        cache: where answers are kept.
        headers: sent with every request, never kept, so that a key may be among them.
        is_known: whether an answer describes a book.
        clock: the time.
        grace: see `GRACE_SECONDS`.
    """

    def __init__(
        self,
        base: str,
        upstream: UpstreamClient,
        cache: AnswerCache,
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
        self._flights: SingleFlight[str, dict[str, Any]] = SingleFlight()

    def url(self, path: str, params: Params) -> httpx2.URL:
        """The URL of a question."""
        return httpx2.URL(f"{self._base}/{path}", params=params)

    async def get(self, url: httpx2.URL, *, may_be_missing: bool = False) -> dict[str, Any]:
        """Return the JSON object at a URL, from the cache if it is there.

        Args:
            url: the question.
            may_be_missing: whether status 404 and 410 are answers, which are empty.

        Raises:
            ProviderDown: the service gave none.
        """
        return await self.get_or(url, lambda: self.fetch(url, may_be_missing=may_be_missing))

    async def get_or(self, url: httpx2.URL, fetch: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Return what the cache has for a URL, or else what `fetch` returns, which is then kept.

        Raises:
            ProviderDown: the service gave no answer.
        """
        return await self._flights.do(str(url), lambda: self._cached(str(url), fetch))

    async def fetch(self, url: httpx2.URL, *, may_be_missing: bool = False) -> dict[str, Any]:
        """Ask the service, whatever the cache has. Requests to a service that has just gone down wait a little.

        Args:
            url: the question.
            may_be_missing: see `get`.

        Raises:
            ProviderDown: it gave no answer.
        """
        request = httpx2.Request("GET", url, headers=self._headers)
        while True:
            try:
                response = await self._upstream.send(request)
            except UpstreamError as error:
                if may_be_missing and isinstance(error, RequestRejected) and error.status in MISSING:
                    return {}
                restarting = self._upstream.is_down and self._upstream.failing_seconds < self._grace
                if isinstance(error, RequestRejected) or error.reason.is_lasting or not restarting:
                    raise ProviderDown(str(error), error.reason) from None
            else:
                answer: dict[str, Any] = _decoded(response)
                return answer
            await self._clock.wait(asyncio.Event(), POLL_SECONDS)

    async def _cached(self, key: str, fetch: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] | None = await self._cache.get(key)
            if answer is None:
                answer = await fetch()
                await self._cache.put(key, answer, KNOWN_SECONDS if self._is_known(answer) else UNKNOWN_SECONDS)
        except RecursionError:  # it could just be decoded, but not be encoded within the calls that are open here
            raise ProviderDown(f"{self._upstream.name} {NESTED}", Reason.BAD_ANSWER) from None
        return answer
