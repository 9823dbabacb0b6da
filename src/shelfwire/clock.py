"""Time and chance. Only this module takes them from the machine; others are given them, so that tests decide."""

import asyncio
import contextlib
import random
import time
from collections import deque
from typing import Final, Protocol

MEASUREMENTS: Final = 10
"""Measurements of another clock of which the best counts."""
_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """A source of time, and how to wait for it."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def steady(self) -> int:
        """Return milliseconds since the epoch as they were at the start, and what has passed since.

        Whatever is kept for as long as the process lives, such as a lease, is measured by it: when somebody sets the
        clock, `now` jumps. For people it means nothing.
        """
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when `event` is set or after `seconds`, whichever comes first."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._offset = self.now() - self.monotonic() * 1000

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def steady(self) -> int:
        """Return milliseconds since the epoch as they were at the start, and what has passed since."""
        return round(self._offset + self.monotonic() * 1000)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when `event` is set or after `seconds`, whichever comes first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


class DatabaseClock(SystemClock):
    """The clock of a database that several processes share, as each of them has measured it.

    Of the last measurements the one that took least counts: its error is at most half the time that it took. It goes on
    while the machine sleeps.
    """

    def __init__(self) -> None:
        self._offset = super().now() - self.monotonic() * 1000
        self._measured: deque[tuple[float, float]] = deque(maxlen=MEASUREMENTS)

    def monotonic(self) -> float:
        """Return seconds that never run backwards, those included in which the machine was asleep."""
        return time.clock_gettime(_BOOTTIME)

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self.steady()

    def observe(self, at: float, sent: float, answered: float) -> None:
        """Take the database's answer to what time it is.

        Args:
            at: its time, in milliseconds since the epoch.
            sent: `monotonic` when it was asked.
            answered: `monotonic` when it had answered.
        """
        self._measured.append((answered - sent, at - (sent + answered) / 2 * 1000))
        self._offset = min(self._measured)[1]


async def sleep(clock: Clock, seconds: float) -> None:
    """Return after `seconds` of a clock."""
    await clock.wait(asyncio.Event(), seconds)


async def yield_to_loop() -> None:
    """Give other tasks of the event loop a turn."""
    await asyncio.sleep(0)


def uniform() -> float:
    """Return a random number in [0, 1), fit to spread retries, not to keep secrets."""
    return random.random()  # noqa: S311 - see above
