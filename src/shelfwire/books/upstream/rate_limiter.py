"""A sliding-window rate limiter with bounded bursts. Pure: the time, in seconds, is an argument."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CATCH_UP: Final = 1.25
"""Factor by which requests may follow each other faster than evenly, to make up for timers that fired late."""


@dataclass(slots=True)
class StartTime:
    """When a request started, in seconds."""

    at: float


class RateLimiter:
    """Decides when the next request may start.

    Args:
        rate: requests that may start within any `period`.
        period: seconds.
        burst: how many of them may start at once; the others are spread over the period. None: all of them.
        started: when requests have started before, ascending.
    """

    def __init__(self, rate: int, period: float, burst: int | None = None, started: Iterable[float] = ()) -> None:
        self._starts: deque[StartTime] = deque(map(StartTime, started), maxlen=rate)
        self._rate = rate
        self._period = period
        self._burst = rate if burst is None else min(burst, rate)
        self._burst_period = self._burst * period / rate / CATCH_UP
        self._held_until = float("-inf")

    def delay(self, now: float) -> float:
        """Seconds until the next request may start; 0 if it may now."""
        starts, delay = self._starts, self.held(now)
        if len(starts) == self._rate:
            delay = max(delay, starts[0].at + self._period - now)
        if len(starts) >= self._burst < self._rate:
            delay = max(delay, starts[-self._burst].at + self._burst_period - now)
        return delay

    def held(self, now: float) -> float:
        """Seconds left of the longest `hold`; 0 if there is none."""
        return max(self._held_until - now, 0.0)

    def start(self, now: float) -> StartTime:
        """Record that a request starts. The caller corrects the time if the request leaves later."""
        start = StartTime(now)
        self._starts.append(start)
        return start

    def hold(self, until: float) -> None:
        """Let no request start before `until`."""
        self._held_until = max(self._held_until, until)
