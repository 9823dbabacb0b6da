"""Bodies of requests are bounded in one place, and drained in one place when they are refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from shelfwire.app import Shelfwire
from shelfwire.errors import Code
from shelfwire.plugins import Plugin, installed
from shelfwire.server.serving import serving
from shelfwire.settings import Settings
from shelfwire.web.intakes import FormIntake
from shelfwire.web.route import Context, Route
from shelfwire.web.uploads import Body, Pace, Submission
from tests.live import until

MIB = 1024 * 1024
FORM = b"multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


class Sender:
    """A client that sends a body in chunks, and notes how many were taken when the answer began."""

    def __init__(self, chunks: list[bytes], **headers: bytes) -> None:
        self.taken = 0
        self.answered_after: int | None = None
        self.status = 0
        self._chunks = chunks
        self._headers = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]

    async def receive(self) -> dict[str, Any]:
        chunk = self._chunks[self.taken]
        self.taken += 1
        return {"type": "http.request", "body": chunk, "more_body": self.taken < len(self._chunks)}

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.answered_after, self.status = self.taken, event["status"]

    async def post(self, app: Shelfwire, path: str) -> int:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": self._headers,
            "client": ("127.0.0.1", 1),
        }
        await app(scope, self.receive, self.send)
        return self.status


@pytest.fixture
def app(tmp_path: Path) -> Shelfwire:
    return Shelfwire(Settings(data=tmp_path, max_upload=2 * MIB, create_limit=0))


async def test_a_body_over_its_limit_is_taken_to_its_end_before_the_answer(app: Shelfwire) -> None:
    sender = Sender([HEAD, *[b"x" * MIB] * 9, b"\r\n--b--\r\n"], content_type=FORM, transfer_encoding=b"chunked")
    async with app.lifespan():
        assert await sender.post(app, "/api/import/csv-gemini") == 413
    assert sender.answered_after == 11


@pytest.mark.parametrize(
    "headers", [{"content_length": b"300000000"}, {"content_length": b"9", "expect": b"100-continue"}]
)
async def test_a_body_that_is_too_long_to_drain_or_not_yet_sent_is_not_waited_for(
    app: Shelfwire, headers: dict[str, bytes]
) -> None:
    sender = Sender([b"x" * 9], content_type=b"text/plain", **headers)
    async with app.lifespan():
        assert await sender.post(app, "/api/import/csv-gemini") == 415
    assert sender.answered_after == 0


async def test_who_sends_all_of_a_body_that_is_too_long_to_drain_reads_the_answer_afterwards(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, port=0)
    async with serving(Shelfwire(settings), settings) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        size = 140 * MIB
        writer.write(b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            writer.write(b"x" * MIB)
            await writer.drain()
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"E_FILE_TOO_LARGE" in answer


async def test_a_request_without_a_route_is_drained_as_well(app: Shelfwire) -> None:
    sender = Sender([b"x" * MIB] * 3, content_length=b"%d" % (3 * MIB))
    assert await sender.post(app, "/nowhere") == 404
    assert sender.answered_after == 3


async def test_a_body_of_exactly_its_limit_is_taken_and_one_byte_more_is_not(app: Shelfwire) -> None:
    answers = []
    async with app.lifespan():
        for size in (2 * MIB, 2 * MIB + 1):
            text = b'"' + b"x" * (size - 2) + b'"'
            sender = Sender([text[:MIB], text[MIB:]], content_type=b"application/json")
            answers.append(await sender.post(app, "/api/pipelines/csv_import/jobs"))
    assert answers == [202, 413]


@pytest.mark.parametrize("abruptly", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/import/csv-gemini", FORM),
        ("/api/scan-bookshelf", b"image/jpeg"),
        ("/api/enrichment/batch", b"application/json"),
        ("/api/pipelines/csv_import/jobs", b"application/json"),
        ("/read-by-starlette", b"text/plain"),
    ],
)
async def test_a_client_that_hangs_up_while_its_body_is_read_is_no_defect(
    tmp_path: Path, path: str, kind: bytes, *, abruptly: bool
) -> None:
    reading = asyncio.Event()

    async def handler(request: Request, _: Context) -> Response:
        reading.set()
        return Response(await request.body())

    class Plug(Plugin):
        name = "plug"

        def routes(self) -> list[Route]:
            return [Route(method="POST", path="/read-by-starlette", handler=handler, answers={})]

    settings = Settings(data=tmp_path, port=0)
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: 9999\r\n\r\n--b\r\n" % (
        path.encode(),
        kind,
    )
    with capture_logs() as logs:
        async with serving(Shelfwire(settings, plugins=[*installed(), Plug()]), settings) as url:
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(head)
            await writer.drain()
            if path == "/read-by-starlette":
                await reading.wait()
            writer.transport.abort() if abruptly else writer.close()
            await until(lambda: any(log["event"] == "request" for log in logs))
    (request,) = (log for log in logs if log["event"] == "request")
    assert (request["status"], request["code"]) == (400, Code.INVALID_REQUEST)
    assert [log for log in logs if log["log_level"] in {"error", "critical"} or "exception" in log] == []


async def test_a_form_field_is_the_same_wherever_the_network_cuts_it() -> None:
    title = "Zoë 図書"
    field = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + title.encode()
    form = field + b"\r\n" + HEAD + b"x\r\n--b--\r\n"
    for cut in range(len(form)):
        sender = Sender([form[:cut], form[cut:]])
        request = Request({"type": "http", "headers": [(b"content-type", FORM)]}, sender.receive)
        received = Submission(_discard, limit=MIB, text_fields=["title"], check=lambda _: None)
        await FormIntake().receive(Body(request, Pace(timeout=60, deadline=60, rate=0)), received)
        assert received.texts == {"title": title}
        assert list(received.inputs) == ["file"]


async def _discard(_name: str, _part: bytes) -> None:
    pass
