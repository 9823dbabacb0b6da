import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError
from shelfwire.errors import Code
from shelfwire.protocol.messages import JobComplete, JobProgress, Message
from tests.live import MakeServer, Server, live_server

SOON = (0.01, 0.01, 0.01, 0.01, 0.01)
EXAMPLE = Path(__file__).parents[2] / "examples" / "goodreads_export.csv"


def client_of(server: Server, delays: tuple[float, ...] = SOON) -> Client:
    return Client(server.url, delays=delays, random_fraction=lambda: 0.0)


async def gated_job(server: Server) -> JobHandle:
    created = await server.submit()
    return JobHandle(created["jobId"], created["token"])


async def test_a_file_is_imported_followed_to_its_end_and_its_failures_read(make_server: MakeServer) -> None:
    async with make_server() as server, client_of(server) as client:
        job = await client.start("csv_import", file=EXAMPLE)
        received = [message async for message in client.follow(job)]
        failed = [item async for item in client.results(job, status="failed")]
        state = await client.state(job)
    ending = received[-1].payload
    assert isinstance(ending, JobComplete)
    assert ending.success_count + ending.failure_count == state["totalCount"] == 168
    assert {item["error"]["code"] for item in failed} == {BookCode.DUPLICATE, BookCode.ROW_INVALID}
    assert len(failed) == ending.failure_count == 2
    assert [message.type for message in received].count("job_started") == 1


async def test_all_results_are_read_however_many_pages_they_take(make_server: MakeServer, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("Title\n" + "".join(f"Book {number}\n" for number in range(2500)))
    async with make_server() as server, client_of(server) as client:
        job = await client.start("csv_import", file=path)
        async for _ in client.follow(job):
            pass
        titles = [item["result"]["title"] async for item in client.results(job)]
    assert titles == [f"Book {number}" for number in range(2500)]


async def test_results_of_a_running_job_are_those_recorded_so_far(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server, client_of(server) as client:
        job = await gated_job(server)
        server.gate.steps.put_nowait(3)
        async for message in client.follow(job):
            if isinstance(message.payload, JobProgress) and message.payload.processed_count == 3:
                break
        assert [item["index"] async for item in client.results(job)] == [0, 1, 2]


async def test_a_cancel_is_seen_by_who_follows(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server, client_of(server) as client:
        job = await gated_job(server)
        received: list[Message] = []
        async for message in client.follow(job):
            received.append(message)
            if message.type == "job_started":
                await client.cancel(job)
        assert received[-1].payload.code == Code.JOB_CANCELED  # type: ignore[union-attr]
        with pytest.raises(RefusedError) as refused:
            await client.cancel(job)
    assert (refused.value.code, refused.value.status) == (Code.JOB_STATE, 409)


async def test_a_server_that_comes_back_is_followed_on_without_going_back(tmp_path: Path) -> None:
    received: list[Message] = []
    waits: list[float] = []
    restart = asyncio.Event()

    async def follow(client: Client, job: JobHandle) -> None:
        async for message in client.follow(job, on_wait=waits.append):
            received.append(message)
            if isinstance(message.payload, JobProgress) and message.payload.processed_count == 4:
                restart.set()

    async with live_server(tmp_path / "data", gated=True) as server:
        client = client_of(server, delays=(0.05,) * 100)
        job = await gated_job(server)
        port = int(server.url.rpartition(":")[2])
        following = asyncio.create_task(follow(client, job))
        server.gate.steps.put_nowait(4)
        await restart.wait()
    async with live_server(tmp_path / "data", gated=True, port=port) as server:
        server.gate.steps.put_nowait(2)
        server.gate.steps.put_nowait(None)
        await following
    assert waits
    assert [message.seq for message in received] == sorted(message.seq or 0 for message in received)
    counts = [message.payload.processed_count for message in received if isinstance(message.payload, JobProgress)]
    assert counts == sorted(counts)
    assert received[-1].payload.success_count == 6  # type: ignore[union-attr]
    assert [message.terminal for message in received].count(True) == 1


async def test_when_every_try_fails_it_says_that_the_job_goes_on(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        client = client_of(server)
        job = await gated_job(server)
    waits: list[float] = []
    with pytest.raises(ConnectionLostError) as lost:
        async for _ in client.follow(job, on_wait=waits.append):
            pass
    assert waits == list(SOON)
    assert lost.value.code == Code.MAX_RETRIES
    assert "goes on" in lost.value.user_message
    with pytest.raises(ConnectionLostError):
        await client.state(job)


async def test_a_refusal_is_final_and_carries_the_servers_words(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server, client_of(server) as client:
        job = JobHandle((await gated_job(server)).job_id, "wrong")
        for asking in (client.state(job), anext(client.follow(job)), anext(client.results(job))):
            with pytest.raises(RefusedError) as refused:
                await asking
            assert (refused.value.code, refused.value.status) == (Code.UNAUTHORIZED, 401)
            assert not isinstance(refused.value, ConnectionLostError)
            assert "wrong" not in str(refused.value)


async def test_a_full_server_is_tried_again_until_the_tries_are_used_up(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server:
        client = client_of(server)
        job = await gated_job(server)
        follow = client.follow(job)
        await anext(follow)
        with pytest.raises(ConnectionLostError, match="limit of connections"):
            await anext(client.follow(job))
        await follow.aclose()


@asynccontextmanager
async def odd_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A server that answers the first bytes of any connection in its own way, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", json.dumps({"detail": "x"}).encode()])
async def test_an_error_that_is_no_problem_document_is_still_an_error(body: bytes) -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    async with odd_server(lambda _: head + body) as url, Client(url) as client:
        with pytest.raises(RefusedError, match="502") as refused:
            await client.state(JobHandle("j", "t"))
    assert refused.value.code == Code.MAX_RETRIES


async def test_a_server_that_hangs_up_during_the_handshake_is_tried_again() -> None:
    async with odd_server(lambda _: b"") as url, Client(url, delays=(0.0, 0.0)) as client:
        with pytest.raises(ConnectionLostError):
            await anext(client.follow(JobHandle("j", "t")))
