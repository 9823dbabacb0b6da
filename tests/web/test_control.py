"""Control and tokens over HTTP, as an owner's program sees them."""

from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shelfwire.errors import Code
from shelfwire.protocol.messages import JobError, JobProgress
from tests.live import MakeServer, Server, bearer, next_message, next_of

BOOKS_WITH_A_REPETITION = b"Title\nEmma\nEmma\nDune\n"


async def status_seen(socket: Any, status: str) -> JobProgress:
    """The progress message that first shows a status."""
    while True:
        message = await next_of(socket, "job_progress")
        assert isinstance(message.payload, JobProgress)
        if message.payload.state == status:
            return message.payload


async def test_a_job_is_paused_and_resumed_and_all_its_followers_see_it(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as one, server.socket(job) as two:
            await next_of(one, "job_started")
            asked = await server.ask("POST", job, "/pause")
            assert asked.status_code == 200
            assert asked.json()["data"]["status"] in {"running", "paused"}
            for socket in (one, two):
                assert (await status_seen(socket, "paused")).user_message == "Paused"
            assert (await server.ask("POST", job, "/pause")).status_code == 409
            resumed = await server.ask("POST", job, "/resume")
            assert resumed.json()["data"]["status"] in {"queued", "running"}
            for socket in (one, two):
                await status_seen(socket, "running")
            server.gate.steps.put_nowait(None)
            for socket in (one, two):
                await next_of(socket, "job_complete")


@pytest.mark.parametrize("wish", ["cancel", "pause", "resume"])
async def test_an_ended_job_takes_no_more_wishes(make_server: MakeServer, wish: str) -> None:
    async with make_server() as server:
        job = await server.submit()
        before = await server.ended(job)
        refused = await server.ask("POST", job, f"/{wish}")
        assert refused.status_code == 409
        assert refused.json()["code"] == Code.JOB_STATE
        assert "complete" in refused.json()["userMessage"]
        assert await server.state(job) == before


async def test_a_deleted_job_ends_for_its_followers_and_is_as_if_it_had_never_been(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            deleted = await server.ask("DELETE", job)
            assert (deleted.status_code, deleted.content) == (204, b"")
            ending = (await next_of(socket, "error")).payload
            assert isinstance(ending, JobError)
            assert ending.code == Code.JOB_CANCELED
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Job canceled")
        unknown = await server.http.get("/api/jobs/never-been", headers=bearer(job["token"]))
        gone = await server.ask("GET", job)
        assert gone.status_code == unknown.status_code == 401
        assert gone.json() == unknown.json()


async def test_a_retry_is_a_new_job_over_what_failed(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS_WITH_A_REPETITION)
        before = await server.ended(job)
        answer = await server.ask("POST", job, "/retry")
        assert answer.status_code == 202
        retry = answer.json()["data"]
        assert retry["retryOf"] == job["jobId"]
        assert answer.headers["location"] == f"/api/jobs/{retry['jobId']}"
        state = await server.ended(retry)
        assert (state["totalCount"], state["failureCount"], state["retryOf"]) == (1, 1, job["jobId"])
        (item,) = (await server.ask("GET", retry, "/results")).json()["data"]["items"]
        assert (item["index"], item["sourceIndex"], item["ok"]) == (0, 1, False)
        assert await server.state(job) == before, "an ended job never changes"


async def test_where_nothing_failed_there_is_nothing_to_retry(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        early = await server.ask("POST", job, "/retry")
        assert early.status_code == 409
        server.gate.steps.put_nowait(1000)
        server.gate.steps.put_nowait(None)
        await server.ended(job)
        refused = await server.ask("POST", job, "/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, Code.JOB_STATE)
    assert "nothing" in refused.json()["userMessage"]


async def new_token(server: Server, job: dict[str, Any], **wish: Any) -> dict[str, Any]:
    answer = await server.ask("POST", job, "/token", json=wish)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return {"jobId": job["jobId"], **made}


async def test_a_token_for_watching_may_watch_and_nothing_else(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        watcher = await new_token(server, job, scopes=["watch"])
        assert watcher["scopes"] == ["watch"]
        async with server.socket(watcher) as socket:
            await next_message(socket)
        assert (await server.ask("GET", watcher)).status_code == 200
        for method, below in [("GET", "/results"), ("POST", "/cancel"), ("POST", "/token"), ("DELETE", "")]:
            refused = await server.ask(method, watcher, below)
            assert (refused.status_code, refused.json()["code"]) == (403, Code.FORBIDDEN)


async def test_a_token_cannot_make_one_that_may_or_lasts_more(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        controller = await new_token(server, job, scopes=["control"], expiresIn=60)
        wider = await server.ask("POST", controller, "/token", json={"scopes": ["watch"]})
        assert (wider.status_code, wider.json()["code"]) == (403, Code.FORBIDDEN)
        longer = await new_token(server, controller, expiresIn=3600)
        assert longer["expiresAt"] <= server.app.service.now() + 60_000
        assert longer["scopes"] == ["control"]


async def test_the_token_of_a_retry_may_no_more_and_lasts_no_longer_than_the_one_it_is_asked_for_with(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS_WITH_A_REPETITION)
        await server.ended(job)
        wish = {"scopes": ["watch", "control"], "expiresIn": 60}
        lent = (await server.ask("POST", job, "/token", json=wish)).json()["data"]
        retry = (await server.ask("POST", {**job, "token": lent["token"]}, "/retry")).json()["data"]
        assert retry["tokenExpiresAt"] <= server.app.service.now() + 60_000
        assert (await server.ask("GET", retry)).status_code == 200
        assert (await server.ask("GET", retry, "/results")).status_code == 403
        own = (await server.ask("POST", job, "/retry")).json()["data"]
        assert "tokenExpiresAt" not in own
        assert (await server.ask("GET", own, "/results")).status_code == 200


async def test_a_replaced_token_goes_on_for_a_while_and_its_sockets_stay(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            new = await new_token(server, job)
            assert new["scopes"] == ["control", "results", "watch"]
            assert (await server.ask("GET", job)).status_code == 200
            server.gate.steps.put_nowait(None)
            await next_of(socket, "job_complete")
        assert (await server.ask("GET", new)).status_code == 200


async def test_revoking_a_token_closes_the_sockets_it_let_in_and_no_others(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        other = await new_token(server, job, scopes=["watch", "control"])
        async with server.socket(job) as kept, server.socket(other) as lost:
            await next_of(kept, "job_started")
            await next_of(lost, "job_started")
            assert (await server.ask("DELETE", other, "/token")).status_code == 204
            with pytest.raises(ConnectionClosed) as closed:
                await next_of(lost, "job_complete")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            server.gate.steps.put_nowait(None)
            await next_of(kept, "job_complete")
        assert (await server.ask("GET", other)).status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            await server.socket(other)
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b'{"scopes": []}',
        b'{"scopes": ["admin"]}',
        b'{"scopes": ["\xff"]}',
        b'{"expiresIn": 0}',
        b'{"expiresIn": 1.5}',
        b'{"scopes": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b"[]",
        b"nothing",
        b"\x00",
    ],
)
async def test_a_wish_for_a_token_that_makes_no_sense_is_refused_with_the_reason(
    make_server: MakeServer, body: bytes
) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        refused = await server.ask("POST", job, "/token", content=body)
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)
    assert "body" in refused.json()["detail"]
