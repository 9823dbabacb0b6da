"""Kills the server between the ending of a job and the call that tells of it."""

import signal
from pathlib import Path

import httpx2

from tests.live import bearer
from tests.receiver import SECRET, receiver
from tests.servers import Server

KILLS = 3


async def test_a_server_killed_between_an_ending_and_its_webhook_makes_the_call_when_it_is_back(
    tmp_path: Path,
) -> None:
    """The receiver takes calls and never answers, until the server was killed often enough."""
    async with receiver(*[None] * (2 * KILLS)) as them:
        settings = {"callback_hosts": [f"127.0.0.1:{them.port}"], "callback_secrets": [SECRET]}
        async with Server(tmp_path, settings) as server, httpx2.AsyncClient(base_url=server.url) as http:
            url = f"http://127.0.0.1:{them.port}/"
            jobs = []
            for how in ("complete", "erased"):
                wanted = {"pipeline": "pdf_report", "callbackUrl": url}
                jobs.append((await http.post("/api/jobs", json=wanted)).json()["data"])
                path = f"/api/jobs/{jobs[-1]['jobId']}"
                if how == "erased":
                    await http.delete(path, headers=bearer(jobs[-1]["token"]))
                else:
                    report = {"number": 1, "end": {"complete": {}}}
                    answer = await http.post(f"{path}/report", json=report, headers=bearer(jobs[-1]["reportToken"]))
                    assert answer.status_code == 200, answer.text
            calls = []
            for _ in range(KILLS):
                calls += [await them.next(), await them.next()]
                await server.end(signal.SIGKILL)
                await server.start()
            calls += [await them.next(), await them.next()]
    by_id = {call.headers["webhook-id"]: call.body for call in calls}
    assert sorted(call.verified["jobId"] for call in calls) == sorted([job["jobId"] for job in jobs] * (KILLS + 1))
    assert len(by_id) == 2
    assert all(by_id[call.headers["webhook-id"]] == call.body for call in calls), "every try sends the same"
