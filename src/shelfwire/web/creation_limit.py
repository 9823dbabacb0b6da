"""The limit of new jobs for each caller."""

import hashlib
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from shelfwire.clock import Clock
from shelfwire.jobs.nodes import ADMISSION_WINDOW, Nodes

WINDOW_SECONDS: Final = ADMISSION_WINDOW // 1000
MAX_CALLERS: Final = 10_000
"""The number of callers that are counted at once; beyond it, the one that is idle for longest is forgotten."""


class RateLimit:
    """At most `limit` admissions of one caller within any minute.

    Own code, for want of a library that takes both our clock and a bound on the number of callers; the memory is
    cachetools'.

    Args:
        limit: admissions a minute; 0 admits everything.
        clock: the time.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._admitted: TTLCache[str, deque[float]] = TTLCache(MAX_CALLERS, WINDOW_SECONDS, clock.monotonic)

    def admit(self, identity: str, limit: int | None = None) -> int:
        """Admit a caller and return 0, or return the whole seconds until it may come back, and count nothing.

        Args:
            identity: the caller.
            limit: its own limit, in place of everybody's.
        """
        limit = self._limit if limit is None else limit
        if not limit:
            return 0
        now = self._clock.monotonic()
        times = deque(self._admitted.get(identity, ()), maxlen=limit)
        if len(times) == limit and now < times[0] + WINDOW_SECONDS:
            return max(1, math.ceil(times[0] + WINDOW_SECONDS - now))
        times.append(now)
        self._admitted[identity] = times
        return 0


class CreationLimit:
    """The same over all nodes that share a store; where there is one process alone, its own limit.

    Whoever was refused is refused again without asking the store, until it may come back.

    Args:
        limit: see `RateLimit`.
        clock: the time.
        nodes: returns the other nodes; None where there are none.
    """

    def __init__(self, limit: int, clock: Clock, nodes: Callable[[], Nodes | None]) -> None:
        self._alone = RateLimit(limit, clock)
        self._limit = limit
        self._clock = clock
        self._nodes = nodes
        self._refused: TTLCache[tuple[bytes, int], int] = TTLCache(MAX_CALLERS, WINDOW_SECONDS, clock.monotonic)

    async def admit(self, identity: str, limit: int | None = None) -> int:
        """See `RateLimit.admit`.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: the other nodes' counts cannot be had.
        """
        nodes = self._nodes()
        limit = self._limit if limit is None else limit
        if nodes is None or not limit:
            return self._alone.admit(identity, limit)
        now, caller = self._clock.steady(), hashlib.sha256(identity.encode()).digest()
        wait = max(0, self._refused.get((caller, limit), 0) - now)
        if not wait and (wait := await nodes.admit(caller, limit, now)):
            self._refused[caller, limit] = now + wait
        return math.ceil(wait / 1000)
