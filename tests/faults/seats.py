"""Where a follower under test sits: behind a proxy of its own, on a network that may be a bad one."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import msgspec

from shelfwire.client import Client, JobHandle
from shelfwire.client import http_client as networks
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobProgress, Message
from shelfwire.protocol.reconnect import Transport
from tests.faults.pieces import Piece
from tests.faults.plans import Plan
from tests.faults.proxy import Link, Proxy
from tests.faults.wire import Heard, Wire
from tests.servers import Server

HANDSHAKE_SECONDS: Final = 1.0


def make_client(url: str, delays: tuple[float, ...], transports: Sequence[Transport] = tuple(Transport)) -> Client:
    """The client under test; it gives up a stream that does not flow as much sooner as it reconnects sooner."""
    http = networks.NetworkHttpClient(url, handshake=HANDSHAKE_SECONDS)
    return Client(url, http=http, transports=transports, delays=delays, random_fraction=lambda: 0.0)


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What a follower's connections have to go through.

    Attributes:
        transports: what its client may use.
        refuse: see `Plan`.
        hold: see `Plan`.
    """

    transports: tuple[Transport, ...] = tuple(Transport)
    refuse: int | None = None
    hold: bool = False


NETWORKS: Final = (
    *(Network(transports=(transport,)) for transport in (Transport.WEBSOCKET, *Transport)),
    Network(),
    Network(),
    Network(refuse=403),
    Network(refuse=502, hold=True),
)
"""One is chosen for each follower; the socket has two chances, and so has a client that may choose for itself."""


class Seat:
    """A follower's place: a proxy of its own, and a client that knows only that. Use it as a context manager.

    Args:
        server: what the proxy leads to.
        delays: the client's schedule of reconnecting.

    Attributes:
        told: what the client showed of the job.
        midway: set when it has shown progress.
        paused: set when it has shown that the job is paused.
        over: set when it has shown the ending.
    """

    def __init__(self, server: Server, delays: tuple[float, ...]) -> None:
        self._proxy = Proxy(int(server.url.rpartition(":")[2]), self.plan, tap=self.hear)
        self._delays = delays
        self._stack = AsyncExitStack()
        self._clients: dict[tuple[Transport, ...], Client] = {}
        self._first = 0
        self._network = NETWORKS[0]
        self._plans: Iterator[Plan] = iter(())
        self._wire = Wire(Heard())
        self.told: list[Message] = []
        self.midway = asyncio.Event()
        self.paused = asyncio.Event()
        self.over = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Open the proxy."""
        await self._stack.enter_async_context(self._proxy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both."""
        await self._stack.aclose()

    def plan(self, _: int) -> Plan:
        """What happens to the next connection."""
        network = self._network
        return msgspec.structs.replace(next(self._plans, Plan()), refuse=network.refuse, hold=network.hold)

    def hear(self, link: Link, piece: Piece) -> None:
        """What passes on any of them."""
        self._wire.hear(link, piece)

    def begin(self, network: Network, plans: list[Plan], wire: Wire) -> None:
        """Be there for another job."""
        self._network = network
        self._first = len(self._proxy.links)
        self._plans, self._wire, self.told = iter(plans), wire, []
        self.midway.clear()
        self.paused.clear()
        self.over.clear()

    @property
    def links(self) -> list[Link]:
        """The connections since then."""
        return self._proxy.links[self._first :]

    async def follow(self, job: JobHandle) -> None:
        """Follow the job to its ending."""
        async for message in (await self._client()).follow(job):
            self.told.append(message)
            match message.payload:
                case JobProgress(state=Status.PAUSED):
                    self.paused.set()
                case JobProgress(processed_count=processed) if processed:
                    self.midway.set()
        for event in (self.midway, self.paused, self.over):
            event.set()

    async def _client(self) -> Client:
        ways = self._network.transports
        if ways not in self._clients:
            client = make_client(self._proxy.url, self._delays, ways)
            self._clients[ways] = await self._stack.enter_async_context(client)
        return self._clients[ways]

    async def end(self) -> None:
        """Let go of all connections."""
        await self._proxy.reset()
        if self._proxy.errors:
            raise self._proxy.errors[0]
