"""Server-Sent Events and long polls, read from the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Frame
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import create
from shelfwire.server import serving as servers
from shelfwire.web import events
from tests.live import MakeServer, Server, bearer, next_of, until


@pytest.fixture(params=[True, False], ids=["fast", "ordinary"])
def make_server(make_server: MakeServer, request: pytest.FixtureRequest) -> MakeServer:
    """Servers that serve followers straight from their connections, and others that do not."""
    return partial(make_server, fast=request.param)


async def told(server: Server, job: dict[str, Any], **options: Any) -> AsyncIterator[dict[str, str]]:
    """The fields of each event, as a browser would read them."""
    headers = {**bearer(job["token"]), **options.pop("headers", {})}
    path = f"/api/jobs/{job['jobId']}/events"
    async with server.http.stream("GET", path, headers=headers, timeout=30, **options) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name and value:
                event[name] = value
            elif not line:
                yield event
                event = {}


async def test_a_stream_tells_the_story_and_ends_with_it(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(b"Title\nEmma\nDune\n")
        heard = [event async for event in told(server, job)]
        async with server.socket(job) as socket:
            frames = [frame async for frame in socket]
    assert heard[0] == {"retry": "2000"}
    assert heard[-1]["event"] == "job_complete"
    assert heard[-1]["data"] == frames[-1], "the same ending to the byte"
    for event in heard[1:]:
        message = json.loads(event["data"])
        assert message["type"] == event["event"]
        assert event.get("id", str(message["seq"])) == str(message["seq"])


async def test_who_is_cut_off_within_a_snapshot_comes_back_with_an_earlier_number(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        await server.ended(job)
        heard = [event async for event in told(server, job)]
    named = [(event["event"], "id" in event) for event in heard[1:]]
    assert named == [("job_started", False), ("job_progress", False), ("job_complete", True)]


async def test_a_stream_resumes_after_what_was_heard(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        server.gate.steps.put_nowait(2)
        async with server.socket(job) as socket:
            while json.loads(await socket.recv())["payload"].get("processedCount") != 2:
                pass
        seq = (await server.state(job))["seq"]
        stream = told(server, job, headers={"Last-Event-ID": str(seq)})
        assert await anext(stream) == {"retry": "2000"}
        server.gate.steps.put_nowait(None)
        heard = [event async for event in stream]
    kinds = [event["event"] for event in heard]
    assert kinds[-1] == "job_complete"
    assert min(json.loads(event["data"])["seq"] for event in heard) > seq


async def test_who_has_heard_the_ending_is_told_that_there_is_nothing_more(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        seq = (await server.ended(job))["seq"]
        over = await server.ask("GET", job, "/events", headers={"Last-Event-ID": str(seq)})
        assert (over.status_code, over.content) == (204, b"")
        earlier = [event async for event in told(server, job, headers={"Last-Event-ID": str(seq - 1)})]
    assert earlier[-1]["event"] == "job_complete"


async def test_the_ending_of_a_canceled_job_is_an_event_that_no_browser_fires_itself(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        await server.ask("POST", job, "/cancel")
        heard = [event async for event in told(server, job)]
    assert heard[-1]["event"] == "job_error"
    assert json.loads(heard[-1]["data"])["type"] == "error"


async def test_a_library_that_cannot_send_the_header_resumes_by_the_query(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        seq = (await server.ended(job))["seq"]
        over = await server.ask("GET", job, "/events", params={"lastEventId": seq})
        garbage = await server.ask("GET", job, "/events", params={"lastEventId": "garbage"})
        headers = {"Last-Event-ID": str(seq - 1)}
        both = await server.ask("GET", job, "/events", params={"lastEventId": seq}, headers=headers)
    assert over.status_code == 204
    assert "event: job_started" in garbage.text
    assert both.status_code == 200, "the header is the newer of both"


@pytest.mark.parametrize("method", ["authorize", "get"])
async def test_a_stream_that_the_store_cannot_serve_now_asks_a_browser_to_return(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def fails(*_: object) -> None:
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)

    async with make_server(gated=True) as server:
        job = await server.submit()
        monkeypatch.setattr(server.app.service, method, fails)
        assert_comes_back(await server.ask("GET", job, "/events"), Code.STORAGE_UNAVAILABLE)
        assert server.app._context.connections.attached == 0


async def test_a_browser_shows_its_token_in_the_query(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        answer = await server.http.get(f"/api/jobs/{job['jobId']}/events", params={"token": job["token"]})
        assert "event: job_complete" in answer.text
        for token in ({}, {"token": "wrong"}):
            refused = await server.http.get(f"/api/jobs/{job['jobId']}/events", params=token)
            assert (refused.status_code, refused.json()["code"]) == (401, Code.UNAUTHORIZED)


async def test_revoking_a_token_ends_its_streams_and_its_polls(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        stream = told(server, job)
        assert await anext(stream) == {"retry": "2000"}
        seq = (await server.state(job))["seq"]
        poll = asyncio.create_task(server.ask("GET", job, params={"after": seq, "wait": 30}))
        await until(lambda: server.app.service._hub.followers == 2)
        assert (await server.ask("DELETE", job, "/token")).status_code == 204
        assert "job_complete" not in [event.get("event") async for event in stream]
        assert (await poll).status_code == 401


async def test_a_poll_is_answered_with_the_news(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        seq = (await server.state(job))["seq"]
        poll = asyncio.create_task(server.ask("GET", job, params={"after": seq, "wait": 30}))
        await until(lambda: server.app.service._hub.followers == 1)
        server.gate.steps.put_nowait(1)
        answer = await poll
        state = answer.json()["data"]
        assert state["seq"] > seq
        assert answer.headers["etag"] == f'W/"{state["seq"]}"', "it is compressed"


@pytest.mark.parametrize("query", [{"wait": 31}, {"wait": -1}, {"after": -1}, {"after": "x"}])
async def test_a_poll_out_of_bounds_is_refused(make_server: MakeServer, query: dict[str, Any]) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        refused = await server.ask("GET", job, params={"after": 1, "wait": 1, **query})
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)


async def test_followers_of_all_kinds_share_one_limit(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            full = await server.ask("GET", job, params={"after": 10**6, "wait": 1})
            assert (full.status_code, full.json()["code"]) == (503, Code.OVERLOADED)
            assert int(full.headers["retry-after"]) > 0
            with pytest.raises(InvalidStatus) as second:
                await server.socket(job)
            assert (second.value.response.status_code, second.value.response.headers["X-Error-Code"]) == (
                503,
                Code.OVERLOADED,
            )
            assert_comes_back(await server.ask("GET", job, "/events"))
            assert (await server.ask("GET", job)).status_code == 200, "who only looks is no follower"


def assert_comes_back(stream: httpx2.Response, code: Code = Code.OVERLOADED) -> None:
    """Nothing is in it but the time after which an EventSource comes back, as it never would from a refusal."""
    assert (stream.status_code, stream.text) == (200, "retry: 2000\n\n")
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["x-error-code"] == code


async def test_a_server_that_leaves_sends_browsers_to_its_successor(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        seq = (await server.ended(job))["seq"]
        before = await server.ask("GET", job, "/events", headers={"Last-Event-ID": str(seq)})
        server.app.service.dismiss_followers()
        assert_comes_back(await server.ask("GET", job, "/events"))
        assert before.status_code == 204, "the one answer that keeps a browser from coming back"


async def test_a_stream_begins_with_more_than_a_phone_withholds(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        path = f"/api/jobs/{job['jobId']}/events"
        headers = {**bearer(job["token"]), "Accept-Encoding": "gzip"}
        async with server.http.stream("GET", path, headers=headers) as answer:
            begun = b""
            async with asyncio.timeout(10):
                async for chunk in answer.aiter_raw():
                    begun += chunk
                    if b"retry" in begun:
                        break
        assert "content-encoding" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    comment, _, rest = begun.partition(b"\n")
    assert comment.startswith(b":")
    assert len(comment) + 1 == 1024
    assert rest.startswith(b"retry: 2000\n\n")


async def test_a_stream_that_is_left_gives_its_place_back(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server:
        job = await server.submit()
        for _ in range(3):
            stream = told(server, job)
            assert await anext(stream) == {"retry": "2000"}
            await stream.aclose()  # type: ignore[attr-defined]
            await until(lambda: not server.app._context.connections.attached)


async def test_a_poll_that_is_left_gives_its_place_back(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        await until(lambda: not server.app._context.connections.attached)
        seq = (await server.state(job))["seq"]
        poll = asyncio.create_task(server.ask("GET", job, params={"after": seq, "wait": 30}))
        await until(lambda: server.app._context.connections.attached == 1)
        poll.cancel()
        await until(lambda: not server.app._context.connections.attached)


async def test_a_silent_stream_shows_that_it_lives(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(servers, "HEARTBEAT_SECONDS", 0.02)
    async with make_server(gated=True) as server:
        job = await server.submit()
        path = f"/api/jobs/{job['jobId']}/events"
        async with server.http.stream("GET", path, headers=bearer(job["token"])) as answer:
            comments = 0
            async for line in answer.aiter_lines():
                comments += line.startswith(":")
                if comments == 3:
                    break


async def test_streams_and_polls_do_not_hold_the_shutdown_up(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        stream = told(server, job)
        assert await anext(stream) == {"retry": "2000"}
        seq = (await server.state(job))["seq"]
        poll = asyncio.create_task(server.ask("GET", job, params={"after": seq, "wait": 30}))
        await until(lambda: server.app.service._hub.followers == 2)
        server.app.service.dismiss_followers()
        assert (await poll).status_code == 200
        heard = [event.get("event") async for event in stream]
    assert "job_complete" not in heard, "it ended, and not with the job"


async def test_who_asks_for_what_came_after_the_ending_by_query_is_told_the_ending(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        seq = (await server.ended(job))["seq"]
        heard = [event async for event in told(server, job, params={"after": seq})]
    assert [event.get("event") for event in heard[1:]] == ["job_complete"]


def test_only_the_last_frame_of_a_revision_carries_its_number() -> None:
    state = create("j", "csv_import", now=1)
    text = events.encode([Frame(Due.STARTED, b"{}", state), Frame(Due.PROGRESS, b"{}", state)]).decode()
    assert text == "event: job_started\ndata: {}\n\nevent: job_progress\nid: 1\ndata: {}\n\n"
