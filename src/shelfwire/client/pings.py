"""Pings a server, and measures round-trip times."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from shelfwire.client.errors import ConnectionLostError
from shelfwire.client.http import HttpClient, NetworkError, Request, Socket
from shelfwire.clock import Clock
from shelfwire.protocol.messages import Message, Ping, encode

PING_SECONDS: Final = 10.0
"""How long an answer may take."""


class Pings:
    """The pings of one subscription.

    Args:
        http: the connection to the server.
        clock: the source of the time.
        mishaps: returns how many jobs were given up and how many messages not understood since the last call.
    """

    def __init__(self, http: HttpClient, clock: Clock, mishaps: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        self._mishaps = mishaps
        self._http = http
        self._clock = clock
        self._numbers = itertools.count(clock.now())
        self._socket: Socket | None = None
        self._waiting: dict[int, asyncio.Event] = {}

    def use(self, socket: Socket | None) -> None:
        """Use this socket from now on; None when it has closed."""
        self._socket = socket

    def answered(self, client_time: int | None) -> None:
        """Take note of a pong."""
        if client_time in self._waiting:
            self._waiting[client_time].set()

    async def ping(self) -> float:
        """Return the round-trip time in seconds: on the socket if there is one, else by HTTP.

        Raises:
            ConnectionLostError: no answer came in time.
        """
        asked_at = self._clock.monotonic()
        try:
            await (self._by_http() if self._socket is None else self._by_socket(self._socket))
        except NetworkError as error:
            raise ConnectionLostError(str(error)) from error
        return self._clock.monotonic() - asked_at

    async def _by_socket(self, socket: Socket) -> None:
        number = next(self._numbers)
        pong = self._waiting[number] = asyncio.Event()
        try:
            lost, undecodable = self._mishaps()
            ping = Ping(client_time=number, lost=lost or None, undecodable=undecodable or None)
            await socket.send(encode(Message(job_id="", pipeline="", timestamp=0, payload=ping)))
            await self._clock.wait(pong, PING_SECONDS)
        finally:
            del self._waiting[number]
        if not pong.is_set():
            raise ConnectionLostError(f"no answer to a ping within {PING_SECONDS:.0f} s")

    async def _by_http(self) -> None:
        await self._http.request(Request(method="GET", path="/health/live"))
