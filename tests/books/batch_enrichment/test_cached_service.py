import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.books.batch_enrichment.answer_cache import AnswerCache
from shelfwire.books.batch_enrichment.cached_service import (
    GRACE_SECONDS,
    KNOWN_SECONDS,
    UNKNOWN_SECONDS,
    CachedService,
    json_fault,
)
from shelfwire.books.batch_enrichment.port import ProviderDown
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import Reason
from shelfwire.books.upstream.limits import Limits
from shelfwire.books.upstream.traits import Traits
from shelfwire.clock import Clock, SystemClock
from shelfwire.testing import FakeClock
from tests.live import until

BASE = "https://books.example"


class Service:
    """Knows Dune and nothing else."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers = {"cache-control": "no-store, max-age=0", "expires": "0", "vary": "*"}
        self.broken = False
        self.spent = False
        self.depth = 0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.params["q"])
        if self.broken:
            return httpx2.Response(500)
        if self.spent:
            return httpx2.Response(429, json={"error": {"code": 429, "message": "limit 'Queries per day'"}})
        if self.depth:
            nested = b"[" * self.depth + b"]" * self.depth
            return httpx2.Response(200, content=b'{"items": ' + nested + b"}")
        items = ["a book"] if request.url.params["q"] == "dune" else []
        return httpx2.Response(200, headers=self.headers, json={"items": items})

    @asynccontextmanager
    async def opened(self, folder: Path, clock: Clock | None = None, **limits: Any) -> AsyncIterator[CachedService]:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))
        clock = clock or SystemClock()
        most = Limits(**{"rate": 1000, "attempts": 1, **limits})
        upstream = UpstreamClient(client, name="Books", limits=most, clock=clock, traits=Traits(fault=json_fault))
        async with AnswerCache(folder / "cache" / "answers.db", clock) as cache:
            yield CachedService(
                BASE, upstream, cache, headers={}, is_known=lambda answer: bool(answer["items"]), clock=clock
            )


class Later(SystemClock):
    """The machine's clock, some seconds ahead."""

    def __init__(self) -> None:
        self._ahead = 0

    def by(self, seconds: int) -> None:
        self._ahead = seconds * 1000

    def now(self) -> int:
        return super().now() + self._ahead


async def ask_past_the_cache(answers: CachedService, q: str) -> Any:
    return (await answers.fetch(answers.url("volumes", (("q", q),))))["items"]


async def ask(answers: CachedService, q: str) -> Any:
    return (await answers.get(answers.url("volumes", (("q", q),))))["items"]


async def test_an_answer_is_kept_whatever_the_service_says_of_keeping_it(tmp_path: Path) -> None:
    service = Service()
    for _ in range(2):
        async with service.opened(tmp_path) as answers:
            assert await ask(answers, "dune") == ["a book"]
    assert service.asked == ["dune"]


async def test_that_a_book_is_unknown_is_kept_for_less_long(tmp_path: Path) -> None:
    service, later = Service(), Later()
    async with service.opened(tmp_path, later) as answers:
        for seconds in (
            0,
            UNKNOWN_SECONDS - 60,
            UNKNOWN_SECONDS + 60,
            KNOWN_SECONDS - 60,
            KNOWN_SECONDS + UNKNOWN_SECONDS,
        ):
            later.by(seconds)
            await ask(answers, "dune")
            await ask(answers, "a book nobody wrote")
    assert service.asked.count("dune") == 2
    assert service.asked.count("a book nobody wrote") == 4


async def test_a_failure_is_not_kept_and_does_not_take_away_what_is_kept(tmp_path: Path) -> None:
    service, later = Service(), Later()
    service.broken = True
    async with service.opened(tmp_path, later) as answers:
        with pytest.raises(ProviderDown):
            await ask(answers, "dune")
        service.broken = False
        assert await ask(answers, "dune") == ["a book"]
        service.broken = True
        assert await ask(answers, "dune") == ["a book"]
        later.by(KNOWN_SECONDS + 60)
        with pytest.raises(ProviderDown):
            await ask(answers, "dune")


async def test_a_cache_that_cannot_be_read_costs_requests_and_no_book(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "answers.db").write_bytes(b"this is no database" * 100)
    service = Service()
    async with service.opened(tmp_path) as answers:
        for _ in range(2):
            assert await ask(answers, "dune") == ["a book"]
    assert service.asked == ["dune", "dune"]


@asynccontextmanager
async def turning(clock: FakeClock) -> AsyncIterator[None]:
    """Let time go by, a moment with each turn of the event loop."""

    async def turn() -> None:
        while True:
            clock.advance(0.005)
            await asyncio.sleep(0)

    task = asyncio.create_task(turn())
    try:
        yield
    finally:
        task.cancel()


async def test_a_service_that_restarts_costs_no_book(tmp_path: Path) -> None:
    service, clock = Service(), FakeClock()
    service.broken = True
    async with service.opened(tmp_path, clock, attempts=4, failures=3, pause=2.0) as answers:
        waiting = [asyncio.create_task(ask_past_the_cache(answers, f"book {number}")) for number in range(20)]
        async with turning(clock):
            await until(lambda: len(service.asked) >= 4)
            service.broken = False
            assert await asyncio.gather(*waiting) == [[]] * 20
    assert clock.monotonic() < GRACE_SECONDS


async def test_a_service_that_stays_away_is_waited_for_once_and_not_for_each_book(tmp_path: Path) -> None:
    service, clock = Service(), FakeClock()
    service.broken = True
    async with service.opened(tmp_path, clock, failures=3, pause=2.0) as answers, turning(clock):
        first = await asyncio.gather(
            *(ask_past_the_cache(answers, f"book {n}") for n in range(20)), return_exceptions=True
        )
        asked = len(service.asked)
        before = clock.monotonic()
        more = await asyncio.gather(
            *(ask_past_the_cache(answers, f"book {n}") for n in range(20, 40)), return_exceptions=True
        )
    assert {type(error) for error in (*first, *more)} == {ProviderDown}
    assert asked <= 20 + GRACE_SECONDS / 2
    assert len(service.asked) <= asked + 1
    assert before < 2 * GRACE_SECONDS


async def test_a_request_that_alone_fails_is_not_waited_for(tmp_path: Path) -> None:
    service, clock = Service(), FakeClock()
    service.broken = True
    async with service.opened(tmp_path, clock, failures=3) as answers:
        with pytest.raises(ProviderDown):
            await ask(answers, "dune")
    assert clock.monotonic() == 0


async def test_an_answer_that_is_nested_however_deeply_costs_no_more_than_itself(tmp_path: Path) -> None:
    service = Service()
    async with service.opened(tmp_path, failures=9999) as answers:
        for service.depth in (*range(850, 1000, 7), 100_000):
            with suppress(ProviderDown):
                await ask(answers, f"nested {service.depth}")
        with pytest.raises(ProviderDown, match="nested too deeply"):
            await ask(answers, "nested deepest")
        service.depth = 0
        assert await ask(answers, "dune") == ["a book"]


async def test_a_quota_that_is_spent_for_today_is_not_taken_for_a_restart(tmp_path: Path) -> None:
    service = Service()
    service.spent = True
    async with service.opened(tmp_path, FakeClock()) as books, asyncio.timeout(30):
        for _ in range(3):
            with pytest.raises(ProviderDown) as raised:
                await books.get(books.url("search", (("q", "dune"),)))
            assert raised.value.reason is Reason.DAY_QUOTA
    assert len(service.asked) == 1
