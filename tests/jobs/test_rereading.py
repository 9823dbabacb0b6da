import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from structlog.testing import capture_logs

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Follower, Hub
from shelfwire.jobs.nodes import News, Nodes, Position
from shelfwire.jobs.rereading import Rereader
from shelfwire.jobs.store import Committed
from shelfwire.jobs.workers import Workers
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.testing import NOW, POLICY, FakeClock, MemoryStore, add_job, claim, encode_terminal
from tests.live import until

FAILURES = 12


class Away:
    """A database that is away for some readings."""

    reread_seconds = 0.25

    def __init__(self) -> None:
        self.left = FAILURES
        self.succeeded = asyncio.Event()

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        assert positions
        assert not digests
        if self.left:
            self.left -= 1
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the database is away")
        self.succeeded.set()
        return News()


async def unasked(*_: object) -> None:
    raise AssertionError("nothing is to be changed")


async def test_a_database_that_is_away_is_logged_once_and_once_when_it_is_back() -> None:
    nodes, hub, clock = Away(), Hub(), FakeClock()
    inside: Any = SimpleNamespace(positions=list, hear=lambda _rows, _gone: None)
    workers = cast("Workers", SimpleNamespace(inside=inside))
    with capture_logs() as logs, hub.follow("j") as (_, offer):
        offer(Committed(state=jobs.create("j", "csv_import", now=1000)))
        task = asyncio.create_task(Rereader(cast("Nodes", nodes), hub, workers, clock, unasked).run())
        while not nodes.succeeded.is_set():
            clock.advance(0.25)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    lines = [line for line in logs if line["event"].startswith("reading again")]
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert lines[0]["reason"] == "the database is away"
    assert lines[1]["seconds"] >= 0.25 * (FAILURES - 1)


Turned = Callable[[Callable[[], bool]], Awaitable[None]]


async def until_seen(clock: FakeClock, seen: Callable[[], bool]) -> None:
    """Turn the clock until something is seen."""

    def looked() -> bool:
        clock.advance(0.5)
        return seen()

    await until(looked)


@asynccontextmanager
async def rereading(shown: int) -> AsyncIterator[tuple[MemoryStore, Hub, Follower, Turned]]:
    """A node with a follower that was shown a revision of a job, of which the store has an older one."""
    clock, hub = FakeClock(NOW), Hub()
    workers = cast("Workers", SimpleNamespace(inside=SimpleNamespace(positions=list, hear=lambda *_: None)))
    async with MemoryStore(encode_terminal=encode_terminal, steady=clock.steady, shared=True) as store:
        state = await add_job(store)
        assert store.nodes is not None
        rereader = Rereader(store.nodes, hub, workers, clock, store.request)
        with hub.follow("job-1") as (follower, offer):
            offer(Committed(state=msgspec.structs.replace(state, seq=shown, user_message="Newer", total=9)))
            assert [frame.state.seq for frame in follower.due()] == [shown]
            task = asyncio.create_task(rereader.run())
            yield store, hub, follower, partial(until_seen, clock)
            task.cancel()


async def test_followers_go_on_where_a_failover_has_lost_what_they_were_shown() -> None:
    with capture_logs() as logs:
        async with rereading(shown=50) as (store, hub, follower, turned):
            await turned(lambda: hub.positions()[0].seq != 50)
            row = store.database.jobs["job-1"].state
            assert (hub.positions()[0].seq, row.seq, row.total) == (51, 51, None)
            claimed = await claim(store)
            assert claimed.state.seq > 51
            hub.publish([Committed(state=msgspec.structs.replace(claimed.state, user_message="Again"))])
            assert [frame.state.user_message for frame in follower.due()][-1:] == ["Again"]
    assert [line["jobs"] for line in logs if line["log_level"] == "critical"] == [["job-1"]]


async def test_followers_come_back_for_an_ending_below_what_they_were_shown() -> None:
    async with rereading(shown=50) as (store, _, follower, turned):
        ended = await store.request("job-1", lambda row, now: owner_transitions.cancel(row, POLICY, now=now), NOW)
        assert ended is not None
        await turned(lambda: follower.dismissal is not None)
        row = await store.job("job-1")
    assert follower.dismissal is Dismissal.LEAVING
    assert row == ended


async def test_what_was_shown_while_the_store_was_read_is_not_taken_for_lost() -> None:
    clock, hub = FakeClock(NOW), Hub()
    state = jobs.create("j", "csv_import", now=NOW)
    read = asyncio.Event()

    class Late:
        """Answers with a row that is not the newest any more."""

        reread_seconds = 1.0

        async def reread(self, positions: Sequence[Position], _: Sequence[bytes]) -> News:
            assert [one.seq for one in positions] == [state.seq]
            hub.publish([Committed(state=msgspec.structs.replace(state, seq=state.seq + 2))])
            read.set()
            return News(rows=[Committed(state=msgspec.structs.replace(state, seq=state.seq + 1))])

    workers = cast("Workers", SimpleNamespace(inside=SimpleNamespace(positions=list, hear=lambda *_: None)))
    with capture_logs() as logs, hub.follow("j") as (_, offer):
        offer(Committed(state=state))
        task = asyncio.create_task(Rereader(cast("Nodes", Late()), hub, workers, clock, unasked).run())
        await until_seen(clock, read.is_set)
        for _ in range(9):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
    assert logs == []
