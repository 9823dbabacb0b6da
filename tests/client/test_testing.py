"""The server in memory is one that users may trust: it answers as a real one does, and follows its script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, JobHandle, RefusedError
from shelfwire.client.http import CutError
from shelfwire.client.testing import Complete, Cut, Fail, FakeServer, InstantClock, Record, Say, Start
from shelfwire.errors import Code
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, Metadata

from .conftest import MakeClient


async def outcome(asking: Awaitable[Any]) -> Any:
    """The outcome of a request: the status it left the job in, or how it was refused."""
    try:
        answer = await asking
    except RefusedError as refused:
        return refused.status, str(refused.code)
    match answer:
        case {"status": status}:
            return str(status)
        case JobHandle():
            return "a token"
        case _:
            return answer


async def life_after_the_end(client: Client, path: Path) -> list[Any]:
    """Everything an owner can ask of a job that has ended with every item done."""
    job = await client.start("csv_import", file=path)
    ending = await client.follow(job).run()
    requests = [
        client.cancel(job),
        client.pause(job),
        client.resume(job),
        client.retry(job),
        client.state(job),
        client.state(JobHandle(job.job_id, "wrong")),
        client.state(JobHandle("00000000-0000-0000-0000-000000000009", job.token)),
        client.follow(JobHandle(job.job_id, "wrong")).run(),
        client.new_token(job, scopes=["watch"]),
        client.rotate(job),
        client.delete(job),
        client.state(job),
        client.delete(job),
    ]
    return [ending.type, *[await outcome(request) for request in requests]]


@pytest.fixture
def two_books(tmp_path: Path) -> Path:
    path = tmp_path / "books.csv"
    path.write_text("Title\nDune\nEmma\n")
    return path


@asynccontextmanager
async def fake() -> AsyncIterator[Client]:
    server = FakeServer(Start(2), Record("Dune"), Record("Emma"), Complete())
    async with Client(http=server, clock=InstantClock()) as client:
        yield client


async def test_it_answers_an_owner_as_a_real_server_does(make_server: Any, two_books: Path) -> None:
    async with make_server() as server, Client(server.url) as real, fake() as pretended:
        assert await life_after_the_end(pretended, two_books) == await life_after_the_end(real, two_books)


async def test_it_makes_the_messages_and_results_of_a_real_server(make_server: Any, two_books: Path) -> None:
    shown = []
    async with make_server() as server, Client(server.url) as real, fake() as pretended:
        for client in (real, pretended):
            job = await client.start("csv_import", file=two_books)
            messages = [message async for message in client.follow(job)]
            items = [item async for item in client.results(job)]
            state = await client.state(job)
            kinds = {type(message.payload) for message in messages}
            counts = [state[name] for name in ("totalCount", "processedCount", "successCount", "failureCount")]
            shown.append((kinds, counts, [(item["index"], item["ok"], item["title"]) for item in items]))
    assert shown[0] == shown[1]


async def test_a_job_is_paused_resumed_and_canceled_as_its_script_goes(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Start(3, Metadata(file_name="books.csv")), Record("Dune"), Say("Looking closely…"))
    client = client_to(server)
    following = client.follow(job)
    async for message in following:
        if isinstance(message.payload, JobProgress) and message.payload.user_message == "Looking closely…":
            break
    assert await outcome(client.pause(job)) == "running"
    await anext(following)
    assert isinstance((await anext(following)).payload, JobProgress)
    assert await outcome(client.state(job)) == "paused"
    assert await outcome(client.resume(job)) == "queued"
    assert await outcome(client.cancel(job)) == "canceled"
    ending = await following.run()
    assert isinstance(ending.payload, JobError)
    assert ending.payload.code == Code.JOB_CANCELED


async def test_a_failed_job_is_retried_with_the_script_of_the_moment(client_to: MakeClient) -> None:
    server = FakeServer(Start(1), Fail(BookCode.CSV_NO_BOOKS))
    client = client_to(server)
    job = await client.start("csv_import", json={})
    assert (await client.follow(job).run()).type == "error"
    server.script = (Start(1), Record("Dune"), Complete())
    server.jobs[job.job_id].go_on(Complete())
    again = await client.retry(job)
    assert (await client.follow(again).run()).type == "job_complete"


async def test_what_it_will_do_comes_before_what_it_would(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Cut())
    server.will.append(CutError("by hand"))
    with pytest.raises(RefusedError, match="by hand"):
        await client_to(server).state(job)
    assert await outcome(client_to(server).state(job)) == "queued"


async def test_jobs_are_created_on_the_paths_it_was_given_and_on_no_others(client_to: MakeClient) -> None:
    server = FakeServer(
        Start(1), Record("Emma"), Complete(), creation_paths={"/api/books": "books"}, results_name="found"
    )
    client = client_to(server)
    job = await client.create("/api/books", json={})
    assert server.jobs[job.job_id].state.pipeline == "books"
    ending = (await client.follow(job).run()).payload
    assert isinstance(ending, JobComplete)
    assert ending.results == {"found": [{"title": "Emma"}], "errors": []}
    with pytest.raises(RefusedError) as refused:
        await client.create("/api/films", json={})
    assert refused.value.code == Code.NOT_FOUND


async def test_what_failed_is_listed_at_the_end_with_its_place_and_title(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Start(2), Record("Dune"), Record("Emma", error=BookCode.DUPLICATE), Complete())
    ending = (await client_to(server).follow(job).run()).payload
    assert isinstance(ending, JobComplete)
    assert [(error["index"], error["title"], error["code"]) for error in ending.results["errors"]] == [
        (1, "Emma", BookCode.DUPLICATE)
    ]


async def test_an_unknown_route_is_refused_as_such(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    job = server.add()
    with pytest.raises(RefusedError) as refused:
        await client._state("POST", job, "/dance")
    assert refused.value.code == Code.NOT_FOUND


async def test_time_on_its_clock_is_what_was_waited_for() -> None:

    clock = InstantClock()
    before = clock.now()
    event = asyncio.Event()
    await clock.wait(event, 2.5)
    event.set()
    await clock.wait(event, 9)
    assert (clock.now() - before, clock.monotonic(), clock.waits) == (2500, 2.5, [2.5])
