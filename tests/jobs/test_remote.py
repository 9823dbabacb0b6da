"""Attempts of workers outside of the server, with a clock to turn."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.remote import PATIENCE_SECONDS, RemoteAttempts
from shelfwire.jobs.remote_claims import Work
from shelfwire.jobs.waiters import Waiters
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.reports import ReportAnswer
from shelfwire.protocol.tokens import digest
from shelfwire.protocol.worker_transitions import RemoteWorker
from tests.jobs.conftest import REMOTE, Engine, MakeEngine
from tests.live import until

LEASE = 10
WORKER = RemoteWorker(lease=LEASE * 1000, name="a worker")
NEVER = asyncio.Event


async def nobody(job: Job) -> str:
    raise AssertionError(f"the engine itself runs job {job.id}")


def items(*indices: int) -> list[dict[str, Any]]:
    return [{"index": index, "ok": True, "result": index} for index in indices]


async def report(engine: Engine, work: Work, **content: Any) -> ReportAnswer:
    return await engine.remote.report(work.claimed.state.id, work.token, json.dumps(content).encode())


async def begin(engine: Engine, total: int = 5) -> Work:
    return (await engine.service.claims.create(REMOTE, WORKER, total=total)).work


async def submit(engine: Engine) -> str:
    async with engine.service.upload() as upload:
        await upload.write("file", b"data")
        return (await engine.service.create(upload, REMOTE, Metadata())).job_id


async def status(engine: Engine, work: Work) -> Status:
    return (await engine.service.get(work.claimed.state.id)).state.status


async def pass_lease(engine: Engine) -> None:
    engine.clock.advance(LEASE)
    await engine.leases.look()


async def test_a_worker_that_is_late_wins_its_job_back_until_another_has_claimed_it(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        await report(engine, work, number=1, items=items(0))
        await pass_lease(engine)
        state = (await engine.service.get(work.claimed.state.id)).state
        assert (state.stalled, state.user_message) == (True, "Waiting for the worker…")
        answer = await report(engine, work)
        assert answer.seq == state.seq + 1, "a heartbeat is enough"
        await pass_lease(engine)
        await report(engine, work, number=2, items=items(1))
        await pass_lease(engine)
        other = await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER())
        assert other is not None
        assert sorted(other.claimed.recorded) == [0, 1]
        for content in ({}, {"number": 3, "items": items(2)}):
            with pytest.raises(ShelfwireError) as refused:
                await report(engine, work, **content)
            assert refused.value.code is Code.LEASE_LOST
        final = await report(engine, other, number=1, items=items(2, 3, 4), end={"complete": {}})
    assert final.status == "complete"


async def test_followers_are_told_that_a_job_waits_for_its_worker(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        async with engine.service.follow(work.claimed.state.id) as follower:
            follower.due()
            await pass_lease(engine)
            (frame,) = follower.due()
    assert "Waiting for the worker" in frame.text


@pytest.mark.parametrize(("action", "ended"), [("cancel", Status.CANCELED), ("pause", Status.PAUSED)])
async def test_a_stop_takes_effect_without_its_worker_when_the_lease_ends(
    make_engine: MakeEngine, action: str, ended: Status
) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        await getattr(engine.service, action)(work.claimed.state.id)
        assert await status(engine, work) is not ended
        await pass_lease(engine)
        assert await status(engine, work) is ended
        with pytest.raises(ShelfwireError) as refused:
            await report(engine, work, number=1, items=items(0))
        assert refused.value.code is Code.LEASE_LOST


async def test_a_cancel_during_a_report_is_heard_with_its_answer_or_the_next_one(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        job_id = work.claimed.state.id
        answers = await asyncio.gather(report(engine, work, number=1, items=items(0)), engine.service.cancel(job_id))
        assert (await report(engine, work)).stop == "cancel"
        final = await report(engine, work, number=2, end={"release": {}})
        row = (await engine.service.get(job_id)).state
    assert answers[0].number == 1
    assert (final.status, row.succeeded) == ("canceled", 1)


async def test_a_cancel_that_is_asked_for_over_and_over_keeps_no_dead_worker_alive(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        engine.clock.advance(LEASE - 1)
        for _ in range(3):
            await engine.service.cancel(work.claimed.state.id)
        engine.clock.advance(1)
        await engine.leases.look()
        assert await status(engine, work) is Status.CANCELED


async def test_heartbeats_write_only_once_a_tenth_of_the_lease_has_passed(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        engine.clock.advance(LEASE / 10 - 0.1)
        await report(engine, work)
        assert engine.committer.commits == 0
        engine.clock.advance(0.1)
        await report(engine, work)
        assert engine.committer.commits == 1


async def test_a_worker_that_renews_and_records_nothing_is_stalled_until_its_next_item(make_engine: MakeEngine) -> None:
    async with make_engine(nobody, stall_after=LEASE * 1000) as engine:
        work = await begin(engine)
        job_id = work.claimed.state.id

        async def silent() -> JobState:
            for _ in range(2):
                engine.clock.advance(LEASE / 2)
                await report(engine, work)
            return (await engine.service.get(job_id)).state

        state = await silent()
        assert (state.stalled, state.user_message) == (True, "No progress for some seconds. Still trying…")
        assert (await engine.service.stats()).stalled == 1
        await report(engine, work, number=1, items=items(0))
        moving = (await engine.service.get(job_id)).state
        assert (moving.stalled, moving.user_message) == (False, None)
        await report(engine, work, number=2, userMessage="The next page is a long one.")
        assert (await silent()).stalled, "a message is no progress"
        await report(engine, work, number=3, processedCount=2)
        assert not (await engine.service.get(job_id)).state.stalled
        assert (await silent()).stalled, "it moved, and stands still again"
        await report(engine, work, number=4, currentTitle="Page 3")
        assert (await silent()).stalled
        await report(engine, work, number=5, end={"complete": {}})
        assert (await engine.service.stats()).stalled == 0


async def test_a_job_that_waits_for_a_worker_counts_as_stalled(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        await pass_lease(engine)
        assert (await engine.service.stats()).stalled == 1
        for _ in range(4):
            await pass_lease(engine)
            engine.clock.advance(60)
        await engine.leases.look()
        assert (await engine.service.stats()).stalled == 1, "for as long as nobody has it"
        await report(engine, work)
        assert (await engine.service.stats()).stalled == 0
        await engine.service.delete(work.claimed.state.id)
        await pass_lease(engine)
        assert (await engine.service.stats()).stalled == 0, "an erased job waits for nobody"


async def test_a_job_that_was_made_by_its_worker_fails_when_no_worker_has_it_for_long(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        job_id = await submit(engine)
        waiting = await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER())
        assert waiting is not None
        await pass_lease(engine)
        engine.clock.advance(900)
        await engine.leases.look()
        lost, other = [(await engine.service.get(one)).state for one in (work.claimed.state.id, job_id)]
    assert lost.error is not None
    assert lost.error.code == Code.WORKER_LOST
    assert (lost.status, other.status) == (Status.FAILED, Status.RUNNING), "others wait for as long as it takes"


async def test_an_attempt_that_breaks_off_is_tried_again_later_and_not_for_ever(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        job_id = await submit(engine)
        for attempt in (1, 2, 3):
            work = await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER())
            assert work is not None
            assert work.claimed.state.attempt == attempt
            await report(engine, work, number=1, end={"retry": {"message": "No paper"}})
            assert await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER()) is None, "it waits a while"
            engine.clock.advance(60)
        state = (await engine.service.get(job_id)).state
    assert state.error is not None
    assert (state.status, state.error.code) == (Status.FAILED, Code.ATTEMPTS_EXHAUSTED)
    assert "No paper" in state.error.message


async def test_a_report_that_cannot_be_stored_now_is_kept_and_answered_when_it_is_sent_again(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        commit = engine.store.commit

        tried = asyncio.Event()

        async def full(*_: Any, **__: Any) -> Any:
            tried.set()
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the disk is full")

        monkeypatch.setattr(engine.store, "commit", full)
        first = asyncio.create_task(report(engine, work, number=1, items=items(0)))
        await tried.wait()
        engine.clock.advance(PATIENCE_SECONDS)
        with pytest.raises(ShelfwireError) as refused:
            await first
        assert refused.value.code is Code.STORAGE_UNAVAILABLE
        assert (await engine.service.get(work.claimed.state.id)).state.succeeded == 0
        monkeypatch.setattr(engine.store, "commit", commit)
        again = asyncio.create_task(report(engine, work, number=1, items=items(0)))
        while not again.done():
            await asyncio.wait({again}, timeout=0.01)
            engine.clock.advance(0.1)
        assert again.result().number == 1
        assert (await engine.service.get(work.claimed.state.id)).state.succeeded == 1


async def test_a_worker_that_renews_while_the_store_stands_still_keeps_its_job(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        commit = engine.store.commit
        tried = asyncio.Event()

        async def full(*_: Any, **__: Any) -> Any:
            tried.set()
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the disk is full")

        monkeypatch.setattr(engine.store, "commit", full)
        first = asyncio.create_task(report(engine, work, number=1, items=items(0)))
        await tried.wait()
        await until(lambda: engine.committer.failing)
        engine.clock.advance(LEASE + 1)
        await engine.leases.look()
        assert not (await engine.service.get(work.claimed.state.id)).state.stalled
        assert await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER()) is None
        monkeypatch.setattr(engine.store, "commit", commit)
        engine.clock.advance(1)
        await until(lambda: not engine.committer.failing)
        await engine.leases.look()
        assert (await report(engine, work, number=1, items=items(0))).number == 1
        state = (await engine.service.get(work.claimed.state.id)).state
        with contextlib.suppress(ShelfwireError):
            await first
    assert (state.attempt, state.succeeded, state.stalled) == (1, 1, False)


async def test_nothing_is_reported_after_the_end_even_before_that_is_durable(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        ending = asyncio.create_task(report(engine, work, number=1, items=items(0), end={"complete": {}}))
        await asyncio.sleep(0)
        late = asyncio.create_task(report(engine, work, number=2, items=items(1)))
        with pytest.raises(ShelfwireError) as refused:
            await late
        assert refused.value.code is Code.LEASE_LOST
        assert (await ending).status == "complete"
        assert (await engine.service.get(work.claimed.state.id)).state.succeeded == 1


async def test_an_attempt_that_was_forgotten_is_made_again_from_the_store(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        await report(engine, work, number=1, items=items(0, 4))
        engine.clock.advance(LEASE + 60.001)
        await engine.leases.look()
        assert engine.remote._drafts == {}
        answer = await report(engine, work, number=2, items=items(0, 1))
        assert (answer.number, answer.repeated) == (2, [0])
        state = (await engine.service.get(work.claimed.state.id)).state
    assert (state.succeeded, state.lapsed, state.attempt) == (3, False, 1)


async def test_reports_of_an_attempt_may_go_to_one_node_after_another(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        other = RemoteAttempts(engine.store, engine.committer, engine.remote._policy, engine.clock, 700_000, print)
        job_id = work.claimed.state.id
        await report(engine, work, number=1, items=items(0))
        for number in (2, 3):
            body = json.dumps({"number": number, "items": items(number)}).encode()
            assert (await other.report(job_id, work.token, body)).number == number
        answer = await report(engine, work, number=4, items=items(3, 4))
        assert (answer.number, answer.repeated) == (4, [3])
        with pytest.raises(ShelfwireError) as refused:
            await report(engine, work, number=6, items=items(1))
        assert refused.value.code is Code.REPORT_NUMBER
        state = (await engine.service.get(job_id)).state
    assert (state.succeeded, state.attempt) == (4, 1)


async def test_a_claim_whose_client_hangs_up_hands_the_job_back_as_it_was(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        job_id = await submit(engine)
        before = (await engine.service.get(job_id)).state
        work = await engine.service.claims.claim([REMOTE], WORKER, wait=0, gone=NEVER())
        assert work is not None
        waiting = asyncio.create_task(engine.service.claims.claim([REMOTE], WORKER, wait=30, gone=NEVER()))
        await asyncio.sleep(0)
        await engine.remote.hand_back(digest(work.token))
        again = await waiting
    assert again is not None
    assert again.claimed.state.attempt == 2
    assert again.claimed.state.run_at == before.run_at


async def test_a_claim_waits_no_longer_than_it_was_asked_to(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        waiting = asyncio.create_task(engine.service.claims.claim([REMOTE], WORKER, wait=30, gone=NEVER()))
        await until(lambda: bool(engine.service.claims.waiters.pipelines) and bool(engine.clock._timers))
        engine.clock.advance(29.9)
        await engine.store.discard_input("no upload")  # it is written in turn, after whatever was asked before
        assert not waiting.done()
        engine.clock.advance(0.2)
        assert await waiting is None
        assert engine.service.claims.waiters.pipelines == ()


async def test_one_waits_until_another_has_let_go_of_a_certain_job(make_engine: MakeEngine) -> None:
    async with make_engine(nobody) as engine:
        work = await begin(engine)
        job_id = work.claimed.state.id
        waiting = asyncio.create_task(
            engine.service.claims.claim_job(job_id, WORKER, wait=30, gone=NEVER(), allowed=lambda _: None)
        )
        await report(engine, work, number=1, items=items(0), end={"release": {}})
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=0.01)
            engine.clock.advance(0.1)
        second = waiting.result()
    assert second is not None
    assert second.claimed.state.attempt == 2


async def test_who_may_not_have_a_certain_job_any_more_when_it_is_let_go_is_not_given_it(
    make_engine: MakeEngine,
) -> None:
    asked: list[Sequence[str]] = []

    def allowed(pipelines: Sequence[str]) -> None:
        asked.append(pipelines)
        if len(asked) > 1:
            raise ShelfwireError(Code.FORBIDDEN)

    async with make_engine(nobody) as engine:
        work = await begin(engine)
        job_id = work.claimed.state.id
        claiming = engine.service.claims.claim_job(job_id, WORKER, wait=30, gone=NEVER(), allowed=allowed)
        waiting = asyncio.create_task(claiming)
        await until(lambda: bool(asked))
        await report(engine, work, number=1, items=items(0), end={"release": {}})
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=0.01)
            engine.clock.advance(0.1)
        with pytest.raises(ShelfwireError) as refused:
            waiting.result()
        state = (await engine.service.get(job_id)).state
    assert (refused.value.code, state.status, asked[0]) == (Code.FORBIDDEN, Status.QUEUED, [REMOTE])


async def test_each_job_wakes_one_that_waits_and_has_not_been_woken() -> None:
    waiters = Waiters()
    with waiters.waiting(["a", "b"]) as first, waiters.waiting(["a"]) as second:
        assert (len(waiters), sorted(waiters.pipelines)) == (2, ["a", "b"])
        waiters.wake("b")
        assert (first.is_set(), second.is_set()) == (True, False)
        waiters.wake("a")
        assert second.is_set()
        waiters.wake("a")
        waiters.wake("nobody waits for it")
    assert (len(waiters), waiters.pipelines) == (0, ())
