"""The connections of followers: an object each, for a socket or a stream."""

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Final

from websockets.frames import CloseCode as WireCloseCode
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN, Side
from websockets.protocol import Protocol as WebSocketParser

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.frames import Dismissal, Framing
from shelfwire.jobs.steps import DirectFollower
from shelfwire.protocol.close_codes import CloseCode
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import UndecodableError
from shelfwire.server.arrival import Arrival, Turnstile
from shelfwire.server.connection_cap import ConnectionCap
from shelfwire.server.fast.framing import COMMENT, END, SOCKET, STREAM, close_frame, is_whole, text_frame
from shelfwire.server.fast.wheel import Wheel
from shelfwire.server.ws_protocol import QUEUED_BYTES
from shelfwire.web.follower_log import FollowerLog
from shelfwire.web.route import Context
from shelfwire.web.socket import (
    BAD_FRAMES,
    EXPIRED,
    MAX_BAD_FRAMES,
    MAX_FRAME_BYTES,
    RESTARTING,
    REVOKED,
    answer,
)

ADMITTED_PER_TURN: Final = 50
"""Followers that are begun, or let in, in a turn of the event loop: some 4 ms."""
CLOSING_SECONDS: Final = 10.0
"""The time within which a client must answer a close frame."""
LEAVING_SECONDS: Final = 1.0
"""The same, once the server shuts down."""
_CLOSES: Final = {
    Dismissal.REVOKED: (CloseCode.MISUSE, REVOKED),
    Dismissal.EXPIRED: (CloseCode.RESTARTING, EXPIRED),
    Dismissal.LEAVING: (CloseCode.RESTARTING, RESTARTING),
}
_OF_MESSAGES: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_FAILURES: Final = frozenset({WireCloseCode.PROTOCOL_ERROR, WireCloseCode.INVALID_DATA, WireCloseCode.MESSAGE_TOO_BIG})
"""Codes with which a client is closed that breaks the rules; its answer is not waited for (RFC 6455, section 7.1.7)."""
_PING: Final = b"\x89\x00"
_PONG_HEAD: Final = b"\x8a\x80"
_PONG_BYTES: Final = 6
"""The answer to a PING without content: a head and a mask."""
MAX_PONGS: Final = 64
"""PINGs in one read that are answered, the last ones (RFC 6455, section 5.5.3, asks only for the last)."""


class Shared:
    """What all connections of a server share.

    Args:
        context: the application.
        cap: counts the connections.
        heartbeat: seconds from one PING to the next.
        timeout: seconds from the first PING without an answer to the end.

    Attributes:
        context: see above.
        cap: see above.
        entrance: says when an admitted follower is let in.
        wheel: the timer of all connections.
        missed: PINGs in a row without an answer, after which a client is taken for gone.
    """

    def __init__(self, context: Context, cap: ConnectionCap, heartbeat: float, timeout: float) -> None:
        self.context = context
        self.cap = cap
        self.entrance = Turnstile(ADMITTED_PER_TURN)
        self.wheel = Wheel(heartbeat)
        self.missed = math.ceil(timeout / heartbeat)


class Connection(asyncio.Protocol):
    """The connection of one follower.

    Args:
        shared: what all connections share.
        arrival: the connection as it came; it takes it back if the follower is not admitted.
        follower: the follower.
        job_id: the job that it follows.
        request_id: the name of its request.

    Attributes:
        framing: see `Outlet`.
        write: see `Outlet`.
        transport: the connection.
        turns: how often it is visited by the wheel in an interval.
        code_if_cut: the close code of one that ends without any, for the log.
    """

    __slots__ = (
        *("_admission", "_arrival", "_attached", "_bytes", "_closing", "_connections", "_shared", "_follower"),
        *("_job_id", "_log", "_request_id", "_slot", "framing", "transport", "write"),
    )
    turns = 1
    code_if_cut: int | None = None

    def __init__(
        self, shared: Shared, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str
    ) -> None:
        self.transport = arrival.transport
        self.write: Callable[[bytes], object] = self.transport.write
        self.framing: Framing = SOCKET
        self._shared = shared
        self._arrival: Arrival | None = arrival
        self._connections = arrival.connections
        self._follower = follower
        self._job_id = job_id
        self._request_id = request_id
        self._admission = shared.context.service.admission
        self._attached = False
        self._closing = False
        self._log: FollowerLog | None = None
        self._bytes = b""
        self._slot = 0

    def seat(self, token: str, head: bytes) -> None:
        """Take over the connection and have the follower admitted; `head` is the answer to its handshake."""
        assert self._arrival is not None  # noqa: S101 - it is the first call
        self._arrival.hand_over(self)
        try:
            self._attached = True
            self._admission.admit(token, self._job_id, self._follower, partial(self._decided, head))
        except ShelfwireError:
            self._attached = False
            self._hand_back()

    def _decided(self, head: bytes, admitted: bool) -> None:  # noqa: FBT001 - as `Admission` calls it
        if admitted:
            self._shared.entrance.admit(partial(self._let_in, head))
        else:
            self._hand_back()

    def _hand_back(self) -> None:
        """Have the connection served in the ordinary way."""
        arrival = self._arrival
        if arrival is None or self.transport.is_closing():
            return
        self._arrival = None
        self._leave()
        self._shared.context.connections.leave()
        if len(self._bytes) > MAX_FRAME_BYTES:
            self.transport.resume_reading()
        self._follower.outlet = None
        arrival.take_back(self, self._bytes)

    def _let_in(self, head: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._follower.dismissal is not None or self._is_exceptional():
            self._hand_back()
            return
        context, follower = self._shared.context, self._follower
        self._begun()
        self._log = FollowerLog(follower, self._job_id, context, self._request_id)
        self._log.attached()
        context.metrics.answered(None, 0)
        self.transport.set_write_buffer_limits(high=QUEUED_BYTES)
        self._slot = self._shared.wheel.join(self)
        follower.begin(self, head)
        early, self._bytes = self._bytes, b""
        if early:
            self._receive(early)
        if len(early) > MAX_FRAME_BYTES:
            self.transport.resume_reading()

    def _is_exceptional(self) -> bool:
        """Whether an admitted follower has to be answered in another way all the same."""
        return False

    def _begun(self) -> None:
        """Note that the follower is let in."""
        self._arrival = None

    def _receive(self, data: bytes) -> None:
        """Take what a follower sends that is let in."""
        raise NotImplementedError

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        raise NotImplementedError

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        raise NotImplementedError

    def beat(self) -> None:
        """Do what is to be done once in a while."""
        raise NotImplementedError

    def _leave(self) -> None:
        if self._attached:
            self._attached = False
            self._admission.leave(self._job_id, self._follower)

    # The connection.

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        del exc
        shared = self._shared
        shared.cap.leave(self.transport)
        shared.wheel.leave(self, self._slot)
        if self._log is not None:
            self._stop(self.code_if_cut)
            self._log.left()
        if self._log is not None or self._arrival is not None:
            self._leave()
            shared.context.connections.leave()
        self._connections.discard(self)
        self._follower.outlet = None  # or the garbage collector had to find both

    def data_received(self, data: bytes) -> None:
        """Take what the client sends; what comes before the answer waits."""
        if self._log is not None:
            self._receive(data)
            return
        self._bytes += data
        if len(self._bytes) > MAX_FRAME_BYTES:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        """Write no more progress."""
        self._follower.pause()

    def resume_writing(self) -> None:
        """Write the newest progress."""
        self._follower.resume()

    def shutdown(self) -> None:
        """Leave soon, because the server stops; followers were dismissed."""
        if self._closing:
            self._shared.wheel.expect_end(self, LEAVING_SECONDS)

    def cut(self) -> None:
        """Close it without waiting for anything."""
        self.transport.abort()

    def _stop(self, code: int | None) -> None:
        """Send nothing more of the job."""
        if not self._closing and self._log is not None:
            self._closing = True
            self._log.code = code
            self._shared.wheel.leave(self, self._slot)
            self._leave()


class SocketFollower(Connection):
    """The connection of one follower by the progress socket."""

    __slots__ = ("_bad", "_in_message", "_is_text", "_missed", "_parser")
    code_if_cut = int(WireCloseCode.ABNORMAL_CLOSURE)

    def __init__(
        self, shared: Shared, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str
    ) -> None:
        super().__init__(shared, arrival, follower, job_id, request_id)
        self._parser: WebSocketParser | None = None
        self._is_text = False
        self._in_message = False
        self._bad = 0
        self._missed = 0

    # What the follower and the wheel ask for.

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        del state
        self._stop(int(CloseCode.ENDED))
        self._tell_parser()
        self._shared.wheel.expect_end(self, CLOSING_SECONDS)

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        self._close(*_CLOSES[reason])

    def beat(self) -> None:
        """Ask whether the client is still there, and close if it has not answered for too long."""
        if self._missed >= self._shared.missed:
            self._close(CloseCode.SILENT, "keepalive ping timeout")
            self.transport.close()
            return
        self._missed += 1
        if not self._follower.paused:
            self.write(_PING)

    def _close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._stop(int(code))
        self._tell_parser()
        self.write(close_frame(code, reason))
        self._shared.wheel.expect_end(self, CLOSING_SECONDS)

    # Frames of the client's.

    def _tell_parser(self) -> None:
        """Let the parser know that a close frame was sent, or it answers the client's with a second one."""
        if self._parser is not None and self._log is not None and self._parser.state is OPEN:
            self._parser.send_close(self._log.code or CloseCode.ENDED)
            self._parser.data_to_send()

    def _receive(self, data: bytes) -> None:
        fresh = self._parser is None
        if self._parser is None:
            if len(data) == _PONG_BYTES and data.startswith(_PONG_HEAD):
                self._missed = 0
                return
            self._parser = WebSocketParser(Side.SERVER, max_size=MAX_FRAME_BYTES)
            if self._closing:
                self._tell_parser()
        parser = self._parser
        parser.receive_data(data)
        for frame in parser.events_received():
            assert isinstance(frame, WebSocketFrame)  # noqa: S101 - the handshake is not the parser's
            self._take(frame, parser)
        if parser.close_rcvd is not None:
            self._stop(parser.close_rcvd.code)
        elif parser.parser_exc is not None or parser.state is not OPEN:
            self._stop(WireCloseCode.PROTOCOL_ERROR if parser.close_sent is None else parser.close_sent.code)
        self._flush(parser)
        if fresh and not self._closing and not self._in_message and is_whole(data):
            self._parser = None

    def _take(self, frame: WebSocketFrame, parser: WebSocketParser) -> None:
        if frame.opcode is Opcode.PONG:
            self._missed = 0
        if frame.opcode not in _OF_MESSAGES or self._closing:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._bytes += frame.data
        self._in_message = not frame.fin
        if self._in_message:
            return
        data, self._bytes = self._bytes, b""
        try:
            self._message(data.decode() if self._is_text else data)
        except UnicodeDecodeError:
            parser.fail(WireCloseCode.INVALID_DATA, "A text frame is not UTF-8")

    def _message(self, message: str | bytes) -> None:
        try:
            reply = answer(message, self._job_id, self._follower, self._shared.context)
        except UndecodableError:
            self._bad += 1
            if self._bad >= MAX_BAD_FRAMES:
                self._close(CloseCode.MISUSE, BAD_FRAMES)
            return
        if reply and not self._follower.paused:
            self.write(text_frame(reply.encode()))

    def _flush(self, parser: WebSocketParser) -> None:
        """Send what the parser answers: to PINGs, as long as the client takes it, and to the end."""
        output = [data for data in parser.data_to_send() if data]
        if output and (self._closing or not self._follower.paused):
            self.write(b"".join(output[-MAX_PONGS:]))
        if parser.close_rcvd is not None:
            self.transport.close()
        elif _has_failed(parser) and not self.transport.is_closing():
            # What is still on its way must be read, or its sender sees a reset in place of the close frame.
            self.transport.write_eof()
            self._shared.wheel.expect_end(self, CLOSING_SECONDS)


def _has_failed(parser: WebSocketParser) -> bool:
    """Whether the client has broken the rules."""
    sent = parser.close_sent
    return parser.parser_exc is not None or (sent is not None and sent.code in _FAILURES)


class StreamFollower(Connection):
    """The connection of one follower by a stream of events. It serves other requests afterwards.

    Args:
        shared: see `Connection`.
        arrival: see `Connection`.
        follower: see `Connection`.
        job_id: see `Connection`.
        request_id: see `Connection`.
        last: the id of the last event that the client has seen; 0 for none.
    """

    __slots__ = ("_last", "_stuck")
    turns = 2

    def __init__(
        self, shared: Shared, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str, last: int
    ) -> None:
        super().__init__(shared, arrival, follower, job_id, request_id)
        self.framing = STREAM
        self._last = last
        self._stuck = 0

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        del state
        self._give_back()

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        self.write(END)
        if reason is Dismissal.LEAVING:
            self._stop(None)
            self.transport.close()
            self._shared.wheel.expect_end(self, CLOSING_SECONDS)
        else:
            self._give_back()

    def beat(self) -> None:
        """Keep proxies from taking a silent stream for a dead one, and cut one that nobody takes."""
        if not self._follower.paused:
            self.write(COMMENT)
            return
        self._stuck += 1
        if self._stuck > self.turns:
            self.cut()

    def resume_writing(self) -> None:
        """Write the newest progress."""
        self._stuck = 0
        super().resume_writing()

    def _is_exceptional(self) -> bool:
        """Whether the client has seen the ending: it is answered that nothing follows."""
        state = self._follower.newest.state
        return state.ended and state.seq == self._last

    def _begun(self) -> None:
        assert self._arrival is not None  # noqa: S101 - it is let in once
        self._arrival.forget_request()

    def _receive(self, data: bytes) -> None:
        """Keep the next request until the stream ends."""
        self._bytes += data
        if len(self._bytes) > MAX_FRAME_BYTES:
            self.transport.pause_reading()

    def _give_back(self) -> None:
        """Let the connection serve the next request."""
        self._stop(None)
        if self._log is not None:
            self._log.left()
            self._log = None
        self._hand_back()
