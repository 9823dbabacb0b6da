"""Connections that are too many, too slow or all at once, over real sockets."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs
from uvicorn.config import Config
from uvicorn.server import ServerState

from shelfwire.server import http_protocol
from shelfwire.server.arrival import BEGUN_PER_TURN, Arrival, Turnstile
from shelfwire.server.connection_cap import HEALTH_CONNECTIONS, ConnectionCap
from tests.live import Server, live_server, until

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ASK = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = (
    b"POST /api/import/csv-gemini HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b"
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def handshake(job: dict[str, str]) -> bytes:
    return (
        f"GET /ws/progress?jobId={job['jobId']} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: c2hlbGZ3aXJlLWJlbmNoMQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {job['token']}\r\n\r\n"
    ).encode()


async def opened(server: Server, sent: bytes, address: str = "127.0.0.1") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server), local_addr=(address, 0))
    writer.write(sent)
    return reader, writer


async def asked(server: Server, path: str, address: str = "127.0.0.1") -> int:
    """The status of an answer on a connection of its own; 0 where it is closed without one."""
    transport = httpx2.AsyncHTTPTransport(local_address=address)
    async with httpx2.AsyncClient(transport=transport, timeout=60) as http:
        try:
            return (await http.get(server.url + path)).status_code
        except httpx2.TransportError:
            return 0


@asynccontextmanager
async def uploads(server: Server, count: int, address: str = "127.0.0.1") -> AsyncIterator[list[Streams]]:
    """Uploads that go on for as long as the context."""
    held = [await opened(server, UPLOAD, address) for _ in range(count)]
    try:
        yield held
    finally:
        for _, writer in held:
            writer.close()


async def test_an_address_holds_as_many_connections_as_it_may_and_others_are_served(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with live_server(tmp_path, connections_per_address=20) as server, uploads(server, 40, "127.0.0.2"):
            async with asyncio.timeout(60):
                while await asked(server, "/metrics", "127.0.0.2") != 503:
                    """It asks before all uploads have begun."""
            assert await asked(server, "/health/live", "127.0.0.2") == 200, "health is answered beyond the bound"
            assert await asked(server, "/health/ready", "127.0.0.2") == 200
            assert await asked(server, "/metrics", "127.0.0.3") == 200
            await server.submit()
    (line,) = [line for line in logs if "an address has as many as it may" in line["event"]]
    assert (line["address"], line["limit"], "connections_per_address" in line["event"]) == ("127.0.0.2", 20, True)


async def test_who_asks_for_health_again_and_again_and_reads_nothing_keeps_it_from_nobody(tmp_path: Path) -> None:
    address = "127.0.0.2"
    async with live_server(tmp_path, connections_per_address=4) as server, uploads(server, 12, address):
        async with asyncio.timeout(60):
            while await asked(server, "/metrics", address) != 503:
                """It asks before all uploads have begun."""
        greedy = [await opened(server, ASK * 50, address) for _ in range(HEALTH_CONNECTIONS)]
        assert await asked(server, "/health/live", address) == 200
        for reader, writer in greedy:
            with suppress(ConnectionResetError):
                async with asyncio.timeout(60):
                    answers = await reader.read()
                assert answers.count(b"HTTP/1.1 200") <= 1, "one answer, and the end"
                assert answers.count(b"HTTP/1.1") == answers.count(b"connection: close")
            writer.close()


async def test_a_new_connection_takes_the_place_of_an_idle_one_of_its_own_address(tmp_path: Path) -> None:
    async with live_server(tmp_path, connections_per_address=5) as server:
        other, other_writer = await opened(server, b"", "127.0.0.3")
        silent = [await opened(server, b"", "127.0.0.2") for _ in range(8)]
        assert await asked(server, "/metrics", "127.0.0.2") == 200
        async with asyncio.timeout(60):
            assert await silent[0][0].read() == b"", "the oldest made room"
        other_writer.write(HEALTH)
        assert (await other.readline()).startswith(b"HTTP/1.1 200"), "an idle one of another address did not"
        for _, writer in [*silent, (other, other_writer)]:
            writer.close()


async def test_followers_count_for_their_address_until_they_leave(tmp_path: Path) -> None:
    async with live_server(tmp_path, gated=True, connections_per_address=6) as server:
        job = await server.submit()  # on a connection that is kept, which counts as well, and can make room
        followers = [await opened(server, handshake(job)) for _ in range(6)]
        for reader, _ in followers:
            assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        reader, writer = await opened(server, handshake(job))
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        assert await asked(server, "/health/live") == 200
        for _, one in (*followers, (reader, writer)):
            one.close()
        async with asyncio.timeout(60):
            while await asked(server, "/metrics") != 200:
                """The server has yet to see that they are gone."""


async def test_a_trusted_proxy_may_have_any_number_of_connections(tmp_path: Path) -> None:
    proxies = ("127.0.0.2",)
    async with (
        live_server(tmp_path, connections_per_address=3, trusted_proxies=proxies) as server,
        uploads(server, 20, "127.0.0.2"),
    ):
        assert await asked(server, "/metrics", "127.0.0.2") == 200


async def test_loopback_is_bounded_only_where_the_setting_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwire.server.serving.CONNECTIONS_PER_ADDRESS", 3)
    async with live_server(tmp_path) as server, uploads(server, 20):
        assert await asked(server, "/metrics") == 200
    async with live_server(tmp_path, connections_per_address=0) as server, uploads(server, 20):
        assert await asked(server, "/metrics") == 200


@contextmanager
def crowd(server: Server, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Connections with a request each that are there in one moment: the server, in this thread, has seen none yet."""
    sockets = [socket.create_connection(("127.0.0.1", port_of(server))) for _ in range(count)]
    try:
        for one in sockets:
            one.sendall(sent)
        yield sockets
    finally:
        for one in sockets:
            one.close()


def answered(sockets: Sequence[socket.socket]) -> int:
    waiting = select.poll()
    for one in sockets:
        waiting.register(one, select.POLLIN)
    return len(waiting.poll(0))


async def test_health_is_answered_before_a_crowd_that_came_first_is_attached(tmp_path: Path) -> None:
    async with live_server(tmp_path, gated=True) as server:
        job = await server.submit()
        with crowd(server, handshake(job), 300) as followers, crowd(server, HEALTH, 1) as (health,):
            health.settimeout(0)
            async with asyncio.timeout(60):
                answer = await asyncio.get_running_loop().sock_recv(health, 1000)
            attached = answered(followers)
            assert answer.startswith(b"HTTP/1.1 200")
            assert attached < 150, "most of them wait"
            await until(lambda: answered(followers) == 300)
            assert all(one.recv(12) == b"HTTP/1.1 101" for one in followers)


async def test_a_turn_begins_a_bounded_number_of_requests_in_the_order_in_which_they_came() -> None:
    turnstile, begun = Turnstile(), list[int]()
    for number in range(3 * BEGUN_PER_TURN):
        turnstile.admit(lambda number=number: begun.append(number))  # type: ignore[misc]
    counts = [len(begun)]
    while counts[-1] < 3 * BEGUN_PER_TURN:
        await asyncio.sleep(0)
        counts.append(len(begun))
    assert all(after - before <= BEGUN_PER_TURN for before, after in zip([0, *counts], counts, strict=False))
    assert begun == list(range(3 * BEGUN_PER_TURN))


async def test_a_server_that_stops_leaves_no_connection_that_has_asked_for_nothing(tmp_path: Path) -> None:
    async with live_server(tmp_path) as server:
        reader, writer = await opened(server, b"")
        assert await asked(server, "/health/live") == 200
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


async def large_job(server: Server) -> dict[str, str]:
    """A job that has ended, whose results are some hundred kilobytes."""
    rows = b"".join(b"%d %s\n" % (number, b"x" * 400) for number in range(1000))
    job = await server.submit(b"Title\n" + rows)
    await server.ended(job)
    return job


def request_for(job: dict[str, str], below: str) -> bytes:
    path = f"/api/jobs/{job['jobId']}{below}"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {job['token']}\r\n\r\n".encode()


def rest_of(one: socket.socket) -> int:
    """The bytes that still come before a connection is closed."""
    size = 0
    one.settimeout(60)
    with suppress(ConnectionResetError):
        while part := one.recv(65536):
            size += len(part)
    return size


RESULTS = "/results?limit=1000"


@pytest.mark.parametrize(("below", "pipelined"), [(RESULTS, 1), (RESULTS, 3), ("/events", 1)])
async def test_an_answer_that_nobody_takes_holds_its_connection_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, pipelined: int
) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 0.05)
    with capture_logs() as logs:
        async with live_server(tmp_path) as server:
            job = await large_job(server)
            whole = len((await server.ask("GET", job, below)).content)
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect(("127.0.0.1", port_of(server)))
                deaf.sendall(request_for(job, below) * pipelined)
                await until(lambda: any("an answer is not taken" in line["event"] for line in logs))
                assert await asyncio.to_thread(rest_of, deaf) < whole


async def test_an_answer_that_is_taken_slowly_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 0.02)
    monkeypatch.setattr(http_protocol, "ANSWER_BYTES", 1)
    async with live_server(tmp_path) as server:
        job = await large_job(server)
        whole = len((await server.ask("GET", job, RESULTS)).content)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port_of(server)))
            slow.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(slow, request_for(job, RESULTS))
            size = 0
            async with asyncio.timeout(60):
                while size < whole:
                    size += len(await loop.sock_recv(slow, 4096))
                    later = asyncio.Event()
                    loop.call_later(0.001, later.set)
                    await later.wait()


class NeverTaking:
    """A fast way whose turn never comes."""

    def __init__(self) -> None:
        self.turnstile = Turnstile(0)

    def may_take(self, _: bytes) -> bool:
        return True

    def take(self, *_: object) -> bool:
        raise AssertionError("it is nobody's turn")


async def test_what_a_client_sends_before_its_turn_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turnstile, "_turn_later", lambda _: None)
    state, config = ServerState(), Config(lambda *_: None)
    make = partial(Arrival, config, state, {}, cap=ConnectionCap(9), turnstile=Turnstile(), fast=NeverTaking())
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    with socket.socket() as eager:
        eager.connect(server.sockets[0].getsockname())
        eager.settimeout(0)
        data = b"GET /ws/progress?" + b"x" * 64 * 1024 * 1024
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(eager, data))
        await until(lambda: any(not one.transport.is_reading() for one in state.connections))
        (arrival,) = state.connections
        assert isinstance(arrival, Arrival)
        assert len(arrival._data) < 1024 * 1024
        sending.cancel()
        arrival.transport.abort()
    server.close()
