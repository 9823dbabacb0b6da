"""What the fast way takes, and that it answers like the ordinary one."""

import asyncio
import itertools
import re
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import h11
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfwire.server.fast.connections import SocketFollower
from shelfwire.server.fast.heads import parsed as read_head
from shelfwire.server.ws_protocol import WebSocketProtocol
from tests.live import MakeServer, until
from tests.servers import Server
from tests.web.both_ways import both_ways
from tests.web.test_socket import follower_socket

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "X-Request-Id": "named",
}
VALUES = st.sampled_from(
    [
        *("", " ", "localhost", "evil.example", "websocket", "WebSocket"),
        *("h2c, websocket", "Upgrade", "keep-alive, Upgrade"),
        *("keep-alive", "13", "8", KEY, "c2hvcnQ=", "not base64"),
        *("shelfwire.v1", "shelfwire.v1, other", "a,,b", '"', "(;"),
        *("permessage-deflate; client_max_window_bits", "null", "http://localhost", "Bearer {token}", "Bearer x", "0"),
        *("a\x00b", "a\x0bb", "\xe9", "a\tb", "x" * 8000),
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    [
        *("Authorization", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"),
        *("Origin", "Content-Length", "Expect", *GOOD),
        *("Transfer-Encoding", "X-Forwarded-Host", "X-Forwarded-For", "Cookie", "host", "Bad Name", "", "X:Y"),
    ]
)  # fmt: skip
QUERIES = st.sampled_from(
    [
        *("jobId={job}&token={token}", "jobId={JOB}&token={token}"),
        *("token={token}&jobId={job}&after=2", "jobId={job}", ""),
        *("jobId={job}&token=wrong", "jobId=other&token={token}", "jobId={job}&token={token}&after=x", "token={token}"),
        *("jobId={job}&jobId=x&token={token}", "jobId={job}&token=%20{token}"),
        *("jobId={job}&token={token}&a=b+c", "jobId"),
        *("jobId={job};token={token}", "jobId={job}&token={token}#x"),
        *("jobId={job}&&token={token}", "jobId={job}&token="),
    ]
)  # fmt: skip
PLAIN = "GET /ws/progress?{query} HTTP/1.1"
FIRST_LINES = st.sampled_from(
    [
        *(PLAIN, PLAIN, PLAIN, "GET /ws/progress?{query} HTTP/1.0", "POST /ws/progress?{query} HTTP/1.1"),
        *("GET /ws/progress/?{query} HTTP/1.1"),
        *("GET http://localhost/ws/progress?{query} HTTP/1.1", "GET /ws/progress?"),
        *("GET  /ws/progress?{query} HTTP/1.1"),
        *("get /ws/progress?{query} HTTP/1.1", "GET /ws/progres?{query} HTTP/1.1"),
    ]
)  # fmt: skip


class Change(NamedTuple):
    """One thing that is unusual about a handshake."""

    name: str
    value: str
    how: str


CHANGES = st.lists(
    st.builds(Change, NAMES, VALUES, st.sampled_from(["set", "add", "drop", "fold", "bare LF", "space before colon"])),
    max_size=2,
)


def head_of(first: str, changes: list[Change]) -> bytes:
    lines = [f"{name}: {value}" for name, value in GOOD.items()]
    for name, value, how in changes:
        own = [line for line in lines if line.lower().startswith(f"{name.lower()}:")]
        if how in {"set", "drop"}:
            lines = [line for line in lines if line not in own]
        match how:
            case "set" | "add":
                lines.append(f"{name}: {value}")
            case "fold":
                lines.append(f"{name}: a\r\n {value}")
            case "bare LF":
                lines.append(f"{name}: a\nX-More: {value}")
            case "space before colon":
                lines.append(f"{name} : {value}")
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


@given(first=FIRST_LINES, query=QUERIES, changes=CHANGES)
def test_what_the_fast_way_takes_is_what_the_ordinary_one_reads(first: str, query: str, changes: list[Change]) -> None:
    data = head_of(first.replace("{query}", query.format(job="j", JOB="J", token="t")), changes)
    parsed = read_head(data)
    if parsed is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert {name.decode(): value.decode("latin-1") for name, value in request.headers} == parsed.headers
    assert connection.trailing_data == (b"", False)


@given(data=st.binary(max_size=200), place=st.integers(0, 400))
def test_a_head_with_anything_in_it_is_not_taken_unless_it_can_be_read(data: bytes, place: int) -> None:
    good = head_of("GET /ws/progress?jobId=j&token=t HTTP/1.1", [])
    odd = good[:place] + data + good[place:]
    parsed = read_head(odd)
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(odd)
        request = connection.next_event()
    except h11.RemoteProtocolError:
        request = None
    assert parsed is None or isinstance(request, h11.Request)
    assert read_head(good) is not None


@pytest.mark.parametrize("size", [8191, 8192, 8193])
def test_a_head_of_8_kib_is_the_largest(size: int) -> None:
    padding = size - len(head_of("GET /ws/progress?jobId=j HTTP/1.1", [Change("X-Padding", "", "add")]))
    head = head_of("GET /ws/progress?jobId=j HTTP/1.1", [Change("X-Padding", "x" * padding, "add")])
    assert (len(head), read_head(head) is not None) == (size, size <= 8192)


class Waiting(NamedTuple):
    """A server with a job that has ended."""

    port: int
    job: str
    token: str
    last: int

    def fill(self, text: str) -> str:
        """Put what is its own into a text."""
        own = {"job": self.job, "JOB": self.job.upper(), "token": self.token, "last": str(self.last)}
        return re.sub(r"\{(\w+)\}", lambda match: own[match[1]], text)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Waiting]]:
    """Two servers, with and without the fast way."""
    with both_ways(tmp_path_factory.mktemp("fast"), begun, {"origins": ["https://app.example.com"]}) as found:
        yield found


async def begun(server: Server) -> Waiting:
    await server.start()
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        created = await http.post("/api/import/csv-gemini", files={"file": ("books.csv", b"Title\nEmma\nDune\n")})
        job = created.json()["data"]
        state: dict[str, Any] = {"status": ""}
        while state["status"] != "complete":
            answer = await http.get(
                f"/api/jobs/{job['jobId']}?wait=30", headers={"Authorization": f"Bearer {job['token']}"}
            )
            state = answer.json()["data"]
    return Waiting(int(server.url.rpartition(":")[2]), job["jobId"], job["token"], state["seq"])


STREAMS = st.sampled_from(
    [
        *("token={token}", "", "token=wrong", "token={token}&after=1", "token={token}&after=x", "token={token}&x=1"),
        *("token={token}&lastEventId=2", "token={token}&lastEventId={last}", "token={token}&after=-1"),
        "token={token}&after=",
        *("token={token}&after=007", "token={token}&token=x", "after=2&token={token}"),
    ]
)  # fmt: skip
STREAM_CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(
            ["Origin", "Last-Event-ID", "Connection", "Cookie", "Host", "Upgrade", "Accept", "Authorization", "TE"]
        ),
        st.sampled_from(
            [
                *("https://app.example.com", "https://other.example", "null", "{last}", "1", "x", "keep-alive"),
                *("evil.example", "localhost", "h2c", "text/event-stream", "Bearer {token}", "Bearer x", "trailers"),
                *("Keep-Alive", ""),
            ]
        ),
        st.just("set"),
    ),
    max_size=2,
)  # fmt: skip


def is_complete(received: bytes) -> bool:
    """Whether an answer has all that its head promises, or a follower the end of its job."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length is not None:
        return len(body) >= int(length[1])
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    if head.startswith(b"HTTP/1.1 204"):
        return True
    return bool(end) and body.endswith(b"Job completed")


def answered(server: Waiting, first: str, query: str, changes: list[Change], cuts: list[int]) -> tuple[object, ...]:
    """The status, the headers and the messages that a server answers with."""
    own = [Change(name, server.fill(value), how) for name, value, how in changes]
    return exchanged(server, head_of(server.fill(first.replace("{query}", query)), own), cuts)


def exchanged(server: Waiting, data: bytes, cuts: list[int]) -> tuple[object, ...]:
    """The status, the headers and the messages that a server answers a request with, which is sent in pieces."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
        for start, end in itertools.pairwise(places):
            connection.sendall(data[start:end])
        received = b""
        while not is_complete(received) and (part := connection.recv(1 << 16)):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {line.lower() for line in lines if not line.lower().startswith(("date:", "x-request-id:"))}
    if b"transfer-encoding: chunked" in head.lower():
        body = b"".join(re.split(rb"(?:^|(?<=\n\n)\r\n)[0-9a-f]+\r\n", body))
    own = re.sub(f"{re.escape(server.token)}|{server.job}".encode(), b"", body, flags=re.IGNORECASE)
    varying = re.sub(
        rb'"timestamp":\d+|"seq":\d+|id: \d+|"duration":\d+|"(jobId|requestId)":"[^"]*"|[0-9a-f-]{36}', b"", own
    )
    return status, sorted(headers), varying


@settings(max_examples=60)
@given(first=FIRST_LINES, query=QUERIES, changes=CHANGES, cuts=st.lists(st.integers(0, 500), max_size=1))
def test_both_ways_answer_alike(
    both: list[Waiting], first: str, query: str, changes: list[Change], cuts: list[int]
) -> None:
    fast, ordinary = (answered(server, first, query, changes, cuts) for server in both)
    assert fast == ordinary


def test_both_ways_send_a_follower_the_same_messages(both: list[Waiting]) -> None:
    answers = [answered(server, PLAIN, "jobId={job}&token={token}", [], []) for server in both]
    assert answers[0] == answers[1]
    assert answers[0][0] == "HTTP/1.1 101 Switching Protocols"
    text = answers[0][2]
    assert isinstance(text, bytes)
    assert [text.count(kind) for kind in (b"job_started", b"job_progress", b"job_complete")] == [1, 1, 1]


async def test_a_handshake_in_one_piece_takes_the_fast_way_and_one_in_two_the_ordinary(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        head = head_of(PLAIN.format(query=f"jobId={job['jobId']}&token={job['token']}"), [])
        for pieces, fast in (([head], True), ([head[:50], head[50:]], False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.write(pieces[0])
            for piece in pieces[1:]:  # in a segment of its own, which is read after the first
                await server.http.get("/health/live")
                writer.write(piece)
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            protocol = follower_socket(writer.get_extra_info("sockname")[1])
            assert isinstance(protocol, SocketFollower if fast else WebSocketProtocol)
            writer.close()
            await reader.read()
            await until(lambda: server.app.service._hub.followers == 0)


STREAM_HEAD = {"Host": "localhost", "Accept": "text/event-stream", "X-Request-Id": "named"}


def stream_head(server: Waiting, query: str, changes: list[Change]) -> bytes:
    fields = {**STREAM_HEAD, **{change.name: change.value for change in changes}}
    lines = [f"GET /api/jobs/{{job}}/events?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return server.fill("\r\n".join([*lines, "", ""])).encode()


@settings(max_examples=60)
@given(query=STREAMS, changes=STREAM_CHANGES)
def test_both_ways_answer_requests_for_events_alike(both: list[Waiting], query: str, changes: list[Change]) -> None:
    fast, ordinary = (exchanged(server, stream_head(server, query, changes), []) for server in both)
    assert fast == ordinary


def test_the_connection_of_a_stream_serves_the_next_request(both: list[Waiting]) -> None:
    for server in both:
        head = stream_head(server, "token={token}", [])
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(head + b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.sendall(head)
            received = b""
            while received.count(b"event: job_complete") < 2 or not received.endswith(b"0\r\n\r\n"):
                received += connection.recv(1 << 16)
        assert [received.count(b"HTTP/1.1 200"), received.count(b"text/event-stream")] == [3, 2]
