import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from shelfwire.server.logs import QUERY
from tests.live import bearer
from tests.servers import Server

KEY = "a-key-of-the-web-app"
SECRETS = ["quoted-in-an-exception", "wrong-token", "in-the-query", "a-key-of-nobody", "Dune Messiah"]
SETTINGS = {"api_keys": KEY, "log_followers": "both"}
BROKEN_SERVER = Path(__file__).with_name("broken_server.py")
WAITING_SERVER = Path(__file__).with_name("waiting_server.py")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for all: whatever is asked of it, its log stays readable."""
    async with Server(tmp_path_factory.mktemp("logs") / "data", SETTINGS, script=BROKEN_SERVER) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waiting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server whose jobs do not end while they are followed, and whose log has nothing else in it."""
    async with Server(tmp_path_factory.mktemp("quiet") / "data", {"api_keys": KEY}, script=WAITING_SERVER) as server:
        yield server


def lines(server: Server) -> list[dict[str, str]]:
    """The log so far, each line by key."""
    pair = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)')
    text = server.log.read_text(encoding="utf-8")
    return [{key: value.strip('"') for key, value in pair.findall(line)} for line in text.splitlines()]


async def line(server: Server, **wanted: str) -> dict[str, str]:
    """Wait for the line that has all that is wanted."""
    async with asyncio.timeout(60):
        while True:
            for found in lines(server):
                if wanted.items() <= found.items():
                    return found
            await asyncio.sleep(0.01)


async def create(http: httpx2.AsyncClient, data: bytes = b"Title\nDune Messiah\n", **headers: str) -> dict[str, Any]:
    files = {"file": ("a.csv", data)}
    response = await http.post("/api/import/csv-gemini", files=files, headers={"X-API-Key": KEY, **headers})
    created: dict[str, Any] = response.json()["data"]
    return created


async def follow(server: Server, query: str, **options: Any) -> None:
    async with connect(f"ws{server.url[4:]}/ws/progress?{query}", proxy=None, **options) as socket:
        async for _ in socket:
            pass


async def test_no_token_key_query_or_book_is_in_the_log_whatever_is_asked(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        job = await create(http)
        token, query = job["token"], f"jobId={job['jobId']}"
        offered = [Subprotocol(f"shelfwire.bearer.{token}"), Subprotocol("shelfwire.v1")]
        await follow(server, f"{query}&token={token}")
        await follow(server, query, subprotocols=offered)
        await follow(server, query, additional_headers=bearer(token))
        for bad in (f"{query}&token=wrong-token", "token=in-the-query", ""):
            with pytest.raises(InvalidStatus):
                await follow(server, bad)
        broken = await http.get(f"{job['links']['results']}?token=in-the-query", headers=bearer(token))
        assert broken.status_code == 500
        await http.get(f"{job['links']['self']}?token={token}", headers=bearer("wrong-token"))
        await http.get(f"{job['links']['results']}?limit=x&token={token}", headers=bearer(token))
        await http.get(f"/nowhere?token={token}")
        await http.post("/api/import/csv-gemini", headers={"X-API-Key": "a-key-of-nobody"}, content=b"x")
        exploding = await create(http, b"Title\nExplode\n")
        await line(server, event="attempt failed", job=exploding["jobId"])
    await raw(
        server,
        f"GET /api/jobs/x?token={token} HTTP/1.1\r\nHost: [::1]\r\nAuthorization: Bearer {token}\r\nX\r\n\r\n",
    )
    await raw(server, f"NONSENSE ?token={token}\r\n\r\n")
    await raw(server, f"GET /?token={token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: h3c\r\nConnection: Upgrade\r\n\r\n")
    masked = b"\x81\x85\x00\x00\x00\x00\xff\xfe\xfd\xfc\xfb"
    await raw(server, upgrade(f"{query}&token={token}"), masked)
    await line(server, level="warning", event="Invalid HTTP request received.")
    text = server.log.read_text(encoding="utf-8")
    assert "a defect in http://host/path?…" in text
    assert [secret for secret in [token, exploding["token"], KEY, *SECRETS] if secret in text] == []
    assert [found for found in re.findall(r"\S*\?\S*", text) if "=" in found.partition("?")[2]] == []
    assert [found for found in lines(server) if not {"timestamp", "level", "event"} <= found.keys()] == []


async def raw(server: Server, head: str, then: bytes = b"") -> None:
    """Send bytes, and wait until the server has answered and closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(head.encode() + then)
    writer.write_eof()
    async with asyncio.timeout(60):
        await reader.read()
    writer.close()


def upgrade(query: str) -> str:
    return (
        f"GET /ws/progress?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )


async def test_every_line_of_a_jobs_life_names_the_job_and_its_attempt(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        job = await create(http, b"Title\nExplode\n", **{"X-Request-Id": "from-the-app"})
        await line(server, event="attempt over", job=job["jobId"], attempt="1")
        canceled = await http.post(job["links"]["cancel"], headers=bearer(job["token"]))
    assert canceled.status_code == 200
    life = [found for found in lines(server) if found.get("job") == job["jobId"]]
    assert [(found["event"], found["attempt"]) for found in life] == [
        ("job created", "0"),
        ("job claimed", "1"),
        ("attempt failed", "1"),
        ("attempt over", "1"),
        ("control requested", "1"),
    ]
    assert life[0]["request_id"] == "from-the-app"
    assert "request_id" not in life[1]


async def test_a_socket_has_a_line_when_it_comes_and_one_when_it_goes_with_what_it_was_told(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        job = await create(http)
        query = f"jobId={job['jobId']}&token={job['token']}"
        frames = []
        headers = {"X-Request-Id": "the-phone"}
        async with connect(f"ws{server.url[4:]}/ws/progress?{query}", proxy=None, additional_headers=headers) as socket:
            assert socket.response is not None
            assert socket.response.headers["X-Request-Id"] == "the-phone"
            frames = [frame async for frame in socket]
    left = await line(server, event="follower left", request_id="the-phone")
    attached = await line(server, event="follower attached", request_id="the-phone")
    assert (attached["job"], attached["transport"]) == (job["jobId"], "websocket")
    assert (left["job"], left["code"]) == (job["jobId"], "1000")
    assert (int(left["frames"]), int(left["bytes"])) == (len(frames), sum(len(str(frame).encode()) for frame in frames))


@pytest.mark.parametrize("named", ["0b1c-2.3:4_5", "x" * 64])
async def test_a_request_is_logged_in_one_line_under_the_name_its_caller_gave_it(server: Server, named: str) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        response = await http.get("/health/live?a=b", headers={"X-Request-Id": named})
    found = await line(server, event="request", request_id=named)
    assert response.headers["x-request-id"] == named
    assert (found["method"], found["path"], found["status"], found["level"]) == ("GET", "/health/live", "200", "info")
    assert float(found["seconds"]) >= 0
    assert len([one for one in lines(server) if one.get("request_id") == named]) == 1


@pytest.mark.parametrize("named", [b"", b"x" * 65, b"two words", b'quo"ted', b"\xe9", b"new=line", b"[31m"])
async def test_a_name_that_could_forge_a_line_is_replaced(server: Server, named: bytes) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        response = await http.get("/nowhere", headers={b"X-Request-Id": named})
    given = response.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", given)
    assert (await line(server, request_id=given))["status"] == "404"


async def test_a_refused_handshake_is_logged_as_a_request(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await follow(server, "jobId=x&token=wrong-token")
    given = refused.value.response.headers["X-Request-Id"]
    found = await line(server, request_id=given)
    assert (found["event"], found["path"], found["status"]) == ("request", "/ws/progress", "401")


async def test_a_path_of_question_marks_costs_no_more_than_its_length() -> None:
    seconds = []
    for count in (2_000, 16_000):
        figures = []
        for _ in range(5):
            began = time.thread_time()
            assert QUERY.sub("?…", "/" + "?a" * count + "b?c=d") == "/" + "?a" * count + "b?…"
            figures.append(time.thread_time() - began)
        seconds.append(min(figures))
    assert seconds[1] < 30 * seconds[0], "eight times the length, not sixty-four times the time"


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A frame of a client, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


SYNC = frame(b'{"type":"sync_request"}')
NO_TEXT = frame(b"\xff\xfe")
NO_FRAME = b"\xff" * 60


@pytest.mark.parametrize("early", [True, False], ids=["behind the handshake", "later"])
@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (NO_TEXT, {"1007"}),
        (SYNC * 500 + NO_TEXT + SYNC * 500, {"1007"}),
        (SYNC * 500 + NO_FRAME, {"1002"}),
        (SYNC * 500 + SYNC[:9], {"1006"}),
        (SYNC * 500 + frame(b"\x0f\xa1", 8) + SYNC * 500, {"4001"}),
        (SYNC * 5000, {"1006"}),
    ],
    ids=["no text", "no text in a flood", "no frame in a flood", "a flood cut in a frame", "a closed flood", "a flood"],
)
async def test_whatever_frames_a_client_sends_leave_a_quiet_line_with_the_close_code(
    waiting: Server, sent: bytes, codes: set[str], *, early: bool
) -> None:
    async with httpx2.AsyncClient(base_url=waiting.url, timeout=60) as http:
        job = await create(http)
        named = uuid.uuid4().hex
        head = upgrade(f"jobId={job['jobId']}&token={job['token']}").replace("Host:", f"X-Request-Id: {named}\r\nHost:")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(waiting.url.rpartition(":")[2]))
        # In two pieces, that are received apart: the head ends in the middle of what belongs to the frames.
        writer.write(head.encode() + (sent[:5] if early else b""))
        if early:
            await writer.drain()
            writer.write(sent[5:])
        async with asyncio.timeout(60):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"" if early else sent)
            writer.write_eof()
            await reader.read()
        writer.close()
        left = await line(waiting, event="follower left", request_id=named)
        assert left["code"] in codes
        assert (await http.get("/health/live")).status_code == 200
    log = waiting.log.read_text(encoding="utf-8")
    assert [found for found in lines(waiting) if found.get("level") not in {"info", None}] == []
    assert "Traceback" not in log
