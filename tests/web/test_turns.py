import hashlib

import pytest

from shelfwire.app import Shelfwire
from shelfwire.settings import Secret, Settings, SettingsError
from tests.live import MakeServer, Server

BUSY, QUIET = "a-key-of-the-busy-app", "a-key-of-the-quiet-app"


async def post(server: Server, key: str) -> str:
    answer = await server.http.post(
        "/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")}, headers={"X-API-Key": key}
    )
    return str(answer.json()["data"]["jobId"])


async def statuses(server: Server, jobs: list[str]) -> list[str]:
    return [(await server.app.service.get(job_id)).state.status for job_id in jobs]


async def test_one_job_of_a_caller_starts_while_another_caller_has_more_than_there_are_slots(
    make_server: MakeServer,
) -> None:
    async with make_server(gated=True, workers=6, api_keys=(Secret(BUSY), Secret(QUIET))) as server:
        busy = [await post(server, BUSY) for _ in range(10)]
        quiet = await post(server, QUIET)
        while (await statuses(server, [quiet])) != ["running"]:
            pass
        assert (await statuses(server, busy)).count("running") == 3, "four at once, the last of them for others"


async def test_the_slots_of_a_pipeline_can_be_set(make_server: MakeServer) -> None:
    async with make_server(gated=True, workers=2, pipeline_slots=("csv_import=2",)) as server:
        jobs = [await post(server, "") for _ in range(3)]
        while (await statuses(server, jobs)) != ["running", "running", "queued"]:
            pass


async def test_a_job_is_stored_with_a_digest_of_its_caller_and_with_no_key(make_server: MakeServer) -> None:
    async with make_server(gated=True, api_keys=(Secret(BUSY),)) as server:
        state = (await server.app.service.get(await post(server, BUSY))).state
    assert len(state.caller) == 32
    assert BUSY not in repr(state)
    assert hashlib.sha256(BUSY.encode()).hexdigest()[:32] != state.caller, "nor with what the server compares"


async def test_callers_on_this_machine_are_one_and_their_jobs_have_no_digest(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        assert (await server.app.service.get(await post(server, ""))).state.caller == ""


def test_slots_of_a_pipeline_that_there_is_not_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"ai_scn.*ai_scan, batch_enrichment, csv_import"):
        Shelfwire(Settings(pipeline_slots=("ai_scn=2",)))
