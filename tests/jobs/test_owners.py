"""The engine as an owner uses it: pause, resume, delete, retry, tokens."""

import asyncio
import contextlib
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.job import Job
from shelfwire.jobs.service import Token
from shelfwire.jobs.store import Committed
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import IllegalTransitionError, Status
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Message, Metadata, decode
from shelfwire.protocol.tokens import Grant, Scope
from tests.jobs.conftest import Engine, MakeEngine
from tests.live import until


class Steps:
    """A pipeline over five items that records one whenever the test lets it."""

    def __init__(self) -> None:
        self.allowed = asyncio.Semaphore(0)
        self.drawn: list[int] = []

    async def __call__(self, job: Job) -> str:
        await job.start(total=5)
        async for index, _ in job.pending(range(5)):
            await self.allowed.acquire()
            self.drawn.append(index)
            if index == 3:
                job.fail(index, ShelfwireError(BookCode.ROW_INVALID))
            else:
                job.record(index, {"title": f"Book {index}"}, title=f"Book {index}")
        return "Done"

    def let(self, count: int) -> None:
        for _ in range(count):
            self.allowed.release()


async def _settled() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


async def _waited(engine: Engine, token: Token, after: int) -> Committed:
    async with engine.service.follow_with(token.token, token.job_id) as follower:
        return await engine.service.wait(follower, after, 30)


async def recorded(engine: Engine, job_id: str, count: int) -> None:
    """Return once so many items are committed."""
    async with engine.service.follow(job_id) as follower:
        async for frame in engine.turning(follower.frames()):
            if frame.state.processed >= count:
                return


async def test_a_paused_job_releases_its_worker_and_continues_where_it_was(make_engine: MakeEngine) -> None:
    steps = Steps()
    async with make_engine(steps, slots=1) as engine:
        job_id = await engine.submit()
        steps.let(2)
        await recorded(engine, job_id, 2)
        assert (await engine.service.pause(job_id)).state.pausing
        paused = await engine.until(job_id, Status.PAUSED)
        assert (paused.processed, paused.user_message) == (2, "Paused")

        steps.let(5)
        other = await engine.submit()
        await recorded(engine, other, 5)
        found = await engine.service.get(job_id)
        assert found.state == paused, "the slot was free for another job, and the paused one did not move"

        steps.let(3)
        await engine.service.resume(job_id)
        told = await engine.story(job_id)
    assert isinstance(told[-1].payload, JobComplete)
    assert steps.drawn == [0, 1, 0, 1, 2, 3, 4, 2, 3, 4]


async def test_a_paused_job_stays_paused_when_the_server_restarts(make_engine: MakeEngine) -> None:
    steps = Steps()
    async with make_engine(steps) as engine:
        job_id = await engine.submit()
        await engine.until(job_id, Status.RUNNING)
        await engine.service.pause(job_id)
        await engine.until(job_id, Status.PAUSED)
    async with make_engine(steps) as engine:
        steps.let(10)
        await engine.story(await engine.submit())
        assert (await engine.service.get(job_id)).state.status is Status.PAUSED
        await engine.service.resume(job_id)
        steps.let(10)
        assert isinstance((await engine.story(job_id))[-1].payload, JobComplete)


async def test_a_pause_taken_back_at_once_costs_the_job_nothing(make_engine: MakeEngine) -> None:
    steps = Steps()
    async with make_engine(steps) as engine:
        job_id = await engine.submit()
        steps.let(1)
        await recorded(engine, job_id, 1)
        await engine.service.pause(job_id)
        resumed = await engine.service.resume(job_id)
        assert not resumed.state.pausing
        steps.let(4)
        told = await engine.story(job_id)
        state = (await engine.service.get(job_id)).state
    assert isinstance(told[-1].payload, JobComplete)
    assert (state.error_count, state.succeeded, state.failed) == (0, 4, 1)


async def test_a_deleted_job_ends_for_its_followers_and_its_pipeline_stops(make_engine: MakeEngine) -> None:
    stopped = asyncio.Event()

    async def hanging(job: Job) -> str:
        await job.start(total=1)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    async with make_engine(hanging) as engine:
        job_id = await engine.submit()
        await engine.until(job_id, Status.RUNNING)
        async with engine.service.follow(job_id) as follower, asyncio.timeout(60):
            await engine.service.delete(job_id)
            states = [frame.state async for frame in follower.frames()]
            await stopped.wait()
        assert states[-1].status is Status.CANCELED
        with pytest.raises(ShelfwireError) as refused:
            await engine.service.get(job_id)
    assert refused.value.code is Code.UNAUTHORIZED


async def test_a_deleted_id_can_be_another_job_while_a_follower_has_not_read_the_ending_of_the_old_one(
    make_engine: MakeEngine,
) -> None:
    async def submit() -> str:
        async with engine.service.upload() as upload:
            return (await engine.service.create(upload, "csv_import", Metadata(), job_id="the-same")).job_id

    steps = Steps()
    async with make_engine(steps) as engine:
        job_id = await submit()
        async with engine.service.follow(job_id) as slow:
            await engine.service.delete(job_id)
            steps.let(10)  # the old job's pipeline may take some before it hears that it is to stop
            told = await engine.story(await submit())
            ending = slow.due()[-1]
    assert isinstance(told[-1].payload, JobComplete)
    assert ending.state.status is Status.CANCELED


async def test_a_retry_does_only_failed_and_unrecorded_items_and_keeps_their_index(
    make_engine: MakeEngine,
) -> None:
    steps = Steps()
    async with make_engine(steps) as engine:
        job_id = await engine.submit()
        steps.let(4)
        await recorded(engine, job_id, 4)
        await engine.service.cancel(job_id)
        await engine.story(job_id)
        steps.drawn.clear()

        retry = await engine.service.retry(job_id)
        steps.let(2)
        told = await engine.story(retry.job_id)
        page = await engine.service.results(retry.job_id, after=-1, limit=9, ok=None)
    started = next(message.payload for message in told if isinstance(message.payload, JobStarted))
    ending = told[-1].payload
    assert started.total_count == 2
    assert steps.drawn == [3, 4]
    assert isinstance(ending, JobComplete)
    assert (ending.success_count, ending.failure_count) == (1, 1)
    assert [(item.index, item.source, item.ok) for item in page.items] == [(0, 3, False), (1, 4, True)]
    assert ending.results["errors"][0]["sourceIndex"] == 3


async def test_a_retry_of_a_job_that_never_started_does_everything(make_engine: MakeEngine) -> None:
    steps = Steps()
    async with make_engine(steps) as engine:
        job_id = await engine.submit()
        await engine.service.cancel(job_id)
        await engine.story(job_id)
        retry = await engine.service.retry(job_id)
        steps.let(5)
        await engine.story(retry.job_id)
        page = await engine.service.results(retry.job_id, after=-1, limit=9, ok=None)
    assert [(item.index, item.source) for item in page.items] == [(index, index) for index in range(5)]


async def test_an_item_a_retry_is_not_about_cannot_be_recorded(make_engine: MakeEngine) -> None:
    steps, caught = Steps(), []

    async def body(job: Job) -> str:
        if not steps.drawn:
            return await steps(job)
        await job.start(total=5)
        for index in (0, 5):
            try:
                job.record(index, None)
            except ValueError as error:
                caught.append(str(error))
        job.record(3, None)
        return "Done"

    async with make_engine(body) as engine:
        job_id = await engine.submit()
        steps.let(5)
        await engine.story(job_id)
        await engine.story((await engine.service.retry(job_id)).job_id)
    assert len(caught) == 2


async def test_revoking_a_token_dismisses_the_followers_that_it_let_in_and_no_others(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            first = await engine.service.create(upload, "csv_import", Metadata())
        job_id = first.job_id
        caller = await engine.service.authorize(job_id, first.token, Scope.CONTROL)
        second = await engine.service.derive_token(caller, scopes=frozenset({Scope.WATCH, Scope.CONTROL}))
        async with (
            engine.service.follow_with(first.token, job_id) as by_first,
            engine.service.follow_with(second.token, job_id) as by_second,
        ):
            await engine.service.revoke(await engine.service.authorize(job_id, second.token, Scope.CONTROL))
            assert by_second.dismissal is Dismissal.REVOKED
            assert [frame async for frame in by_second.frames()] == []
            assert by_first.dismissal is None
        with pytest.raises(ShelfwireError) as refused:
            async with engine.service.follow_with(second.token, job_id):
                pass
    assert refused.value.code is Code.UNAUTHORIZED


@pytest.mark.parametrize("reads", [1, 2])
async def test_a_follower_whose_token_is_revoked_while_it_attaches_receives_nothing(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            token = await engine.service.create(upload, "csv_import", Metadata())
        grant = await engine.service.authorize(token.job_id, token.token, Scope.CONTROL)
        find, found = engine.store.grant, []

        async def revoked_meanwhile(digest: bytes, now: int) -> Grant | None:
            found.append(await find(digest, now))
            if len(found) == reads:
                await engine.service.revoke(grant)
            return found[-1]

        monkeypatch.setattr(engine.store, "grant", revoked_meanwhile)
        frames = []
        with contextlib.suppress(ShelfwireError):
            async with engine.service.follow_with(token.token, token.job_id) as follower:
                frames = [frame async for frame in follower.frames()]
    assert frames == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine, old: engine.service.get_with(old.token, old.job_id),
        lambda engine, old: _waited(engine, old, 0),
    ],
    ids=["state", "follow"],
)
async def test_the_token_of_an_erased_job_shows_nothing_of_the_next_one_with_its_id(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Engine, Token], Awaitable[Committed]]
) -> None:
    async with make_engine(Steps(), running=False) as engine:

        async def submit() -> Token:
            async with engine.service.upload() as upload:
                return await engine.service.create(upload, "csv_import", Metadata(), job_id="the-same")

        old = await submit()
        find = engine.store.grant

        async def made_again_meanwhile(digest: bytes, now: int) -> Grant | None:
            grant = await find(digest, now)
            monkeypatch.setattr(engine.store, "grant", find)
            await engine.service.delete("the-same")
            await submit()
            return grant

        monkeypatch.setattr(engine.store, "grant", made_again_meanwhile)
        with pytest.raises(ShelfwireError) as refused:
            await ask(engine, old)
        assert refused.value.code is Code.UNAUTHORIZED


@pytest.mark.parametrize("erased", [False, True])
async def test_followers_learn_of_a_request_that_was_committed_and_never_answered(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, *, erased: bool
) -> None:
    async with make_engine(Steps(), running=False) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            frames = follower.frames()
            await anext(frames)
            name = "delete" if erased else "request"
            call = getattr(engine.store, name)

            async def unanswered(*args: Any) -> None:
                await call(*args)
                raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the connection is lost")

            monkeypatch.setattr(engine.store, name, unanswered)
            with pytest.raises(ShelfwireError):
                await (engine.service.delete(job_id) if erased else engine.service.cancel(job_id))
            left = [frame.due async for frame in engine.turning(frames)]
        assert left == ([] if erased else [Due.ENDING])
        assert follower.dismissal is (Dismissal.LEAVING if erased else None)


async def test_followers_are_dismissed_where_the_revocation_of_their_token_was_never_answered(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            token = await engine.service.create(upload, "csv_import", Metadata())
        grant = await engine.service.authorize(token.job_id, token.token, Scope.CONTROL)
        call, revoked = engine.store.revoke, False

        async def unanswered(digest: bytes) -> None:
            if revoked:
                await call(digest)
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the connection is lost")

        monkeypatch.setattr(engine.store, "revoke", unanswered)
        async with engine.service.follow_with(token.token, token.job_id) as follower:
            frames = follower.frames()
            await anext(frames)
            for revoked in (False, True):
                with pytest.raises(ShelfwireError):
                    await engine.service.revoke(grant)
                if not revoked:
                    await _settled()
                    await engine.service.authorize(token.job_id, token.token, Scope.WATCH)
                    assert follower.dismissal is None
            assert [frame async for frame in engine.turning(frames)] == []
            assert follower.dismissal is Dismissal.REVOKED


async def test_a_rotated_token_works_for_a_minute_more(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            old = await engine.service.create(upload, "csv_import", Metadata())
        caller = await engine.service.authorize(old.job_id, old.token, Scope.CONTROL)
        new = await engine.service.derive_token(caller)
        engine.clock.advance(59.9)
        await engine.service.authorize(old.job_id, old.token, Scope.WATCH)
        engine.clock.advance(0.1)
        with pytest.raises(ShelfwireError) as refused:
            await engine.service.authorize(old.job_id, old.token, Scope.WATCH)
        await engine.service.authorize(old.job_id, new.token, Scope.CONTROL)
    assert refused.value.code is Code.TOKEN_EXPIRED


async def test_the_servers_limit_on_tokens_holds_for_those_made_from_others(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False, token_ttl=5000) as engine:
        async with engine.service.upload() as upload:
            first = await engine.service.create(upload, "csv_import", Metadata())
        caller = await engine.service.authorize(first.job_id, first.token, Scope.CONTROL)
        made = await engine.service.derive_token(caller, ttl=10_000_000)
        assert made.expires_at == engine.clock.now() + 5000


async def test_waiting_returns_with_the_news_or_when_the_time_is_over(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            token = await engine.service.create(upload, "csv_import", Metadata())
        job_id = token.job_id
        assert (await _waited(engine, token, 0)).state.seq == 1, "something newer is there already"
        assert (await _waited(engine, token, 99)).state.seq == 1, "beyond the job's seq counts as 0"

        waiting = asyncio.create_task(_waited(engine, token, 1))
        await _settled()
        assert not waiting.done()
        await engine.service.pause(job_id)
        assert (await waiting).state.status is Status.PAUSED

        waiting = asyncio.create_task(_waited(engine, token, 2))
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=0.002)
            engine.clock.advance(30)
        assert waiting.result().state.seq == 2

        await engine.service.cancel(job_id)
        ended = await _waited(engine, token, 3)
        assert ended.terminal is not None, "no news will ever come"


async def test_a_wait_ends_with_an_error_when_its_token_is_revoked(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            token = await engine.service.create(upload, "csv_import", Metadata())
        waiting = asyncio.create_task(_waited(engine, token, 1))
        await _settled()
        await engine.service.revoke(await engine.service.authorize(token.job_id, token.token, Scope.CONTROL))
        with pytest.raises(ShelfwireError) as refused:
            await waiting
    assert refused.value.code is Code.UNAUTHORIZED


async def test_a_legacy_caller_reports_by_text_and_never_goes_back(make_engine: MakeEngine) -> None:
    told: list[Message] = []

    async def legacy(job: Job) -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            job.update_progress(0.0, "Enriching (5/10): Dune", keep_alive=True)
            # Received, not only committed: a follower that is late would be sent the newer state alone.
            await until(lambda: any(m.payload.processed_count == 5 for m in told if isinstance(m.payload, JobProgress)))
            job.update_progress(0.2, "Taking a break")
            await until(lambda: job._draft.state.user_message == "Taking a break")
        assert [warning.category for warning in caught] == [DeprecationWarning, DeprecationWarning]
        return "Done"

    async with make_engine(legacy) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower:
            async for frame in engine.turning(follower.frames()):
                message = decode(frame.text)
                assert isinstance(message, Message)
                told.append(message)
        page = await engine.service.results(job_id, after=-1, limit=9, ok=None)
    progress = [message.payload for message in told if isinstance(message.payload, JobProgress)]
    reports = [(p.processed_count, p.total_count, p.current_title, p.user_message) for p in progress]
    assert (5, 10, "Dune", None) in reports
    assert (5, 10, "Dune", "Taking a break") in reports
    counts = [count for count, *_ in reports]
    assert counts == sorted(counts)
    assert (page.items, page.total) == ([], 0)
    ending = told[-1].payload
    assert isinstance(ending, JobComplete)
    assert (ending.success_count, ending.failure_count, ending.truncated) == (0, 0, None)


async def test_what_the_state_forbids_is_refused_and_changes_nothing(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        job_id = await engine.submit()
        for wish in (engine.service.resume, engine.service.retry):
            with pytest.raises(IllegalTransitionError):
                await wish(job_id)
        assert (await engine.service.get(job_id)).state.seq == 1


async def test_a_canceled_job_reports_which_items_are_kept(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        job_id = await engine.submit()
        await engine.service.pause(job_id)
        await engine.service.cancel(job_id)
        ending = (await engine.story(job_id))[-1].payload
    assert isinstance(ending, JobError)
    assert ending.code == Code.JOB_CANCELED


async def test_control_answers_with_the_row_it_committed_without_reading_it_again(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_engine(Steps(), running=False) as engine:
        job_id = await engine.submit()
        with monkeypatch.context() as unreadable:
            unreadable.delattr(engine.service._store.__class__, "job")
            answers = [
                await control(job_id)
                for control in (engine.service.pause, engine.service.resume, engine.service.cancel)
            ]
        assert [answer.state.status for answer in answers] == [Status.PAUSED, Status.QUEUED, Status.CANCELED]
        assert answers[-1] == await engine.service.get(job_id)
        assert answers[-1].terminal is not None


class Cancelled:
    """Lets a call to the store commit, and has its caller cancelled before it is answered."""

    def __init__(self, engine: Engine, method: str) -> None:
        self._call = getattr(engine.store, method)
        self.committed = asyncio.Event()
        self.answer = asyncio.Event()
        setattr(engine.store, method, self)

    async def __call__(self, *arguments: object) -> object:
        answer = await self._call(*arguments)
        self.committed.set()
        await self.answer.wait()
        return answer

    async def during(self, call: Coroutine[Any, Any, object]) -> None:
        calling = asyncio.create_task(call)
        await self.committed.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        self.answer.set()


@pytest.mark.parametrize(("method", "action"), [("request", "cancel"), ("delete", "delete")])
async def test_a_call_that_is_cancelled_after_its_commit_still_notifies_followers(
    make_engine: MakeEngine, method: str, action: str
) -> None:
    async with make_engine(Steps(), running=False) as engine:
        job_id = await engine.submit()
        async with engine.service.follow(job_id) as follower, asyncio.timeout(10):
            await Cancelled(engine, method).during(getattr(engine.service, action)(job_id))
            *_, last = [frame async for frame in follower.frames()]
    assert last.due is Due.ENDING
    assert (job_id in engine.hub._channels) is False


async def test_a_revocation_whose_caller_is_cancelled_still_dismisses_followers(make_engine: MakeEngine) -> None:
    async with make_engine(Steps(), running=False) as engine:
        async with engine.service.upload() as upload:
            made = await engine.service.create(upload, "csv_import", Metadata())
        grant = await engine.service.authorize(made.job_id, made.token, Scope.CONTROL)
        async with engine.service.follow_with(made.token, made.job_id) as follower, asyncio.timeout(10):
            await Cancelled(engine, "revoke").during(engine.service.revoke(grant))
            assert [frame.due async for frame in follower.frames()] in ([], [Due.PROGRESS])
            assert follower.dismissal is Dismissal.REVOKED
