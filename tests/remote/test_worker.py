"""Pipelines run in another process than the server's store: here, over HTTP, against a real server."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shelfwire.client import Client, JobHandle, RefusedError, Upload
from shelfwire.errors import Code, CodeEntry, ErrorCode, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.store import Item
from shelfwire.remote import RemoteWorker
from shelfwire.settings import Secret
from tests.live import MakeServer, Server
from tests.ports import free_port
from tests.servers import Server as ServerProcess

Body = Callable[[Job], Awaitable[str]]


class LineCode(ErrorCode):
    BROKEN = "E_LINES_BROKEN", CodeEntry(422, retryable=False, message="broken", user_message="The file is broken.")


class Options(msgspec.Struct):
    loud: bool = False
    times: int = 1


class Lines(Pipeline):
    name = "lines"
    options = Options
    results_name = "lines"

    def __init__(self, body: Body | None = None) -> None:
        self.body = body

    async def run(self, job: Job) -> str:
        if self.body is not None:
            return await self.body(job)
        lines = (await job.input("file")).decode().splitlines()
        await job.start(len(lines))
        async for index, line in job.pending(lines):
            job.record(index, (line.upper() if job.options.loud else line) * job.options.times, title=line)
        return f"{job.succeeded} lines"


class Folded(Lines):
    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        return {"longest": max(len(msgspec.json.decode(item.body)) for item in items)}


class Large(Lines):
    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        return {"much": "x" * 200_000, "of": len(items)}


@contextlib.asynccontextmanager
async def working(server: Server, *pipelines: Pipeline, **options: Any) -> AsyncIterator[Client]:
    """A worker elsewhere, and a client."""
    worker = asyncio.create_task(RemoteWorker(server.url, pipelines=pipelines, **options).run())
    async with Client(server.url) as client:
        try:
            yield client
        finally:
            worker.cancel()
            await asyncio.wait({worker})
            assert worker.cancelled()


async def submit(server: Server, text: str = "one\ntwo", **fields: str) -> JobHandle:
    files = {"file": ("a.txt", text.encode())}
    response = await server.http.post("/api/pipelines/lines/jobs", files=files, data=fields)
    created = response.raise_for_status().json()["data"]
    return JobHandle(created["jobId"], created["token"])


async def ended(client: Client, job: JobHandle) -> dict[str, Any]:
    async with asyncio.timeout(60):
        await client.follow(job).run()
    return await client.state(job)


async def test_options_are_form_fields_and_results_have_their_name(make_server: MakeServer) -> None:
    async with make_server() as server, working(server, Lines()) as client:
        state = await ended(client, await submit(server, loud="true", times="2"))
        assert state["results"] == {"lines": ["ONEONE", "TWOTWO"], "errors": []}
        refused = await ended(client, await submit(server, times="many"))
        assert (refused["status"], refused["error"]["code"]) == ("failed", Code.INVALID_REQUEST)


async def test_a_pipeline_folds_its_results_elsewhere_too(make_server: MakeServer) -> None:
    async with make_server() as server, working(server, Folded()) as client:
        state = await ended(client, await submit(server, "one\ntwo\nseven"))
        assert (state["results"], state["summary"]) == ({"longest": 5, "errors": []}, "3 lines")


async def test_a_summary_says_that_only_the_first_results_were_folded(make_server: MakeServer) -> None:
    async def body(job: Job) -> str:
        await job.start(9)
        async for index, _ in job.pending(range(9)):
            job.record(index, "x" * 100_000)
        return "Done"

    async with make_server() as server, working(server, Folded(body)) as client:
        state = await ended(client, await submit(server))
        assert state["results"] == {"longest": 100_000, "errors": []}
        assert state["summary"] == "Done. Only the first results are shown here; the rest can be fetched."


async def test_results_that_the_server_refuses_are_listed_plainly(make_server: MakeServer) -> None:
    async with make_server(inline_results=1000) as server, working(server, Large()) as client:
        state = await ended(client, await submit(server))
        assert (state["status"], state["results"]) == ("complete", {"items": ["one", "two"], "errors": []})


async def test_a_pipeline_that_blocks_its_event_loop_keeps_its_job(make_server: MakeServer) -> None:
    async def body(job: Job) -> str:
        await job.start(1)
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            pass
        job.record(0, 0)
        return "Done"

    def run_in_a_thread(url: str) -> None:
        async def work() -> None:
            task = asyncio.create_task(RemoteWorker(url, pipelines=[Lines(body)], lease=1).run())
            await asyncio.to_thread(over.wait)
            task.cancel()
            await asyncio.wait({task})

        asyncio.run(work())

    over = threading.Event()
    async with make_server() as server, Client(server.url) as client:
        thread = asyncio.create_task(asyncio.to_thread(run_in_a_thread, server.url))
        state = await ended(client, await submit(server))
        over.set()
        await thread
    assert (state["status"], state["attempt"]) == ("complete", 1)


async def test_a_pause_hands_the_job_back_and_resuming_goes_on_behind_what_is_recorded(make_server: MakeServer) -> None:
    attempts: list[tuple[int, int]] = []
    going = asyncio.Event()

    async def body(job: Job) -> str:
        await job.start(3)
        async for index, _ in job.pending(range(3)):
            attempts.append((job.attempt, index))
            job.record(index, index)
            if job.attempt == 1 and index == 1:
                going.set()
                await asyncio.Event().wait()
        return "Done"

    async with make_server() as server, working(server, Lines(body)) as client:
        job = await submit(server)
        await going.wait()
        await client.pause(job)
        async for message in client.follow(job):
            if getattr(message.payload, "state", None) == "paused":
                break
        await client.resume(job)
        assert (await ended(client, job))["successCount"] == 3
    assert attempts == [(1, 0), (1, 1), (2, 2)]


async def test_a_worker_that_is_stopped_hands_its_jobs_back_at_once(make_server: MakeServer) -> None:
    going = asyncio.Event()

    async def waiting(job: Job) -> str:
        await job.start(2)
        job.record(0, "first")
        going.set()
        await asyncio.Event().wait()
        return "never"

    async with make_server() as server:
        async with working(server, Lines(waiting), lease=600) as client:
            job = await submit(server)
            await going.wait()
        async with working(server, Lines()) as client:
            state = await ended(client, job)
    assert (state["status"], state["attempt"]) == ("complete", 2)
    assert state["results"]["lines"] == ["first", "two"]


async def test_a_pipeline_is_stopped_when_its_job_is_erased(make_server: MakeServer) -> None:
    going, stopped = asyncio.Event(), asyncio.Event()

    async def body(job: Job) -> str:
        await job.start(1)
        going.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    async with make_server() as server, working(server, Lines(body), lease=1) as client:
        job = await submit(server)
        await going.wait()
        await client.delete(job)
        async with asyncio.timeout(30):
            await stopped.wait()


async def test_errors_end_a_job_or_have_it_tried_again_as_inside(make_server: MakeServer) -> None:
    async def body(job: Job) -> str:
        if job.attempt == 1:
            raise ZeroDivisionError
        raise ShelfwireError(LineCode.BROKEN)

    async with make_server() as server, working(server, Lines(body)) as client:
        state = await ended(client, await submit(server))
    assert (state["status"], state["attempt"], state["error"]["code"]) == ("failed", 2, "E_LINES_BROKEN")


async def test_an_item_with_a_code_that_only_the_server_gives_fails_with_another(make_server: MakeServer) -> None:
    async def body(job: Job) -> str:
        await job.start(1)
        job.fail(0, ShelfwireError(Code.INTERNAL, "the reason"))
        return "Done"

    async with make_server() as server, working(server, Lines(body)) as client:
        job = await submit(server)
        assert (await ended(client, job))["status"] == "complete"
        [item] = [item async for item in client.results(job)]
    assert (item["error"]["code"], item["error"]["message"]) == ("E_ITEM_FAILED", "the reason")


class Inside(Pipeline):
    name = "csv_import"

    async def run(self, job: Job) -> str:
        return f"{job.id} is for the server"


async def test_a_worker_that_gets_no_jobs_says_why(make_server: MakeServer) -> None:
    async with make_server() as server:
        with pytest.raises(RefusedError, match="runs the pipeline csv_import itself"):
            await RemoteWorker(server.url, pipelines=[Inside()]).run()
    async with make_server(api_keys=(Secret("a-key-of-sixteen-characters"),)) as server:
        with pytest.raises(RefusedError) as refused:
            await RemoteWorker(server.url, pipelines=[Lines()]).run()
        assert refused.value.status in {401, 403}


@pytest.mark.parametrize("wrong", [{"lease": 0}, {"lease": 3601}, {"slots": 0}, {"pipelines": []}])
def test_what_cannot_work_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        RemoteWorker(**{"pipelines": [Lines()], **wrong})


async def test_a_worker_waits_for_a_server_that_is_not_there_yet(make_server: MakeServer) -> None:
    port = free_port()
    worker = asyncio.create_task(RemoteWorker(f"http://127.0.0.1:{port}", pipelines=[Lines()]).run())
    await asyncio.sleep(0)
    async with make_server(port=port) as server, Client(server.url) as client:
        assert (await ended(client, await submit(server)))["status"] == "complete"
        worker.cancel()
        await asyncio.wait({worker})


async def test_an_attempt_outlives_the_death_of_its_server_and_loses_nothing(tmp_path: Path) -> None:
    recorded: asyncio.Queue[int] = asyncio.Queue()
    going = asyncio.Event()

    async def body(job: Job) -> str:
        await job.start(200)
        async for index, _ in job.pending(range(200)):
            job.record(index, index)
            if index == 100:
                recorded.put_nowait(job.attempt)
                await going.wait()
        return f"attempt {job.attempt}"

    async with ServerProcess(tmp_path / "data") as server, Client(server.url) as client:
        worker = asyncio.create_task(RemoteWorker(server.url, pipelines=[Lines(body)]).run())
        job = await client.start("lines", file=Upload("a.txt", b"x"))
        await recorded.get()
        await server.end(signal.SIGKILL)
        going.set()
        await server.start()
        state = await ended(client, job)
        assert (state["status"], state["successCount"], state["summary"]) == ("complete", 200, "attempt 1")
        assert [item["index"] async for item in client.results(job)] == list(range(200))
        worker.cancel()
        await asyncio.wait({worker})
