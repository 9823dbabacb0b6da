"""The contract of every store, as tests to inherit: whose turn it is."""

from collections.abc import Collection, Mapping, Sequence

import pytest

from shelfwire.jobs.store import Change, Claimed, JobStore
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import JobState
from shelfwire.protocol.tokens import Grant
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing.stores import NOW, POLICY, MakeStore, add_job, claim, ending

BOTH = ("csv_import", "ai_scan")


class TurnsContract:
    """The duties of `JobStore` to callers who wait: each has a turn."""

    async def test_one_job_of_a_caller_is_not_behind_all_those_that_another_has_queued(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _add(store, "busy", 10)
            await _add(store, "quiet", 1)
            assert await _claimed(store, 4) == ["busy-0", "quiet-0", "busy-1", "busy-2"]

    async def test_a_job_knows_how_many_are_before_it(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store, "busy", 3)
            await _add(store, "quiet", 1, NOW + 10)
            await add_job(store, "other", pipeline="ai_scan")
            order = ["busy-0", "quiet-0", "busy-1", "busy-2"]
            for already in range(4):
                rows = [await store.job(job_id) for job_id in order[already:]]
                assert [await store.ahead(row.state, limit=9) for row in rows if row] == list(range(4 - already))
                assert await _claimed(store, 1) == [order[already]]
            await _add(store, "many", 5, NOW + 20)
            last = await store.job("many-4")
            assert last is not None
            assert await store.ahead(last.state, limit=3) == 3

    async def test_callers_take_turns_also_after_the_store_was_opened_again(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store, "one", 3)
            await _add(store, "two", 3, NOW + 10)
            first = await _claimed(store, 1)
            await store.delete(first[0], POLICY, NOW)
            await _add(store, "late", 1, NOW + 20)
        async with make_store() as store:
            rest = await _claimed(store, 6)
        assert first + rest == ["one-0", "two-0", "one-1", "two-1", "late-0", "one-2", "two-2"]

    async def test_callers_who_come_again_and_again_do_not_keep_another_from_its_turn(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _add(store, "patient", 3)
            await _add(store, "d", 1, NOW + 10)
            await _add(store, "e", 1, NOW + 20)
            claimed = []
            for number in range(7):
                (job_id,) = await _claimed(store, 1)
                claimed.append(job_id[0])
                if job_id[0] in "de":
                    await add_job(store, f"{job_id[0]}-again-{number}", caller=job_id[0], now=NOW + 30 + number)
        assert "".join(claimed) == "pdepdep"

    @pytest.mark.parametrize("step", [-3_600_000, 3_600_000])
    async def test_a_step_of_the_clock_changes_nobodys_turn(self, make_store: MakeStore, step: int) -> None:
        async with make_store() as store:
            await _add(store, "one", 2)
            await _add(store, "two", 2, NOW + step)
            claimed = await _claimed(store, 4, now=NOW + 3_600_001)
        assert [sorted(claimed[:2]), sorted(claimed[2:])] == [["one-0", "two-0"], ["one-1", "two-1"]]

    async def test_a_job_that_its_worker_released_goes_on_before_others_begin(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store, "one", 2)
            await _claimed(store, 1)
            await _add(store, "two", 1, NOW + 10)
            released = Change(job_id="one-0", attempt=1, created_at=NOW, delta=ProgressDelta(), closing=_release)
            await store.commit([released], POLICY, NOW)
            assert await _claimed(store, 3) == ["one-0", "one-1", "two-0"]

    async def test_a_job_that_is_resumed_takes_a_new_turn(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store, "one", 2)
            await store.request("one-0", lambda state, now: owner_transitions.pause(state, now=now), NOW)
            await _add(store, "two", 2, NOW + 10)
            await store.request("one-0", lambda state, now: owner_transitions.resume(state, now=now), NOW)
            assert await _claimed(store, 4) == ["two-0", "one-1", "two-1", "one-0"]

    async def test_a_retry_takes_the_turn_of_the_caller_whose_job_it_retries(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store, "job-1", caller="one")
            await claim(store)
            await store.commit([ending([0])], POLICY, NOW)
            await _add(store, "one", 1)
            await _add(store, "two", 1)
            assert await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW) == "retry"
            retry = await store.job("retry")
            assert retry is not None
            assert retry.state.caller == "one"
            assert await _claimed(store, 3) == ["one-0", "two-0", "retry"]

    async def test_the_first_of_the_pipelines_goes_first_and_each_has_a_queue_of_its_own(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _add(store, "one", 2)
            await add_job(store, "scan", pipeline="ai_scan", caller="one")
            assert await _claimed(store, 3, pipelines=BOTH[::-1]) == ["scan", "one-0", "one-1"]

    async def test_callers_are_passed_over_in_the_pipelines_that_are_named_alone(self, make_store: MakeStore) -> None:
        passing = {"csv_import": {"one", "two"}}
        async with make_store() as store:
            await _add(store, "one", 1)
            await _add(store, "three", 1)
            await add_job(store, "scan", pipeline="ai_scan", caller="one")
            assert await _claimed(store, 9, pipelines=BOTH, passing=passing) == ["three-0", "scan"]
            assert await _claimed(store, 9, pipelines=BOTH) == ["one-0"]

    async def test_a_job_whose_worker_is_gone_goes_before_all_queues_whoever_is_passed_over(
        self, make_store: MakeStore
    ) -> None:
        passing = {"csv_import": {"one"}}
        async with make_store() as store:
            await _add(store, "one", 1)
            await _claimed(store, 1)
            await add_job(store, "scan", pipeline="ai_scan")
            later = NOW + 100 + POLICY.lease
            assert await _claimed(store, 9, pipelines=BOTH[::-1], passing=passing, now=later) == ["one-0", "scan"]


async def _add(store: JobStore, caller: str, count: int, now: int = NOW) -> None:
    """Queue jobs of a caller, each some milliseconds after the last."""
    for number in range(count):
        await add_job(store, f"{caller}-{number}", now=now + number, caller=caller)


async def _claimed(
    store: JobStore,
    most: int,
    *,
    pipelines: Sequence[str] = ("csv_import",),
    passing: Mapping[str, Collection[str]] | None = None,
    now: int = NOW + 100,
) -> list[str]:
    """Claim jobs until there are none or this many, and return their ids."""
    claims: list[Claimed] = []
    while len(claims) < most and (one := await store.claim(pipelines, POLICY, now, passing=passing or {})) is not None:
        claims.append(one)
    return [one.state.id for one in claims]


def _release(state: JobState, now: int) -> JobState:
    return worker_transitions.release(state, 1, POLICY, now=now)
