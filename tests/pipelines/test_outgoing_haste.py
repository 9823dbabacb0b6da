import httpx2
import pytest

from shelfwire.pipelines.outgoing import MARGIN, REMEMBERED, Haste, Lane, Limits, TimedOut, Unavailable
from tests.pipelines.test_outgoing import Answer, World, ok

PAGE = httpx2.Response(200, content=b"<html>Back soon</html>")


def not_json(response: httpx2.Response) -> str | None:
    return None if response.content.startswith(b"{") else "answered with something that is not JSON"


def wary(*answers: Answer, then: Answer = None, failures: int = 8) -> World:
    world = World(*answers, then=then)
    limits = Limits(rate=1000, failures=failures)
    world.lane = Lane(world.client, name="Books", limits=limits, clock=world.clock, wrong=not_json)
    return world


def test_without_a_least_time_out_every_attempt_has_the_whole() -> None:
    haste = Haste(None, 30)
    for _ in range(REMEMBERED):
        haste.answered(0.1)
    assert haste.timeout(1) == haste.timeout(4) == 30


def test_a_service_that_is_not_known_yet_is_given_the_whole_time() -> None:
    haste = Haste(2, 30)
    for _ in range(REMEMBERED - 1):
        haste.answered(0.1)
    assert haste.timeout(1) == 30


def test_a_quick_service_is_waited_for_briefly_and_longer_with_each_attempt_up_to_the_most() -> None:
    haste = Haste(2, 12)
    for _ in range(REMEMBERED):
        haste.answered(0.1)
    assert [haste.timeout(attempt) for attempt in (1, 2, 3, 4)] == [2, 4, 8, 12]


def test_a_service_that_becomes_slow_is_given_time_at_once_and_hurried_again_only_when_it_has_been_quick() -> None:
    haste = Haste(2, 30)
    for _ in range(REMEMBERED):
        haste.answered(0.1)
    haste.answered(3)
    assert haste.timeout(1) == 3 * MARGIN
    for _ in range(REMEMBERED):
        haste.answered(0.1)
    assert haste.timeout(1) == 2


async def test_a_request_that_hangs_at_a_quick_service_costs_no_more_than_it_must() -> None:
    quick = [ok()] * REMEMBERED
    world = World(*quick, None, ok(), least_timeout=2.0, timeout=30.0)
    for _ in quick:
        await world.done(world.send())
    before = world.clock.monotonic()
    await world.done(world.send())
    assert world.clock.monotonic() - before <= 2 + 1 + 0.25, "the time-out, the backoff, and the steps of the clock"


async def test_a_quick_service_that_falls_silent_is_given_up_all_the_same() -> None:
    world = World(*[ok()] * REMEMBERED, then=None, least_timeout=2.0, timeout=30.0)
    for _ in range(REMEMBERED):
        await world.done(world.send())
    assert isinstance(await world.failure(), TimedOut)


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
        await world.lane.send(httpx2.Request("GET", "https://books.example/"))
    assert len(world.service.asked) == asked == 3
