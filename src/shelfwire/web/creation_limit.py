"""The limit of new jobs for each caller."""

import math
from collections import deque
from typing import Final

from cachetools import TTLCache

from shelfwire.clock import Clock

WINDOW_SECONDS: Final = 60
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
