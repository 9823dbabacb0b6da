"""Connections before their first request, and the order in which those requests are begun.

After a restart thousands of followers come back in one moment. To begin a request, its head parsed and its task made,
takes a multiple of what anything else on the event loop does; all in one turn would hold up every PONG and every health
check by seconds. So a connection costs next to nothing until its first bytes are there, and a turn begins a bounded
number of requests, in the order in which they came. Requests for the server's health do not wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from shelfwire.server.connection_cap import ConnectionCap
from shelfwire.server.http_protocol import HttpProtocol

BEGUN_PER_TURN: Final = 4
"""Requests that are begun in one turn of the event loop: some 3 ms with their tasks."""
MAX_WAITING_BYTES: Final = 64 * 1024
"""What a connection may send before its turn; the rest waits in the kernel."""
HEALTH: Final = b"GET /health/", b"HEAD /health/"


class Turnstile:
    """Begins waiting requests, a bounded number in each turn of the event loop.

    Args:
        per_turn: the number.
    """

    def __init__(self, per_turn: int = BEGUN_PER_TURN) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._per_turn = self._left = per_turn
        self._turning = False

    def admit(self, begin: Callable[[], None]) -> None:
        """Call `begin` now if this turn has room for it, else in the first turn that has."""
        if self._left and not self._waiting:
            self._left -= 1
            begin()
        else:
            self._waiting.append(begin)
        self._turn_later()

    def _turn_later(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        begun = [self._waiting.popleft() for _ in range(min(self._per_turn, len(self._waiting)))]
        self._left = self._per_turn - len(begun)
        if begun:
            self._turn_later()
        for begin in begun:
            begin()


class FastWay(Protocol):
    """What may take over connections by their first bytes.

    Attributes:
        turnstile: says when it looks at these.
    """

    turnstile: Turnstile

    def may_take(self, data: bytes) -> bool:
        """Whether it may take over a connection that begins with some bytes."""
        ...

    def take(self, arrival: "Arrival", data: bytes) -> bool:
        """Take over a connection, or return False; it may still give it back by `Arrival.take_back`."""
        ...


class Arrival(asyncio.Protocol):
    """A connection until its first bytes have come and it is their turn; then `HttpProtocol` takes it over.

    Args:
        config: uvicorn's.
        server_state: uvicorn's; what is among its connections is asked to shut down.
        app_state: uvicorn's.
        cap: counts the connections.
        turnstile: says when the first request is begun.
        fast: is asked before `HttpProtocol`, if it is there.

    Attributes:
        transport: the connection.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        cap: ConnectionCap,
        turnstile: Turnstile,
        fast: FastWay | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._cap = cap
        self._turnstile = turnstile
        self._fast = fast
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes as long as for another request."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._timer = loop.call_later(self._config.timeout_keep_alive, self.transport.close)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # it is only asked to shut down
        self._has_room = self._cap.enter(self.transport)

    def data_received(self, data: bytes) -> None:
        """Have the first request begun; the rest of it waits in the kernel until then."""
        if self._data:
            self._data += data  # the fast way has not come to it yet
            if len(self._data) > MAX_WAITING_BYTES:
                self.transport.pause_reading()
            return
        self._timer.cancel()
        self._data = data
        if data.startswith(HEALTH) or not self._has_room:  # to be refused, at little cost
            self._begin()
        elif self._fast is not None and self._fast.may_take(data):
            self._fast.turnstile.admit(self._offer)
        else:
            self._wait()

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Let a protocol have the connection, in uvicorn's view as well."""
        self._server_state.connections.discard(self)
        self._server_state.connections.add(protocol)  # type: ignore[arg-type]
        self.transport.set_protocol(protocol)

    def take_back(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Have a connection that was handed over served by `HttpProtocol`; `data` came since."""
        self._server_state.connections.discard(protocol)
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self.transport.set_protocol(self)
        self._data += data
        self._wait()

    def forget_request(self) -> None:
        """Note that the first request is answered: what comes after `take_back` is another one."""
        self._data = b""

    @property
    def default_headers(self) -> bytes:
        """The headers of every answer, as uvicorn has them."""
        return b"".join(b"%b: %b\r\n" % header for header in self._server_state.default_headers)

    @property
    def connections(self) -> set[Any]:
        """What uvicorn asks to shut down; a protocol that has taken over leaves it in the end."""
        return self._server_state.connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        self._timer.cancel()
        self._server_state.connections.discard(self)
        self._cap.leave(self.transport)

    def shutdown(self) -> None:
        """Close it, because the server stops."""
        self.transport.close()

    def idle_since(self) -> float | None:
        """See `Closable`."""
        return None if self._data or self.transport.is_closing() else self._since

    def turn_away(self) -> None:
        """See `Closable`."""
        self.transport.close()

    def _offer(self) -> None:
        if self.transport.is_closing():
            return
        if self._fast is None or not self._fast.take(self, self._data):
            self._wait()

    def _wait(self) -> None:
        self.transport.pause_reading()
        self._turnstile.admit(self._begin)

    def _begin(self) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        protocol = HttpProtocol(
            self._config, self._server_state, self._app_state, cap=self._cap, has_room=self._has_room
        )
        self._server_state.connections.discard(self)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        protocol.expect_rest()
        if self._data:
            protocol.data_received(self._data)
