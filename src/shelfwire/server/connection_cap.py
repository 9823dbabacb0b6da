"""Bounds the number of connections: of all together, by what the process may open, and of each network address.

Beyond the first the system would turn connections away unseen; the second keeps one address from taking all of them.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Protocol, runtime_checkable

import structlog

HEALTH_CONNECTIONS: Final = 8
"""Beyond either limit, so that health checks are answered while all others are busy."""
LOOKED_AT: Final = 2000
"""Connections among which the one that is idle for longest is looked for."""
KNOWN_ADDRESSES: Final = 4096
LOG_SECONDS: Final = 10.0

_Idle = tuple[float, asyncio.Transport, "Closable"]

log = structlog.get_logger(__name__)


@runtime_checkable
class Closable(Protocol):
    """The protocol of a connection over HTTP."""

    def idle_since(self) -> float | None:
        """Return when it began to wait for a request, by the loop's clock; None if it does not."""
        ...

    def turn_away(self) -> None:
        """Close it; nobody waits for an answer."""
        ...


class ConnectionCap:
    """Closes the connection that is idle for longest where a new one is too many, or else turns the new one away.

    A line in the log says so, once in a while for each of the limits.

    Args:
        limit: the number of all connections.
        each: the number of those from one address.
        counted_as: the network that the connections of an address are counted for; None if they are not.
    """

    def __init__(
        self, limit: int, each: int | None = None, counted_as: Callable[[str], str | None] = lambda address: address
    ) -> None:
        self._limit = limit
        self._each = each
        self._counted_as = lru_cache(KNOWN_ADDRESSES)(counted_as)
        self._all: dict[asyncio.Transport, str | None] = {}
        self._by_network: dict[str, dict[asyncio.Transport, str | None]] = {}
        self._of_all = _Refusals("connections refused: there are as many as the limit of open files allows")
        self._of_one = _Refusals(
            "connections refused: an address has as many as it may; see the setting connections_per_address"
        )

    def enter(self, new: asyncio.Transport) -> bool:
        """Count a connection; close another one if it is too many, and return whether there is room for it."""
        network = None if self._each is None else self._counted_as(_peer(new))
        self._all[new] = network
        if network is not None:
            self._by_network.setdefault(network, {})[new] = network
        if len(self._all) > self._limit:
            self._of_all.report(limit=self._limit)
            return self._has_made_room(new, self._all, self._limit)
        if network is not None and self._each is not None and len(self._by_network[network]) > self._each:
            self._of_one.report(limit=self._each, address=network)
            return self._has_made_room(new, self._by_network[network], self._each)
        return True

    def leave(self, gone: asyncio.Transport) -> None:
        """Count a connection no more, if it was."""
        network = self._all.pop(gone, None)
        if network is not None:
            others = self._by_network[network]
            del others[gone]
            if not others:
                del self._by_network[network]

    def exceeded(self, connection: asyncio.Transport) -> bool:
        """Whether there are too many, for a connection that there was no room for when it came."""
        others = self._by_network.get(self._all.get(connection) or "", ())
        return len(self._all) > self._limit or (self._each is not None and len(others) > self._each)

    def _has_made_room(self, new: asyncio.Transport, among: Mapping[asyncio.Transport, Any], limit: int) -> bool:
        idle = min(_idle(new, among), key=lambda found: found[0], default=None)
        if idle is not None:
            _, transport, protocol = idle
            self.leave(transport)
            protocol.turn_away()
        elif len(among) > limit + HEALTH_CONNECTIONS:
            new.close()
        return len(among) <= limit


def _idle(new: asyncio.Transport, among: Mapping[asyncio.Transport, Any]) -> Iterator[_Idle]:
    for transport in islice(among, LOOKED_AT):
        protocol = transport.get_protocol()
        if transport is not new and isinstance(protocol, Closable) and (since := protocol.idle_since()) is not None:
            yield since, transport, protocol


def _peer(transport: asyncio.Transport) -> str:
    address = transport.get_extra_info("peername")
    return str(address[0]) if isinstance(address, tuple) else ""


class _Refusals:
    """Counts refusals, and logs them once in a while."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._refused = 0
        self._logged: float | None = None

    def report(self, **more: object) -> None:
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if self._logged is None or now >= self._logged + LOG_SECONDS:
            log.warning(self._text, refused=self._refused, **more)
            self._logged = now
