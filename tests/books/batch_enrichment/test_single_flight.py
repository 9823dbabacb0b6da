import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shelfwire.books.batch_enrichment.single_flight import Batcher, SingleFlight
from shelfwire.testing import FakeClock
from tests.live import until


class Work:
    """Work that ends when the test lets it."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def do(self) -> str:
        self.begun += 1
        try:
            return await asyncio.shield(self.over)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_whoever_wants_what_is_under_way_joins_it() -> None:
    flights, work = SingleFlight[str, str](), Work()
    waiting = [asyncio.create_task(flights.do("dune", work.do)) for _ in range(3)]
    await until(lambda: work.begun > 0)
    work.over.set_result("sand")
    assert await asyncio.gather(*waiting) == ["sand"] * 3
    assert work.begun == 1


async def test_what_is_over_is_done_again_for_the_next_who_asks() -> None:
    flights, work = SingleFlight[str, str](), Work()
    work.over.set_result("sand")
    for _ in range(2):
        assert await flights.do("dune", work.do) == "sand"
    assert work.begun == 2


async def test_the_first_may_leave_without_harm_to_those_who_joined() -> None:
    flights, work = SingleFlight[str, str](), Work()
    first, second = (asyncio.create_task(flights.do("dune", work.do)) for _ in range(2))
    await until(lambda: work.begun > 0)
    first.cancel()
    await asyncio.wait([first])
    work.over.set_result("sand")
    assert await second == "sand"
    assert work.cancelled == 0


async def test_when_the_last_has_left_the_work_ends_and_a_newcomer_begins_anew() -> None:
    flights, work, again = SingleFlight[str, str](), Work(), Work()
    waiting = [asyncio.create_task(flights.do("dune", work.do)) for _ in range(2)]
    await until(lambda: work.begun > 0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    again.over.set_result("sand")
    assert await flights.do("dune", again.do) == "sand"
    assert work.cancelled == 1


async def test_a_failure_is_everybodys_and_nobody_elses() -> None:
    flights, work, again = SingleFlight[str, str](), Work(), Work()
    waiting = [asyncio.create_task(flights.do("dune", work.do)) for _ in range(2)]
    await until(lambda: work.begun > 0)
    work.over.set_exception(LookupError("nobody knows"))
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [LookupError] * 2
    again.over.set_result("sand")
    assert await flights.do("dune", again.do) == "sand"


class Library:
    """Answers batches when the test lets it."""

    def __init__(self, *, most: int = 3, at_once: int = 1) -> None:
        self.clock = FakeClock()
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.broken = False
        self.batcher = Batcher[str, str](self._ask, max_size=most, at_once=at_once, clock=self.clock)

    async def _ask(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.batches.append(list(keys))
        await self.open.wait()
        if self.broken:
            raise LookupError("closed")
        return {key: key.upper() for key in keys if key != "unknown"}

    def get(self, *keys: str) -> "list[asyncio.Task[str | None]]":
        return [asyncio.create_task(self.batcher.get(key)) for key in keys]

    async def asked(self, batches: int) -> None:
        """Turn the clock until so many batches went out."""

        def seen() -> bool:
            self.clock.advance(0.01)
            return len(self.batches) >= batches

        await until(seen)


async def test_what_is_wanted_at_the_same_time_is_asked_for_together_and_answered_apart() -> None:
    library = Library()
    library.open.set()
    waiting = library.get("a", "unknown", "b")
    await library.asked(1)
    assert await asyncio.gather(*waiting) == ["A", None, "B"]
    assert library.batches == [["a", "unknown", "b"]]


async def test_what_comes_while_a_batch_is_under_way_waits_for_the_next() -> None:
    library = Library()
    waiting = library.get("a")
    await library.asked(1)
    waiting += library.get("b", "c")
    await asyncio.sleep(0)
    library.open.set()
    await library.asked(2)
    assert await asyncio.gather(*waiting) == ["A", "B", "C"]
    assert library.batches == [["a"], ["b", "c"]]


async def test_a_batch_has_so_many_keys_at_most_and_the_rest_follows() -> None:
    library = Library(most=3)
    library.open.set()
    waiting = library.get(*"abcdefg")
    await library.asked(3)
    assert await asyncio.gather(*waiting) == list("ABCDEFG")
    assert [len(batch) for batch in library.batches] == [3, 3, 1]


async def test_a_key_that_is_wanted_twice_is_asked_for_once() -> None:
    library = Library()
    library.open.set()
    waiting = library.get("a", "a")
    await library.asked(1)
    assert await asyncio.gather(*waiting) == ["A", "A"]
    assert library.batches == [["a"]]


async def test_a_batch_that_fails_fails_for_all_of_it_and_not_for_the_next() -> None:
    library = Library()
    waiting = library.get("a", "b")
    await library.asked(1)
    library.broken = True
    library.open.set()
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [LookupError] * 2
    library.broken = False
    (task,) = library.get("c")
    await library.asked(2)
    assert await task == "C"


async def test_what_nobody_waits_for_any_more_is_not_asked_for() -> None:
    library = Library(at_once=1)
    first = library.get("a")
    await library.asked(1)
    (gone,) = library.get("b")
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    (last,) = library.get("c")
    library.open.set()
    await library.asked(2)
    assert await last == "C"
    assert [await task for task in first] == ["A"]
    assert library.batches == [["a"], ["c"]]
