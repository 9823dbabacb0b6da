"""Making jobs over HTTP: repetition, chosen ids, any pipeline."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.app import Shelfwire
from shelfwire.errors import Code
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.protocol.messages import JobStarted
from shelfwire.server.serving import serving
from shelfwire.settings import Secret, Settings
from tests.live import MakeServer, Server, next_of

CSV = b"Title\nEmma\n"
IMPORT = "/api/import/csv-gemini"


async def post(server: Server, data: bytes = CSV, key: str | None = None, **fields: str) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await server.http.post(IMPORT, files={"file": ("books.csv", data)}, data=fields, headers=headers)


async def test_a_repeated_request_gets_the_first_job_and_one_more_token(make_server: MakeServer) -> None:
    async with make_server() as server:
        first, second = (await post(server, key="a-key")), (await post(server, key="a-key"))
        one, two = first.json()["data"], second.json()["data"]
        assert second.status_code == 202
        assert one["jobId"] == two["jobId"]
        assert one["token"] != two["token"]
        assert await server.ended(one) == await server.state(two)


async def test_of_concurrent_repetitions_one_makes_the_job(make_server: MakeServer) -> None:
    async with make_server() as server:
        answers = await asyncio.gather(*(post(server, key="a-key") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["data"]["jobId"] for answer in answers}) == 1
        assert len({answer.json()["data"]["token"] for answer in answers}) == 8


async def test_the_same_key_with_another_file_is_refused(make_server: MakeServer) -> None:
    async with make_server() as server:
        await post(server, key="a-key")
        refused = await post(server, b"Title\nDune\n", key="a-key")
        assert (refused.status_code, refused.json()["code"]) == (422, Code.IDEMPOTENCY_MISMATCH)
        assert (await post(server, b"Title\nDune\n")).status_code == 202, "without the key it is another job"


async def test_a_key_of_one_caller_means_nothing_for_another(make_server: MakeServer) -> None:
    one, two = "a-key-of-the-first-caller", "a-key-of-the-second-caller"
    async with make_server(api_keys=[Secret(one), Secret(two)]) as server:
        made = [
            await server.http.post(
                IMPORT, files={"file": ("b.csv", CSV)}, headers={"Idempotency-Key": "same", "X-API-Key": key}
            )
            for key in (one, two, one)
        ]
    jobs = [answer.json()["data"]["jobId"] for answer in made]
    assert jobs[0] == jobs[2] != jobs[1]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_cannot_be_kept_is_refused(make_server: MakeServer, key: str) -> None:
    async with make_server() as server:
        refused = await post(server, key=key)
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)
    assert "Idempotency-Key" in refused.json()["detail"]


async def test_a_chosen_id_is_the_jobs_and_taken_it_is_refused(make_server: MakeServer) -> None:
    wanted = str(uuid.uuid4())
    async with make_server() as server:
        first = (await post(server, jobId=wanted.upper())).json()["data"]
        assert first["jobId"] == wanted
        before = await server.ended(first)
        refused = await post(server, b"Title\nDune\n", jobId=wanted)
        assert (refused.status_code, refused.json()["code"]) == (409, Code.JOB_EXISTS)
        assert "token" not in refused.text
        assert await server.state(first) == before, "nothing was taken from it"


async def test_a_client_that_writes_ids_in_capitals_can_do_everything_with_its_job(make_server: MakeServer) -> None:
    wanted = str(uuid.uuid4()).upper()
    async with make_server() as server:
        job = {**(await post(server, jobId=wanted)).json()["data"], "jobId": wanted}
        assert (await server.ended(job))["jobId"] == wanted.lower()
        done = [
            (await server.ask(method, job, below)).status_code
            for method, below in [
                ("GET", "?after=1&wait=1"),
                ("GET", "/results"),
                ("GET", "/events"),
                ("POST", "/cancel"),
                ("POST", "/retry"),
                ("POST", "/token"),
                ("DELETE", ""),
            ]
        ]
    assert done == [200, 200, 200, 409, 409, 200, 204]


@pytest.mark.parametrize(
    "wanted", ["../../etc", "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}", "f81d4fae7dec11d0a76500a0c91e6bf6", "\u0661" * 32]
)
async def test_an_id_that_is_no_uuid_is_refused(make_server: MakeServer, wanted: str) -> None:
    async with make_server() as server:
        refused = await post(server, jobId=wanted)
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)


class Echo(Pipeline):
    """A pipeline of somebody's own: tells what it was given."""

    name = "echo"

    async def run(self, job: Job) -> str:
        await job.start(total=1)
        given = {name: (await job.input(name)).decode() for name in ("request", "one", "two")}
        job.record(0, given, title="What came")
        return "Said it"


@asynccontextmanager
async def echoing(folder: Path) -> AsyncIterator[Server]:
    settings = Settings(data=folder, port=0, create_limit=0)
    app = Shelfwire(settings, pipelines=[Echo()])
    async with serving(app, settings) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        yield Server(url, app, http)


async def given_to(server: Server, **request: Any) -> dict[str, Any]:
    answer = await server.http.post("/api/pipelines/echo/jobs", **request)
    assert answer.status_code == 202, answer.text
    state = await server.ended(answer.json()["data"])
    assert state["pipeline"] == "echo"
    given: dict[str, Any] = state["results"]["items"][0]
    return given


async def test_a_json_body_is_the_input_of_any_pipeline(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        given = await given_to(server, json={"books": ["Emma"]})
    assert given == {"request": '{"books":["Emma"]}', "one": "", "two": ""}


async def test_each_field_of_a_form_is_an_input_of_its_name(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        given = await given_to(server, files={"one": ("1.txt", b"first"), "two": ("2.txt", b"second")})
    assert given == {"request": "", "one": "first", "two": "second"}


async def test_a_repeated_json_request_is_known_by_what_it_says(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
    async with echoing(tmp_path) as server:
        answers = [
            await server.http.post("/api/pipelines/echo/jobs", content=body, headers=key)
            for body in ('{"a": 1, "b": 2}', '{ "b":2, "a":1 }', '{"a": 1, "b": 3}')
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 422]
    assert answers[0].json()["data"]["jobId"] == answers[1].json()["data"]["jobId"]


async def test_a_pipeline_nobody_has_is_not_found_and_the_known_ones_are_named(make_server: MakeServer) -> None:
    async with make_server(remote_pipelines=("pdf_report",)) as server:
        missing = await server.http.post("/api/pipelines/poetry/jobs", json={})
    assert (missing.status_code, missing.json()["code"]) == (404, Code.NOT_FOUND)
    assert "csv_import" in missing.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"jobId": 7}', b"\xff", b'{"title": "\xff"}', b"[" * 100_000 + b"]" * 100_000]
)
async def test_a_json_body_that_cannot_be_used_is_refused(make_server: MakeServer, body: bytes) -> None:
    async with make_server() as server:
        refused = await server.http.post(
            "/api/pipelines/csv_import/jobs", content=body, headers={"Content-Type": "application/json"}
        )
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)


async def test_a_host_starts_jobs_from_inside(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        token = await server.app.start("echo", {"request": b"from inside"})
        state = await server.ended({"jobId": token.job_id, "token": token.token})
    assert state["results"]["items"][0]["request"] == "from inside"


async def test_a_body_of_more_values_than_can_be_parsed_in_a_moment_is_refused(make_server: MakeServer) -> None:
    async with make_server() as server:
        body = b"[" + b"[]," * 300_000 + b"[]]"
        refused = await server.http.post(
            "/api/pipelines/csv_import/jobs", content=body, headers={"Content-Type": "application/json"}
        )
        assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)
        assert "300,000 values" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("books\u202evsc.exe", "books vsc.exe"),
        ("a\x00b\x1b[2J\u2028c.csv", "a b [2J c.csv"),
        ("Bücher\u200b.csv", "Bücher.csv"),
        ("\u202e\u2066 ", None),
        ("\u202e" * 300 + "late.csv", "late.csv"),
    ],
)
async def test_a_file_name_loses_what_turns_a_line_around_or_moves_a_cursor(
    make_server: MakeServer, sent: str, shown: str | None
) -> None:
    body = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n\r\nTitle\nEmma\n\r\n--b--\r\n'
    async with make_server(gated=True) as server:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await server.http.post(IMPORT, content=body.encode(), headers=kind)
        assert answer.status_code == 202, answer.text
        async with server.socket(answer.json()["data"]) as socket:
            started = await next_of(socket, "job_started")
    assert isinstance(started.payload, JobStarted)
    assert started.payload.metadata is not None
    assert started.payload.metadata.file_name == shown
