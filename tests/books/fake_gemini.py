"""A server on loopback that plays Gemini, with all the ways in which it can fail, and counts what it is asked."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

KEY = "AIza-made-up-for-the-tests-000000000000"
TOKENS_IN, TOKENS_OUT, THOUGHTS = 258, 40, 7
"""What every answer costs, unless a test says otherwise."""


class Reply(NamedTuple):
    """What goes over the wire; a `short` one breaks off before its end."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    short: bool = False


class Call(NamedTuple):
    """What was asked."""

    path: str
    key: str | None
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """What the question is about, where it is about rows."""
        data: dict[str, Any] = json.loads(self.body["contents"][0]["parts"][0]["text"])
        return data

    @property
    def rows(self) -> list[int]:
        """The numbers of the rows asked about; none if these are columns or a photo."""
        if "inlineData" in self.body["contents"][0]["parts"][0]:
            return []
        return [row["row"] for row in self.data["rows"] if isinstance(row, dict)]


Play = Callable[[Call], Reply | None]
"""How one request is answered; None is never."""


def _json(status: int, body: Any, headers: Mapping[str, str] = {}) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"content-type": "application/json; charset=UTF-8", **headers})


def _usage(prompt: int, candidates: int, thoughts: int) -> dict[str, int]:
    counts = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts}
    return {**counts, "totalTokenCount": prompt + candidates + thoughts}


def says(
    content: Any, *, finish: str = "STOP", tokens: tuple[int, int, int] = (TOKENS_IN, TOKENS_OUT, THOUGHTS)
) -> Reply:
    """An answer with a text, or with anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    parts = [{"text": "Let me see…", "thought": True}, {"text": text}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
    return _json(200, {"candidates": [candidate], "usageMetadata": _usage(*tokens), "modelVersion": "gemini-fake"})


def blocked(reason: str = "SAFETY") -> Reply:
    """A refusal of what was sent: no candidate at all."""
    return _json(200, {"promptFeedback": {"blockReason": reason}, "usageMetadata": _usage(5, 0, 0)})


def error(
    status: int, name: str, message: str = "", *, reason: str = "", delay: str = "", retry_after: str = ""
) -> Reply:
    """An error as Google's services say it."""
    details = []
    if reason:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})
    if delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    body = {"error": {"code": status, "message": message, "status": name, "details": details}}
    return _json(status, body, {"Retry-After": retry_after} if retry_after else {})


BAD_KEY = error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}", reason="API_KEY_INVALID")
OVERLOADED = error(503, "UNAVAILABLE", "The model is overloaded.")
HTML = Reply(502, b"<html>502 Bad Gateway</html>", {"content-type": "text/html"})


def reads(call: Call) -> Reply:
    """What an honest model would say: rows are "title by author (year)", a table's columns are told by its cells."""
    if call.rows:
        return says([_read(row["row"], row["text"]) for row in call.data["rows"]])
    if "inlineData" in call.body["contents"][0]["parts"][0]:
        return says([{"title": "Dune", "author": "Frank Herbert", "confidence": 0.97, "box": [100, 50, 900, 120]}])
    first = call.data["rows"][0]
    header = "Liburua" in first
    names = {"Liburua": "title", "Idazlea": "author", "Urtea": "publication_year"}
    order = [names.get(cell, "something_else") for cell in first] if header else ["author", "title"]
    return says(
        {"firstRowIsHeader": header, "columns": [{"column": n, "holds": holds} for n, holds in enumerate(order)]}
    )


def _read(number: int, text: str) -> dict[str, Any]:
    found = re.match(r"(?P<title>.+?) by (?P<author>[^(,]+?)(?: \((?P<year>\d{4})\))?(?:,.*)?$", text)
    return {"row": number, **(found.groupdict() if found else {"title": ""})}


@dataclass
class FakeGemini:
    """A running server.

    Attributes:
        url: where it is.
        calls: what it was asked, in order.
        plays: how the next requests are answered; once there are none, by `usual`.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    plays: list[Play | Reply | None] = field(default_factory=list)
    usual: Play | Reply | None = reads
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def script(self, *plays: Play | Reply | None) -> None:
        """Say how the next requests are answered; None never is."""
        self.plays.extend(plays)

    @property
    def asked_rows(self) -> list[int]:
        """The numbers of all rows it was asked about, in order."""
        return [row for call in self.calls for row in call.rows]

    def answer(self, call: Call) -> Reply | None:
        """Note a request and decide on its answer."""
        with self._lock:
            self.calls.append(call)
            play = self.plays.pop(0) if self.plays else self.usual
        reply = play(call) if callable(play) else play
        if reply is None:
            self._over.wait()
        return reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeGemini

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply = self.fake.answer(Call(self.path, self.headers.get("x-goog-api-key"), body))
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.short else reply.body)
        self.close_connection = self.close_connection or reply.short


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """Clients may hang up whenever they like."""


@contextmanager
def fake_gemini(*plays: Play | Reply | None, usual: Play | Reply | None = reads) -> Iterator[FakeGemini]:
    """Serve until the context ends."""
    fake = FakeGemini(plays=list(plays), usual=usual)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake._over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def row(number: int, title: str | None, author: str | None = None, **more: Any) -> dict[str, Any]:
    """An element of an answer about rows."""
    return {"row": number, "title": title, "author": author, **more}


def table(*holds: str, header: bool = False) -> dict[str, Any]:
    """An answer about columns."""
    columns: Sequence[dict[str, Any]] = [{"column": n, "holds": what} for n, what in enumerate(holds)]
    return {"firstRowIsHeader": header, "columns": columns}
