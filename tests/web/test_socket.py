import asyncio
import gc
import socket as sockets
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shelfwire.errors import Code
from shelfwire.protocol.messages import JobProgress, Message, Ping, Pong, decode, encode
from shelfwire.protocol.tokens import Scope
from shelfwire.server import serving as servers
from shelfwire.server.fast.connections import SocketFollower
from shelfwire.server.ws_protocol import WebSocketProtocol
from tests.live import MakeServer, Server, bearer, grant_job, next_message, next_of, until

PING = encode(Message(job_id="x", pipeline="csv_import", timestamp=1, payload=Ping(client_time=1699564820990)))
SYNC = '{"type":"sync_request","jobId":"x","pipeline":"csv_import","timestamp":1,"version":"1.0.0","payload":{}}'


@pytest.fixture(params=[True, False], ids=["fast", "ordinary"])
def make_server(make_server: MakeServer, request: pytest.FixtureRequest) -> MakeServer:
    """Servers that serve followers straight from their connections, and others that do not."""
    return partial(make_server, fast=request.param)


async def refusal(server: Server, query: str, **options: Any) -> Any:
    with pytest.raises(InvalidStatus) as refused:
        await server.socket(query=query, **options)
    return refused.value.response


async def closed(socket: Any) -> ConnectionClosed:
    """How the server closes, after whatever else it says."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closing:
        return closing


async def test_a_follower_is_told_the_story_and_the_server_closes_with_the_reason(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            assert (await next_of(socket, "job_started")).payload.total_count == 1000  # type: ignore[union-attr]
            server.gate.steps.put_nowait(3)
            while (message := await next_of(socket, "job_progress")).payload.processed_count < 3:  # type: ignore[union-attr]
                pass
            assert isinstance(message.payload, JobProgress)
            assert message.payload.current_title == "Book 2"
            server.gate.steps.put_nowait(None)
            ending = await next_of(socket, "job_complete")
            assert ending.job_id == job["jobId"]
            close = (await closed(socket)).rcvd
    assert close is not None
    assert (close.code, close.reason) == (1000, "Job completed")


async def test_every_follower_of_a_job_gets_the_same_ending_to_the_byte(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as one, server.socket(job) as two:
            await next_of(one, "job_started")
            server.gate.steps.put_nowait(5)
            server.gate.steps.put_nowait(None)
            live = [[frame async for frame in socket] for socket in (one, two)]
        async with server.socket(job) as late:
            snapshot = [frame async for frame in late]
    assert live[0][-1] == live[1][-1] == snapshot[-1]
    assert [decode(frame).type for frame in snapshot] == ["job_started", "job_progress", "job_complete"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, Code.INVALID_REQUEST),
        ("token=x", 400, Code.INVALID_REQUEST),
        ("jobId={id}", 401, Code.UNAUTHORIZED),
        ("jobId={id}&token=", 401, Code.UNAUTHORIZED),
        ("jobId={id}&token=wrong", 401, Code.UNAUTHORIZED),
        ("jobId={id}&token={other}", 401, Code.UNAUTHORIZED),
        ("jobId=unknown&token={token}", 401, Code.UNAUTHORIZED),
        ("jobId=%00%ff&token=%F0%9F", 401, Code.UNAUTHORIZED),
    ],
)
async def test_a_handshake_without_the_right_token_is_answered_in_http(
    make_server: MakeServer, query: str, status: int, code: Code
) -> None:
    async with make_server(gated=True) as server:
        job, other = await server.submit(), await server.submit()
        filled = query.format(id=job["jobId"], token=job["token"], other=other["token"])
        response = await refusal(server, filled)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert code in response.body.decode()


async def test_wrong_token_another_jobs_token_and_no_such_job_have_the_same_body(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job, other = await server.submit(), await server.submit()
        bodies = {
            bytes((await refusal(server, query)).body)
            for query in (
                f"jobId={job['jobId']}",
                f"jobId={job['jobId']}&token=wrong",
                f"jobId={job['jobId']}&token={other['token']}",
                f"jobId=unknown&token={job['token']}",
            )
        }
    assert len(bodies) == 1


async def test_an_expired_token_and_a_missing_scope_are_told_apart(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job_id = await grant_job(server, "t" * 43, expires_at=1)
        expired = await refusal(server, f"jobId={job_id}&token={'t' * 43}")
    assert (expired.status_code, b"Token expired" in expired.body) == (401, True)


async def test_a_token_that_may_not_watch_is_forbidden(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job_id = await grant_job(server, "t" * 43, scopes=frozenset({Scope.RESULTS}))
        response = await refusal(server, f"jobId={job_id}&token={'t' * 43}")
    assert response.status_code == 403


async def test_a_plain_request_is_told_to_upgrade(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.get("/ws/progress?jobId=x")
    assert response.headers["upgrade"] == "websocket"
    assert response.json()["status"] == response.status_code == 426


@pytest.mark.parametrize(
    "how",
    [
        "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket",
        "Connection: Upgrade\r\nConnection: keep-alive\r\nUpgrade: websocket",
        "Connection: keep-alive, upgrade\r\nUpgrade: h2c, WebSocket",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
    ],
)
async def test_headers_in_several_lines_and_several_offers_upgrade_as_well(make_server: MakeServer, how: str) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        query = f"jobId={job['jobId']}&token={job['token']}"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(f"GET /ws/progress?{query} HTTP/1.1\r\nHost: localhost\r\n{how}\r\n{key}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        writer.close()


async def test_another_upgrade_than_to_a_websocket_is_none(make_server: MakeServer) -> None:
    async with make_server() as server:
        for headers in ({"Connection": "Upgrade", "Upgrade": "h2c"}, {"Upgrade": "websocket"}):
            assert (await server.http.get("/ws/progress?jobId=x", headers=headers)).status_code == 426


async def test_beyond_the_limit_of_connections_a_follower_is_asked_to_come_later(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_followers=1) as server:
        job = await server.submit()
        query = f"jobId={job['jobId']}&token={job['token']}"
        async with server.socket(job):
            response = await refusal(server, query)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0


async def test_the_token_may_come_in_the_authorization_header(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        query = f"jobId={job['jobId']}"
        async with server.socket(query=query, additional_headers=bearer(job["token"])) as socket:
            assert (await next_message(socket)).job_id == job["jobId"]


@pytest.mark.parametrize("frame", [PING, PING.encode()], ids=["text", "binary"])
async def test_a_ping_is_answered_with_its_own_time_and_no_seq(make_server: MakeServer, frame: str | bytes) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await socket.send(frame)
            pong = await next_of(socket, "pong")
    assert pong.payload == Pong(client_time=1699564820990)
    assert (pong.job_id, pong.pipeline, pong.seq) == (job["jobId"], "csv_import", None)


@pytest.mark.parametrize("frame", [SYNC, SYNC.encode()], ids=["text", "binary"])
async def test_a_sync_request_is_answered_with_the_state_now(make_server: MakeServer, frame: str | bytes) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            server.gate.steps.put_nowait(2)
            while (message := await next_of(socket, "job_progress")).payload.processed_count < 2:  # type: ignore[union-attr]
                pass
            await socket.send(frame)
            again = await next_of(socket, "job_progress")
    assert again.seq == message.seq
    assert isinstance(again.payload, JobProgress)
    assert (again.payload.processed_count, again.payload.user_message) == (2, "Resuming...")


async def test_a_follower_that_returns_with_its_seq_is_told_only_news(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            seq = (await next_of(socket, "job_started")).seq
        query = f"jobId={job['jobId']}&token={job['token']}&after="
        async with server.socket(query=f"{query}{seq}") as socket:
            await socket.send(PING)
            assert (await next_message(socket)).type == "pong"
        for beyond in ("999", "-1", "x", "٣"):
            async with server.socket(query=query + beyond) as socket:
                assert (await next_message(socket)).type == "job_started"


@pytest.mark.parametrize("frame", ["nonsense", b"\xff", '{"type":"job_complete"}', '{"type":"unheard_of"}', ""])
async def test_the_twentieth_bad_frame_closes_and_the_nineteenth_does_not(
    make_server: MakeServer, frame: str | bytes
) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            for _ in range(19):
                await socket.send(frame)
            await socket.send(PING)
            await next_of(socket, "pong")
            await socket.send(frame)
            close = (await closed(socket)).rcvd
    assert close is not None
    assert close.code == 1008


async def test_a_frame_over_64_kib_closes_with_1009(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await socket.send("x" * 65_536)
            await socket.send(PING)
            await next_of(socket, "pong")
            await socket.send("x" * 65_537)
            close = (await closed(socket)).rcvd
    assert close is not None
    assert close.code == 1009


async def test_who_does_not_answer_heartbeats_is_cut_off_with_1011(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(servers, "HEARTBEAT_TIMEOUT_SECONDS", 0.05)
    async with make_server(gated=True) as server:
        job = await server.submit()
        with capture_logs() as logs:
            reader, writer = await deaf_follower(server, job)
            received = await reader.read()
            writer.close()
            await until(lambda: any(log["event"] == "follower left" for log in logs))
        assert (await server.http.get("/health/ready")).status_code == 200
    assert b"\x03\xf3keepalive ping timeout" in received
    assert [log["code"] for log in logs if log["event"] == "follower left"] == [1011]


async def test_one_that_never_reads_disturbs_neither_the_job_nor_the_others(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        _, writer = await deaf_follower(server, job, receive_buffer=2048)
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            for _ in range(40):
                server.gate.steps.put_nowait(10)
            server.gate.steps.put_nowait(None)
            ending = await next_of(socket, "job_complete")
        writer.transport.abort()
    assert ending.payload.success_count == 400  # type: ignore[union-attr]


async def test_one_that_asks_for_pongs_and_never_reads_costs_bounded_memory(make_server: MakeServer) -> None:
    ping = b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125
    async with make_server(gated=True) as server:
        job = await server.submit()
        _, writer = await deaf_follower(server, job, receive_buffer=2048)
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            asking = follower_socket(writer.get_extra_info("sockname")[1])
            for _ in range(300):
                writer.write(ping * 200)
                await asyncio.wait_for(writer.drain(), 60)
            await socket.send(PING)
            await next_of(socket, "pong")
            assert asking.transport.get_write_buffer_size() < 2 * 65_536
        writer.transport.abort()


@pytest.mark.parametrize("more", [f"Authorization: Bearer {'a' * 9000}", "\r\n".join(f"X-{n}: 1" for n in range(200))])
async def test_a_handshake_whose_head_is_too_large_is_refused_and_not_left_waiting(
    make_server: MakeServer, more: str
) -> None:
    async with make_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        head = "GET /ws/progress HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(f"{head}\r\n{key}\r\n{more}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"longer than 8 KiB" in answer


@pytest.mark.parametrize("more", ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
async def test_a_handshake_with_a_body_is_refused_with_the_reason(make_server: MakeServer, more: str) -> None:
    async with make_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        head = "GET /ws/progress HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(f"{head}\r\n{key}\r\n{more}".encode())
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"has no body" in answer


def follower_socket(port: int) -> WebSocketProtocol | SocketFollower:
    """The server's end of a client's connection."""
    found = [one for one in gc.get_objects() if type(one) in {WebSocketProtocol, SocketFollower}]
    socket: WebSocketProtocol | SocketFollower
    (socket,) = [one for one in found if (one.transport.get_extra_info("peername") or (0, 0))[1] == port]
    return socket


async def deaf_follower(
    server: Server, job: dict[str, Any], receive_buffer: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A follower that shakes hands and then never reads a frame nor answers a PING."""
    raw = sockets.socket()
    if receive_buffer is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)  # noqa: FBT003 - the signature of the standard library
    port = int(server.url.rsplit(":", 1)[1])
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    head = (
        f"GET /ws/progress?jobId={job['jobId']}&token={job['token']} HTTP/1.1\r\nHost: localhost\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    writer.write(head.encode())
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_leaving_does_not_cancel_the_job(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        server.gate.steps.put_nowait(7)
        server.gate.steps.put_nowait(None)
        state = await server.ended(job)
    assert (state["status"], state["successCount"]) == ("complete", 7)


async def test_a_server_that_shuts_down_says_so_and_hands_the_job_back(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        socket = await server.socket(job)
        await next_of(socket, "job_started")
        server.gate.steps.put_nowait(4)
        while (await next_of(socket, "job_progress")).payload.processed_count < 4:  # type: ignore[union-attr]
            pass
    close = (await closed(socket)).rcvd
    assert close is not None
    assert close.code == 1012
    async with make_server(gated=True) as server:
        async with server.socket(job) as socket:
            server.gate.steps.put_nowait(1)
            server.gate.steps.put_nowait(None)
            ending = await next_of(socket, "job_complete")
        assert (await server.state(job))["attempt"] == 2
    assert ending.payload.success_count == 5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "status", "code", "challenge"),
    [
        ("", 400, Code.INVALID_REQUEST, None),
        (
            "jobId={jobId}&token=wrong",
            401,
            Code.UNAUTHORIZED,
            'Bearer error="invalid_token", error_description="The token is missing or not valid for this job"',
        ),
        (
            "jobId=a-job&token=" + "t" * 43,
            401,
            Code.TOKEN_EXPIRED,
            'Bearer error="invalid_token", error_description="Token expired"',
        ),
    ],
)
async def test_a_refused_upgrade_says_why_in_headers_since_phones_hide_its_body(
    make_server: MakeServer, query: str, status: int, code: Code, challenge: str | None
) -> None:
    async with make_server(gated=True) as server:
        await grant_job(server, "t" * 43, expires_at=1)
        answer = await refusal(server, query.format_map(await server.submit()))
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (status, code)
    assert answer.headers.get("WWW-Authenticate") == challenge
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_upgrade_to_where_no_socket_is_says_so(make_server: MakeServer) -> None:
    async with make_server() as server:
        for path in ("/nowhere", "/health/live"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws{server.url[4:]}{path}", proxy=None)
            answer = refused.value.response
            assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, Code.NOT_FOUND)
