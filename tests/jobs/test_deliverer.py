"""The deliverer on a store in memory, with a clock to turn."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from structlog.testing import capture_logs

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.deliverer import MAX_AT_ONCE, MAX_PER_HOST, Deliverer, OnEnd
from shelfwire.jobs.outbox import Delivery, DeliveryStatus, Outcome, announcer
from shelfwire.jobs.telemetry import NoTelemetry
from shelfwire.protocol.job import JobState, Policy, create
from shelfwire.protocol.tokens import Grant
from shelfwire.testing import FakeClock, MemoryDatabase, MemoryStore, encode_terminal
from tests.live import until

POLICY = Policy()


async def idle() -> None:
    """Let everything go on that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


class Results(NoTelemetry):
    def __init__(self) -> None:
        self.results: list[str] = []

    def delivered(self, result: str, _seconds: float) -> None:
        self.results.append(result)


class World:
    """A store, a clock, and a network that answers when the test says so."""

    def __init__(self, on_end: OnEnd | None = None, database: MemoryDatabase | None = None) -> None:
        self.clock = FakeClock()
        self.telemetry = Results()
        self.store = MemoryStore(
            encode_terminal=encode_terminal,
            database=database,
            announce=announcer(to_application=on_end is not None),
        )
        self.waiting: list[tuple[Delivery, asyncio.Future[Outcome]]] = []
        self.deliverer = Deliverer(
            self.store.outbox, self.send, on_end, self.clock, self.telemetry, uniform=lambda: 0.5
        )

    async def send(self, delivery: Delivery) -> Outcome:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.waiting.append((delivery, answer))
        return await answer

    async def end(self, number: int = 0, url: str | None = "https://a.example/") -> JobState:
        state = msgspec.structs.replace(create(f"job-{number}", "p", now=self.clock.now()), callback_url=url)
        await self.store.create(state, Grant(digest=b"%d" % number, job_id=state.id))
        ended = await self.store.delete(state.id, POLICY, self.clock.now())
        assert ended is not None
        self.deliverer.wake()
        return ended.state

    async def next(self) -> tuple[Delivery, asyncio.Future[Outcome]]:
        await until(lambda: bool(self.waiting))
        return self.waiting.pop(0)

    async def settled(self, status: DeliveryStatus) -> Delivery:
        await until(lambda: any(one.status is status for one in self.store.outbox._of(None)))
        return self.store.outbox._of(status)[0]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.store:
            task = asyncio.create_task(self.deliverer.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def test_an_ending_is_delivered_at_once_and_once() -> None:
    world = World()
    async with world.running():
        await world.end()
        delivery, answer = await world.next()
        answer.set_result(Outcome())
        done = await world.settled(DeliveryStatus.DONE)
        world.clock.advance(100_000)
        await asyncio.sleep(0)
    assert (done.id, done.tries) == (delivery.id, 1)
    assert (world.waiting, world.telemetry.results) == ([], ["ok"])


async def test_every_try_sends_the_same_until_one_succeeds() -> None:
    world = World()
    sent = []
    async with world.running():
        await world.end()
        for seconds, outcome in ((5.0, Outcome(error="HTTP 500")), (100.0, Outcome(error="x", retry_after=100_000))):
            delivery, answer = await world.next()
            sent.append((delivery.id, delivery.body))
            answer.set_result(outcome)
            await until(lambda: len(world.telemetry.results) == len(sent))
            world.clock.advance(seconds - 1)
            await idle()
            assert world.waiting == []
            world.clock.advance(1)
            world.clock.advance(1)  # the deliverer looks once a second
        delivery, answer = await world.next()
        sent.append((delivery.id, delivery.body))
        answer.set_result(Outcome())
        assert (await world.settled(DeliveryStatus.DONE)).tries == 3
    assert len(set(sent)) == 1
    assert world.telemetry.results == ["failed", "failed", "ok"]


async def test_a_delivery_that_was_given_up_is_logged_and_counted() -> None:
    world = World()
    with capture_logs() as logs:
        async with world.running():
            await world.end()
            _, answer = await world.next()
            answer.set_result(Outcome(error="HTTP 410", final=True))
            given_up = await world.settled(DeliveryStatus.GIVEN_UP)
    assert given_up.last_error == "HTTP 410"
    assert [entry["log_level"] for entry in logs if "given up" in entry["event"]] == ["error"]
    assert "https://" not in str(logs), "an address may hold a secret"


async def test_no_host_has_more_than_four_at_once_and_all_together_not_more_than_twenty() -> None:
    world = World()
    async with world.running():
        for number in range(60):
            await world.end(number, f"https://{number % 6}.example/")
        await until(lambda: len(world.waiting) >= MAX_AT_ONCE)
        for _ in range(10):
            world.clock.advance(1)
            await asyncio.sleep(0)
        assert len(world.waiting) == MAX_AT_ONCE
        assert max(Counter(one.host for one, _ in world.waiting).values()) == MAX_PER_HOST
        for _ in range(60):
            _, answer = await world.next()
            answer.set_result(Outcome())
        await until(lambda: len(world.telemetry.results) == 60)


async def test_a_host_has_four_at_once_however_often_what_is_due_is_looked_for() -> None:
    world = World()
    async with world.running():
        for number in range(2 * MAX_PER_HOST):
            await world.end(number)
        await until(lambda: len(world.waiting) >= MAX_PER_HOST)
        for _ in range(3):
            world.clock.advance(1)
            await idle()
        assert len(world.waiting) == MAX_PER_HOST


async def test_what_was_under_way_when_the_process_ended_is_sent_by_the_next_one() -> None:
    database = MemoryDatabase()
    world = World(database=database)
    async with world.running():
        await world.end()
        first, _ = await world.next()
    again = World(database=database)
    async with again.running():
        second, answer = await again.next()
        answer.set_result(Outcome())
        await again.settled(DeliveryStatus.DONE)
    assert second == first


async def test_the_application_is_told_of_each_ending_until_it_raises_nothing() -> None:
    told: list[JobState] = []

    async def on_end(state: JobState) -> None:
        told.append(state)
        if len(told) == 1:
            raise ConnectionError("the mail server is away")

    world = World(on_end)
    async with world.running():
        state = await world.end(url=None)
        await until(lambda: len(told) == 1)
        for _ in range(6):
            await idle()
            world.clock.advance(1)
        await until(lambda: len(told) == 2)
        await until(lambda: not world.store.outbox._of(DeliveryStatus.WAITING))
    assert told == [state, state]


async def test_an_application_that_hears_no_more_keeps_nothing_else_waiting() -> None:
    database = MemoryDatabase()

    async def never(_: JobState) -> None:
        await asyncio.Event().wait()

    world = World(never, database)
    async with world.running():
        await world.end(url=None)
        await idle()
    without = World(database=database)
    async with without.running():
        await until(lambda: any(one.last_error for one in without.store.outbox._of(None)))
        await without.end(1)
        _, answer = await without.next()
        answer.set_result(Outcome())
        await without.settled(DeliveryStatus.DONE)


@pytest.mark.parametrize("breaks", ["take", "settle"])
async def test_a_store_that_fails_for_a_while_is_asked_again(breaks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    real, calls = getattr(world.store.outbox, breaks), []

    async def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
        return await real(*args)

    monkeypatch.setattr(world.store.outbox, breaks, failing)
    async with world.running():
        await world.end()
        for _ in range(100):
            if world.waiting:
                world.waiting.pop(0)[1].set_result(Outcome())
            await asyncio.sleep(0)
            world.clock.advance(1)
        assert (await world.settled(DeliveryStatus.DONE)).tries == 1
