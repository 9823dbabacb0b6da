"""The network between clients and a node: the client's port on one side, ASGI on the other, no bytes in between."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from shelfwire.client.http import CutError, Event, Request, Response, UnexpectedAnswerError, UnreachableError
from shelfwire.jobs.steps import DirectFollower
from shelfwire.protocol.messages import SyncRequest
from shelfwire.protocol.tokens import canonical, digest
from shelfwire.web.socket import ANSWER_EXTENSION
from tests.simulation.direct import DirectSocket
from tests.simulation.oracles import SURPLUS_FRAMES, Story

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

NORMAL: Final = 1000
CUT: Final = 1006
NO_HEARTBEAT: Final = 1011
OK: Final = 200
TROUBLES: Final = ("cut", "cut", "deaf client", "deaf server", "silence")


class Connection:
    """One request, event stream or socket, with what may happen to it.

    Args:
        world: where it is.
        request: what the client asks for.
        kind: `websocket`, `sse` or `http`.
        window: frames on the way to the client before it is full.
        dice: the source of chance.
    """

    def __init__(self, world: "World", request: Request, kind: str, window: int, dice: random.Random) -> None:
        self.world = world
        self.kind = kind
        self.status = 0
        self.token = digest(request.headers.get("Authorization", "").removeprefix("Bearer "))
        fresh = request.params.get("after", "0") == "0" and "Last-Event-ID" not in request.headers
        self.story = Story(world.oracles, self.token, fresh=fresh, interval=world.plan.conditions.flush_interval)
        self._node: Node
        self._request = request
        self._window = window
        self._dice = dice
        self._arrived: deque[tuple[Any, ...]] = deque()
        self._arrival = asyncio.Event()
        self._events: deque[dict[str, Any]] = deque()
        self._event = asyncio.Event()
        self._room = asyncio.Event()
        self._on_the_way = 0
        self._last_arrival = 0.0
        self._began = 0.0
        self._open = True
        self._closed = False
        self._deaf_client = self._deaf_server = False
        self._lost: CutError | None = None
        self._syncs = 0
        self._headers: dict[str, str] = {}

    # The network.

    def begin(self, node: int | None) -> None:
        """Carry the request to a server, and let something happen to the connection.

        Args:
            node: the only one that it may go to; None for any.

        Raises:
            UnreachableError: none listens.
        """
        world, dice = self.world, self._dice
        found = world.serving(node, dice)
        if found is None:
            raise UnreachableError("Nothing listens there")
        self._node = found
        self._node.connections[self] = None
        self._began = world.loop.now
        if world.troubled and dice.random() < world.plan.conditions.cut:
            world.loop.outside(dice.expovariate(1 / 3), self._trouble, dice.choice(TROUBLES))
        world.loop.outside(self.lag(), self._serve)

    def lag(self) -> float:
        drawn = self._dice.random()
        lag = self.world.plan.conditions.lag
        return lag * drawn**2 if drawn < 0.95 else lag * 10 * drawn

    def die(self, *, silently: bool) -> None:
        """The server's process is gone."""
        self._open = False
        after = 20 + 25 * self._dice.random() if silently else self.lag()
        self.world.loop.outside(after, self._cut_client)

    def _trouble(self, kind: str) -> None:
        if not self.world.troubled or self._closed:
            return
        outside = self.world.loop.outside
        self.world.oracles.saw(f"the network: {kind}")
        self.world.trace(f"network: {kind}, {self.kind}")
        if kind == "cut":
            self._cut_client()
            outside(self.lag(), self._cut_server, CUT)
        if kind in {"deaf client", "silence"}:
            self._deaf_client = True
            outside(20 + 25 * self._dice.random(), self._cut_client)
            outside(60 + 30 * self._dice.random(), self._cut_server, NO_HEARTBEAT)
        if kind in {"deaf server", "silence"}:
            self._deaf_server = True
            outside(20 + 25 * self._dice.random(), self._cut_client)
            outside(20 + 25 * self._dice.random(), self._cut_server, CUT)

    def _cut_client(self, code: int | None = None) -> None:
        if self._lost is None:
            self._lost = CutError("The connection is gone", code)
            self._deaf_client = True
            self._arrival.set()

    def _cut_server(self, code: int) -> None:
        self._node.connections.pop(self, None)
        if self._open:
            self._open = False
            self._put({"type": "websocket.disconnect" if self.kind == "websocket" else "http.disconnect", "code": code})
            self._room.set()

    def _put(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._event.set()

    @property
    def is_full(self) -> bool:
        """Whether the client takes no more frames now."""
        return self._on_the_way + len(self._arrived) >= self._window

    # The server's side, as ASGI has it.

    def _serve(self) -> None:
        if not self._node.serving or not self._open:
            self._cut_client()
            return
        socket = self.kind == "websocket"
        scope: dict[str, Any] = {
            "type": "websocket" if socket else "http",
            "path": self._request.path,
            "root_path": "",
            "scheme": "ws" if socket else "http",
            "query_string": urlencode(self._request.params).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in self._request.headers.items()],
            "client": ("192.0.2.1", 50_000),
            "server": ("192.0.2.2", 80),
            "state": {},
            "extensions": {},
        }
        if socket:
            scope |= {"subprotocols": [], "extensions": {ANSWER_EXTENSION: {}}}
            if self._dice.random() < self.world.plan.conditions.direct:
                self._node.spawn(self._direct(scope))
                return
            self._put({"type": "websocket.connect"})
        else:
            scope |= {"method": self._request.method, "http_version": "1.1"}
            body = b"" if self._request.json is None else msgspec.json.encode(self._request.json)
            self._put({"type": "http.request", "body": body, "more_body": False})
        self._node.spawn(self._handle(scope))

    async def _handle(self, scope: dict[str, Any]) -> None:
        try:
            await self._node.app(scope, self.receive, self._send)
        except Exception as error:  # noqa: BLE001 - a server logs it, an oracle reports it
            if not self.world.loop.is_closed():
                self.world.oracles.violated("engine", f"a handler of {self.kind} raised {error!r}")

    async def _direct(self, scope: dict[str, Any]) -> None:
        """Serve a socket as `server/fast` does, or as the application does if that does not admit it."""
        params = self._request.params
        follower = DirectFollower(int(params.get("after", "0")), self.token, self.kind)
        token = self._request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not await DirectSocket(self, self._node, canonical(params["jobId"]), follower).serve(token):
            self._events.appendleft({"type": "websocket.connect"})
            await self._handle(scope)

    def accept(self) -> None:
        """A direct follower is let in."""
        self._push("accepted")

    def direct(self, text: str) -> None:
        """Send a frame to a direct follower; nothing is sent on a connection that is gone."""
        if self._open and not self._closed:
            self.world.oracles.handed_over(self.token, "a frame to a direct follower", node=self._node.number)
            self.world.oracles.saw("a frame went to a direct follower")
            self._frame(text)

    def close_direct(self, code: int) -> None:
        """Close the socket of a direct follower."""
        if self._open and not self._closed:
            self._close(code)

    async def receive(self) -> Any:
        """Return the next event that ASGI has for the server."""
        while not self._events:
            self._event.clear()
            await self._event.wait()
        return self._events.popleft()

    async def _send(self, event: Any) -> None:
        match event["type"]:
            case "websocket.accept":
                self._push("accepted")
            case "websocket.http.response.start" | "http.response.start":
                self.status = event["status"]
                self._headers = {name.decode().lower(): value.decode() for name, value in event["headers"]}
                if self.kind == "sse" and self.status == OK:
                    self._push("accepted")
            case "websocket.http.response.body":
                self._push("answered", event["body"])
            case "http.response.body" if self.kind == "http" or self.status != OK:
                self._answer(event["body"])
            case "http.response.body":
                await self._send_events(event["body"].decode(), more=event["more_body"])
            case "websocket.send":
                await self._send_frame(event["text"])
            case "websocket.close":
                self._close(int(event["code"]))

    def _answer(self, body: bytes) -> None:
        if not self._open:
            return
        if self.status == OK and self._request.method == "GET":
            # A request may be under way when the token is revoked.
            self.world.oracles.handed_over(self.token, "a state", asked_at=self._began)
            self.world.oracles.answered(msgspec.json.decode(body)["data"], self.token)
        self._push("answered", body)

    async def _send_events(self, body: str, *, more: bool) -> None:
        if not self._open:
            return  # what a server does with an answer that nobody reads
        if "data: " in body:
            self.world.oracles.handed_over(self.token, "an event", node=self._node.number)
            await self.wait_for_room()
        if not self._open:
            return
        for event in body.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
            if "data" in fields:
                self._hear(fields["data"])
                self._push("event", fields.get("id", ""), fields["data"])
        if not more:
            self._closed = True
            self._push("over")

    async def _send_frame(self, text: str) -> None:
        if self._open and self._closed:
            raise RuntimeError("The socket is closed")
        if '"pong"' not in text:
            self.world.oracles.handed_over(self.token, "a message", node=self._node.number)
        await self.wait_for_room()
        if not self._open:
            raise OSError("The client is gone")
        self._frame(text)

    async def wait_for_room(self) -> None:
        """Wait until the client takes frames, or is gone."""
        while self.is_full and self._open:
            self.world.oracles.saw("a connection was full")
            self._room.clear()
            await self._room.wait()

    def _frame(self, text: str) -> None:
        self._hear(text)
        self._push("frame", text)

    def _hear(self, text: str) -> None:
        oracles = self.world.oracles
        if self.token in oracles.revoked:
            oracles.saw("a token was revoked while its connection was full")
        message = oracles.message(text)
        answers = self._syncs > 0 and message.type == "job_progress"
        self._syncs -= answers
        self.story.hear(message, text, answers=answers)
        self.world.trace(f"{self.kind} <- {message.type} seq {message.seq}")
        if message.terminal:
            oracles.saw(f"an ending was sent by {self.kind}")

    def _close(self, code: int) -> None:
        if not self._open or self._closed:
            raise RuntimeError("The socket is closed")
        self._closed = True
        self.world.oracles.saw(f"close {code}")
        if code == NORMAL and self.story.ending is None:
            self.world.oracles.violated("3 close", "1000 without an ending")
        self._push("closed", code)
        self.world.loop.outside(2 * self.lag(), self._cut_server, code)

    def _push(self, *what: Any) -> None:
        self._on_the_way += 1
        if self._on_the_way + len(self._arrived) > self._window + SURPLUS_FRAMES:
            self.world.oracles.violated("6 frames", f"{self._on_the_way + len(self._arrived)} wait for a client")
        now = self.world.loop.now
        self._last_arrival = max(self._last_arrival + 1e-7, now + self.lag())
        self.world.loop.outside(self._last_arrival - now, self._arrive, what)

    def _arrive(self, what: tuple[Any, ...]) -> None:
        if not self._deaf_client:
            self._on_the_way -= 1
            self._arrived.append(what)
            self._arrival.set()

    # The client's side.

    async def take(self) -> tuple[Any, ...]:
        """Return what comes next.

        Raises:
            CutError: nothing does.
        """
        while not self._arrived:
            if self._lost is not None:
                raise self._lost
            self._arrival.clear()
            await self._arrival.wait()
        what = self._arrived.popleft()
        if not self._deaf_client and not self.is_full:
            self._room.set()
        return what

    def answer(self, body: bytes) -> Response:
        return Response(self.status, self._headers, body)

    def say(self, text: str) -> None:
        if self._lost is not None:
            raise self._lost
        self.world.loop.outside(self.lag(), self._said, text)

    def _said(self, text: str) -> None:
        if self._open and not self._deaf_server:
            self._syncs += isinstance(self.world.oracles.message(text).payload, SyncRequest)
            self._put({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        """The client closes."""
        self._cut_client()
        if not self._deaf_server:
            self.world.loop.outside(self.lag(), self._cut_server, NORMAL)


class SimulatedHttp:
    """An `HttpClient` on the simulated network.

    Args:
        world: where it is.
        window: see `Connection`.
        stream: returns the source of chance of one connection, by its number.
        node: the only node that it connects to; None for any.
    """

    def __init__(
        self, world: "World", window: int, stream: Callable[[int], random.Random], node: int | None = None
    ) -> None:
        self._world = world
        self._node = node
        self._window = window
        self._stream = stream
        self._connections = 0

    async def request(self, request: Request) -> Response:
        async with self._connected(request, "http") as connection:
            _, body = await connection.take()
            return connection.answer(body)

    def socket(self, request: Request) -> AbstractAsyncContextManager["_Socket"]:
        return self._socket(request)

    @asynccontextmanager
    async def _socket(self, request: Request) -> AsyncIterator["_Socket"]:
        async with self._connected(request, "websocket") as connection:
            await _accepted(connection)
            yield _Socket(connection)

    @asynccontextmanager
    async def events(self, request: Request) -> AsyncIterator[AsyncIterator[Event]]:
        async with self._connected(request, "sse") as connection:
            await _accepted(connection)
            async with aclosing(_events(connection)) as events:
                yield events

    async def aclose(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def _connected(self, request: Request, kind: str) -> AsyncIterator[Connection]:
        self._connections += 1
        connection = Connection(self._world, request, kind, self._window, self._stream(self._connections))
        await asyncio.sleep(connection.lag())
        connection.begin(self._node)
        try:
            yield connection
        finally:
            connection.leave()


class _Socket:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        self._connection.say(text)

    async def receive(self) -> str:
        what, content = await self._connection.take()
        if what == "closed":
            raise CutError("The server closed the socket", content)
        return str(content)


async def _accepted(connection: Connection) -> None:
    what = await connection.take()
    if what[0] == "answered":
        raise UnexpectedAnswerError(connection.answer(what[1]))


async def _events(connection: Connection) -> AsyncGenerator[Event]:
    last = ""
    while True:
        match await connection.take():
            case ("event", number, data):
                last = number or last
                yield Event(last, data)
            case _:
                return
