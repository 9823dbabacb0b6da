import asyncio

import httpx2
import pytest

from shelfwire.books.upstream.adaptive_timeout import MIN_SAMPLES, AdaptiveTimeout
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import Unavailable, UpstreamTimeout
from shelfwire.books.upstream.limits import Limits
from shelfwire.books.upstream.traits import Traits
from shelfwire.testing import FakeClock
from tests.books.upstream.test_client import Answer, World, ok
from tests.live import until

PAGE = httpx2.Response(200, content=b"<html>Back soon</html>")


def not_json(response: httpx2.Response) -> str | None:
    return None if response.content.startswith(b"{") else "answered with something that is not JSON"


def wary(*answers: Answer, then: Answer = None, failures: int = 8) -> World:
    world = World(*answers, then=then)
    limits = Limits(rate=1000, failures=failures)
    world.upstream = UpstreamClient(
        world.client, name="Books", limits=limits, clock=world.clock, traits=Traits(fault=not_json)
    )
    return world


def test_without_a_least_time_out_every_attempt_has_the_whole() -> None:
    timeout = AdaptiveTimeout(None, 30)
    for _ in range(MIN_SAMPLES):
        timeout.record(0.1)
    assert timeout.timeout(0) == timeout.timeout(3) == 30


def test_a_service_that_is_not_known_yet_is_given_the_whole_time() -> None:
    timeout = AdaptiveTimeout(2, 30)
    for _ in range(MIN_SAMPLES - 1):
        timeout.record(0.1)
    assert timeout.timeout(0) == 30


def test_a_quick_service_is_waited_for_briefly_and_longer_after_each_time_out_up_to_the_most() -> None:
    timeout = AdaptiveTimeout(2, 12)
    for _ in range(MIN_SAMPLES):
        timeout.record(0.1)
    assert [timeout.timeout(timed_out) for timed_out in range(4)] == [2, 4, 8, 12]


def test_a_service_that_becomes_slow_is_given_time_at_once_and_hurried_again_when_it_has_been_quick() -> None:
    timeout = AdaptiveTimeout(2, 30)
    for _ in range(MIN_SAMPLES):
        timeout.record(0.1)
    timeout.record(3)
    assert timeout.timeout(0) > 3
    for _ in range(MIN_SAMPLES):
        timeout.record(3)
    assert 3 < timeout.timeout(0) < 6
    for _ in range(MIN_SAMPLES):
        timeout.record(0.1)
    assert timeout.timeout(0) == 2


def test_one_late_answer_among_quick_ones_hardly_lengthens_the_wait_for_one_that_hangs() -> None:
    timeout = AdaptiveTimeout(2, 30)
    for _ in range(MIN_SAMPLES):
        timeout.record(0.2)
    timeout.record(1.9)
    assert timeout.timeout(0) < 2.5
    for _ in range(2):
        timeout.record(0.2)
    assert timeout.timeout(0) == 2


async def test_a_request_that_hangs_at_a_quick_service_costs_no_more_than_it_must() -> None:
    quick = [ok()] * MIN_SAMPLES
    world = World(*quick, None, ok(), least_timeout=2.0, timeout=30.0)
    for _ in quick:
        await world.done(world.send())
    before = world.clock.monotonic()
    await world.done(world.send())
    assert world.clock.monotonic() - before <= 2 + 1 + 0.25, "the time-out, the backoff, and the steps of the clock"


async def test_an_error_does_not_lengthen_the_wait_for_a_request_that_hangs_later() -> None:
    quick = [ok()] * MIN_SAMPLES
    world = World(*quick, httpx2.Response(500), None, ok(), least_timeout=2.0, timeout=30.0)
    for _ in quick:
        await world.done(world.send())
    before = world.clock.monotonic()
    await world.done(world.send())
    assert world.clock.monotonic() - before <= 1 + 2 + 2 + 0.25, "a backoff, the time-out, a backoff, and the clock"


@pytest.mark.parametrize("at_once", [2, 50])
async def test_what_is_asked_again_waits_for_its_turn_but_not_for_all_that_was_not_asked_yet(at_once: int) -> None:
    world = World(httpx2.Response(500), then=ok(), rate=1, at_once=at_once)
    requests = [httpx2.Request("GET", f"https://books.example/{number}") for number in range(6)]
    await world.done(*[asyncio.create_task(world.upstream.send(request)) for request in requests])
    assert [request.url.path for request in world.service.requests] == ["/0", "/1", "/0", "/2", "/3", "/4", "/5"]


async def test_a_quick_service_that_falls_silent_is_given_up_all_the_same() -> None:
    world = World(*[ok()] * MIN_SAMPLES, then=None, least_timeout=2.0, timeout=30.0)
    for _ in range(MIN_SAMPLES):
        await world.done(world.send())
    assert isinstance(await world.failure(), UpstreamTimeout)


async def test_an_answer_that_is_wrong_in_itself_is_asked_for_again() -> None:
    world = wary(PAGE, ok(b'{"docs": []}'))
    task = world.send()
    await world.done(task)
    assert task.result().content == b'{"docs": []}'


async def test_a_service_that_only_answers_with_web_pages_is_given_up_like_a_dead_one() -> None:
    world = wary(then=PAGE, failures=3)
    failure = await world.failure()
    assert isinstance(failure, Unavailable)
    assert "not JSON" in str(failure)
    asked = len(world.service.asked)
    with pytest.raises(Unavailable, match="too often"):
        await world.upstream.send(httpx2.Request("GET", "https://books.example/"))
    assert len(world.service.asked) == asked == 3


async def test_a_request_that_was_late_on_its_way_out_keeps_the_next_one_back_for_as_long() -> None:
    clock, sent = FakeClock(), list[float]()

    async def late(request: httpx2.Request) -> httpx2.Response:
        clock.advance(0.0 if sent else 0.5)
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        sent.append(clock.monotonic())
        return httpx2.Response(200)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(late))
    upstream = UpstreamClient(client, name="Books", limits=Limits(rate=1), clock=clock)
    await upstream.send(httpx2.Request("GET", "https://books.example/"))
    second = asyncio.create_task(upstream.send(httpx2.Request("GET", "https://books.example/")))

    def over() -> bool:
        clock.advance(0.01)
        return second.done()

    await until(over)
    assert sent[0] == 0.5
    assert sent[1] >= 1.5
