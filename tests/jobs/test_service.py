import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import Scope
from tests.jobs.conftest import POLICY, MakeEngine


async def nothing(_: Job) -> str:
    return "Done"


async def test_an_interrupted_upload_leaves_nothing_behind(make_engine: MakeEngine) -> None:
    async with make_engine(nothing, running=False) as engine:
        job_ids: list[str] = []

        async def broken_off() -> None:
            async with engine.service.upload() as upload:
                job_ids.append(upload.upload_id)
                await upload.write("file", b"half of it")
                raise ConnectionError

        with pytest.raises(ConnectionError):
            await broken_off()
        assert await engine.store.read_input(job_ids[0], "file") == b""


async def test_every_job_has_an_id_and_a_token_of_its_own(make_engine: MakeEngine) -> None:
    async with make_engine(nothing, running=False) as engine:
        created = []
        for _ in range(3):
            async with engine.service.upload() as upload:
                created.append(await engine.service.create(upload, "csv_import", Metadata()))
        assert len({one.job_id for one in created}) == len({one.token for one in created}) == 3
        await engine.service.authorize(created[0].job_id, created[0].token, Scope.CONTROL)
        with pytest.raises(ShelfwireError) as refused:
            await engine.service.authorize(created[0].job_id, created[1].token, Scope.WATCH)
        assert refused.value.code is Code.UNAUTHORIZED


@pytest.mark.parametrize("token", [None, "", "nonsense"])
async def test_a_wrong_token_is_refused(make_engine: MakeEngine, token: str | None) -> None:
    async with make_engine(nothing, running=False) as engine:
        job_id = await engine.submit()
        with pytest.raises(ShelfwireError) as refused:
            await engine.service.authorize(job_id, token, Scope.WATCH)
        assert refused.value.code is Code.UNAUTHORIZED


async def test_a_token_expires_after_its_time_to_live(make_engine: MakeEngine) -> None:
    async with make_engine(nothing, running=False, token_ttl=60_000) as engine:
        async with engine.service.upload() as upload:
            created = await engine.service.create(upload, "csv_import", Metadata())
        engine.clock.advance(59)
        await engine.service.authorize(created.job_id, created.token, Scope.WATCH)
        engine.clock.advance(1)
        with pytest.raises(ShelfwireError) as refused:
            await engine.service.authorize(created.job_id, created.token, Scope.WATCH)
        assert refused.value.code is Code.TOKEN_EXPIRED


async def test_a_job_that_expired_meanwhile_is_like_no_job_at_all(make_engine: MakeEngine) -> None:
    async with make_engine(nothing, running=False) as engine:
        job_id = await engine.submit()
        await engine.store.sweep(POLICY, engine.clock.now() + 10**12)
        for asking in (engine.service.get(job_id), engine.service.cancel(job_id)):
            with pytest.raises(ShelfwireError) as refused:
                await asking
            assert refused.value.code is Code.UNAUTHORIZED


async def test_a_worker_is_notified_of_a_new_job_without_waiting_for_its_poll(make_engine: MakeEngine) -> None:
    ran = asyncio.Event()

    async def noted(_: Job) -> str:
        ran.set()
        return "Done"

    async with make_engine(noted) as engine:
        await asyncio.sleep(0)
        await engine.submit()
        async with asyncio.timeout(60):
            await ran.wait()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_change_that_fails_after_its_caller_was_cancelled_is_logged_and_disturbs_nobody(
    make_engine: MakeEngine, *, cancelled: bool
) -> None:
    unheard: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    async with make_engine(nothing, running=False) as engine:
        job_id = await engine.submit()
        begun, going = asyncio.Event(), asyncio.Event()

        async def failing(*_: object) -> None:
            begun.set()
            await going.wait()
            raise ShelfwireError(Code.INTERNAL, "refused")

        engine.store.request = failing  # type: ignore[assignment]
        with capture_logs() as logs:
            asking = asyncio.create_task(engine.service.cancel(job_id))
            await begun.wait()
            if cancelled:
                asking.cancel()
                await asyncio.wait([asking])
            going.set()
            with pytest.raises(asyncio.CancelledError if cancelled else ShelfwireError):
                await asking
            for task in list(engine.service._background):
                await asyncio.wait([task])
    del asking
    gc.collect()
    assert unheard == []
    assert [entry["reason"] for entry in logs] == (["E_INTERNAL: refused"] if cancelled else [])


@pytest.mark.parametrize("hours", [1, -1])
async def test_the_order_and_the_age_of_the_queue_do_not_depend_on_how_the_clock_is_set(
    make_engine: MakeEngine, hours: int
) -> None:
    async with make_engine(nothing, running=False) as engine:
        first = await engine.submit()
        engine.clock.advance(5)
        engine.clock.step(hours * 3600)
        second = await engine.submit()
        engine.clock.advance(5)
        assert (await engine.service.stats()).queue_age == 10
        claims = []
        for _ in range(2):
            claimed = await engine.store.claim(("csv_import",), POLICY, engine.clock.now(), engine.clock.steady())
            assert claimed is not None
            claims.append(claimed.state.id)
    assert claims == [first, second]
