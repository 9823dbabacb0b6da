"""The engine end to end: worker, committer, hub and store together, as an owner sees their job."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import SLICE_SECONDS, Job
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Metadata, clip
from shelfwire.protocol.worker_transitions import MAX_BACKOFF
from tests.jobs.conftest import POLICY, MakeEngine
from tests.live import until


async def three_books(job: Job) -> str:
    await job.start(total=3, metadata=job.metadata)
    async for index, title in job.pending(["Emma", "Dune", ""]):
        if title:
            job.record(index, {"title": title}, title=title, author="Somebody")
        else:
            job.fail(index, ShelfwireError(BookCode.ROW_INVALID), row=4)
    return f"Added {job.succeeded} books"


async def test_a_job_runs_from_upload_to_ending_and_its_follower_receives_all_messages(make_engine: MakeEngine) -> None:
    async with make_engine(three_books) as engine:
        told = await engine.story(await engine.submit())
    kinds = [message.type for message in told]
    assert kinds[-1] == "job_complete"
    assert kinds.count("job_started") == 1
    ending = told[-1].payload
    assert isinstance(ending, JobComplete)
    assert (ending.success_count, ending.failure_count, ending.summary) == (2, 1, "Added 2 books")
    assert ending.results["books"] == [{"title": "Emma"}, {"title": "Dune"}]
    (error,) = ending.results["errors"]
    assert (error["index"], error["row"], error["code"]) == (2, 4, BookCode.ROW_INVALID)


async def test_a_follower_attaching_after_the_end_receives_the_same_ending(make_engine: MakeEngine) -> None:
    async with make_engine(three_books) as engine:
        job_id = await engine.submit()
        first, late = await engine.story(job_id), await engine.story(job_id)
    assert late[-1] == first[-1]
    assert [message.type for message in late] == ["job_started", "job_progress", "job_complete"]


async def test_the_input_reaches_the_pipeline_whole(make_engine: MakeEngine) -> None:
    async def size(job: Job) -> str:
        return f"{len(await job.input('file'))} bytes of {job.metadata.file_name}"

    async with make_engine(size) as engine:
        told = await engine.story(await engine.submit(b"x" * 3_000_000))
    assert isinstance(told[-1].payload, JobComplete)
    assert told[-1].payload.summary == "3000000 bytes of a.csv"


async def test_a_job_that_cannot_be_done_fails_at_once_with_its_reason(make_engine: MakeEngine) -> None:
    async def unreadable(_: Job) -> str:
        raise ShelfwireError(BookCode.CSV_UNREADABLE, "It is a picture")

    async with make_engine(unreadable) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobError)
    assert (told[-1].payload.code, told[-1].payload.message) == (BookCode.CSV_UNREADABLE, "It is a picture")


async def test_an_error_too_large_for_any_message_ends_its_job_and_no_other(make_engine: MakeEngine) -> None:
    async def talkative(job: Job) -> str:
        if await job.input("file") == b"talk":
            raise ShelfwireError(BookCode.CSV_UNREADABLE, details={"page": "x" * 2**20})
        return "Done"

    async with make_engine(talkative) as engine:
        failed, other = [(await engine.story(await engine.submit(data)))[-1].payload for data in (b"talk", b"")]
    assert isinstance(failed, JobError)
    assert failed.code == BookCode.CSV_UNREADABLE
    assert isinstance(other, JobComplete)


async def test_an_exception_is_tried_again_and_what_was_recorded_is_kept(make_engine: MakeEngine) -> None:
    attempts: list[list[int]] = []

    async def stumbling(job: Job) -> str:
        await job.start(total=4)
        attempts.append([])
        async for index, _ in job.pending(range(4)):
            attempts[-1].append(index)
            if index == 2 and len(attempts) == 1:
                raise KeyError("a defect")
            job.record(index, index)
        return "Done"

    async with make_engine(stumbling) as engine:
        told = await engine.story(await engine.submit())
    assert attempts == [[0, 1, 2], [2, 3]]
    assert told[-1].type == "job_complete"
    waiting = [m.payload.user_message for m in told if isinstance(m.payload, JobProgress) and m.payload.user_message]
    assert any("Trying again" in text for text in waiting)


async def test_a_job_that_keeps_failing_is_given_up_with_the_cause(make_engine: MakeEngine) -> None:
    async def broken(_: Job) -> str:
        raise KeyError("a defect")

    async with make_engine(broken) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobError)
    assert told[-1].payload.code == Code.ATTEMPTS_EXHAUSTED
    assert "KeyError" in told[-1].payload.message


async def test_a_retryable_error_of_ours_is_tried_again_too(make_engine: MakeEngine) -> None:
    tries: list[int] = []

    async def storage_gone(_: Job) -> str:
        tries.append(1)
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)

    async with make_engine(storage_gone) as engine:
        told = await engine.story(await engine.submit())
    assert len(tries) == POLICY.max_errors
    assert isinstance(told[-1].payload, JobError)
    assert Code.STORAGE_UNAVAILABLE in told[-1].payload.message


async def endless(job: Job) -> str:
    await job.start(total=1_000_000)
    async for index, _ in job.pending(range(1_000_000)):
        job.record(index, None)
    raise AssertionError("nobody stopped it")


async def test_a_running_job_that_is_canceled_keeps_what_it_had_done(make_engine: MakeEngine) -> None:
    async with make_engine(endless) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            asked, told = False, []
            async for frame in engine.turning(follower.frames()):
                told.append(frame)
                if frame.state.processed and not asked:
                    asked = True
                    assert (await engine.service.cancel(job_id)).state.status is Status.CANCELING
        assert told[-1].state.status is Status.CANCELED
        items = await engine.service.results(job_id, after=-1, limit=1, ok=None)
        assert items.total == told[-1].state.processed > 0


async def test_a_cancel_stops_a_pipeline_that_waits_for_something_else(make_engine: MakeEngine) -> None:
    async def hanging(job: Job) -> str:
        await job.start(total=1)
        await asyncio.Event().wait()
        return "never"

    async with make_engine(hanging) as engine:
        job_id = await engine.submit()
        await engine.until(job_id, Status.RUNNING)
        async with engine.service.follow(job_id) as follower, asyncio.timeout(60):
            await engine.service.cancel(job_id)
            states = [frame.state async for frame in follower.frames()]
    assert states[-1].status is Status.CANCELED, "and it did not take a turn of the clock"


async def test_leaving_hands_jobs_back_and_the_next_process_goes_on_where_they_were(make_engine: MakeEngine) -> None:
    first_indices: list[int] = []

    async def until_the_end(job: Job) -> str:
        await job.start(total=30_000)
        async for index, _ in job.pending(range(30_000)):
            if not job.succeeded or not first_indices:
                first_indices.append(index)
            job.record(index, None)
        return "Done"

    async with make_engine(until_the_end) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            async for frame in engine.turning(follower.frames()):
                if frame.state.processed:
                    break
        await engine.stop()
        committed = await engine.store.job(job_id)
    assert committed is not None
    left = committed.state
    assert (left.status, left.error_count, left.fruitless_claims) == (Status.QUEUED, 0, 0)
    assert 0 < left.processed < 30_000
    first_indices.clear()
    async with make_engine(until_the_end) as engine:
        told = await engine.story(job_id)
    assert isinstance(told[-1].payload, JobComplete)
    assert told[-1].payload.success_count == 30_000
    assert first_indices[0] == left.processed


async def test_as_many_jobs_run_at_once_as_there_are_slots(make_engine: MakeEngine) -> None:
    running: set[str] = set()
    most = 0
    release = asyncio.Event()

    async def waiting(job: Job) -> str:
        nonlocal most
        running.add(job.metadata.file_name or "")
        await job.start(total=0)
        most = max(most, engine_running())
        await release.wait()
        return "Done"

    async with make_engine(waiting, slots=2) as engine:

        def engine_running() -> int:
            return len(engine.worker._runs)

        jobs = [await engine.submit() for _ in range(4)]
        await until(lambda: most == 2)
        release.set()
        for job_id in jobs:
            assert (await engine.story(job_id))[-1].type == "job_complete"
    assert most == 2


async def test_an_attempt_that_another_worker_overtook_is_stopped_and_writes_nothing_more(
    make_engine: MakeEngine,
) -> None:
    stopped = asyncio.Event()

    async def overtaken(job: Job) -> str:
        await job.start(total=1)
        try:
            await asyncio.Event().wait()
        finally:
            job.record(0, "too late")
            stopped.set()
        return "never"

    async with make_engine(overtaken) as engine:
        job_id = await engine.submit()
        state = await engine.until(job_id, Status.RUNNING)
        elsewhere = await engine.store.claim(("csv_import",), POLICY, state.lease_until + 60_000)
        assert elsewhere is not None
        assert elsewhere.state.attempt == 2
        engine.clock.advance(POLICY.lease / 1000)
        await stopped.wait()
        items = await engine.service.results(job_id, after=-1, limit=9, ok=None)
        after = (await engine.service.get(job_id)).state
    assert items.items == []
    assert (after.attempt, after.status) == (2, Status.RUNNING)


@pytest.mark.parametrize("hours", [1, -1])
async def test_setting_the_clock_takes_no_job_from_a_worker_that_lives(make_engine: MakeEngine, hours: int) -> None:
    go_on = asyncio.Event()

    async def waiting(job: Job) -> str:
        await job.start(total=1)
        await go_on.wait()
        job.record(0, "done")
        return "Done"

    async with make_engine(waiting) as engine:
        job_id = await engine.submit()
        before = await engine.until(job_id, Status.RUNNING)
        engine.clock.step(hours * 3600)
        for _ in range(30):
            engine.worker.wake()
            engine.clock.advance(POLICY.lease / 10_000)
            async with asyncio.timeout(10):
                # The clock does not move while the worker renews, however busy the machine is.
                while (await engine.service.get(job_id)).state.lease_until - engine.clock.steady() < POLICY.lease / 4:
                    pass
        asked = (await engine.service.pause(job_id)).state
        assert (asked.pausing, asked.attempt) == (True, before.attempt), "its worker is asked, and lives"
        await engine.service.resume(job_id)  # which may come when the worker has let go, for another attempt
        go_on.set()
        await engine.story(job_id)
        after = (await engine.service.get(job_id)).state
    assert after.status is Status.COMPLETE
    assert after.lease_until == 0
    assert after.ended_at is not None
    assert abs(after.ended_at - before.updated_at - hours * 3_600_000) < 600_000, "people see the clock as it is set"


@pytest.mark.parametrize("hours", [1, -1])
async def test_setting_the_clock_leaves_no_job_with_a_worker_that_is_dead(make_engine: MakeEngine, hours: int) -> None:
    async def body(job: Job) -> str:
        return f"attempt {job.attempt}"

    async with make_engine(body, running=False) as engine:
        job_id = await engine.submit()
        dead = await engine.store.claim(("csv_import",), POLICY, engine.clock.now(), engine.clock.steady())
        assert dead is not None
        engine.clock.step(hours * 3600)
        engine.clock.advance(POLICY.lease / 1000 - 0.001)
        assert not await engine.worker._claim_one(), "its lease has not ended"
        engine.clock.advance(0.001)
        assert await engine.worker._claim_one()
        assert (await engine.service.get(job_id)).state.attempt == 2


async def test_a_store_that_stands_still_longer_than_a_lease_makes_no_worker_take_over_its_own_job(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, thawed = asyncio.Event(), asyncio.Event()

    async def waiting(job: Job) -> str:
        await job.start(total=1)
        await go_on.wait()
        return "Done"

    async with make_engine(waiting) as engine:
        job_id = await engine.submit()
        await engine.until(job_id, Status.RUNNING)
        commit = engine.store.commit

        async def frozen(*arguments: Any) -> Any:
            await thawed.wait()
            return await commit(*arguments)

        monkeypatch.setattr(engine.store, "commit", frozen)
        engine.clock.advance(2 * POLICY.lease / 1000)
        assert not await engine.worker._claim_one()
        thawed.set()
        go_on.set()
        await engine.story(job_id)
        assert (await engine.service.get(job_id)).state.attempt == 1


@pytest.mark.parametrize("hours", [1, -1])
async def test_setting_the_clock_makes_no_job_wait_longer_for_its_next_attempt(
    make_engine: MakeEngine, hours: int
) -> None:
    async def body(job: Job) -> str:
        if job.attempt == 1:
            raise RuntimeError("broken")
        return "Done"

    async with make_engine(body) as engine:
        job_id = await engine.submit()
        await until(lambda: bool(engine.worker._runs))
        while (await engine.service.get(job_id)).state.status is not Status.QUEUED:
            engine.clock.advance(0.05)
        engine.clock.step(hours * 3600)
        began = engine.clock.monotonic()
        await engine.story(job_id)
        assert engine.clock.monotonic() - began < MAX_BACKOFF / 1000
        assert (await engine.service.get(job_id)).state.attempt > 1


Wrong = Callable[[Any], Any]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda job: job.start(total=-1),
        lambda job: job.start(total=2.5),
        lambda job: job.start(total=1, metadata=Metadata(file_size=-1)),
        lambda job: job.record(0.5, {}),
        lambda job: job.record(0, {}, title=1984),
        lambda job: job.record(0, {}, title="Dune", author=7),
        lambda job: job.fail(0, ShelfwireError(BookCode.ROW_INVALID), title=1984),
    ],
)
async def test_a_message_that_cannot_be_encoded_ends_its_attempt_and_nothing_else(
    make_engine: MakeEngine, wrong: Wrong
) -> None:
    async def wild(job: Job) -> str:
        if await job.input("file") == b"wild":
            await job.start(total=1)
            if (step := wrong(job)) is not None:
                await step
        return "Done"

    async with make_engine(wild, max_errors=1) as engine:
        failed, other = [(await engine.story(await engine.submit(data)))[-1].payload for data in (b"wild", b"")]
    assert isinstance(failed, JobError)
    assert failed.code == Code.ATTEMPTS_EXHAUSTED
    assert isinstance(other, JobComplete)


async def test_a_file_name_is_clipped_before_it_is_sent(make_engine: MakeEngine) -> None:
    async def named(job: Job) -> str:
        await job.start(total=0, metadata=Metadata(file_name="x" * 2**20))
        return "Done"

    async with make_engine(named) as engine:
        told = await engine.story(await engine.submit())
    (started,) = [message.payload for message in told if isinstance(message.payload, JobStarted)]
    assert started.metadata is not None
    assert started.metadata.file_name == clip("x" * 2**20)


async def test_an_item_cannot_be_recorded_twice(make_engine: MakeEngine) -> None:
    refused: list[str] = []

    async def twice(job: Job) -> str:
        await job.start(total=1)
        job.record(0, "once")
        with pytest.raises(ValueError, match="item 0") as error:
            job.record(0, "twice")
        refused.append(str(error.value))
        return "Done"

    async with make_engine(twice) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobComplete)
    assert told[-1].payload.success_count == 1
    assert refused


async def test_a_library_beyond_the_inline_limit_is_truncated_and_paged(make_engine: MakeEngine) -> None:
    async def large(job: Job) -> str:
        await job.start(total=100)
        async for index, _ in job.pending(range(100)):
            job.record(index, {"review": "x" * 20_000, "index": index})
        return "Added 100 books"

    async with make_engine(large) as engine:
        job_id = await engine.submit()
        ending = (await engine.story(job_id))[-1].payload
        page = await engine.service.results(job_id, after=-1, limit=60, ok=None)
        rest = await engine.service.results(job_id, after=page.next or 0, limit=60, ok=None)
    assert isinstance(ending, JobComplete)
    assert ending.truncated
    assert ending.results_url == f"/api/jobs/{job_id}/results"
    assert 30 <= len(ending.results["books"]) <= 35
    assert [item.index for item in [*page.items, *rest.items]] == list(range(100))
    assert rest.next is None


async def test_while_the_job_runs_a_page_stops_before_the_first_gap(make_engine: MakeEngine) -> None:
    release = asyncio.Event()

    async def out_of_order(job: Job) -> str:
        await job.start(total=4)
        for index in (0, 1, 3):
            job.record(index, index)
        await release.wait()
        job.record(2, 2)
        return "Done"

    async with make_engine(out_of_order) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            async for frame in engine.turning(follower.frames()):
                if frame.state.processed == 3:
                    break
        page = await engine.service.results(job_id, after=-1, limit=10, ok=True)
        assert ([item.index for item in page.items], page.next, page.total) == ([0, 1], 1, 3)
        waiting = await engine.service.results(job_id, after=1, limit=10, ok=None)
        assert (waiting.items, waiting.next) == ([], 1)
        release.set()
        await engine.story(job_id)
        page = await engine.service.results(job_id, after=1, limit=10, ok=None)
        assert ([item.index for item in page.items], page.next) == ([2, 3], None)


async def test_a_cancel_whose_worker_died_takes_effect_when_the_next_process_starts(make_engine: MakeEngine) -> None:
    async with make_engine(three_books, running=False) as engine:
        job_id = await engine.submit()
        claimed = await engine.store.claim(("csv_import",), POLICY, engine.clock.now())
        assert claimed is not None
        assert (await engine.service.cancel(job_id)).state.status is Status.CANCELING
    async with make_engine(three_books) as engine:
        told = await engine.story(job_id)
    assert isinstance(told[-1].payload, JobError)
    assert told[-1].payload.code == Code.JOB_CANCELED


@pytest.mark.parametrize("refused", ["keep", "kept", "read_input", "items"])
async def test_a_job_waits_for_a_store_that_cannot_be_used_and_pays_once(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    paid: list[int] = []

    async def paying(job: Job) -> str:
        await job.log()
        await job.input("file")
        await job.start(total=1)
        if await job.kept("answer") is None:
            paid.append(job.attempt)
            await job.keep("answer", b"dear")
        job.record(0, {})
        return "Done"

    async with make_engine(paying) as engine:
        works, calls = getattr(engine.store, refused), 0

        async def failing(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls <= 10:
                raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")
            return await works(*args, **options)

        monkeypatch.setattr(engine.store, refused, failing)
        job_id = await engine.submit()
        told = await engine.story(job_id)
        state = (await engine.service.get(job_id)).state
    assert isinstance(told[-1].payload, JobComplete)
    assert (paid, state.attempt, state.error_count) == ([1], 1, 0)


async def test_what_the_store_refuses_for_good_is_not_waited_for(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keeping(job: Job) -> str:
        await job.keep("answer", b"dear")
        return "Done"

    async def refusing(*_: object) -> None:
        raise ShelfwireError(Code.INTERNAL, "no such table")

    async with make_engine(keeping) as engine:
        monkeypatch.setattr(engine.store, "keep", refusing)
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobError)
    assert told[-1].payload.code == Code.ATTEMPTS_EXHAUSTED


async def test_a_job_that_waits_for_the_store_can_be_canceled(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keeping(job: Job) -> str:
        await job.keep("answer", b"dear")
        return "Done"

    async with make_engine(keeping) as engine:
        tried = asyncio.Event()

        async def refusing(*_: object) -> None:
            tried.set()
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")

        monkeypatch.setattr(engine.store, "keep", refusing)
        job_id = await engine.submit()
        await tried.wait()
        await engine.service.cancel(job_id)
        assert (await engine.story(job_id))[-1].type == "error"


async def test_a_worker_whose_store_fails_for_a_while_goes_on_by_itself(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object, **__: object) -> None:
        tried.set()
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")

    tried = asyncio.Event()
    async with make_engine(three_books) as engine:
        with monkeypatch.context() as broken:
            broken.setattr(engine.store, "claim", failing)
            job_id = await engine.submit()
            await tried.wait()
        assert (await engine.story(job_id))[-1].type == "job_complete"


async def test_a_pipeline_never_runs_further_ahead_than_five_thousand_uncommitted_items(
    make_engine: MakeEngine,
) -> None:
    ahead: list[int] = []

    async def eager(job: Job) -> str:
        await job.start(total=12_000)
        async for index, _ in job.pending(range(12_000)):
            job.record(index, None)
            ahead.append(job._draft.uncommitted)
        return "Done"

    async with make_engine(eager) as engine:
        told = await engine.story(await engine.submit())
    assert told[-1].type == "job_complete"
    assert 1000 < max(ahead) <= 5000


async def test_the_event_loop_has_its_turn_while_a_pipeline_computes(make_engine: MakeEngine) -> None:
    turns = 0

    async def computing(job: Job) -> str:
        nonlocal turns
        done = False

        async def count_turns() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        def computed() -> Iterator[None]:
            for _ in range(2000):
                engine.clock.advance(SLICE_SECONDS / 100)
                yield

        counting = asyncio.create_task(count_turns())
        slices = 0
        async for _ in job.paced(computed()):
            slices += 1
        done = True
        await counting
        return f"{slices} slices"

    async with make_engine(computing) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobComplete)
    assert told[-1].payload.summary == "2000 slices"
    assert turns >= 19


@pytest.mark.parametrize("hours", [1, -1])
async def test_the_duration_of_a_job_is_what_has_passed_whatever_the_clock_is_set_to(
    make_engine: MakeEngine, hours: int
) -> None:
    go_on = asyncio.Event()

    async def waiting(job: Job) -> str:
        await job.start(total=1)
        await go_on.wait()
        return "Done"

    async with make_engine(waiting) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            async for frame in engine.turning(follower.frames()):
                if frame.state.started_at is not None:
                    break
        began = engine.clock.monotonic()
        engine.clock.step(hours * 3600)
        engine.clock.advance(1)
        go_on.set()
        await engine.story(job_id)
        passed = engine.clock.monotonic() - began
        duration = (await engine.service.get(job_id)).state.duration
    assert 1 <= duration <= passed + 10
