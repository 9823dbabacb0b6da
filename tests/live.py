"""A real server on loopback, with a pipeline that goes on when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from shelfwire.app import Shelfwire
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.service import JobService
from shelfwire.protocol.job import create
from shelfwire.protocol.messages import Message, decode
from shelfwire.protocol.tokens import Grant, digest
from shelfwire.server.serving import serving
from tests.books.applications import settings_with


class Gated(Pipeline):
    """A stand-in for the import that records a book whenever the test lets it."""

    name = "csv_import"

    def __init__(self) -> None:
        self.steps: asyncio.Queue[int | None] = asyncio.Queue()

    async def run(self, job: Job) -> str:
        await job.start(total=1000, metadata=job.metadata)
        index = job.succeeded
        while (count := await self.steps.get()) is not None:
            for _ in range(count):
                job.record(index, {"title": f"Book {index}"}, title=f"Book {index}")
                index += 1
        return "Done"


@dataclass
class Server:
    """A running server, and how to talk to it."""

    url: str
    app: Shelfwire
    http: httpx2.AsyncClient
    gate: Gated = field(default_factory=Gated)

    async def submit(self, data: bytes = b"Title\nEmma\n", name: str = "books.csv") -> dict[str, Any]:
        response = await self.http.post("/api/import/csv-gemini", files={"file": (name, data)})
        assert response.status_code == 202, response.text
        created: dict[str, Any] = response.json()["data"]
        return created

    def socket(self, job: dict[str, Any] | None = None, query: str | None = None, **options: Any) -> connect:
        query = query if query is not None else f"jobId={job['jobId']}&token={job['token']}" if job else ""
        return connect(f"ws{self.url.removeprefix('http')}/ws/progress?{query}", proxy=None, **options)

    async def ask(self, method: str, job: dict[str, Any], below: str = "", **options: Any) -> httpx2.Response:
        """Ask something of a job with its token."""
        headers = {**bearer(job["token"]), **options.pop("headers", {})}
        return await self.http.request(method, f"/api/jobs/{job['jobId']}{below}", headers=headers, **options)

    async def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job's state once its ending was told."""
        async with self.socket(job) as socket:
            async for _ in socket:
                pass
        return await self.state(job)

    async def state(self, job: dict[str, Any]) -> dict[str, Any]:
        response = await self.http.get(f"/api/jobs/{job['jobId']}", headers=bearer(job["token"]))
        assert response.status_code == 200, response.text
        state: dict[str, Any] = response.json()["data"]
        return state


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def grant_job(server: Server, token: str, **grant: Any) -> str:
    """Put a job with a token of the test's own making into the server's store."""
    service: JobService = server.app.service
    state = create("a-job", "another pipeline", now=service.now())
    await service._store.create(state, Grant(digest=digest(token), job_id=state.id, **grant))
    return state.id


async def until(seen: Callable[[], bool]) -> None:
    """Let everything else go on until something is seen."""
    async with asyncio.timeout(60):
        for _ in iter(int, 1):
            if seen():
                return
            await asyncio.sleep(0)


async def next_message(socket: ClientConnection) -> Message:
    message = decode(await socket.recv())
    assert isinstance(message, Message)
    return message


async def next_of(socket: ClientConnection, kind: str) -> Message:
    """The next message of a type; others are passed over."""
    while (message := await next_message(socket)).type != kind:
        pass
    return message


class MakeServer(Protocol):
    """Starts a server on the test's data folder; `gated` replaces the import by one that waits for the test."""

    def __call__(self, *, gated: bool = False, **settings: Any) -> AbstractAsyncContextManager[Server]: ...


@asynccontextmanager
async def live_server(
    folder: Path, *, gated: bool = False, port: int = 0, pipelines: Sequence[Pipeline] = (), **options: Any
) -> AsyncIterator[Server]:
    """Run a server on a data folder within a test."""
    settings = settings_with(data=folder, port=port, **{"create_limit": 0, **options})
    gate = Gated()
    app = Shelfwire(settings, pipelines=[gate] if gated else pipelines)
    async with serving(app, settings) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        yield Server(url, app, http, gate)
