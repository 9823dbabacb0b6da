"""A clock to turn by hand."""

import asyncio
import heapq
import itertools


class FakeClock:
    """A `Clock` that moves only by `advance`, and that somebody may set with `step`.

    Args:
        now: milliseconds since the epoch at the start.
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._start = self._set = now
        self._elapsed = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, asyncio.Event]] = []

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self._set + round(self._elapsed * 1000)

    def steady(self) -> int:
        """Return milliseconds since the epoch, whatever `step` has done."""
        return self._start + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._elapsed

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when `event` is set or the clock has advanced `seconds`."""
        timer = asyncio.Event()
        heapq.heappush(self._timers, (self._elapsed + seconds, next(self._order), timer))
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(timer.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    def step(self, seconds: float) -> None:
        """Set the time that people see forward or back, as an operator does; nothing has passed."""
        self._set += round(seconds * 1000)

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and wake the waits that are over."""
        self._elapsed += seconds
        while self._timers and self._timers[0][0] <= self._elapsed:
            heapq.heappop(self._timers)[2].set()
