"""What happened to a job, and how many are before it."""

from pathlib import Path
from typing import Any

from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.web.keys import Role
from tests.live import MakeServer, Server, live_server, next_of
from tests.web.test_operator import by, operated


class Broken(Pipeline):
    """Breaks once, then fails."""

    name = "broken"

    async def run(self, job: Job) -> str:
        if job.attempt == 1:
            await job.start(1)
            raise OSError
        return "Done"


async def events(server: Server, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await server.ask("GET", job, "/timeline")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["events"]
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    return [{name: value for name, value in event.items() if name != "at"} for event in found]


async def test_a_job_tells_what_its_owner_asked_for_and_what_came_of_it(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            await server.ask("POST", job, "/pause")
            while (await server.state(job))["status"] != "paused":
                await socket.recv()
            await server.ask("POST", job, "/resume")
            while (await server.state(job))["attempt"] < 2:
                await socket.recv()
            await server.ask("POST", job, "/cancel")
            await next_of(socket, "error")
        found = await events(server, job)
    assert found == [
        {"kind": "created"},
        {"kind": "claimed", "attempt": 1},
        {"kind": "pausing", "attempt": 1},
        {"kind": "paused", "attempt": 1},
        {"kind": "resumed", "attempt": 1},
        {"kind": "claimed", "attempt": 2},
        {"kind": "canceling", "attempt": 2},
        {"kind": "canceled", "attempt": 2, "code": "E_JOB_CANCELED"},
    ]


async def test_an_attempt_that_broke_off_is_told_with_its_code(tmp_path: Path) -> None:
    async with live_server(tmp_path, pipelines=[Broken()]) as server:
        created = await server.http.post("/api/pipelines/broken/jobs", json={})
        job = created.json()["data"]
        await server.ended(job)
        found = await events(server, job)
    assert [event["kind"] for event in found] == ["created", "claimed", "retrying", "claimed", "complete"]
    assert found[2]["code"] == "E_INTERNAL"


async def test_operators_see_who_did_what_to_it(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        async with them.server.socket(job) as socket:
            await next_of(socket, "job_started")
            await them.ask("POST", f"/api/jobs/{job['jobId']}/cancel")
            await next_of(socket, "error")
        await them.ask("POST", f"/api/jobs/{job['jobId']}/cancel")
        found = (await them.data("GET", f"/api/jobs/{job['jobId']}/timeline"))["events"]
        refused = await them.server.http.get(f"/api/jobs/{job['jobId']}/timeline", headers=by(Role.CREATE))
        own = await events(them.server, job)
    acts = [(event["kind"], event["by"], event.get("code")) for event in found if "by" in event]
    assert acts == [("cancel", "the-admin", None), ("cancel", "the-admin", "E_JOB_STATE")]
    assert [event["kind"] for event in own] == ["created", "claimed", "canceling", "canceled"]
    assert not any("by" in event for event in own)
    assert refused.status_code == 401


async def test_a_job_that_waits_says_how_many_are_before_it(make_server: MakeServer) -> None:
    async with make_server(gated=True, workers=1) as server:
        running = await server.submit()
        async with server.socket(running) as socket:
            await next_of(socket, "job_started")
        first, second = [await server.submit() for _ in range(2)]
        states = [await server.state(job) for job in (running, first, second)]
        tag = (await server.ask("GET", second)).headers["etag"]
        await server.ask("DELETE", first)
        again = await server.ask("GET", second, headers={"If-None-Match": tag})
    assert [state.get("queuePosition") for state in states] == [None, 0, 1]
    assert again.status_code == 200
    assert again.json()["data"]["queuePosition"] == 0
