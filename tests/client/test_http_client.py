"""The real network through proxies and against servers that do to a client what networks do."""

import asyncio
import gc
import shutil
import ssl
import subprocess
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import uvloop
from websockets.sync.server import ServerConnection, serve

from shelfwire.client import Client, ConnectionLostError, Following, JobHandle, RefusedError, Transport
from shelfwire.client.http import CutError, Request, UnreachableError
from shelfwire.client.http_client import NetworkHttpClient
from shelfwire.protocol.messages import JobComplete, Message, encode
from tests.faults.plans import Fault, Moment, Plan
from tests.faults.proxy import Proxy
from tests.live import MakeServer, Server

SOON = (0.01, 0.01, 0.01, 0.01, 0.01)
IMPATIENT = 0.3
"""Seconds within which a stream must begin; it never does where this counts."""
TRIES: Final = 30
"""How often something is tried that depends on which of two tasks is first."""
Answer = Callable[[bytes], bytes]


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def followed(url: str, server: Server, handshake: float = 10.0) -> tuple[list[Message], Following]:
    created = await server.submit()
    async with Client(http=NetworkHttpClient(url, handshake=handshake), delays=SOON) as client:
        following = client.follow(JobHandle(created["jobId"], created["token"]))
        return [message async for message in following], following


@pytest.mark.parametrize("status", [200, 403, 404, 502])
async def test_behind_a_proxy_that_refuses_upgrades_it_receives_events(make_server: MakeServer, status: int) -> None:
    async with make_server() as server, Proxy(port_of(server), lambda _: Plan(refuse=status)) as proxy:
        messages, following = await followed(proxy.url, server)
    assert (messages[-1].type, following.transport) == ("job_complete", Transport.SSE)


async def test_behind_a_proxy_that_also_holds_streams_back_it_polls(make_server: MakeServer) -> None:
    async with (
        make_server(gated=True) as server,
        Proxy(port_of(server), lambda _: Plan(refuse=502, hold=True)) as proxy,
    ):
        server.gate.steps.put_nowait(2)
        created = await server.submit()
        async with Client(http=NetworkHttpClient(proxy.url, handshake=IMPATIENT), delays=SOON) as client:
            following = client.follow(JobHandle(created["jobId"], created["token"]))
            first = await anext(following)
            server.gate.steps.put_nowait(None)
            rest = [message async for message in following]
        assert following.transport is Transport.POLLING
        assert (first.terminal, rest[-1].type) == (False, "job_complete")
        assert (proxy.counts.refused, proxy.counts.held) == (1, 1)


@pytest.mark.parametrize("moment", [Moment.IN_HEAD, Moment.OPEN])
async def test_behind_a_proxy_that_cuts_sockets_before_a_word_it_receives_events(
    make_server: MakeServer, moment: Moment
) -> None:
    def plan(number: int) -> Plan:
        return Plan(fault=Fault.RESET, moment=moment) if number < 2 else Plan()

    async with make_server() as server, Proxy(port_of(server), plan) as proxy:
        messages, following = await followed(proxy.url, server)
        assert ["upgrade" in link.request.lower() for link in proxy.links] == [True, True, False]
    assert (messages[-1].type, following.transport) == ("job_complete", Transport.SSE)


async def test_a_socket_that_is_swallowed_in_the_handshake_is_given_up(make_server: MakeServer) -> None:
    def plan(number: int) -> Plan:
        return Plan(fault=Fault.SILENCE, moment=Moment.IN_HEAD, fraction=0.0) if number < 2 else Plan()

    async with make_server() as server, Proxy(port_of(server), plan) as proxy:
        messages, following = await followed(proxy.url, server, handshake=IMPATIENT)
    assert (messages[-1].type, following.transport) == ("job_complete", Transport.SSE)


@pytest.mark.parametrize("transport", [transport.value for transport in Transport])
async def test_a_cut_in_the_middle_of_a_message_loses_nothing(make_server: MakeServer, transport: str) -> None:
    def plan(number: int) -> Plan:
        faults = [
            Plan(fault=Fault.RESET, moment=Moment.WITHIN, number=0),
            Plan(fault=Fault.CLOSE, moment=Moment.AFTER, number=0),
            Plan(fault=Fault.RESET, moment=Moment.WITHIN_ENDING),
        ]
        return faults[number] if number < len(faults) else Plan()

    async with make_server() as server, Proxy(port_of(server), plan) as proxy:
        created = await server.submit()
        async with Client(proxy.url, transports=(transport,), delays=SOON) as client:
            messages = [message async for message in client.follow(JobHandle(created["jobId"], created["token"]))]
    assert [message.seq for message in messages] == sorted(message.seq or 0 for message in messages)
    assert [message.type for message in messages].count("job_started") == 1
    assert messages[-1].type == "job_complete"


@asynccontextmanager
async def odd_server(answer: Answer, secure: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers the first bytes of any connection in its own way, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secure)
    async with server:
        scheme = "http" if secure is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_redirect_does_not_carry_the_token_away() -> None:
    heads: list[bytes] = []

    def note(head: bytes) -> bytes:
        heads.append(head)
        return b""

    async with odd_server(note) as thief:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {thief}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        async with odd_server(lambda _: moved) as url, Client(url, delays=(0.0,)) as client:
            with pytest.raises(ConnectionLostError, match="307"):
                await client.follow(JobHandle("j", "secret")).run()
            with pytest.raises(RefusedError, match="307"):
                await client.state(JobHandle("j", "secret"))
    assert heads == []


@pytest.mark.parametrize(
    "head", [b"Content-Type: text/html", b"Content-Type: application/json", b"X-None: 1"], ids=["html", "json", "none"]
)
async def test_a_stream_of_another_kind_is_not_taken_for_events(head: bytes) -> None:
    body = b"HTTP/1.1 200 OK\r\n" + head + b"\r\nConnection: close\r\n\r\ndata: {}\n\n"
    async with odd_server(lambda _: body) as url, Client(url, transports=("sse",), delays=(0.0,)) as client:
        with pytest.raises(ConnectionLostError, match="answered 200"):
            await client.follow(JobHandle("j", "t")).run()


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwire.client.http_client.MAX_ANSWER_BYTES", 10_000)
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(100_000)
    async with odd_server(lambda _: endless) as url, Client(url) as client:
        with pytest.raises(ConnectionLostError, match="exceeds 10000 bytes"):
            await client.state(JobHandle("j", "t"))


async def test_an_event_without_end_is_cut_off() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: "
    async with odd_server(lambda _: endless + b"x" * 3_000_000) as url:
        with pytest.raises(CutError, match="byte limit"):
            await _first_event(NetworkHttpClient(url))


async def _first_event(wire: NetworkHttpClient) -> None:
    async with wire.events(Request(method="GET", path="/")) as events:
        await anext(events)


async def test_nobody_listening_is_distinguished_from_a_lost_answer() -> None:
    async with odd_server(lambda _: b"") as url:
        with pytest.raises(CutError):
            await NetworkHttpClient(url).request(Request(method="GET", path="/"))
    with pytest.raises(UnreachableError):
        await NetworkHttpClient(url).request(Request(method="GET", path="/"))
    with pytest.raises(UnreachableError):
        await NetworkHttpClient(url).socket(Request(method="GET", path="/")).__aenter__()


@pytest.mark.parametrize("transport", [transport.value for transport in Transport])
@pytest.mark.parametrize("host", ["no-such-name.invalid", "255.255.255.255"])
async def test_a_device_without_network_is_a_lost_connection_on_every_transport(host: str, transport: str) -> None:
    async with Client(f"http://{host}:9", transports=(transport,), delays=SOON) as client:
        waits: list[float] = []
        with pytest.raises(ConnectionLostError, match="could not be restored"):
            await client.follow(JobHandle("a-job", "a-token"), waits.append).run()
    assert len(waits) == len(SOON)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8787", "ftp://x", "http://x:99999", "http://", "http://x?a=b", "http://me:s3cret@x", "http://☃..x"],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="server's address") as refused:
        Client(url)
    assert "s3cret" not in str(refused.value)


async def test_a_file_whose_name_is_no_utf_8_is_sent(make_server: MakeServer, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.csv"
    try:
        path.write_bytes(b"Title\nEmma\n")
    except OSError:
        pytest.skip("this file system takes no such names")
    async with make_server() as server, Client(server.url) as client:
        assert (await client.follow(await client.start("csv_import", file=path)).run()).type == "job_complete"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("transport", [transport.value for transport in Transport])
async def test_a_server_with_a_certificate_of_its_own_making_is_refused_at_once(tmp_path: Path, transport: str) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    secure = await asyncio.to_thread(_certified, key, certificate)
    waits: list[float] = []
    async with odd_server(lambda _: b"", secure) as url, Client(url, transports=(transport,)) as client:
        with pytest.raises(ConnectionLostError, match="certificate"):
            await client.follow(JobHandle("j", "t"), waits.append).run()
    assert waits == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_closed_right_after_the_ending_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    secure = _certified(key, certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    over = threading.Event()

    def end_and_linger(socket: ServerConnection) -> None:
        payload = JobComplete(success_count=1, failure_count=0, duration=1, results={})
        socket.send(encode(Message(job_id="j", pipeline="p", timestamp=1, payload=payload, seq=3)))
        over.wait()

    async def follow(url: str) -> str:
        async with Client(url, transports=("websocket",)) as client:
            return (await client.follow(JobHandle("j", "t")).run()).type

    with serve(end_and_linger, "127.0.0.1", 0, ssl=secure) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        for _ in range(TRIES):
            with asyncio.Runner(loop_factory=new_loop) as runner:
                assert runner.run(follow(f"https://127.0.0.1:{server.socket.getsockname()[1]}")) == "job_complete"
        gc.collect()
        over.set()
        server.shutdown()
        serving.join()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


def _certified(key: Path, certificate: Path) -> ssl.SSLContext:
    """Make a certificate that only who knows it trusts, and what a server shows it with."""
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", *words, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(certificate, key)
    return secure
