"""A proxy on loopback that does to connections what networks do: it delays, throttles, cuts, half-closes, swallows.

What happens to a connection is its `Plan`. The proxy also plays the corporate one that refuses upgrades or holds event
streams back.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import msgspec

from tests.faults.pieces import HEAD_END, Kind, Piece, Pieces
from tests.faults.plans import Aim, Fault, Moment, Plan

CHUNK: Final = 64 * 1024
BUFFER: Final = 4096
"""What the proxy, and roughly its kernel, hold for a connection that is throttled or silent."""
MAX_HEAD: Final = 64 * 1024
MAX_HELD: Final = 10_000
"""Pieces of an event stream that is held back."""
SLICES_PER_SECOND: Final = 20


class Counts(msgspec.Struct):
    """What a proxy did.

    Attributes:
        connections: connections it took.
        refused: upgrades it refused.
        held: event streams it held back.
        struck: faults that came to pass, by kind.
        down: bytes forwarded to clients.
        up: bytes forwarded to the server.
    """

    connections: int = 0
    refused: int = 0
    held: int = 0
    struck: dict[Fault, int] = msgspec.field(default_factory=dict)
    down: int = 0
    up: int = 0


class Link:
    """One connection through a proxy.

    Attributes:
        number: counted from 0.
        plan: what was to happen to it.
        request: the head of its first request.
        statuses: of the answers that passed whole.
        refused: whether it asked for an upgrade that was refused.
        held: whether it asked for an event stream that was held back.
        struck: set when its fault came to pass.
        server_left: set when the server has ended its side.
        over: set when nothing is left of it.
    """

    def __init__(self, number: int, plan: Plan) -> None:
        self.number = number
        self.plan = plan
        self.request = ""
        self.statuses: list[int] = []
        self.refused = False
        self.held = False
        self.struck = asyncio.Event()
        self.server_left = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether an answer reached the client."""
        return bool(self.statuses)

    @property
    def prevented(self) -> bool:
        """Whether the proxy kept the client from being connected."""
        return self.refused or self.held or (self.plan.prevents and self.struck.is_set())


Planner = Callable[[int], Plan]
Tap = Callable[[Link, Piece], None]


class Proxy:
    """Listens on a port of its own and forwards to a server's. Use it as an asynchronous context manager.

    Args:
        port: the server's, on loopback.
        plan: decides for each connection, by its number.
        tap: sees every piece from the server that passes whole.
        sleep: how time passes for delays, throttling and silence.

    Attributes:
        counts: what it did.
        links: all connections, in their order.
        errors: what went wrong in it or in the tap; leaving it raises the first.
        url: what clients connect to.
    """

    def __init__(
        self,
        port: int,
        plan: Planner = lambda _: Plan(),
        *,
        tap: Tap = lambda _link, _piece: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._port = port
        self._plan = plan
        self._tap = tap
        self._sleep = sleep
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = Counts()
        self.links: list[Link] = []
        self.errors: list[BaseException] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=MAX_HEAD)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and reset whatever is still connected."""
        self._server.close()
        await self.reset()
        await self._server.wait_closed()
        if self.errors:
            raise self.errors[0]

    async def reset(self) -> None:
        """Reset all connections that there are now."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def link(self, number: int) -> Link:
        """The connection of that number; waits until it is there."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.links) > number)
        return self.links[number]

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._note)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(len(self.links), self._plan(len(self.links)))
        self.links.append(link)
        self.counts.connections += 1
        async with self._news:
            self._news.notify_all()
        try:
            await _Passage(link, self.counts, self._tap, self._sleep).run(reader, writer, self._port)
        finally:
            link.over.set()

    def _note(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)


class _StruckError(Exception):
    """The fault has come: nothing more passes as before."""


class _Passage:
    """Carries one connection's bytes."""

    def __init__(self, link: Link, counts: Counts, tap: Tap, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._link = link
        self._plan = link.plan
        self._counts = counts
        self._tap = tap
        self._sleep = sleep
        self._aim: Aim | None = Aim(link.plan)
        self._pieces = Pieces()
        self._due: deque[Piece] = deque()
        self._unsaid = b""
        self._held: list[Piece] | None = None
        self._server: asyncio.StreamWriter | None = None

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Carry them until both sides have ended or the plan has ended it."""
        self._client, self._from_client = writer, reader
        end = _reset
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._pass(port)
                if self._plan.fault not in (Fault.RESET, Fault.SILENCE) or not self._link.struck.is_set():
                    end = _close
        finally:
            end(self._client)
            if self._server is not None:
                end(self._server)

    async def _pass(self, port: int) -> None:
        plan = self._plan
        if plan.fault is not None and plan.moment is Moment.ACCEPTED:
            await self._strike(None, None)
            return
        head = await self._from_client.readuntil(HEAD_END)
        self._link.request = head.decode("latin-1")
        if plan.refuse is not None and "\r\nupgrade: websocket\r\n" in self._link.request.lower():
            self._counts.refused += 1
            self._link.refused = True
            self._client.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % plan.refuse)
            return
        small = plan.rate is not None or plan.fault is Fault.SILENCE
        self._from_server, self._server = await _open(port, small=small)
        if plan.fault is not None and plan.moment is Moment.IN_REQUEST:
            await self._say(head[: int(plan.fraction * len(head))])
            await self._strike(None, None)
            return
        await self._say(head)
        await self._both()

    async def _both(self) -> None:
        pumps = up, down = asyncio.create_task(self._up()), asyncio.create_task(self._down())
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
            if any(isinstance(task.exception(), _StruckError) for task in done):
                await self._strike(up, down)
            else:
                await asyncio.gather(*done)
        finally:
            await _stop(*pumps)

    async def _strike(self, up: asyncio.Task[None] | None, down: asyncio.Task[None] | None) -> None:
        fault, aim = self._plan.fault, self._aim
        assert fault is not None
        assert aim is not None
        self._aim = None
        self._counts.struck[fault] = self._counts.struck.get(fault, 0) + 1
        self._link.struck.set()
        match fault:
            case Fault.RESET | Fault.CLOSE:
                pass
            case Fault.SILENCE:
                await _stop(up, down)
                await (asyncio.Event().wait() if self._plan.silence is None else self._sleep(self._plan.silence))
            case Fault.HALF_TO_CLIENT:
                await _stop(down)
                _half_close(self._client)
                await (self._up() if up is None or up.done() else up)
            case Fault.HALF_TO_SERVER:
                await _stop(up)
                assert self._server is not None
                _half_close(self._server)
                await (self._down() if down is None or down.done() else down)

    async def _up(self) -> None:
        said, limit = 0, self._plan.number
        await self._say(self._unsaid)
        while data := await self._from_client.read(CHUNK):
            if self._aim is not None and self._aim.in_speech and said + len(data) > limit:
                self._unsaid = data[limit - said :]
                await self._say(data[: limit - said])
                raise _StruckError
            said += len(data)
            await self._say(data)
        if self._server is not None:
            _half_close(self._server)

    async def _down(self) -> None:
        while True:
            while self._due:
                await self._next()
            data = await self._read()
            if not data:
                break
            self._due.extend(self._pieces.feed(data))
        await self._release()
        await self._write(self._pieces.rest)
        _half_close(self._client)

    async def _next(self) -> None:
        piece = self._due.popleft()
        part = None if self._aim is None else self._aim.strike(piece)
        if part is None:
            await self._tell(piece)
            return
        if part == len(piece.raw):
            await self._tell(piece)
        else:
            self._due.appendleft(msgspec.structs.replace(piece, raw=piece.raw[part:]))
            await self._write(piece.raw[:part])
        raise _StruckError

    async def _read(self) -> bytes:
        try:
            data = await self._from_server.read(CHUNK)
        except OSError:
            self._link.server_left.set()
            raise
        if not data:
            self._link.server_left.set()
        return data

    async def _tell(self, piece: Piece) -> None:
        if self._plan.hold and piece.kind is Kind.HEAD and "text/event-stream" in piece.text.lower():
            self._held = []
            self._counts.held += 1
            self._link.held = True
        if self._held is None:
            await self._pass_on(piece)
            return
        self._held.append(piece)
        assert len(self._held) <= MAX_HELD, "an event stream is too long to be held back"
        if piece.kind is Kind.CLOSE:
            await self._release()

    async def _release(self) -> None:
        held, self._held = self._held or [], None
        for piece in held:
            await self._pass_on(piece)

    async def _pass_on(self, piece: Piece) -> None:
        await self._write(piece.raw)
        if piece.kind is Kind.HEAD:
            self._link.statuses.append(piece.status)
        self._tap(self._link, piece)

    async def _write(self, data: bytes) -> None:
        if self._plan.delay and data:
            await self._sleep(self._plan.delay)
        rate = self._plan.rate
        size = len(data) if rate is None else max(1, rate // SLICES_PER_SECOND)
        for start in range(0, len(data), size or 1):
            part = data[start : start + size]
            self._client.write(part)
            await self._client.drain()
            self._counts.down += len(part)
            if rate is not None:
                await self._sleep(len(part) / rate)

    async def _say(self, data: bytes) -> None:
        assert self._server is not None
        if not data:  # whoever has ended its speech cannot say even nothing
            return
        self._server.write(data)
        await self._server.drain()
        self._counts.up += len(data)


async def _stop(*tasks: asyncio.Task[None] | None) -> None:
    some = [task for task in tasks if task is not None]
    for task in some:
        task.cancel()
    await asyncio.gather(*some, return_exceptions=True)


async def _open(port: int, *, small: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = socket.socket()
    connection.settimeout(0)
    if small:  # set before connecting, so that the window is small and the server feels it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    return await asyncio.open_connection(sock=connection, limit=BUFFER if small else CHUNK)


def _half_close(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.write_eof()


def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
