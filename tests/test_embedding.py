"""shelfwire mounted into other people's applications, on real servers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shelfwire.app import Shelfwire
from shelfwire.client import Client, JobRef
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.context import Job
from shelfwire.protocol.follow import Transport
from shelfwire.protocol.messages import JobComplete
from shelfwire.settings import Secret, Settings
from tests.live import bearer

WORDS = {"words": ["one", "", "three"]}


class WordLengths:
    """A pipeline as somebody else writes it."""

    name = "word-lengths.v1"
    columns = ("word", "length")

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def run(self, job: Job) -> str:
        words = json.loads(await job.input("request"))["words"]
        await job.start(total=len(words))
        await self.go.wait()
        async for index, word in job.pending(words):
            if word:
                job.record(index, {"word": word, "length": len(word)}, title=word)
            else:
                job.fail(index, ShelfwireError(Code.INVALID_REQUEST, "an empty word"))
        return f"Measured {job.succeeded} words"


class Host:
    """An application that shelfwire is mounted into, while it is served."""

    def __init__(self, url: str, jobs: Shelfwire, pipeline: WordLengths, http: httpx2.AsyncClient) -> None:
        self.url = url
        self.jobs = jobs
        self.pipeline = pipeline
        self.http = http

    async def create(self) -> dict[str, Any]:
        answer = await self.http.post("/shelfwire/api/pipelines/word-lengths.v1/jobs", json=WORDS)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()["data"]
        return {**job, "location": answer.headers["location"]}

    def socket(self, query: str) -> connect:
        return connect(f"ws{self.url.removeprefix('http')}/shelfwire/ws/progress?{query}", proxy=None)


Make = Callable[[Shelfwire], Any]


def in_fastapi(jobs: Shelfwire) -> FastAPI:
    app = FastAPI(lifespan=jobs.lifespan)
    app.mount("/shelfwire", jobs)
    return app


def in_starlette(jobs: Shelfwire) -> Starlette:
    app = Starlette(lifespan=jobs.lifespan)
    app.mount("/shelfwire", jobs)
    return app


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", **options))
    config = server.config
    config.load()
    with config.bind_socket() as listener:
        listener.listen()
        running = asyncio.create_task(server._serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx2.AsyncClient() as http:
            await http.get(url)  # answered once the application has started
        try:
            yield url
        finally:
            server.should_exit = True
            await running


@pytest.fixture(params=[in_fastapi, in_starlette])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    pipeline = WordLengths()
    jobs = Shelfwire(Settings(data=tmp_path, create_limit=0), pipelines=[pipeline])
    async with served(request.param(jobs)) as url, httpx2.AsyncClient(base_url=url) as http:
        yield Host(url, jobs, pipeline, http)
        pipeline.go.set()


async def test_a_new_job_is_where_its_location_says(host: Host) -> None:
    job = await host.create()
    assert job["location"] == f"/shelfwire{job['links']['self']}"
    state = await host.http.get(job["location"], headers=bearer(job["token"]))
    assert (state.status_code, state.json()["data"]["pipeline"]) == (200, "word-lengths.v1")


async def test_a_job_is_heard_to_its_end_over_every_way(host: Host) -> None:
    job = await host.create()
    ref = JobRef(job["jobId"], job["token"])
    endings: list[JobComplete] = []

    async def follow(transport: Transport) -> None:
        async with Client(f"{host.url}/shelfwire", transports=(transport,)) as client:
            async for message in client.follow(ref):
                if message.type == "job_started":
                    host.pipeline.go.set()
                if isinstance(message.payload, JobComplete):
                    endings.append(message.payload)

    await asyncio.gather(*(follow(transport) for transport in Transport))
    assert endings == [endings[0]] * 3
    results = endings[0].results
    assert results["items"] == [{"word": "one", "length": 3}, {"word": "three", "length": 5}]
    assert [(error["index"], error["code"]) for error in results["errors"]] == [(1, "E_INVALID_REQUEST")]


async def test_results_come_as_a_table_with_the_pipelines_own_columns(host: Host) -> None:
    host.pipeline.go.set()
    async with Client(f"{host.url}/shelfwire") as client:
        job = await client.start("word-lengths.v1", json=WORDS)
        await client.follow(job).run()
        assert [item["ok"] async for item in client.results(job)] == [True, False, True]
        table = b"".join([part async for part in client.export(job, kind="csv")]).decode().splitlines()
    assert table[0] == "index,sourceIndex,ok,title,code,userMessage,word,length"
    assert table[1] == "0,,true,one,,,one,3"


async def test_a_job_is_controlled_and_erased(host: Host) -> None:
    async with Client(f"{host.url}/shelfwire") as client:
        job = await client.start("word-lengths.v1", json=WORDS)
        await client.cancel(job)
        ending = await client.follow(job).run()
        assert ending.type == "error"
        await client.delete(job)


async def test_a_stranger_is_refused_by_the_socket_and_the_routes(host: Host) -> None:
    job = await host.create()
    with pytest.raises(InvalidStatus) as refused:
        await host.socket(f"jobId={job['jobId']}&token=guessed").__aenter__()
    assert refused.value.response.status_code == 401
    answer = await host.http.get(f"{job['location']}/results", headers=bearer("guessed"))
    assert (answer.status_code, answer.json()["code"]) == (401, "E_UNAUTHORIZED")


async def test_health_figures_and_descriptions_are_there(host: Host) -> None:
    await host.create()
    assert (await host.http.get("/shelfwire/health/ready")).json() == {"status": "ok"}
    figures = (await host.http.get("/shelfwire/metrics")).text
    assert 'shelfwire_jobs{pipeline="word-lengths.v1",status="' in figures
    document = (await host.http.get("/shelfwire/schema/openapi.json")).json()
    assert document["servers"] == [{"url": "/shelfwire"}]
    for name in ("asyncapi", "messages"):
        assert (await host.http.get(f"/shelfwire/schema/{name}.json")).status_code == 200


async def test_no_such_route_below_the_mount_is_our_answer_and_above_it_the_hosts(host: Host) -> None:
    ours = await host.http.get("/shelfwire/api/nothing")
    assert (ours.status_code, ours.json()["code"]) == (404, "E_NOT_FOUND")
    theirs = await host.http.get("/api/jobs/x")
    assert theirs.status_code == 404
    assert "E_NOT_FOUND" not in theirs.text


async def test_the_host_starts_a_job_itself_and_hands_its_token_on(host: Host) -> None:
    host.pipeline.go.set()
    token = await host.jobs.start("word-lengths.v1", {"request": json.dumps(WORDS).encode()})
    async with Client(f"{host.url}/shelfwire") as client:
        ending = await client.follow(JobRef(token.job_id, token.token)).run()
    assert isinstance(ending.payload, JobComplete)
    assert ending.payload.summary == "Measured 2 words"


async def test_the_hosts_own_lifespan_goes_around_ours(tmp_path: Path) -> None:
    jobs = Shelfwire(Settings(data=tmp_path))
    order = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        async with jobs.lifespan(app):
            order.append(await jobs.service.ready())
            yield {"database": "the host's"}
            order.append(await jobs.service.ready())

    app = FastAPI(lifespan=lifespan)
    app.mount("/shelfwire", jobs)
    async with served(app) as url, httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/shelfwire/health/ready")).status_code == 200
    assert order == [True, True]
    with pytest.raises(RuntimeError, match="lifespan"):
        _ = jobs.service


async def test_a_host_that_forgot_the_lifespan_is_told_in_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = FastAPI()
    app.mount("/shelfwire", Shelfwire(Settings(data=tmp_path)))
    async with served(app) as url, httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/shelfwire/health/ready")).status_code == 500
    assert "hand its lifespan to the application" in capsys.readouterr().out


async def test_a_proxy_that_cuts_the_path_off_is_told_of_by_the_servers_root_path(tmp_path: Path) -> None:
    jobs = Shelfwire(Settings(data=tmp_path))

    async def alone(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            return await jobs(scope, receive, send)
        return await jobs.litestar(scope, receive, send)

    async with served(alone, root_path="/books") as url, httpx2.AsyncClient(base_url=url) as http:
        answer = await http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")})
        assert answer.headers["location"] == f"/books/api/jobs/{answer.json()['data']['jobId']}"


async def test_api_keys_hold_below_a_mount_too(tmp_path: Path) -> None:
    jobs = Shelfwire(Settings(data=tmp_path, api_keys=(Secret("0123456789abcdef"),)), pipelines=[WordLengths()])
    async with served(in_fastapi(jobs)) as url, httpx2.AsyncClient(base_url=url) as http:
        path = "/shelfwire/api/pipelines/word-lengths.v1/jobs"
        assert (await http.post(path, json=WORDS)).status_code == 401
        answer = await http.post(path, json=WORDS, headers={"X-API-Key": "0123456789abcdef"})
        assert answer.status_code == 202
