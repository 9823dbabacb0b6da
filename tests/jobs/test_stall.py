"""A job that records nothing for long says so, and takes it back with the next item."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.jobs.frames import Frame
from shelfwire.jobs.job import Job
from shelfwire.jobs.stall import StallDetector
from shelfwire.protocol.job import JobState, Status
from tests.jobs.conftest import Body, Engine, MakeEngine

STALL_MS = 3000


async def states(engine: Engine, frames: AsyncIterator[Frame]) -> AsyncIterator[JobState]:
    async for frame in engine.turning(frames):
        yield frame.state


def stepping(go_on: asyncio.Queue[None], **said: str) -> Body:
    """A pipeline that records one item of ten whenever the test lets it."""

    async def body(job: Job) -> str:
        await job.start(total=10)
        async for index, _ in job.pending(range(10)):
            await go_on.get()
            job.record(index, None, title=f"Book {index}", **said)
        return "Done"

    return body


async def test_a_job_without_items_for_the_limit_is_stalled_until_the_next_one(make_engine: MakeEngine) -> None:
    go_on: asyncio.Queue[None] = asyncio.Queue()
    async with make_engine(stepping(go_on), stall_after=STALL_MS) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            told = states(engine, follower.frames())
            async for state in told:
                if state.stalled:
                    break
            began = engine.clock.monotonic()
            assert state.user_message == "No progress for some seconds. Still trying…"
            assert (state.status, state.processed, state.eta_seconds) == (Status.RUNNING, 0, None)
            assert (await engine.service.stats()).stalled == 1
            go_on.put_nowait(None)
            async for after in told:
                if after.processed:
                    break
            assert (after.stalled, after.user_message, after.seq) == (False, None, state.seq + 1)
            assert (await engine.service.stats()).stalled == 0
            async for again in told:
                if again.stalled:
                    break
            assert engine.clock.monotonic() - began >= STALL_MS / 1000
            for _ in range(9):
                go_on.put_nowait(None)
            ended = await engine.until(job_id, Status.COMPLETE)
    assert (ended.stalled, ended.succeeded) == (False, 10)


async def test_an_estimate_is_absent_while_the_job_is_stalled(make_engine: MakeEngine) -> None:
    go_on: asyncio.Queue[None] = asyncio.Queue()
    async with make_engine(stepping(go_on), stall_after=STALL_MS) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            async for state in states(engine, follower.frames()):
                if state.stalled:
                    break
                if state.started_at is not None and state.processed < 5:
                    go_on.put_nowait(None)
                estimated = state.eta_seconds
    assert estimated is not None
    assert state.eta_seconds is None


async def test_a_job_that_goes_on_recording_is_never_stalled(make_engine: MakeEngine) -> None:
    async def slow_and_steady(job: Job) -> str:
        await job.start(total=5)
        async for index, _ in job.pending(range(5)):
            await engine.clock.wait(asyncio.Event(), STALL_MS / 1000 - 0.6)
            job.record(index, None)
        return "Done"

    async with (
        make_engine(slow_and_steady, stall_after=STALL_MS) as engine,
        engine.service.follow(await engine.submit()) as follower,
    ):
        stalled = [state.stalled async for state in states(engine, follower.frames())]
    assert len(stalled) > 5
    assert not any(stalled)


async def test_with_no_limit_a_job_is_never_stalled(make_engine: MakeEngine) -> None:
    async def waiting(job: Job) -> str:
        await job.start(total=1)
        await engine.clock.wait(asyncio.Event(), 10)
        return "Done"

    async with (
        make_engine(waiting, stall_after=0) as engine,
        engine.service.follow(await engine.submit()) as follower,
    ):
        stalled = [state.stalled async for state in states(engine, follower.frames())]
    assert not any(stalled)


async def test_a_stalled_job_can_be_canceled_and_paused_and_is_not_stalled_then(make_engine: MakeEngine) -> None:
    async def stuck(_: Job) -> str:
        await asyncio.Event().wait()
        return "never"

    async with make_engine(stuck, stall_after=STALL_MS) as engine:
        for ask, status in ((engine.service.pause, Status.PAUSED), (engine.service.cancel, Status.CANCELED)):
            job_id = await engine.submit()
            async with engine.service.follow(job_id) as follower:
                told = states(engine, follower.frames())
                async for state in told:
                    if state.stalled:
                        break
                assert not (await ask(job_id)).state.stalled
                async for state in told:
                    if state.status is status:
                        break
            assert not state.stalled


def test_the_stall_message_changes_by_the_minute_and_later_by_the_hour() -> None:
    detector = StallDetector(0.0, 45)
    texts = {second: detector.check(float(second), 0) for second in range(4 * 3600)}
    told = {second: text for second, text in texts.items() if text is not None}
    assert list(told)[:4] == [45, 60, 120, 180]
    assert told[45] == "No progress for some seconds. Still trying…"
    assert told[60] == "No progress for a minute. Still trying…"
    assert told[120] == "No progress for 2 minutes. Still trying…"
    assert told[3600] == "No progress for an hour. Still trying…"
    assert told[7200] == "No progress for 2 hours. Still trying…"
    assert len(told) == 1 + 59 + 3


@given(st.lists(st.tuples(st.floats(0.001, 30), st.booleans()), max_size=60))
def test_a_stall_is_reported_only_after_the_limit(steps: list[tuple[float, bool]]) -> None:
    detector, now, moves, since = StallDetector(0.0, 20), 0.0, 0, 0.0
    for seconds, moved in steps:
        now += seconds
        if moved:
            moves, since = moves + 1, now
        text = detector.check(now, moves)
        assert text is None or now - since >= 20
