import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.nodes import Link
from shelfwire.jobs.patience import RETRY_SECONDS
from shelfwire.jobs.readiness import ANSWER_SECONDS, CHECK_SECONDS
from shelfwire.jobs.worker import POLL_SECONDS
from shelfwire.settings import Settings
from shelfwire.testing import FakeClock, MemoryDatabase, MemoryStore
from shelfwire.testing.memory_nodes import MemoryNodes
from tests.jobs.conftest import MakeEngine, Scripted


async def nothing(_: Job) -> str:
    return "Done"


async def test_a_server_whose_data_folder_was_removed_is_not_ready(tmp_path: Path) -> None:
    clock = FakeClock()
    app = Shelfwire(Settings(data=tmp_path / "data"), clock=clock, work=False)
    transport = httpx2.ASGITransport(app)
    async with app.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        assert (await http.get("/health/ready")).status_code == 200
        (tmp_path / "data").rename(tmp_path / "removed")
        clock.advance(CHECK_SECONDS)
        assert (await http.get("/health/ready")).status_code == 503
        assert (await http.get("/health/live")).status_code == 200
        with pytest.raises(ShelfwireError) as refused:
            await app.start("csv_import", {"file": b"Title\nEmma\n"})
        assert refused.value.code is Code.STORAGE_UNAVAILABLE
        (tmp_path / "removed").rename(tmp_path / "data")
        assert (await http.get("/health/ready")).status_code == 200


async def test_a_commit_that_succeeded_lately_is_not_repeated_for_everybody_who_asks(make_engine: MakeEngine) -> None:
    async with make_engine(nothing, running=False) as engine:
        checks: list[int] = []
        check = engine.store.check

        async def counted() -> None:
            checks.append(1)
            await check()

        engine.store.check = counted  # type: ignore[method-assign]
        for _ in range(9):
            assert await engine.service.ready()
        assert len(checks) == 1
        engine.clock.advance(CHECK_SECONDS)
        assert await engine.service.ready()
        assert len(checks) == 2


async def test_a_server_whose_commits_fail_is_not_ready_until_they_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")

    clock = FakeClock()
    app = Shelfwire(Settings(data=tmp_path / "data"), clock=clock, pipelines=[Scripted(nothing)], plugins=[])
    async with app.lifespan():
        assert await app.service.ready()
        with monkeypatch.context() as patch:
            patch.setattr(app.service._store, "commit", full)
            await app.start("csv_import", {"file": b""})
            while await app.service.ready():
                pass
        ready = False
        while not ready:
            clock.advance(RETRY_SECONDS)
            ready = await app.service.ready()


async def test_a_server_whose_claims_fail_is_not_ready_until_they_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise ShelfwireError(Code.INTERNAL, "refused")

    clock = FakeClock()
    app = Shelfwire(Settings(data=tmp_path / "data"), clock=clock, pipelines=[Scripted(nothing)], plugins=[])
    async with app.lifespan():
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(app.service._store, "claim", refused)
            await app.start("csv_import", {"file": b""})
            while await app.service.ready():
                pass
        said = [(entry["log_level"], entry["event"]) for entry in logs if "claiming" in entry["event"]]
        assert said[0] == ("error", "claiming failed, trying again")
        ready = False
        while not ready:
            clock.advance(POLL_SECONDS)
            ready = await app.service.ready()


async def test_an_answer_that_the_store_has_a_defect_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise ShelfwireError(Code.INTERNAL, "The store refuses the work: no such table: job")

    app = Shelfwire(Settings(data=tmp_path / "data"), work=False)
    transport = httpx2.ASGITransport(app)
    async with app.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        monkeypatch.setattr(app.service._store, "create", refused)
        with capture_logs() as logs:
            answer = await http.post("/api/import/csv-gemini", files={"file": ("books.csv", b"Title\nEmma\n")})
        assert answer.status_code == 500
        assert [entry["reason"] for entry in logs if entry["log_level"] == "error"] == [answer.json()["detail"]]


@asynccontextmanager
async def among_nodes() -> AsyncIterator[tuple[Shelfwire, FakeClock, httpx2.AsyncClient]]:
    """A node that shares a database in memory."""
    clock = FakeClock()
    store = partial(MemoryStore, database=MemoryDatabase(), shared=True)
    app = Shelfwire(Settings(), clock=clock, pipelines=[Scripted(nothing)], plugins=[], open_store=store)
    transport = httpx2.ASGITransport(app)
    async with app.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield app, clock, http


def linked(app: Shelfwire, link: Link) -> None:
    nodes = app.service.nodes
    assert isinstance(nodes, MemoryNodes)
    nodes.link = link


async def test_a_node_says_how_it_stands_among_others_and_serves_all_the_same() -> None:
    async with among_nodes() as (app, _, http):
        well = await http.get("/health/ready")
        linked(app, Link(hears=False, clock_offset=-9000))
        deaf = await http.get("/health/ready")
    assert well.json() == {"status": "ok", "details": {"hints": True, "clockOffset": 0, "claims": True, "nodes": 1}}
    assert deaf.json() == {
        "status": "ok",
        "details": {"hints": False, "clockOffset": -9000, "claims": False, "nodes": 1},
    }


async def test_a_node_that_does_not_reach_the_database_is_not_ready_and_says_so_at_once() -> None:
    async with among_nodes() as (app, _, http):
        linked(app, Link(clock_age=ANSWER_SECONDS + 1))
        answer = await http.get("/health/ready")
        linked(app, Link())
        assert (await http.get("/health/ready")).status_code == 200
    assert answer.status_code == 503
    assert "the database has not answered for 4 s" in answer.json()["detail"]
    assert answer.headers["retry-after"]


async def test_a_server_that_shuts_down_is_not_ready() -> None:
    async with among_nodes() as (app, _, http):
        app.dismiss()
        answer = await http.get("/health/ready")
        assert (await http.get("/health/live")).status_code == 200
    assert answer.status_code == 503
    assert "shuts down" in answer.json()["detail"]


async def test_whoever_asks_waits_for_a_store_that_hangs_no_longer_than_balancers_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answered = asyncio.Event()

    async def hangs(job_id: str) -> None:
        asked.append(job_id)
        await answered.wait()

    async with among_nodes() as (app, clock, http):
        with monkeypatch.context() as patch:
            patch.setattr(app.service._store, "job", hangs)
            first, second = [asyncio.create_task(http.get("/health/ready")) for _ in range(2)]
            while not (first.done() and second.done()):
                await asyncio.sleep(0)
                if asked:
                    clock.advance(ANSWER_SECONDS)
            answers = [await first, await second]
            assert len(asked) == 1, "those who ask meanwhile wait for the same answer"
            answered.set()
        while (await http.get("/health/ready")).status_code != 200:
            pass
    assert [answer.status_code for answer in answers] == [503, 503]


@pytest.mark.parametrize("wrong", [Link(clock_offset=5001), Link(clock_offset=-5001), Link(clock_age=5.1)])
async def test_a_node_claims_nothing_while_its_clock_is_not_that_of_the_database(wrong: Link) -> None:
    async with among_nodes() as (app, clock, _):
        with capture_logs() as logs:
            linked(app, wrong)
            token = await app.start("csv_import", {"file": b""})
            for _ in range(100):
                clock.advance(POLL_SECONDS)
                await asyncio.sleep(0)
            waiting = await app.service._store.job(token.job_id)
            linked(app, Link(clock_offset=4999))
            ended = None
            while ended is None or not ended.state.ended:
                clock.advance(POLL_SECONDS)
                await asyncio.sleep(0)
                ended = await app.service._store.job(token.job_id)
    assert waiting is not None
    assert (waiting.state.status, ended.state.status) == ("queued", "complete")
    said = [(entry["log_level"], entry["event"].partition(":")[0]) for entry in logs if "clock" in entry["event"]]
    assert said == [("error", "no jobs are claimed"), ("info", "jobs are claimed again")]
