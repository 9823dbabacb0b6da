"""The fast path of followers: their bytes go from the job's steps straight to their connections.

A connection has one object and no task, queue or timer of its own. This path can only say yes: a head that is not
plainly a good request of a follower, and a follower that is not admitted, goes byte for byte to the ordinary way, which
alone knows refusals and unusual clients. Without this module everything works, slower.
"""

import asyncio
import base64
import binascii
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final, NamedTuple

from websockets.exceptions import InvalidHeader
from websockets.frames import Close, Opcode
from websockets.frames import CloseCode as WireCloseCode
from websockets.frames import Frame as WebSocketFrame
from websockets.headers import parse_connection, parse_extension, parse_subprotocol
from websockets.protocol import OPEN, Side
from websockets.protocol import Protocol as WebSocketParser

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.frames import Dismissal, Frame, Framing
from shelfwire.jobs.steps import DirectFollower
from shelfwire.protocol.close_codes import CloseCode
from shelfwire.protocol.feed import CLOSE_REASONS
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import UndecodableError
from shelfwire.protocol.tokens import canonical, digest
from shelfwire.server.arrival import Arrival, Turnstile
from shelfwire.server.connection_cap import ConnectionCap
from shelfwire.tracing import is_traced
from shelfwire.web.credentials import PROTOCOL, bearer, offered_token, position
from shelfwire.web.events import BELOW, PADDING, RETRY, STILL_HERE, STREAM_HEADERS, event
from shelfwire.web.follower_log import FollowerLog
from shelfwire.web.hosts import AllowedHosts
from shelfwire.web.middleware import SANE_ID
from shelfwire.web.responses import REQUEST_ID
from shelfwire.web.route import Context
from shelfwire.web.socket import (
    BAD_FRAMES,
    EXPIRED,
    MAX_BAD_FRAMES,
    MAX_FRAME_BYTES,
    PATH,
    RESTARTING,
    REVOKED,
    answer,
)

ADMITTED_PER_TURN: Final = 50
"""Followers that are begun, or let in, in a turn of the event loop: some 4 ms."""
MAX_HEAD_BYTES: Final = 8 * 1024
QUEUED_BYTES: Final = 16 * 1024
"""The bytes that may wait for a follower; with more, progress is sent to it less often."""
SLOTS: Final = 30
CLOSING_SECONDS: Final = 10.0
"""The time within which a client must answer a close frame."""
LEAVING_SECONDS: Final = 1.0
"""The same, once the server shuts down."""

_SOCKET, _STREAM = f"GET {PATH}?".encode(), b"GET /api/jobs/"
_TARGET: Final = re.compile(
    rb"GET (?:%b|/api/jobs/(?P<job>[0-9A-Za-z-]{1,64})%b)(?:\?(?P<query>[!-~]*))? HTTP/1\.1"
    % (re.escape(PATH.encode()), re.escape(BELOW.encode()))
)
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_PLAIN: Final = re.compile(r"[0-9A-Za-z_.~-]*")
_UNUSUAL: Final = frozenset(
    {
        *("content-length", "transfer-encoding", "expect", "http2-settings"),
        *("x-forwarded-host", "x-forwarded-prefix", "forwarded"),
    }
)
"""Headers with which a request takes the ordinary way."""
_OF_STREAMS: Final = frozenset({"upgrade", "te", "sec-websocket-key"})
"""Headers with which a request for a stream takes the ordinary way."""
_EVENTS: Final = BELOW.encode()
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}")
_KEY_CHARS: Final = 24
_KEY_BYTES: Final = 16
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of RFC 6455, section 1.3."""
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %%b\r\n%%b%b: %%b\r\n\r\n" % REQUEST_ID.encode()
)
_SELECTED: Final = f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n".encode()
_CLOSES: Final = {
    Dismissal.REVOKED: (CloseCode.MISUSE, REVOKED),
    Dismissal.EXPIRED: (CloseCode.RESTARTING, EXPIRED),
    Dismissal.LEAVING: (CloseCode.RESTARTING, RESTARTING),
}
_OF_MESSAGES: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_PING: Final = b"\x89\x00"
_PONG_HEAD: Final = b"\x8a\x80"
_PONG_BYTES: Final = 6
"""The answer to a PING without content: a head and a mask."""
_HEAD_AND_MASK: Final = 6
_SHORT, _SIZE_16, _SIZE_64 = 125, 126, 127
MAX_PONGS: Final = 64
"""PINGs in one read that are answered, the last ones (RFC 6455, section 5.5.3, asks only for the last)."""


class _Wanted(NamedTuple):
    """What a request asks for, and how it is answered.

    Attributes:
        job_id: the job.
        token: the token that it shows, if any.
        after: the newest `seq` that was seen already.
        head: what is sent first, with a place for the id of the request.
        last: the id of the last event that was seen.
    """

    job_id: str
    token: str | None
    after: int
    head: bytes
    last: int = 0


class _Request(NamedTuple):
    stream_of: str
    """The job whose events are asked for; empty for the progress socket."""
    headers: Mapping[str, str]
    query: Mapping[str, str]


def _parsed(head: bytes) -> _Request | None:
    """Return a head that is plainly good and whole, with nothing behind it; None for any other."""
    if len(head) > MAX_HEAD_BYTES or head.find(b"\r\n\r\n") != len(head) - 4:
        return None
    first, *lines = head[:-4].split(b"\r\n")
    target = _TARGET.fullmatch(first)
    if target is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode().lower()
        if name in headers or name in _UNUSUAL:
            return None
        headers[name] = match[2].decode("latin-1").strip(" \t")
    query: dict[str, str] = {}
    for pair in (target["query"] or b"").decode().split("&"):
        name, _, value = pair.partition("=")
        if name in query or not (_PLAIN.fullmatch(name) and _PLAIN.fullmatch(value)):
            return None
        query[name] = value
    stream_of = (target["job"] or b"").decode()
    return _Request(stream_of, headers, query) if headers.get("host") else None


@lru_cache(maxsize=256)
def _is_readable(connection: str, extensions: str | None, protocols: str | None) -> bool:
    """Whether headers of a handshake, which many clients send alike, are as the ordinary way demands."""
    try:
        upgrades = "upgrade" in [option.lower() for option in parse_connection(connection)]
        parse_extension(extensions) if extensions is not None else None
        parse_subprotocol(protocols) if protocols is not None else None
    except InvalidHeader:
        return False
    return upgrades


def _accept_key(headers: Mapping[str, str]) -> bytes | None:
    """Return the key that accepts a handshake; None if it is not plainly a good one."""
    key = headers.get("sec-websocket-key", "")
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or headers.get("sec-websocket-version") != "13"
        or len(key) != _KEY_CHARS
        or not _is_readable(
            headers.get("connection", ""),
            headers.get("sec-websocket-extensions"),
            headers.get("sec-websocket-protocol"),
        )
    ):
        return None
    try:
        if len(base64.b64decode(key, validate=True)) != _KEY_BYTES:
            return None
    except (binascii.Error, ValueError):
        return None
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())


def text_frame(data: bytes) -> bytes:
    """Return a text frame of a server: it is not masked, and so the same for all clients (RFC 6455, section 5.1)."""
    size = len(data)
    if size <= _SHORT:
        return b"\x81%c%b" % (size, data)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), data)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), data)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame of a server."""
    return WebSocketFrame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)


class SocketFraming:
    """Messages as text frames."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        """See `Framing`."""
        del is_last
        return text_frame(frame.text.encode())

    def farewell(self, state: JobState) -> bytes:
        """See `Framing`."""
        return close_frame(CloseCode.ENDED, CLOSE_REASONS[state.status])


class StreamFraming:
    """Messages as Server-Sent Events, each in a chunk of its own."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        """See `Framing`."""
        return chunk_of(event(frame, is_last=is_last))

    def farewell(self, state: JobState) -> bytes:
        """See `Framing`."""
        del state
        return _END


def chunk_of(data: bytes) -> bytes:
    """Return a chunk of a body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_END: Final = b"0\r\n\r\n"
_COMMENT: Final = chunk_of(STILL_HERE)
SOCKET: Final = SocketFraming()
STREAM: Final = StreamFraming()


class Wheel:
    """One timer for all connections: each has its turn once an interval, and those that take too long are cut.

    Args:
        seconds: the interval.
    """

    def __init__(self, seconds: float) -> None:
        self._step = seconds / SLOTS
        self._slots: list[dict[Connection, None]] = [{} for _ in range(SLOTS)]
        self._deadlines: dict[Connection, float] = {}
        self._hand = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, connection: "Connection") -> int:
        """Give a connection turns, the first after a whole interval of its own; return its slot."""
        for slot in self._own(connection, self._hand):
            self._slots[slot][connection] = None
        self._start()
        return self._hand

    def expect_end(self, connection: "Connection", seconds: float) -> None:
        """Cut a connection unless it leaves within some seconds."""
        self._deadlines[connection] = asyncio.get_running_loop().time() + seconds
        self._start()

    def leave(self, connection: "Connection", slot: int) -> None:
        """Forget a connection."""
        self._deadlines.pop(connection, None)
        for own in self._own(connection, slot):
            self._slots[own].pop(connection, None)

    def _own(self, connection: "Connection", first: int) -> list[int]:
        return [(first + turn * SLOTS // connection.turns) % SLOTS for turn in range(connection.turns)]

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._step, self.turn)

    def turn(self) -> None:
        """Go on by one slot."""
        self._timer = None
        self._hand = (self._hand + 1) % SLOTS
        for connection in tuple(self._slots[self._hand]):
            connection.beat()
        now = asyncio.get_running_loop().time()
        for connection in [one for one, until in self._deadlines.items() if until <= now]:
            connection.cut()
        if self._deadlines or any(self._slots):
            self._start()


class FastFollowers:
    """Recognises plain requests of followers, and serves them.

    Args:
        context: the application.
        new_id: makes a request's id.
        hosts: the hosts that the server answers for.
        cap: counts the connections.
        heartbeat: seconds from one PING to the next.
        timeout: seconds from the first PING without an answer to the end.

    Attributes:
        turnstile: says when a request is begun.
        entrance: says when an admitted follower is let in.
        wheel: the timer of all connections.
        missed: PINGs in a row without an answer, after which a client is taken for gone.
    """

    def __init__(
        self,
        context: Context,
        new_id: Callable[[], str],
        hosts: AllowedHosts,
        cap: ConnectionCap,
        heartbeat: float,
        timeout: float,
    ) -> None:
        self.context = context
        self.cap = cap
        self.turnstile = Turnstile(ADMITTED_PER_TURN)
        self.entrance = Turnstile(ADMITTED_PER_TURN)
        self.wheel = Wheel(heartbeat)
        self.missed = math.ceil(timeout / heartbeat)
        self._new_id = new_id
        self._hosts = hosts

    def may_take(self, data: bytes) -> bool:
        """Whether the first bytes of a connection may be the request of a follower."""
        return data.startswith(_SOCKET) or (data.startswith(_STREAM) and _EVENTS in data)

    def take(self, arrival: Arrival, data: bytes) -> bool:
        """Take over a connection by its first bytes; return False, and do nothing, if it has to be served otherwise."""
        request = _parsed(data)
        if request is None or not self._hosts.include(request.headers["host"]):
            return False
        asked = request.headers.get("x-request-id", "")
        request_id = asked if SANE_ID.fullmatch(asked) else self._new_id()
        wanted = self._stream(request) if request.stream_of else self._socket(request)
        if wanted is None or not wanted.token or not wanted.job_id:
            return False
        try:
            self.context.connections.join()
        except ShelfwireError:
            return False
        follower = DirectFollower(wanted.after, digest(wanted.token), "events" if request.stream_of else "websocket")
        named = wanted.head % request_id.encode()
        if request.stream_of:
            connection: Connection = StreamFollower(self, arrival, follower, wanted.job_id, request_id, wanted.last)
            named = b"HTTP/1.1 200 OK\r\n%b%b" % (arrival.default_headers, named)
        else:
            connection = SocketFollower(self, arrival, follower, wanted.job_id, request_id)
        connection.seat(wanted.token, named)
        return True

    def _socket(self, request: _Request) -> _Wanted | None:
        _, headers, query = request
        accept = _accept_key(headers)
        if accept is None:
            return None
        try:
            self.context.access.check_origin(headers.get("origin"), headers["host"])
        except ShelfwireError:
            return None
        protocols = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
        token = bearer(headers) or offered_token(protocols) or query.get("token")
        head = _SWITCHING % (accept, _SELECTED if PROTOCOL in protocols else b"", b"%b")
        return _Wanted(canonical(query.get("jobId", "")), token, position(query.get("after", "0")), head)

    def _stream(self, request: _Request) -> _Wanted | None:
        job_id, headers, query = request
        after = query.get("after", "0")
        if (
            not _NUMBER.fullmatch(after)
            or not _OF_STREAMS.isdisjoint(headers)
            or headers.get("connection", "keep-alive").lower() != "keep-alive"
            or is_traced()
        ):
            return None
        last = position(headers.get("last-event-id", query.get("lastEventId", "")))
        lines = {**STREAM_HEADERS, **self.context.access.cors_headers(headers.get("origin"))}
        named = "".join(f"{name.lower()}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
        head = b"%b%b: %%b\r\ntransfer-encoding: chunked\r\n\r\n%b" % (
            named.replace(b"%", b"%%"),
            REQUEST_ID.lower().encode(),
            chunk_of(PADDING + RETRY).replace(b"%", b"%%"),
        )
        return _Wanted(canonical(job_id), bearer(headers) or query.get("token"), last or int(after), head, last)


class Connection(asyncio.Protocol):
    """The connection of one follower.

    Args:
        fast: what all connections share.
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
        *("_admission", "_arrival", "_attached", "_bytes", "_closing", "_connections", "_fast", "_follower"),
        *("_job_id", "_log", "_request_id", "_slot", "framing", "transport", "write"),
    )
    turns = 1
    code_if_cut: int | None = None

    def __init__(
        self, fast: FastFollowers, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str
    ) -> None:
        self.transport = arrival.transport
        self.write: Callable[[bytes], object] = self.transport.write
        self.framing: Framing = SOCKET
        self._fast = fast
        self._arrival: Arrival | None = arrival
        self._connections = arrival.connections
        self._follower = follower
        self._job_id = job_id
        self._request_id = request_id
        self._admission = fast.context.service.admission
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
            self._fast.entrance.admit(partial(self._let_in, head))
        else:
            self._hand_back()

    def _hand_back(self) -> None:
        """Have the connection served in the ordinary way."""
        arrival = self._arrival
        if arrival is None or self.transport.is_closing():
            return
        self._arrival = None
        self._leave()
        self._fast.context.connections.leave()
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
        context, follower = self._fast.context, self._follower
        self._begun()
        self._log = FollowerLog(follower, self._job_id, context, self._request_id)
        self._log.attached()
        context.metrics.answered(None, 0)
        self.transport.set_write_buffer_limits(high=QUEUED_BYTES)
        self._slot = self._fast.wheel.join(self)
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
        fast = self._fast
        fast.cap.leave(self.transport)
        fast.wheel.leave(self, self._slot)
        if self._log is not None:
            self._stop(self.code_if_cut)
            self._log.left()
        if self._log is not None or self._arrival is not None:
            self._leave()
            fast.context.connections.leave()
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
            self._fast.wheel.expect_end(self, LEAVING_SECONDS)

    def cut(self) -> None:
        """Close it without waiting for anything."""
        self.transport.abort()

    def _stop(self, code: int | None) -> None:
        """Send nothing more of the job."""
        if not self._closing and self._log is not None:
            self._closing = True
            self._log.code = code
            self._fast.wheel.leave(self, self._slot)
            self._leave()


class SocketFollower(Connection):
    """The connection of one follower by the progress socket."""

    __slots__ = ("_bad", "_is_text", "_missed", "_parser")
    code_if_cut = int(WireCloseCode.ABNORMAL_CLOSURE)

    def __init__(
        self, fast: FastFollowers, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str
    ) -> None:
        super().__init__(fast, arrival, follower, job_id, request_id)
        self._parser: WebSocketParser | None = None
        self._is_text = False
        self._bad = 0
        self._missed = 0

    # What the follower and the wheel ask for.

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        del state
        self._stop(int(CloseCode.ENDED))
        self._tell_parser()
        self._fast.wheel.expect_end(self, CLOSING_SECONDS)

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        self._close(*_CLOSES[reason])

    def beat(self) -> None:
        """Ask whether the client is still there, and close if it has not answered for too long."""
        if self._missed >= self._fast.missed:
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
        self._fast.wheel.expect_end(self, CLOSING_SECONDS)

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
        if fresh and not self._closing and not self._bytes and _is_whole(data):
            self._parser = None

    def _take(self, frame: WebSocketFrame, parser: WebSocketParser) -> None:
        if frame.opcode is Opcode.PONG:
            self._missed = 0
        if frame.opcode not in _OF_MESSAGES or self._closing:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._bytes += frame.data
        if not frame.fin:
            return
        data, self._bytes = self._bytes, b""
        try:
            self._message(data.decode() if self._is_text else data)
        except UnicodeDecodeError:
            parser.fail(WireCloseCode.INVALID_DATA, "A text frame is not UTF-8")

    def _message(self, message: str | bytes) -> None:
        try:
            reply = answer(message, self._job_id, self._follower, self._fast.context)
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
        elif parser.parser_exc is not None and not self.transport.is_closing():
            # What is still on its way must be read, or its sender sees a reset in place of the close frame.
            self.transport.write_eof()
            self._fast.wheel.expect_end(self, CLOSING_SECONDS)


class StreamFollower(Connection):
    """The connection of one follower by a stream of events. It serves other requests afterwards.

    Args:
        fast: see `Connection`.
        arrival: see `Connection`.
        follower: see `Connection`.
        job_id: see `Connection`.
        request_id: see `Connection`.
        last: the id of the last event that the client has seen; 0 for none.
    """

    __slots__ = ("_last",)
    turns = 2

    def __init__(
        self, fast: FastFollowers, arrival: Arrival, follower: DirectFollower, job_id: str, request_id: str, last: int
    ) -> None:
        super().__init__(fast, arrival, follower, job_id, request_id)
        self.framing = STREAM
        self._last = last

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        del state
        self._give_back()

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        self.write(_END)
        if reason is Dismissal.LEAVING:
            self._stop(None)
            self.transport.close()
            self._fast.wheel.expect_end(self, CLOSING_SECONDS)
        else:
            self._give_back()

    def beat(self) -> None:
        """Keep proxies from taking a silent stream for a dead one."""
        if not self._follower.paused:
            self.write(_COMMENT)

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


def _is_whole(data: bytes) -> bool:
    """Whether some masked frames end exactly where the data ends."""
    place = 0
    while place + _HEAD_AND_MASK <= len(data):
        size = data[place + 1] & 0x7F
        if size > _SHORT:
            wide = 2 if size == _SIZE_16 else 8
            size = wide + int.from_bytes(data[place + 2 : place + 2 + wide], "big")
        place += _HEAD_AND_MASK + size
    return place == len(data)
