"""What pipelines are given beside a plain loop: many items at once, what is kept, what is shown, how results fold."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.clock import sleep
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.outcomes import MAX_ITEM_BYTES, MAX_ITEM_DEPTH, depth
from shelfwire.jobs.results import terminal_encoder
from shelfwire.jobs.store import Item
from shelfwire.protocol import job, worker_transitions
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import MAX_TITLE_CHARS, JobComplete, JobError, JobProgress, Message, decode
from shelfwire.protocol.worker_transitions import ProgressDelta
from tests.jobs.conftest import POLICY, MakeEngine, engines
from tests.live import until


@pytest.fixture(params=["inside", "elsewhere"])
def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> MakeEngine:
    """The same pipeline on a store of its own process, and on a server's over HTTP."""
    return engines(tmp_path, elsewhere=request.param == "elsewhere")


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
                    going.set()
    assert going.is_set()
    assert told[-1].type == "job_complete"


async def test_the_author_of_what_is_under_way_is_shown_beside_it(tmp_path: Path) -> None:
    """Inside; reports from elsewhere have no member for it."""
    going = asyncio.Event()

    async def body(job: Job) -> str:
        job.show("Emma", author="Jane Austen")
        await going.wait()
        return "done"

    async with engines(tmp_path)(body) as engine, engine.service.follow(await engine.submit()) as follower:
        async for frame in engine.turning(follower.frames()):
            if frame.state.title == "Emma":
                assert frame.state.author == "Jane Austen"
                going.set()
    assert going.is_set()


async def test_only_a_text_can_be_shown(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        with pytest.raises(TypeError, match="a text"):
            job.show(7)  # type: ignore[arg-type]
        return "done"

    async with make_engine(body) as engine:
        assert (await engine.story(await engine.submit()))[-1].type == "job_complete"


async def test_work_without_items_shows_whole_per_cents_and_how_long_the_rest_takes(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        for step in range(101):
            job.progress(step / 100, title=f"Minute {step}")
            await sleep(clock, 1)
        job.progress(0.5)
        with pytest.raises(ValueError, match="from 0 to 1"):
            job.progress(1.01)
        return "done"

    async with make_engine(body) as engine:
        clock = engine.clock
        told = [message.payload for message in await engine.story(await engine.submit())]
    shown = [payload for payload in told if isinstance(payload, JobProgress) and payload.state == Status.RUNNING]
    counts = [payload.processed_count for payload in shown]
    assert counts == sorted(counts)
    assert counts[-1] == shown[-1].total_count == 100
    estimates = [(payload.eta_seconds, payload.processed_count) for payload in shown if payload.eta_seconds is not None]
    assert len(estimates) > 20
    assert all(0.7 < left / (100 - done) < 1.5 for left, done in estimates if left and 10 < done < 90)


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


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


UNFIT = [
    ("x" * MAX_ITEM_BYTES, Code.ITEM_TOO_LARGE, "262,1.. bytes as JSON, and at most 262,144 are kept"),
    (nested(MAX_ITEM_DEPTH + 1), Code.ITEM_INVALID, "more than 64 lists and objects within one another"),
    (object(), Code.ITEM_INVALID, "cannot be written as JSON: .*unsupported"),
    (circular(), Code.ITEM_INVALID, "cannot be written as JSON: .*recursion"),
    (-(10**400), Code.ITEM_INVALID, "not valid as JSON: Number out of range"),
    ("half of a pair: \ud83d", Code.ITEM_INVALID, "cannot be written as JSON: .*surrogates not allowed"),
    ({"n": msgspec.Raw(b"1e999")}, Code.ITEM_INVALID, "not valid as JSON: Number out of range"),
    ([msgspec.Raw(b"-1.5E+4000")], Code.ITEM_INVALID, "not valid as JSON: Number out of range"),
    (msgspec.Raw(b"1" * 400), Code.ITEM_INVALID, "not valid as JSON: Number out of range"),
    (msgspec.Raw(b""), Code.ITEM_INVALID, "not valid as JSON"),
    (msgspec.Raw(b"nonsense"), Code.ITEM_INVALID, "not valid as JSON"),
    (msgspec.Raw(b"1],[2"), Code.ITEM_INVALID, "not valid as JSON"),
    (msgspec.Raw(b"1,2"), Code.ITEM_INVALID, "not valid as JSON"),
    (msgspec.Raw(b'"\xff"'), Code.ITEM_INVALID, "not valid as JSON: .*UTF-8"),
    (msgspec.Raw(b'"\\ud83d"'), Code.ITEM_INVALID, "not valid as JSON"),
]


@pytest.mark.parametrize(("outcome", "code", "why"), UNFIT)
async def test_an_outcome_that_cannot_be_kept_fails_its_item_and_nothing_else(
    make_engine: MakeEngine, outcome: Any, code: Code, why: str
) -> None:
    async def body(job: Job) -> str:
        await job.start(total=3)
        job.record(0, outcome, title="The first")
        job.fail(1, ShelfwireError(BookCode.ROW_INVALID, "the reason"), title="The second", said=outcome)
        job.record(2, [nested(MAX_ITEM_DEPTH - 1), '"[[' * 99, *([{}] * 99)], title="The third")
        return f"{job.succeeded} and {job.failed}"

    async with make_engine(body) as engine:
        told = await engine.story(job_id := await engine.submit())
        items = await engine.store.items(job_id, after=-1, limit=9)
        state = (await engine.service.get(job_id)).state
    ending = told[-1].payload
    assert isinstance(ending, JobComplete)
    assert (ending.success_count, ending.failure_count, ending.summary, state.attempt) == (1, 2, "1 and 2", 1)
    errors = [msgspec.json.decode(item.body) for item in items[:2]]
    assert [(item.index, item.ok, item.title) for item in items] == [
        (0, False, "The first"),
        (1, False, "The second"),
        (2, True, "The third"),
    ]
    assert errors[0]["code"] == code
    assert re.search(why, errors[0]["message"])
    assert (errors[1]["code"], errors[1]["message"]) == (BookCode.ROW_INVALID, "the reason"), (
        "only what it said is left out"
    )


@pytest.mark.parametrize("number", [b"1e308", b"0.0001e310", b"-1E+2", b"1e-999", b"9" * 308, b"1." + b"1" * 400])
async def test_a_number_that_a_double_can_hold_is_kept_as_it_came(make_engine: MakeEngine, number: bytes) -> None:
    async def body(job: Job) -> str:
        await job.start(total=1)
        job.record(0, {"n": msgspec.Raw(number), "text": "page e2, 1e999"})
        return "Done"

    async with make_engine(body) as engine:
        await engine.story(job_id := await engine.submit())
        (item,) = await engine.store.items(job_id, after=-1, limit=9)
    assert item.ok
    assert number in bytes(item.body)


async def test_a_title_that_cannot_be_kept_costs_nothing_but_itself(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        await job.start(total=2)
        job.record(0, "fine", title="half \ud83d", author="\udc00", isbn="\udfff")
        job.show("\ud83d", author="\ud83d")
        job.fail(1, ShelfwireError(BookCode.ROW_INVALID), title="x" * MAX_ITEM_BYTES)
        return "Done"

    async with make_engine(body) as engine:
        told = await engine.story(job_id := await engine.submit())
        first, second = await engine.store.items(job_id, after=-1, limit=9)
    assert isinstance(told[-1].payload, JobComplete)
    assert (first.ok, first.title) == (True, "half ?")
    assert (second.ok, len(second.title or "")) == (False, MAX_TITLE_CHARS)


async def test_a_retry_says_of_an_unfit_outcome_where_its_item_was_in_the_first_job(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        await job.start(total=2)
        async for index, _ in job.pending("ab"):
            if job._retry or index == 0:
                job.record(index, msgspec.Raw(b"1e999") if job._retry else index)
            else:
                job.fail(index, ShelfwireError(BookCode.ROW_INVALID))
        return "Done"

    async with make_engine(body) as engine:
        await engine.story(first := await engine.submit())
        await engine.story(second := (await engine.service.retry(first)).job_id)
        (item,) = await engine.store.items(second, after=-1, limit=9)
    assert (item.index, item.source, item.ok) == (0, 1, False)


async def test_the_end_of_a_job_that_could_not_be_read_again_ends_the_attempt_alone(make_engine: MakeEngine) -> None:
    async def body(job: Job) -> str:
        if job.attempt == 1:
            raise ShelfwireError(Code.INVALID_REQUEST, details={"n": msgspec.Raw(b"1e999")})
        return "Done"

    async with make_engine(body) as engine:
        told = await engine.story(job_id := await engine.submit())
        assert (await engine.service.get(job_id)).state.attempt == 2
    assert isinstance(told[-1].payload, JobComplete)


def reference_depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(reference_depth, parts), default=0)


json_texts = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('[]{}"\\x')),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('[]{}"\\x')), inner, max_size=4)
    ),
    max_leaves=60,
)


@given(json_texts)
def test_the_depth_of_a_text_is_that_of_what_it_says(value: Any) -> None:
    assert depth(msgspec.json.encode(value)) == reference_depth(value)


@pytest.mark.parametrize("levels", [1, 2, 63, 200, 5000])
@pytest.mark.parametrize("width", [1, 2, 50])
def test_the_depth_of_many_towers_is_that_of_one(levels: int, width: int) -> None:
    tower = b"[" * levels + b"]" * levels
    assert depth(b"[" + b",".join([tower] * width) + b"]") == levels + 1


@pytest.mark.parametrize(
    "part",
    [b"[],", b'"",', b"[" * 60 + b"]" * 60 + b",", b'{"a":[1,{"b":[]}]},'],
    ids=["flat", "texts", "deep", "mixed"],
)
def test_the_depth_costs_little_more_than_the_text(part: bytes) -> None:
    """In this thread's processor time, against a decoder in C of the same text: a loop in Python takes 10 to 40."""
    text = b"[" + part * (MAX_ITEM_BYTES // len(part)) + b"0]"
    figures = []
    for work in (depth, msgspec.json.Decoder(Any).decode):
        seconds = []
        for _ in range(7):
            began = time.thread_time()
            work(text)
            seconds.append(time.thread_time() - began)
        figures.append(min(seconds))
    assert figures[0] < 4 * figures[1]
