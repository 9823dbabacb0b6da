"""HTTP for clients that may be slow or mean harm: the head of a request has bounded time as well as bounded size."""

import asyncio
from functools import partial
from typing import Any, Final

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from shelfwire.errors import Code, ShelfwireError
from shelfwire.server.connection_cap import ConnectionCap
from shelfwire.web.events import BELOW, ask_to_return
from shelfwire.web.socket import refuse

HEALTH: Final = frozenset({"/health/live", "/health/ready"})
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nX-Error-Code: E_OVERLOADED\r\nRetry-After: 2\r\nConnection: close\r\n\r\n"
)
_WITH_BODY: Final = (
    b"HTTP/1.1 400 Bad Request\r\nX-Error-Code: E_INVALID_REQUEST\r\nContent-Type: text/plain\r\n"
    b"Connection: close\r\n\r\n"
    b"A WebSocket handshake has no body: send it without Content-Length and Transfer-Encoding."
)
HEAD_SECONDS: Final = 15.0
"""The time within which the head of a request must arrive, from its first byte."""
ANSWER_SECONDS: Final = 30.0
ANSWER_BYTES: Final = 30 * 1024
"""What a client takes of an answer within that time at least, as long as more of it waits. The kernel drops only a
client that takes nothing at all."""

LAST_ANSWER_SECONDS: Final = 5.0
"""The time within which a request on a connection for which there is no room is answered, and the answer is taken."""

log = structlog.get_logger(__name__)


class HttpProtocol(H11Protocol):
    """uvicorn's protocol over h11, whose keep-alive timer runs until a whole head is there.

    An idle connection is kept longer than phones believe in it, which is 30 s: they send a request into one that was
    just closed, and report an error. Once a head has begun, it has `HEAD_SECONDS` in place of what is left.

    uvicorn's own starts with the first answer and stops at the next byte: a connection on which no head ever came to
    its end would stay for good, and their number is limited.
    """

    def __init__(self, *args: Any, cap: ConnectionCap, has_room: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._cap = cap
        self._extra = not has_room
        self._taking_timer: asyncio.TimerHandle | None = None
        self._last_timer: asyncio.TimerHandle | None = None
        self._movements = 0
        self._served, self.app = self.app, self._serve
        self._idle_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request as long as for another one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._cap.leave(self.transport)
        self._stop_checking()
        if self._last_timer is not None:
            self._last_timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Send no more until the client has taken what waits, in bounded time."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """Go on sending."""
        self._movements += 1
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        self._movements += 1
        self._expect_taking()

    def expect_rest(self) -> None:
        """See to it that the client takes what another protocol has left to be sent."""
        self._expect_taking()

    def _expect_taking(self) -> None:
        """See to it that the client takes what waits, as long as nothing is added to it."""
        size = self.transport.get_write_buffer_size()
        is_answered = self.cycle is None or self.cycle.response_complete
        if size and self._taking_timer is None and (self.flow.write_paused or is_answered):
            self._taking_timer = self.loop.call_later(ANSWER_SECONDS, self._check_taking, size, self._movements)

    def _stop_checking(self) -> None:
        if self._taking_timer is not None:
            self._taking_timer.cancel()

    def _check_taking(self, before: int, movements: int) -> None:
        self._taking_timer = None
        size = self.transport.get_write_buffer_size()
        if size > max(0, before - ANSWER_BYTES) and movements == self._movements:
            log.info("an answer is not taken; its connection is cut", unsent=size)
            self.transport.abort()
        else:
            self._expect_taking()

    def idle_since(self) -> float | None:
        """See `Closable`."""
        busy = self.cycle is not None and not self.cycle.response_complete
        gone = self.transport.is_closing() or self.transport.get_write_buffer_size() > 0
        return None if busy or gone else self._idle_since

    def turn_away(self) -> None:
        """See `Closable`; nobody waits for an answer on a connection without a request."""
        self.transport.close()

    def _has_no_room(self) -> bool:
        self._extra = self._extra and self._cap.exceeded(self.transport)
        return self._extra

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request; on a connection for which there is no room, only if it asks for the server's health.

        It is the last one there: who asks again and again, and reads nothing, would keep health from others.
        """
        if not self._has_no_room():
            await self._served(scope, receive, send)
            return
        self._last_timer = self.loop.call_later(LAST_ANSWER_SECONDS, self.transport.abort)
        if scope["path"].rstrip("/") in HEALTH:
            await self._served(scope, receive, partial(_send_last, send))
            return
        error = ShelfwireError(Code.OVERLOADED)
        if scope["path"].rstrip("/").endswith(BELOW):
            await ask_to_return(scope, send, error, {"Connection": "close", "Access-Control-Allow-Origin": "*"})
        else:
            await refuse(scope, send, error, extra={"Connection": "close"})

    def _get_upgrade(self) -> bytes | None:
        """Return what the connection is to be upgraded to: `websocket` if that is among the offers (RFC 9110, 7.8).

        uvicorn's own reads only the last line of each header, and takes all offers for one.
        """
        if b"upgrade" not in self._elements(b"connection"):
            return None
        offers = self._elements(b"upgrade")
        return b"websocket" if b"websocket" in offers else b",".join(offers) or None

    def _elements(self, name: bytes) -> list[bytes]:
        lines = [value.lower() for key, value in self.headers if key == name]
        return [element for line in lines for part in line.split(b",") if (element := part.strip())]

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over, with the one offer that was taken."""
        if self._has_no_room():
            self.transport.write(_BUSY)
            self.transport.close()
            return
        if self._elements(b"transfer-encoding") or {*self._elements(b"content-length")} - {b"0"}:
            self.transport.write(_WITH_BODY)
            self.transport.close()
            return
        self._stop_checking()
        others = [header for header in self.headers if header[0] != b"upgrade"]
        self.headers = [*others, (b"upgrade", b"websocket")]
        super().handle_websocket_upgrade(event)
        self.transport.get_protocol().on_lost = partial(self._cap.leave, self.transport)  # type: ignore[attr-defined]
        # uvicorn drops what came behind the head: the rest would be read from the middle of a frame.
        if behind := self.conn.trailing_data[0]:
            self.transport.get_protocol().data_received(behind)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Take bytes without stopping the timer, which `handle_events` does once they make up a head."""
        self.conn.receive_data(data)
        self.handle_events()
        timer = self.timeout_keep_alive_task
        if timer is not None and timer is not self._head_timer and self.conn.trailing_data[0]:
            timer.cancel()
            seconds = min(HEAD_SECONDS, self.timeout_keep_alive)
            self._head_timer = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = self._head_timer


async def _send_last(send: Any, event: Any) -> None:
    if event["type"] == "http.response.start":
        event = {**event, "headers": [*event["headers"], (b"connection", b"close")]}
    await send(event)
