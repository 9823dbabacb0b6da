"""Keeps connections below the number that the process may open: beyond it, the system would turn them away unseen."""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import Any, Final, Protocol

import structlog

HEALTH_CONNECTIONS: Final = 8
"""Beyond the limit, so that health checks are answered while all others are busy."""
LOOKED_AT: Final = 2000
"""Connections among which the one that is idle for longest is looked for."""
LOG_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


class Closable(Protocol):
    """A connection over HTTP."""

    def idle_since(self) -> float | None:
        """Return when it began to wait for a request, by the loop's clock; None if it does not."""
        ...

    def turn_away(self) -> None:
        """Close it, with an answer if one is due."""
        ...


class ConnectionCap:
    """Closes the connection that is idle for longest where a new one is too many, or else turns the new one away.

    A line in the log says so, once in a while.

    Args:
        limit: the number of connections.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._refused = 0
        self._logged: float | None = None

    def exceeded(self, connections: Collection[Any]) -> bool:
        """Whether there are too many."""
        return len(connections) > self._limit

    def make_room(self, new: Closable, connections: Collection[Any]) -> bool:
        """Close one if `new` is too many, and return whether there is room for `new`."""
        if not self.exceeded(connections):
            return True
        others = (one for one in islice(connections, LOOKED_AT) if one is not new and hasattr(one, "idle_since"))
        idle = [(since, id(one), one) for one in others if (since := one.idle_since()) is not None]
        if idle:
            min(idle)[2].turn_away()
        elif len(connections) > self._limit + HEALTH_CONNECTIONS:
            new.turn_away()
        self._report()
        return bool(idle)

    def _report(self) -> None:
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if self._logged is None or now >= self._logged + LOG_SECONDS:
            log.warning(
                "connections refused: there are as many as the limit of open files allows",
                limit=self._limit,
                refused=self._refused,
            )
            self._logged = now
