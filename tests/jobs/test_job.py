"""What pipelines are given beside a plain loop: many items at once, what is kept, what is shown, how results fold."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import MAX_ITEM_BYTES, MAX_ITEM_DEPTH, Job
from shelfwire.jobs.results import terminal_encoder
from shelfwire.jobs.store import Item
from shelfwire.protocol import job, worker_transitions
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, Message, decode
from shelfwire.protocol.worker_transitions import ProgressDelta
from tests.jobs.conftest import POLICY, MakeEngine
from tests.live import until


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


async def test_items_are_done_several_at_once_and_recorded_as_they_come(make_engine: MakeEngine) -> None:
    most = under_way = 0

    async def body(job: Job) -> str:
        await job.start(total=20)

        async def work(index: int, wait: int) -> None:
            nonlocal most, under_way
            under_way += 1
            most = max(most, under_way)
            for _ in range(wait):
                await asyncio.sleep(0)
            under_way -= 1
            job.record(index, index)

        await job.each(range(20, 0, -1), work, 5)
        return f"{job.succeeded} done"

    async with make_engine(body) as engine:
        told = await engine.story(job_id := await engine.submit())
        assert isinstance(told[-1].payload, JobComplete)
        assert told[-1].payload.summary == "20 done"
        assert [item.index for item in await engine.store.items(job_id, after=-1, limit=99)] == list(range(20))
    assert most == 5


async def test_the_first_error_stops_what_is_under_way_and_what_was_recorded_is_done_once(
    make_engine: MakeEngine,
) -> None:
    asked: list[int] = []
    stopped: list[int] = []

    async def body(job: Job) -> str:
        await job.start(total=4)

        async def work(index: int, _item: int) -> None:
            asked.append(index)
            if job.attempt == 1 and index == 3:
                raise RuntimeError("broken")
            if job.attempt == 1 and index == 2:
                try:
                    await asyncio.Event().wait()
                finally:
                    stopped.append(index)
            job.record(index, index)

        await job.each(range(4), work, 2)
        return "done"

    async with make_engine(body) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobComplete)
    assert told[-1].payload.success_count == 4
    assert (asked, stopped) == ([0, 1, 2, 3, 2, 3], [2])


async def test_an_error_that_ends_a_job_ends_it_from_within_many_items_too(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        async def work(_index: int, _item: int) -> None:
            raise ShelfwireError(BookCode.GEMINI_REJECTED)

        await job.start(total=2)
        await job.each(range(2), work, 2)
        return "done"

    async with make_engine(body) as engine:
        told = await engine.story(await engine.submit())
    assert isinstance(told[-1].payload, JobError)
    assert told[-1].payload.code == "E_GEMINI_REJECTED"


async def test_a_cancel_takes_effect_while_many_items_wait(make_engine: MakeEngine) -> None:
    waiting: list[int] = []

    async def body(job: Job) -> str:
        async def work(index: int, _item: int) -> None:
            waiting.append(index)
            await asyncio.Event().wait()

        await job.start(total=9)
        await job.each(range(9), work, 3)
        return "never"

    async with make_engine(body) as engine:
        job_id = await engine.submit()
        await until(lambda: len(waiting) == 3)
        await engine.service.cancel(job_id)
        await engine.until(job_id, Status.CANCELED)
    assert waiting == [0, 1, 2]


async def test_what_was_paid_for_is_kept_for_the_next_attempt(make_engine: MakeEngine) -> None:
    paid: list[int] = []

    async def body(job: Job) -> str:
        await job.start(total=1)
        answer = await job.kept("answer")
        if answer is None:
            paid.append(job.attempt)
            await job.keep("answer", b"expensive")
            raise RuntimeError("broken")
        job.record(0, answer.decode())
        return "done"

    async with make_engine(body) as engine:
        await engine.story(job_id := await engine.submit())
        [item] = await engine.store.items(job_id, after=-1, limit=9)
    assert bytes(item.body) == b'"expensive"'
    assert paid == [1]


async def test_an_attempt_can_read_what_those_before_it_have_recorded(make_engine: MakeEngine) -> None:
    seen: list[list[int]] = []

    async def body(job: Job) -> str:
        seen.append([item.index for item in await job.log()])
        await job.start(total=2)
        async for index, _ in job.pending("ab"):
            if job.attempt == 1 and index == 1:
                raise RuntimeError("broken")
            job.record(index, index)
        return "done"

    async with make_engine(body) as engine:
        await engine.story(await engine.submit())
    assert seen == [[], [0]]


async def test_what_is_under_way_is_shown_before_anything_is_recorded(make_engine: MakeEngine) -> None:
    going = asyncio.Event()

    async def body(job: Job) -> str:
        await job.start(total=1)
        job.show("Emma", author="Jane Austen")
        await going.wait()
        job.record(0, None, title="A photo")
        return "done"

    async with make_engine(body) as engine:
        told: list[Message] = []
        async with engine.service.follow(await engine.submit()) as follower:
            async for frame in engine.turning(follower.frames()):
                message = decode(frame.text)
                assert isinstance(message, Message)
                told.append(message)
                if isinstance(message.payload, JobProgress) and message.payload.current_title == "Emma":
                    assert message.payload.processed_count == 0
                    assert message.payload.current_item is not None
                    going.set()
    assert going.is_set()
    assert told[-1].type == "job_complete"


async def test_only_a_text_can_be_shown(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        with pytest.raises(TypeError, match="a text"):
            job.show(7)  # type: ignore[arg-type]
        return "done"

    async with make_engine(body) as engine:
        assert (await engine.story(await engine.submit()))[-1].type == "job_complete"


def _by_length(items: Sequence[Item]) -> Mapping[str, Any]:
    return {"lengths": [len(bytes(item.body)) for item in items]}


def _broken(items: Sequence[Item]) -> Mapping[str, Any]:
    raise RuntimeError(f"cannot fold {len(items)} items")


def _bloated(items: Sequence[Item]) -> Mapping[str, Any]:
    return {"items": ["x" * 2_000_000 for _ in items]}


def _unspeakable(items: Sequence[Item]) -> Mapping[str, Any]:
    return {"items": [object() for _ in items]}


def test_a_pipeline_folds_its_own_results_and_the_errors_stay_beside_them() -> None:
    assert _concluded(_by_length) == {"lengths": [4, 22], "errors": [{"index": 1, "code": "E_SOMETHING"}]}


@pytest.mark.parametrize("fold", [_broken, _bloated, _unspeakable])
def test_results_are_listed_plainly_where_a_fold_fails_or_is_too_large(fold: Any) -> None:
    assert _concluded(fold) == {"items": [1234], "errors": [{"index": 1, "code": "E_SOMETHING"}]}


def _concluded(fold: Any) -> Any:
    state = worker_transitions.claim(job.create("job-1", "ai_scan", now=0), POLICY, now=0)
    state = worker_transitions.advance(state, 1, ProgressDelta(total=2, succeeded=1, failed=1), POLICY, now=0)
    state = worker_transitions.complete(state, 1, "done", POLICY, now=0)
    head = [Item(0, True, None, msgspec.Raw(b"1234")), Item(1, False, None, msgspec.Raw(b'{"code":"E_SOMETHING"}'))]  # noqa: FBT003
    message = decode(terminal_encoder(700_000, {"ai_scan": fold})(state, head))
    assert isinstance(message, Message)
    assert isinstance(message.payload, JobComplete)
    return message.payload.results


async def test_items_may_be_drawn_from_what_waits_for_others_and_the_recorded_ones_are_passed_over_there_too(
    make_engine: MakeEngine,
) -> None:
    drawn: list[int] = []
    done: list[tuple[int, str]] = []

    async def answers() -> AsyncIterator[str]:
        for number in range(4):
            await asyncio.sleep(0)
            drawn.append(number)
            yield f"answer {number}"

    async def body(job: Job) -> str:
        await job.start(total=4)
        async for index, answer in job.pending(answers()):
            if job.attempt == 1 and index == 2:
                raise RuntimeError("broken")
            job.record(index, answer)
            done.append((index, answer))
        return "Done"

    async with make_engine(body) as engine:
        told = await engine.story(await engine.submit())
        assert isinstance(told[-1].payload, JobComplete)
    assert drawn == [0, 1, 2, 0, 1, 2, 3]
    assert done == [(number, f"answer {number}") for number in range(4)]


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ("x" * MAX_ITEM_BYTES, r"item 0 of job .* is 262,\d+ bytes as JSON, and at most 262,144 are kept"),
        (nested(MAX_ITEM_DEPTH + 1), "more than 64 lists and objects within one another"),
    ],
)
async def test_what_is_too_large_or_too_deep_is_refused_where_it_is_recorded(
    make_engine: MakeEngine, outcome: Any, why: str
) -> None:
    async def body(job: Job) -> str:
        await job.start(total=1)
        with pytest.raises(ValueError, match=why):
            job.record(0, outcome)
        with pytest.raises(ValueError, match=why):
            job.fail(0, ShelfwireError(Code.INTERNAL), said=outcome)
        job.record(0, [nested(MAX_ITEM_DEPTH - 1), '"[[' * 99, *([{}] * 99)])
        return "recorded"

    async with make_engine(body) as engine:
        told = await engine.story(await engine.submit())
        assert isinstance(told[-1].payload, JobComplete)
