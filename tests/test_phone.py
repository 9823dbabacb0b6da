"""What the networking of phones asks of the server, and what trials with them met, over real HTTP."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shelfwire.app import Shelfwire
from shelfwire.clock import SystemClock
from shelfwire.errors import Code
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.server.serving import serving
from shelfwire.settings import Settings
from tests.live import MakeServer, next_of, until
from tests.phone import BELIEVED_SECONDS, TERMINAL, Phone, RefusedUpgradeError

TRANSPORTS = ["websocket", "sse", "polling"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_phone_sees_a_job_that_waits_and_reaches_its_ending(make_server: MakeServer, transport: str) -> None:
    async with make_server(gated=True) as server, Phone(server.url) as phone, asyncio.timeout(30):
        files = {"file": ("books.csv", b"Title\nEmma\n")}
        created = await phone.request("POST", "/api/import/csv-gemini", files=files)
        job = created.json()["data"]
        seen: list[dict[str, Any]] = []

        async def follow() -> None:
            async for message in phone.follow(transport, job):
                seen.append(message)  # noqa: PERF401 - each is looked at as it comes

        following = asyncio.create_task(follow())
        await until(lambda: bool(seen))
        assert seen[0]["type"] not in TERMINAL, "it is seen while the job waits"
        if transport == "polling":
            await phone.unchanged.wait()
        server.gate.steps.put_nowait(3)
        server.gate.steps.put_nowait(None)
        await following
    assert seen[-1]["type"] == "job_complete"
    assert seen[-1]["payload"]["successCount"] == 3
    assert [kept for kept in phone.disk if job["token"] in kept] == [], "no token is on its disk"


async def test_a_phone_that_is_refused_an_upgrade_learns_why(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server, Phone(server.url) as phone:
        job = await server.submit()
        with pytest.raises(RefusedUpgradeError) as wrong:
            await anext(phone.follow("websocket", job | {"token": "wrong"}))
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            with pytest.raises(RefusedUpgradeError) as full:
                await anext(phone.follow("websocket", job))
            assert [message async for message in phone.follow("sse", job)] == [], "it comes back by itself"
    assert (wrong.value.status, wrong.value.code) == (401, Code.UNAUTHORIZED)
    assert wrong.value.challenge.startswith('Bearer error="invalid_token", error_description="')
    assert (full.value.status, full.value.code) == (503, Code.OVERLOADED)


def test_the_server_keeps_connections_for_longer_than_phones_believe_in_them() -> None:
    assert Settings().keep_alive > 2 * BELIEVED_SECONDS


class Scripted(Pipeline):
    """A pipeline that does as a test says."""

    name = "scripted"

    def __init__(self, body: Callable[[Job], Awaitable[str]]) -> None:
        self._body = body

    async def run(self, job: Job) -> str:
        return await self._body(job)


def settings_in(folder: Path, **options: Any) -> Settings:
    return Settings(data=folder, port=0, create_limit=0, **options)


async def submit(phone: Phone) -> dict[str, Any]:
    answer = await phone.request("POST", "/api/pipelines/scripted/jobs", json={})
    job: dict[str, Any] = answer.raise_for_status().json()["data"]
    return job


async def test_a_number_that_no_reader_takes_fails_its_item_and_spoils_nothing(tmp_path: Path) -> None:
    async def body(job: Job) -> str:
        await job.start(total=2)
        job.record(0, {"n": msgspec.Raw(b"1e999")})
        job.record(1, {"n": 1.5})
        return "Done"

    settings = settings_in(tmp_path)
    async with (
        serving(Shelfwire(settings, pipelines=[Scripted(body)]), settings) as url,
        Phone(url) as phone,
        asyncio.timeout(30),
    ):
        job = await submit(phone)
        ending = [message async for message in phone.follow("websocket", job)][-1]
        state = await phone.request("GET", f"/api/jobs/{job['jobId']}", job["token"])
        pages = [
            await phone.request("GET", f"/api/jobs/{job['jobId']}/results", job["token"], headers={"Accept": kind})
            for kind in ("application/json", "text/csv", "application/x-ndjson")
        ]
    assert [answer.status_code for answer in (state, *pages)] == [200] * 4
    assert (ending["payload"]["successCount"], ending["payload"]["failureCount"]) == (1, 1)
    assert state.json()["data"]["results"]["errors"][0]["code"] == Code.ITEM_INVALID
    first, second = pages[0].json()["data"]["items"]
    assert (first["ok"], first["error"]["code"], second["result"]) == (False, Code.ITEM_INVALID, {"n": 1.5})


async def test_a_job_that_commits_without_pause_sends_progress_once_an_interval(tmp_path: Path) -> None:
    interval = 0.5
    followed = asyncio.Event()

    async def body(job: Job) -> str:
        await job.start(total=100)
        await followed.wait()
        committer = job._committer
        assert isinstance(committer, Committer)
        for number in range(100):
            job.record(number, number)
            committer.mark(job._draft, urgent=True)
            commits = committer.commits
            await until(lambda: committer.commits > commits)  # noqa: B023 - it is called before the next turn
        return "Done"

    settings = settings_in(tmp_path, flush_interval=interval)
    async with (
        serving(Shelfwire(settings, pipelines=[Scripted(body)]), settings) as url,
        Phone(url) as phone,
        asyncio.timeout(60),
    ):
        follow = phone.follow("websocket", await submit(phone))
        while (await anext(follow))["type"] != "job_started":
            pass
        began = time.monotonic()
        followed.set()
        seen = [message["type"] async for message in follow]
        intervals = (time.monotonic() - began) / interval
    assert seen[-1] == "job_complete"
    # One with the start, one with the ending, and one for each interval that began.
    assert seen.count("job_progress") <= intervals + 4
    assert seen.count("job_progress") < 50


class Wall(SystemClock):
    """A clock whose hands a test turns, while time passes as it does."""

    turned = 0

    def now(self) -> int:
        return super().now() + self.turned


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_set_takes_no_job_from_its_worker(tmp_path: Path, hours: int) -> None:
    go_on = asyncio.Event()
    attempts: list[int] = []

    async def body(job: Job) -> str:
        attempts.append(job.attempt)
        await job.start(total=1)
        await go_on.wait()
        job.record(0, "done")
        return "Done"

    settings, clock = settings_in(tmp_path, lease=0.3, workers=3), Wall()
    app = Shelfwire(settings, pipelines=[Scripted(body)], clock=clock)
    async with serving(app, settings) as url, Phone(url) as phone, asyncio.timeout(60):
        first = await submit(phone)
        await until(lambda: len(attempts) == 1)
        clock.turned = hours * 3_600_000
        commits = app.service._workers.inside._committer.commits
        second = await submit(phone)  # whereupon the worker looks for what can be claimed
        await until(lambda: len(attempts) > 1)
        await until(
            lambda: app.service._workers.inside._committer.commits > commits + 6
        )  # leases were renewed meanwhile
        go_on.set()
        for job in (first, second):
            ending = [message async for message in phone.follow("websocket", job)][-1]
            state = (await phone.request("GET", f"/api/jobs/{job['jobId']}", job["token"])).json()["data"]
            assert (ending["type"], state["attempt"]) == ("job_complete", 1)
    assert abs(state["lastUpdateTime"] - clock.now()) < 60_000, "people see the clock as it is set"
    assert attempts == [1, 1]
