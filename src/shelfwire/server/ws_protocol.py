"""The WebSocket protocol of the ordinary way: uvicorn's, with bounded memory and an answer to every head."""

from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode as WireCloseCode

from shelfwire.web.socket import MAX_FRAME_BYTES

QUEUED_BYTES: Final = 16 * 1024
"""The bytes that may wait for a follower; with more, progress is sent to it less often."""
_UNREADABLE_HEAD: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"The head of this request cannot be read: a line of it is longer than 8 KiB, or there are more than 128."
)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with a small buffer, early frames, and the close code of connections that are cut.

    Attributes:
        on_lost: called once the connection is gone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_lost: Callable[[], None] | None = None
        self._early = bytearray()

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, with a buffer that is full early: progress that waits there only grows old."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=QUEUED_BYTES)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer a request whose head cannot be read, where uvicorn would leave it waiting.

        Frames that come before the handshake is answered wait: uvicorn fails over one that has to be refused.
        """
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            if len(self._early) > MAX_FRAME_BYTES:
                self.transport.pause_reading()
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(_UNREADABLE_HEAD)
            self.transport.close()

    def handle_ping(self) -> None:
        """Answer a PING; a peer that asks and never reads gets no answers once its buffer is full."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    async def send(self, message: Any) -> None:
        """Send what the application sends; once it has accepted the handshake, take the frames that came before."""
        await super().send(message)
        if self._early and message["type"] == "websocket.accept" and self.handshake_complete:
            early, self._early = bytes(self._early), bytearray()
            self.data_received(early)
            if len(early) > MAX_FRAME_BYTES and not self.read_paused:
                self.transport.resume_reading()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; a text that is no text ends the connection, without the traceback that uvicorn logs."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(WireCloseCode.INVALID_DATA, "A text frame is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, with the close code that was sent, or with that of a connection that was cut; uvicorn says 1005."""
        sent = self.conn.close_sent
        code = WireCloseCode.ABNORMAL_CLOSURE if sent is None else sent.code
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code)})
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()
