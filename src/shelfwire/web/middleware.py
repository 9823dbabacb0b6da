"""ASGI middleware around everything: request id, access log, draining of refused bodies."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.clock import Clock
from shelfwire.jobs.telemetry import Telemetry
from shelfwire.web.responses import ERROR_CODE, QUIET, REQUEST_ID
from shelfwire.web.root_path import path_of
from shelfwire.web.router import TEMPLATE
from shelfwire.web.uploads import Pace

SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SWITCHING: Final = 101
FIRST_ERROR: Final = 400
CLOSED_UNANSWERED: Final = 403
"""The status that a server answers with when a handshake is closed instead of accepted, as ASGI has it."""
DRAIN_BYTES: Final = 128 * 1024 * 1024
"""The bytes of a refused request's body that are read and dropped: many senders see no answer before all is sent."""
DRAIN_SECONDS: Final = 300.0
"""A phone may take that long to send them."""
LINGER_SECONDS: Final = 30.0
"""How long more than that is read after the answer: to close at once would reset the connection of a sender, who would
lose the answer with it."""
IDLE_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Names, logs and counts every request and handshake, and drains the body of what is refused.

    A caller may name its request with `X-Request-Id`, up to 64 letters, digits and `._:-`; other requests get a name.
    It is in every line that is logged on the way, and in the answer.

    Args:
        app: the application inside.
        clock: the time.
        new_id: makes a request's id.
        telemetry: is notified of errors, and of the bytes that were received.
        pace: how fast the body of a request has to come; that of a refused one with no gap of over a second.
    """

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        new_id: Callable[[], str],
        telemetry: Telemetry,
        pace: Pace,
    ) -> None:
        self._app = app
        self._clock = clock
        self._new_id = new_id
        self._telemetry = telemetry
        self._pace = Pace(min(pace.timeout, IDLE_SECONDS), DRAIN_SECONDS, pace.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log how it was answered; a socket that was accepted logs for itself."""
        sent: dict[bytes, bytes] = dict(scope["headers"])
        given = sent.get(REQUEST_ID.lower().encode(), b"").decode("latin-1")
        request_id = given if SANE_ID.fullmatch(given) else self._new_id()
        exchange = _Exchange(sent, receive, send, request_id, self._pace, self._clock)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            began = self._clock.monotonic()
            try:
                receiving = exchange.receive if scope["type"] == "http" else receive
                await self._app(scope, receiving, exchange.send)
            finally:
                code = scope["state"].get(ERROR_CODE)
                self._telemetry.answered(code, exchange.received)
                if exchange.answered_at is not None and TEMPLATE in scope:
                    self._telemetry.responded(scope[TEMPLATE], exchange.answered_at - began)
                if exchange.status != SWITCHING:
                    say = log.debug if code is None and scope["state"].get(QUIET) else log.info
                    say(
                        "request",
                        method=scope.get("method", "GET"),
                        path=path_of(scope),
                        status=exchange.status,
                        **({} if code is None else {"code": code}),
                        seconds=round(self._clock.monotonic() - began, 3),
                    )


class _Exchange:
    """One request and its answer.

    Attributes:
        status: the status of the answer; None while there is none.
        received: bytes of the body so far.
        answered_at: when the answer to a request began; None while it has not.
    """

    def __init__(
        self, sent: dict[bytes, bytes], receive: Receive, send: Send, request_id: str, pace: Pace, clock: Clock
    ) -> None:
        self._receive = receive
        self._send = send
        self._id = (REQUEST_ID.lower().encode(), request_id.encode())
        self._pace = pace
        length = sent.get(b"content-length", b"0")
        self._length = int(length) if length.isdigit() else 0
        self._waiting = sent.get(b"expect", b"").lower() == b"100-continue"
        self.received = 0
        self._is_long = False
        self._complete = not self._length and b"transfer-encoding" not in sent
        self.status: int | None = None
        self.answered_at: float | None = None
        self._clock = clock

    async def receive(self) -> Any:
        event: Any = await self._receive()
        self._waiting = False
        self.received += len(event.get("body", b""))
        self._complete = not event.get("more_body", False)
        return event

    async def send(self, event: Any) -> None:
        kind = event["type"]
        if kind in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
            self.status = event.get("status", SWITCHING)
            if kind == "http.response.start":
                self.answered_at = self._clock.monotonic()
            event = {**event, "headers": [*event.get("headers", ()), self._id]}
            if kind == "http.response.start" and event["status"] >= FIRST_ERROR:
                await self._drain()
        elif kind == "websocket.close" and self.status is None:
            self.status = CLOSED_UNANSWERED
        if kind == "http.response.body" and self._is_long and not event.get("more_body", False):
            await self._send({**event, "more_body": True})
            await self._read(self._length, self._pace._replace(deadline=LINGER_SECONDS))
            event = {"type": kind, "body": b""}
        await self._send(event)

    async def _drain(self) -> None:
        if self._waiting:  # for "100 Continue": nothing is sent
            return
        self._is_long = self._length > self.received + DRAIN_BYTES
        if not self._is_long:
            await self._read(DRAIN_BYTES, self._pace)

    async def _read(self, limit: int, pace: Pace) -> None:
        """Read and drop what comes, up to a number of bytes."""
        begun, loop = self.received, asyncio.get_running_loop()
        began = loop.time()
        with contextlib.suppress(TimeoutError):
            while not self._complete and self.received <= begun + limit:
                patience, _ = pace.patience(loop.time() - began, self.received - begun)
                async with asyncio.timeout(patience):
                    await self.receive()
