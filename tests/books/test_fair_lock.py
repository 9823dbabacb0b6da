import asyncio
from collections.abc import Sequence

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.fair_lock import FairLock
from shelfwire.jobs.job import RUNNING_JOB
from tests.books.upstream.test_client import World, ok


async def test_one_request_of_a_job_is_not_behind_all_those_of_another() -> None:
    world = World(then=ok(), rate=1, period=1.0)

    def sends(job: str, count: int) -> "list[asyncio.Task[httpx2.Response]]":
        RUNNING_JOB.set(job)
        request = httpx2.Request("GET", f"https://books.example/{job}")
        return [asyncio.create_task(world.upstream.send(request)) for _ in range(count)]

    tasks = [*sends("large", 20), *sends("small", 1)]
    await world.done(*tasks)
    assert [request.url.path for request in world.service.requests].index("/small") < 5


@given(st.lists(st.sampled_from("abc"), max_size=12), st.sets(st.integers(0, 11)))
def test_whoever_is_cancelled_all_others_have_the_lock_one_at_a_time_and_in_turn(
    jobs: Sequence[str], cancelled: set[int]
) -> None:
    async def main() -> None:
        lock, had, inside = FairLock(), [], 0

        async def request(number: int, job: str) -> None:
            nonlocal inside
            async with lock.turn(job):
                inside += 1
                assert inside == 1
                try:
                    await asyncio.sleep(0)
                    had.append(number)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(request(number, job)) for number, job in enumerate(jobs)]
        await asyncio.sleep(0)
        for number in cancelled & set(range(len(tasks))):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = [number for number in range(len(jobs)) if number not in cancelled]
        assert sorted(set(had) & set(left)) == left
        for job in "abc":
            own = [number for number in had if jobs[number] == job]
            assert own == sorted(own)
        async with asyncio.timeout(1), lock.turn("a"):
            pass

    asyncio.run(main())
