"""shelfwire mounted into other applications, behind servers that are not its own."""

import asyncio
import contextlib
import importlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from examples.own_pipeline import WordCount
from fastapi import FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shelfwire.app import Shelfwire
from shelfwire.client import Client, RefusedError
from shelfwire.client.http import Upload
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.protocol.messages import JobComplete, decode
from shelfwire.protocol.reconnect import Transport
from shelfwire.server.ws_protocol import WebSocketProtocol
from shelfwire.settings import Secret, Settings
from tests.hosts import HOSTS, MOUNT, hosting, in_fastapi, in_starlette
from tests.live import bearer, until

KEY = "an-api-key-of-the-host"
TEXT = b"one two\n\nthree"
TRUST = ssl.create_default_context()
"""Made once: it takes a tenth of a second."""
ITEMS = [{"line": 1, "words": 2}, {"line": 3, "words": 1}]

_OLD = pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:remove second argument")
"""One of uvicorn's sockets is on its way out, and hosts use it still."""


class Waiting(Pipeline):
    """Starts, and goes on until it is told to stop."""

    name = "word_count"

    async def run(self, job: Job) -> str:
        await job.start(1)
        await asyncio.Event().wait()
        raise AssertionError


def shelfwire(folder: Path, *pipelines: Any, **settings: Any) -> Shelfwire:
    own = Settings(data=folder / "data", **{"create_limit": 0, **settings})
    return Shelfwire(own, pipelines=pipelines or [WordCount()])


@asynccontextmanager
async def mounted(app: Any, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve a host, and speak to it from its root."""
    async with hosting(app, **options) as url, httpx2.AsyncClient(base_url=url, verify=TRUST, timeout=60) as http:
        yield http


def socket_of(http: httpx2.AsyncClient, job_id: str, token: str) -> connect:
    url = str(http.base_url).replace("http", "ws", 1).rstrip("/")
    return connect(f"{url}{MOUNT}/ws/progress?jobId={job_id}", additional_headers=bearer(token), proxy=None)


async def submit(http: httpx2.AsyncClient, text: bytes = TEXT) -> tuple[str, dict[str, Any]]:
    """Start a job; its address and what was said of it."""
    answer = await http.post(f"{MOUNT}/api/pipelines/word_count/jobs", files={"file": ("poem.txt", text)})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"], answer.json()["data"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_job_is_made_followed_and_read_below_the_mount(tmp_path: Path, host: str) -> None:
    async with mounted(HOSTS[host](shelfwire(tmp_path))) as http:
        location, job = await submit(http)
        assert location == f"{MOUNT}/api/jobs/{job['jobId']}"
        headers = bearer(job["token"])
        events = await http.get(f"{location}/events", headers=headers)
        told = [line.removeprefix("data: ") for line in events.text.splitlines() if line.startswith("data: ")]
        ending = decode(told[-1])
        state = (await http.get(f"{location}?after=1&wait=30", headers=headers)).json()["data"]
        table = await http.get(f"{location}/results", headers={**headers, "Accept": "text/csv"})
        lines = await http.get(f"{location}/results?limit=1", headers={**headers, "Accept": "application/x-ndjson"})
    assert isinstance(ending.payload, JobComplete)  # type: ignore[union-attr]
    assert (state["pipeline"], state["status"]) == ("word_count", "complete")
    assert state["results"]["items"] == ITEMS
    assert [error["userMessage"] for error in state["results"]["errors"]] == ["Line 2 is empty."]
    assert set(state["results"]) == {"items", "errors"}
    assert table.text.splitlines() == [
        "index,sourceIndex,ok,title,code,userMessage,line,words",
        "0,,true,one two,,,1,2",
        "1,,false,,E_LINE_EMPTY,Line 2 is empty.,,",
        "2,,true,three,,,3,1",
    ]
    assert len(lines.text.splitlines()) == 1
    assert 'rel="next"' in lines.headers["link"]


@_OLD
@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio", "wsproto", WebSocketProtocol])
async def test_the_progress_socket_tells_everything_below_the_mount(tmp_path: Path, ws: Any) -> None:
    async with mounted(in_starlette(shelfwire(tmp_path)), ws=ws) as http:
        _, job = await submit(http)
        async with socket_of(http, job["jobId"], job["token"]) as socket:
            told = [decode(frame) async for frame in socket]
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(http, job["jobId"], "wrong")
    assert told[-1].type == "job_complete"
    assert (socket.close_code, socket.close_reason) == (1000, "Job completed")
    answer = refused.value.response
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.body is not None
    assert Code.UNAUTHORIZED in bytes(answer.body).decode()


@_OLD
@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio", "wsproto"])
async def test_a_server_that_cannot_answer_a_handshake_closes_it_cleanly(
    tmp_path: Path, ws: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = in_starlette(shelfwire(tmp_path))

    async def poorer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}} if scope["type"] == "websocket" else scope, receive, send)

    async with mounted(poorer, ws=ws) as http:
        _, job = await submit(http)
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(http, job["jobId"], "wrong")
        async with socket_of(http, job["jobId"], job["token"]) as socket:
            told = [decode(frame).type async for frame in socket]
    assert refused.value.response.status_code == 403
    assert told[-1] == "job_complete"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_whose_socket_was_closed_unanswered_learns_why_another_way(tmp_path: Path) -> None:
    app = in_starlette(shelfwire(tmp_path))

    async def poorer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": None}, receive, send)

    async with mounted(poorer) as http, Client(f"{http.base_url}{MOUNT}") as client:
        job = await client.start("word_count", file=Upload("poem.txt", TEXT))
        await client.delete(job)
        with pytest.raises(RefusedError) as refused:
            async for _ in client.follow(job):
                pass
    assert refused.value.code == Code.UNAUTHORIZED


async def test_a_frame_that_is_too_big_is_refused_where_the_server_lets_it_through(tmp_path: Path) -> None:
    async with mounted(in_starlette(shelfwire(tmp_path, Waiting()))) as http:
        _, job = await submit(http)
        async with socket_of(http, job["jobId"], job["token"]) as socket:
            await socket.send(" " * 70_000)
            with contextlib.suppress(ConnectionClosed):
                async for _ in socket:
                    pass
    assert socket.close_code == 1009


@pytest.mark.parametrize("transport", list(Transport))
async def test_the_client_takes_an_address_with_a_path(tmp_path: Path, transport: Transport) -> None:
    async with (
        hosting(in_fastapi(shelfwire(tmp_path), "/deep/er")) as url,
        Client(f"{url}/deep/er/", transports=[transport]) as client,
    ):
        job = await client.start("word_count", file=Upload("poem.txt", TEXT))
        told = [message async for message in client.follow(job)]
        items = [item["result"] async for item in client.results(job, status="ok")]
    assert told[-1].type == "job_complete"
    assert {message.pipeline for message in told} == {"word_count"}
    assert items == ITEMS


async def test_the_descriptions_say_where_everything_is(tmp_path: Path) -> None:
    async with mounted(in_fastapi(shelfwire(tmp_path))) as http:
        openapi = (await http.get(f"{MOUNT}/schema/openapi.json")).json()
        asyncapi = (await http.get(f"{MOUNT}/schema/asyncapi.json")).json()
        messages = (await http.get(f"{MOUNT}/schema/messages.json")).json()
        hosts_own = (await http.get("/openapi.json")).json()
    assert openapi["servers"] == [{"url": MOUNT}]
    assert {"/api/jobs/{jobId}", "/api/pipelines/{pipeline}/jobs"} <= set(openapi["paths"])
    assert asyncapi["servers"]["shelfwire"]["pathname"] == MOUNT
    assert messages["title"] == "Message"
    assert hosts_own["paths"] == {}, "ours are not in the host's document"


async def test_metrics_and_health_are_below_the_mount_and_count_the_custom_pipeline(tmp_path: Path) -> None:
    async with mounted(in_fastapi(shelfwire(tmp_path))) as http:
        location, job = await submit(http)
        await http.get(f"{location}/events", headers=bearer(job["token"]))
        ready = await http.get(f"{MOUNT}/health/ready")
        figures = (await http.get(f"{MOUNT}/metrics")).text
    assert ready.status_code == 200
    assert 'shelfwire_jobs{pipeline="word_count",scope="cluster",status="complete"} 1.0' in figures
    assert 'shelfwire_items_total{outcome="ok",pipeline="word_count"} 2.0' in figures


async def test_the_log_has_the_whole_path_and_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with mounted(in_fastapi(shelfwire(tmp_path))) as http:
        location, job = await submit(http)
        await http.get(f"{location}/events?token={job['token']}")
        missing = await http.get(f"{MOUNT}/nothing?token={job['token']}")
    log = capsys.readouterr().out
    assert f"path={location}/events" in log
    assert job["token"] not in log
    assert missing.json()["detail"] == f"No such route: {MOUNT}/nothing"


async def test_a_host_reads_its_own_request_after_it_was_answered(tmp_path: Path) -> None:
    jobs, seen = shelfwire(tmp_path), []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        async with jobs.lifespan(app):
            yield {"theirs": "kept"}

    app = FastAPI(lifespan=lifespan)
    app.mount(MOUNT, jobs)

    @app.middleware("http")
    async def watching(request: Request, go_on: Any) -> Any:
        answer = await go_on(request)
        seen.append((request.scope["path"], request.app, request.state.theirs, len(request.scope["state"])))
        return answer

    async with mounted(app) as http:
        location, job = await submit(http)
        assert (await http.get(f"{location}/events", headers=bearer(job["token"]))).status_code == 200
        assert (await http.get(f"{MOUNT}/nothing")).status_code == 404
    assert seen == [
        (f"{MOUNT}/api/pipelines/word_count/jobs", app, "kept", 1),
        (f"{location}/events", app, "kept", 1),
        (f"{MOUNT}/nothing", app, "kept", 1),
    ]


async def test_a_hosts_own_lifespan_enters_ours_and_finds_the_jobs_running(tmp_path: Path) -> None:
    jobs, story = shelfwire(tmp_path), []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        story.append("the host's database opens")
        async with jobs.lifespan():
            token = await jobs.start("word_count", {"file": TEXT})
            async with jobs.service.follow(token.job_id) as follower:
                async for frame in follower.frames():
                    ending = frame
            story.append(f"a job is {ending.state.status} before the first request")
            yield
        story.append("the host's database closes")

    app = FastAPI(lifespan=lifespan)
    app.mount(MOUNT, jobs)
    async with mounted(app) as http:
        assert (await http.get(f"{MOUNT}/health/ready")).status_code == 200
    assert story == [
        "the host's database opens",
        "a job is complete before the first request",
        "the host's database closes",
    ]
    with pytest.raises(RuntimeError, match="hand its lifespan"):
        await jobs.start("word_count", {})


async def test_a_job_that_the_host_starts_is_followed_with_its_token(tmp_path: Path) -> None:
    jobs = shelfwire(tmp_path)
    async with mounted(in_fastapi(jobs)) as http:
        token = await jobs.start("word_count", {"file": TEXT})
        async with socket_of(http, token.job_id, token.token) as socket:
            told = [decode(frame) async for frame in socket]
        with pytest.raises(ShelfwireError, match=r"no pipeline.*csv_import, word_count") as unknown:
            await jobs.start("poetry", {"file": TEXT})
    assert told[-1].type == "job_complete"
    assert unknown.value.code == Code.NOT_FOUND


async def test_the_same_object_starts_again_where_it_stopped(tmp_path: Path) -> None:
    jobs = shelfwire(tmp_path)
    app = in_starlette(jobs)
    async with mounted(app) as http:
        location, job = await submit(http)
    async with mounted(app) as http:
        events = await http.get(f"{location}/events", headers=bearer(job["token"]))
    assert "event: job_complete" in events.text


async def test_a_host_that_stops_ends_open_streams_and_hands_the_job_back(tmp_path: Path) -> None:
    class Once(Pipeline):
        """Waits for ever in its first attempt, and is done in the second."""

        name = "word_count"

        async def run(self, job: Job) -> str:
            await job.start(1)
            if job.attempt == 1:
                await asyncio.Event().wait()
            job.record(0, "counted")
            return "Done"

    app = in_starlette(shelfwire(tmp_path, Once()))
    async with httpx2.AsyncClient(verify=TRUST, timeout=60) as http, hosting(app, timeout_graceful_shutdown=0) as url:
        http.base_url = httpx2.URL(url)
        location, job = await submit(http)
        headers = bearer(job["token"])
        stream = http.build_request("GET", f"{location}/events", headers=headers)
        async for line in (await http.send(stream, stream=True)).aiter_lines():
            if line == "event: job_started":
                break  # and leave it open
    async with mounted(app) as http:
        events = await http.get(f"{location}/events", headers=headers)
    assert "event: job_complete" in events.text


async def test_a_middleware_of_the_host_lets_progress_through_as_it_goes(tmp_path: Path) -> None:
    gate = asyncio.Event()

    class Gated(Pipeline):
        name = "word_count"

        async def run(self, job: Job) -> str:
            await job.start(1)
            await gate.wait()
            job.record(0, "counted")
            return "Done"

    async def passing(request: Any, go_on: Any) -> Any:
        return await go_on(request)

    jobs = shelfwire(tmp_path, Gated())
    app = in_starlette(jobs)
    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    async with mounted(app) as http:
        location, job = await submit(http)
        async with http.stream("GET", f"{location}/events", headers=bearer(job["token"])) as left:
            async for line in left.aiter_lines():
                if line == "event: job_started":
                    break
        await until(lambda: jobs.service._hub.transports().get("events", 0) == 0)
        async with http.stream("GET", f"{location}/events", headers=bearer(job["token"])) as events:
            async for line in events.aiter_lines():
                if line == "event: job_started":
                    gate.set()
                if line == "event: job_complete":
                    break


async def test_a_mount_with_odd_letters_or_a_callers_own_is_encoded_where_it_is_quoted(tmp_path: Path) -> None:
    jobs = shelfwire(tmp_path)
    app = in_starlette(jobs, "/bücher {tenant}")
    async with mounted(app) as http:
        base = "/b%C3%BCcher%20a%0D%0AX-Injected:%20b"
        answer = await http.post(f"{base}/api/pipelines/word_count/jobs", files={"file": ("poem.txt", TEXT)})
        location = answer.headers["location"]
        state = await http.get(location, headers=bearer(answer.json()["data"]["token"]))
    assert "x-injected" not in answer.headers
    assert location.startswith(f"{base}/api/jobs/")
    assert state.status_code == 200


@pytest.mark.parametrize("mount", ["/a", "/api/jobs"])
async def test_a_mount_that_looks_like_a_path_of_ours_does_no_harm(tmp_path: Path, mount: str) -> None:
    app = in_starlette(shelfwire(tmp_path), mount)
    async with hosting(app) as url, Client(url + mount) as client:
        job = await client.start("word_count", file=Upload("poem.txt", TEXT))
        told = [message.type async for message in client.follow(job)]
    assert told[-1] == "job_complete"


async def test_a_proxy_that_cuts_the_path_off_is_told_of_by_the_servers_root_path(tmp_path: Path) -> None:
    async with mounted(in_fastapi(shelfwire(tmp_path)), root_path="/proxy") as http:
        location, job = await submit(http)
        described = (await http.get(f"{MOUNT}/schema/openapi.json")).json()["servers"]
        behind = await http.get(location.removeprefix("/proxy"), headers=bearer(job["token"]))
    assert location.startswith(f"/proxy{MOUNT}/api/jobs/")
    assert described == [{"url": f"/proxy{MOUNT}"}]
    assert behind.status_code == 200


async def test_an_owner_controls_and_erases_a_job_below_the_mount(tmp_path: Path) -> None:
    async with mounted(in_fastapi(shelfwire(tmp_path, Waiting(), api_keys=(Secret(KEY),)))) as http:
        refused = await http.post(f"{MOUNT}/api/pipelines/word_count/jobs", files={"file": ("poem.txt", TEXT)})
        http.headers["X-API-Key"] = KEY
        location, job = await submit(http)
        headers = bearer(job["token"])
        answers = [
            (await http.post(f"{location}/{wish}", headers=headers)).status_code
            for wish in ("pause", "cancel", "token")
        ]
        gone = [(await http.request(how, location, headers=headers)).status_code for how in ("DELETE", "GET")]
    assert (refused.status_code, refused.json()["code"]) == (401, Code.UNAUTHORIZED)
    assert answers == [200, 200, 200]
    assert gone == [204, 401]


async def test_two_of_them_live_in_one_host(tmp_path: Path) -> None:
    one, two = shelfwire(tmp_path / "one"), shelfwire(tmp_path / "two")

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with one.lifespan(), two.lifespan():
            yield

    app = FastAPI(lifespan=lifespan, routes=[Mount("/one", one), Mount("/two", two)])
    async with hosting(app) as url, Client(f"{url}/one") as first, Client(f"{url}/two") as second:
        job = await first.start("word_count", file=Upload("poem.txt", TEXT))
        with pytest.raises(RefusedError):
            await second.state(job)
        assert (await first.state(job))["jobId"] == job.job_id


async def test_a_host_that_forgets_the_lifespan_is_told_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = FastAPI()
    app.mount(MOUNT, shelfwire(tmp_path))
    async with mounted(app) as http:
        answer = await http.post(f"{MOUNT}/api/pipelines/word_count/jobs", files={"file": ("poem.txt", TEXT)})
        with pytest.raises(InvalidStatus):
            await socket_of(http, "x", "y")
    assert (answer.status_code, answer.json()["code"]) == (500, Code.INTERNAL)
    assert "hand its lifespan to the application" in capsys.readouterr().out


async def test_the_example_of_a_host_imports_a_book_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWIRE_DATA", str(tmp_path))
    example = importlib.reload(importlib.import_module("examples.embed_fastapi"))
    async with mounted(example.app) as http:
        job = (await http.post("/books", content=b"Title\nEmma\n")).json()
        events = await http.get(f"{MOUNT}/api/jobs/{job['jobId']}/events", headers=bearer(job["token"]))
    assert "Imported 1 book" in events.text
