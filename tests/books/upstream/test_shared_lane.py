"""Turns at a service that several nodes share."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shelfwire.books.upstream.client import REFUSED_HOLD, UpstreamClient
from shelfwire.books.upstream.errors import RateLimited, Reason, RequestRejected
from shelfwire.books.upstream.limits import LONGEST_HOLD, Limits
from shelfwire.books.upstream.shared_lane import ALONE, Lanes, held, next_turn
from shelfwire.errors import Code, ShelfwireError
from shelfwire.plugins import Lane, Nodes
from shelfwire.testing import FakeClock, MemoryDatabase
from shelfwire.testing.memory_nodes import MemoryNodes

NOW = 1_700_000_000_000
KEY_REFUSED = httpx2.Response(400, json={"error": {"code": 400, "status": "API_KEY_INVALID", "message": "no"}})
GOOD = httpx2.Response(200, json={})


class Away(MemoryNodes):
    """A store that can be away."""

    is_away = False

    async def change_lane(self, name: str, change: Callable[[Lane], Lane]) -> Lane:
        if self.is_away:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
        return await super().change_lane(name, change)


class World:
    """Nodes that ask one service."""

    def __init__(self, nodes: int, answer: httpx2.Response = GOOD, **limits: float) -> None:
        self.clock = FakeClock()
        self.answer = answer
        self.asked: list[tuple[float, int]] = []
        database = MemoryDatabase()
        self.nodes = [Away(database, self.clock.steady) for _ in range(nodes)]
        self.clients = [self._client(number, "key", **limits) for number in range(nodes)]

    def _client(self, number: int, key: str = "key", **limits: float) -> UpstreamClient:
        node, own = self.nodes[number], Limits(**{"rate": 4, "burst": 1, "at_once": 100, "attempts": 1, **limits})  # type: ignore[arg-type]
        node.connect()

        def answered(_: httpx2.Request) -> httpx2.Response:
            self.asked.append((self.clock.monotonic(), number))
            return httpx2.Response(self.answer.status_code, headers=self.answer.headers, content=self.answer.content)

        return UpstreamClient(
            httpx2.AsyncClient(transport=httpx2.MockTransport(answered)),
            name="Books",
            limits=own,
            clock=self.clock,
            lane=Lanes(lambda: node, self.clock.steady).of("Books", own, "https://books.example", key),
        )

    def with_key(self, number: int, key: str) -> UpstreamClient:
        return self._client(number, key)

    async def send(self, number: int) -> httpx2.Response:
        return await self.clients[number].send(httpx2.Request("GET", "https://books.example/"))

    async def send_all(self, each: int) -> None:
        """Send so many requests of each node, and turn the clock until all are answered."""
        tasks = [asyncio.create_task(self.send(number)) for number in range(len(self.clients)) for _ in range(each)]
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            self.clock.advance(0.05)
        await asyncio.gather(*tasks)

    def most_within(self, seconds: float) -> int:
        times = [at for at, _ in self.asked]
        return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


async def test_all_nodes_together_keep_the_rate_that_one_would() -> None:
    world = World(3)
    await world.send_all(12)
    assert len(world.asked) == 36
    assert world.most_within(1.0) <= 4 + 1, "the clock is turned in steps, so that some are a little late"
    assert world.asked[-1][0] >= 8.0 - 0.1
    assert {number for _, number in world.asked[:12]} == {0, 1, 2}, "none of them waits until the others are done"


async def test_a_refused_key_is_known_to_all_nodes_before_they_ask() -> None:
    world = World(2, KEY_REFUSED)
    with pytest.raises(RequestRejected):
        await world.send(0)
    with capture_logs() as logs, pytest.raises(RequestRejected, match="does not accept the API key") as refused:
        await world.send(1)
    assert refused.value.reason is Reason.KEY_REFUSED
    assert [number for _, number in world.asked] == [0]
    assert [entry["code"] for entry in logs] == [Reason.KEY_REFUSED]
    with pytest.raises(RequestRejected):
        await world.send(1)
    assert len(world.asked) == 1
    world.clock.advance(REFUSED_HOLD + 1)
    world.answer = GOOD
    await world.send(1)
    assert [number for _, number in world.asked] == [0, 1]


async def test_another_key_is_not_held_up_by_one_that_was_refused() -> None:
    world = World(2, KEY_REFUSED)
    with pytest.raises(RequestRejected):
        await world.send(0)
    world.answer = GOOD
    world.clients[1] = world.with_key(1, "another")
    await world.send(1)
    assert [number for _, number in world.asked] == [0, 1]


async def test_a_pause_that_a_service_asks_one_node_for_holds_for_all() -> None:
    world = World(2, httpx2.Response(429, headers={"retry-after": "600"}), patience=30.0)
    with pytest.raises(RateLimited):
        await world.send(0)
    with pytest.raises(RateLimited, match="600 s more"):
        await world.send(1)
    assert [number for _, number in world.asked] == [0]


async def test_a_refusal_of_one_machines_address_is_that_nodes_own() -> None:
    world = World(2, httpx2.Response(451), burst=4)
    with pytest.raises(RequestRejected):
        await world.send(0)
    world.answer = GOOD
    await world.send(1)
    assert [number for _, number in world.asked] == [0, 1]


async def test_while_the_store_is_away_each_node_has_its_share_of_the_rate() -> None:
    world = World(2)
    for node in world.nodes:
        node.is_away = True
    with capture_logs() as logs:
        await world.send_all(8)
    assert len(world.asked) == 16
    assert world.most_within(2.0) <= 8 + 2
    assert len(logs) <= 2 * (1 + world.clock.monotonic() * 1000 // ALONE)
    assert {entry["nodes"] for entry in logs} == {2}


async def test_where_there_are_no_other_nodes_nothing_is_shared() -> None:
    clock = FakeClock()
    nodes: Callable[[], Nodes | None] = lambda: None  # noqa: E731
    lane = Lanes(nodes, clock.steady).of("Books", Limits(rate=1))
    assert [await lane.take() for _ in range(5)] == [(0.0, 0.0, None)] * 5


@given(
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 60.0]),
    st.integers(1, 5),
    st.lists(st.integers(0, 3000), min_size=1, max_size=30),
)
def test_within_any_period_no_more_turns_begin_than_the_rate_allows(
    rate: int, period: float, burst: int, gaps: list[int]
) -> None:
    lane, now, turns = Lane(), NOW, []
    limits = Limits(rate=rate, period=period, burst=burst, patience=1e6)
    for gap in gaps:
        now += gap
        lane = next_turn(lane, limits, now)
        turns.append(lane.begun[-1])
        assert turns[-1] >= now
        assert len(lane.begun) <= rate
    assert turns == sorted(turns)
    assert all(later - earlier >= period * 1000 for earlier, later in zip(turns, turns[rate:], strict=False))


def test_turns_far_ahead_and_endless_holds_are_of_a_clock_that_was_set_back() -> None:
    limits = Limits(rate=1, patience=30.0)
    hour = 3_600_000
    lane = Lane(begun=(NOW + hour,), held_until=NOW + hour, reason=Reason.KEY_REFUSED)
    assert next_turn(lane, limits, NOW).begun == (NOW,)
    assert held(lane, NOW + 1000, "", NOW) == Lane(lane.begun, NOW + 1000)


def test_the_longer_of_two_holds_counts_and_a_refusal_outlasts_a_pause() -> None:
    lane = held(Lane(), NOW + 300_000, Reason.KEY_REFUSED, NOW)
    assert held(lane, NOW + 1000, "", NOW) == lane
    assert held(lane, NOW + 400_000, "", NOW) == Lane((), NOW + 400_000, Reason.KEY_REFUSED)
    assert held(lane, NOW + 301_000, "", NOW + 300_000).reason == ""
    assert next_turn(held(Lane(), NOW + round(LONGEST_HOLD * 1000), "", NOW), Limits(rate=1), NOW).begun == ()


def test_turns_follow_each_other_in_the_order_in_which_they_are_taken() -> None:
    lane, limits = held(Lane(), NOW + 5000, "", NOW), Limits(rate=4, burst=2)
    for _ in range(6):
        lane = next_turn(lane, limits, NOW)
    assert lane.begun[0] >= NOW + 5000
    assert all(one <= other for one, other in pairwise(lane.begun))
