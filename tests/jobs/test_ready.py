from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.patience import RETRY_SECONDS
from shelfwire.jobs.service import CHECK_SECONDS
from shelfwire.jobs.worker import POLL_SECONDS
from shelfwire.settings import Settings
from shelfwire.testing import FakeClock
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
