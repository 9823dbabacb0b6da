"""A server whose disk is full, in a process of its own, seen from outside."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.cli.jobs_file import JobsFile, KnownJob
from shelfwire.clock import SystemClock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from tests.full_disk import fill, small_disk
from tests.live import bearer, live_server
from tests.processes import Process
from tests.servers import Server

ROWS = b"Title,Author\n" + b"".join(b"Book number %d,Author %d\n" % (n, n) for n in range(8000))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@asynccontextmanager
async def served(disk: Path) -> AsyncIterator[tuple[Server, httpx2.AsyncClient]]:
    """A server with its data on the disk, and its log elsewhere."""
    server = Server(disk / "data")
    server.log = disk.parent / "server.log"
    async with server, httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        yield server, http


async def submitted(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.post("/api/import/csv-gemini", files={"file": ("books.csv", ROWS)})


async def status_of(http: httpx2.AsyncClient, job: Mapping[str, str]) -> tuple[int, Any]:
    answer = await http.get(f"/api/jobs/{job['jobId']}", headers=bearer(job["token"]))
    return answer.status_code, answer.json().get("data", {}).get("status")


async def ended(http: httpx2.AsyncClient, job: Mapping[str, str]) -> Any:
    """The status of a job once it has ended; asked for by long polls."""
    seq = 1
    async with asyncio.timeout(40):
        while True:
            query = f"?after={seq}&wait=20"
            answer = await http.get(f"/api/jobs/{job['jobId']}{query}", headers=bearer(job["token"]))
            if answer.status_code == 200:
                state = answer.json()["data"]
                if state["status"] not in {"queued", "running"}:
                    return state["status"]
                seq = state["seq"]


async def until_full(http: httpx2.AsyncClient) -> list[dict[str, str]]:
    jobs: list[dict[str, str]] = []
    while (answer := await submitted(http)).status_code == 202:
        jobs.append(answer.json()["data"])
    assert (answer.status_code, answer.headers["x-error-code"]) == (503, "E_STORAGE_UNAVAILABLE")
    assert "Delete what you no longer need" in answer.json()["userMessage"]
    return jobs


async def delete_by_command(disk: Path, job: Mapping[str, str]) -> tuple[int, str]:
    """`shelfwire delete`, which finds the server by the data folder."""
    state = disk.parent / "state"
    known = KnownJob(
        job_id=job["jobId"],
        token=job["token"],
        file="books.csv",
        created=SystemClock().now(),
        data=str(disk / "data"),
        pipeline="csv_import",
    )
    JobsFile(state, pytest.fail).put(known)
    env = {**os.environ, "SHELFWIRE_STATE": str(state)}
    with Process("-m", "shelfwire", "delete", job["jobId"], env=env) as process:
        said, errors = await asyncio.to_thread(process.communicate, 60)
        return process.wait(), said + errors


async def test_a_server_that_filled_its_disk_is_emptied_through_itself_and_its_jobs_go_on(disk: Path) -> None:
    async with served(disk) as (server, http):
        first, second, *rest, last = await until_full(http)
        others = fill(disk)
        ready = await http.get("/health/ready")
        assert (ready.status_code, (await http.get("/health/live")).status_code) == (503, 200)
        assert "Make room on it, or delete jobs; those that wait go on by themselves" in ready.json()["detail"]

        gone = await http.delete(f"/api/jobs/{first['jobId']}", headers=bearer(first["token"]))
        assert (gone.status_code, await status_of(http, first)) == (204, (401, None))

        await server.end(signal.SIGKILL)
        fill(disk, "of yet another program")
        await server.start()
        code, said = await delete_by_command(disk, second)
        assert (code, "Deleted the import" in said, await status_of(http, second)) == (0, True, (401, None))

        others.unlink()
        (disk / "of yet another program").unlink()
        for job in rest:
            await http.delete(f"/api/jobs/{job['jobId']}", headers=bearer(job["token"]))
        assert await ended(http, last) == "complete"
        assert (await http.get("/health/ready")).status_code == 200


async def test_a_job_that_stops_on_a_full_disk_is_still_there_after_the_server_ended_in_order(disk: Path) -> None:
    async with served(disk) as (server, http):
        *others, last = await until_full(http)
        fill(disk)
        assert await server.end(signal.SIGTERM) == 0
        fill(disk, "of yet another program")
        await server.start()
        for job in others:
            await http.delete(f"/api/jobs/{job['jobId']}", headers=bearer(job["token"]))
        assert await ended(http, last) == "complete", "in the place of the others"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
async def test_a_server_whose_log_cannot_be_written_works_on(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.log = Path("/dev/full")
    async with server, httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        job = (await submitted(http)).json()["data"]
        assert await ended(http, job) == "complete"


async def test_a_server_that_cannot_leave_its_address_serves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shelfwire.server.discovery.tempfile.mkstemp", full)
    async with live_server(tmp_path) as server:
        assert (await server.http.get("/health/ready")).status_code == 200
        assert not (tmp_path / "server.json").exists()


class Keeping(Pipeline):
    """Keeps something that it has paid for."""

    name = "csv_import"

    def __init__(self) -> None:
        self.paid = 0

    async def run(self, job: Job) -> str:
        self.paid += 1
        await job.start(total=1, metadata=job.metadata)
        await job.keep("answer", bytes(300_000))
        job.record(0, {"title": "Emma"})
        return "Done"


async def test_a_job_waits_until_what_it_has_paid_for_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Keeping()
    async with live_server(tmp_path, pipelines=[pipeline]) as server:
        store = server.app.service._store
        whole, failed, going = store.keep, asyncio.Event(), asyncio.Event()

        async def failing(*words: Any) -> bool:
            if not going.is_set():
                failed.set()
                raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "full")
            return await whole(*words)

        monkeypatch.setattr(store, "keep", failing)
        job = await server.submit()
        await failed.wait()
        going.set()
        assert (await server.ended(job))["status"] == "complete"
        assert pipeline.paid == 1
