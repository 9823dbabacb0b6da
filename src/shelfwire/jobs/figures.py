"""Figures over time: durations as buckets, of which snapshots are kept, and what ought to go well by the hour.

A quantile is read from the difference of two snapshots, at the geometric middle of its bucket. Buckets grow by half, so
it is wrong by 22 % at most.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple, Protocol

from shelfwire.clock import Clock, sleep
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.operator_store import HOUR, OperatorStore, Tally

BUCKETS: Final = tuple(round(0.001 * 1.5**step, 6) for step in range(34))
"""Upper bounds in seconds, from 1 ms to over 10 min."""
EVERY_SECONDS: Final = 10.0
"""How often a snapshot is taken."""
RECENT: Final = 90
"""Snapshots of the last 15 minutes that are kept."""
SELDOM: Final = 30
"""Each of so many snapshots is kept for 7 days."""
PAST: Final = 7 * 24 * 12

Snapshot = Mapping[str, Sequence[float]]
"""By name, how many durations were in each of `BUCKETS` and, as the last, above them; since the process began."""


class Quantiles(NamedTuple):
    """The distribution of durations: how many there were, and seconds; None where there were none."""

    number: int
    p50: float | None
    p99: float | None


def quantiles(counts: Sequence[float]) -> Quantiles:
    """Return the quantiles of durations, by how many were in each bucket and above them."""
    sums = list(accumulate(counts))
    total = round(sums[-1]) if sums else 0
    return Quantiles(total, *(_quantile(sums, part) if total else None for part in (0.5, 0.99)))


def _quantile(sums: Sequence[float], part: float) -> float:
    place = bisect_left(sums, part * sums[-1])
    if place >= len(BUCKETS):
        return BUCKETS[-1]
    return math.sqrt(BUCKETS[place] * (BUCKETS[place - 1] if place else BUCKETS[0] / 1.5))


class History:
    """Snapshots of the last 15 minutes, and fewer of the last 7 days."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Snapshot]] = deque(maxlen=RECENT + 1)
        self._past: deque[tuple[float, Snapshot]] = deque(maxlen=PAST + 1)
        self._taken = 0

    def add(self, at: float, snapshot: Snapshot) -> None:
        """Keep a snapshot that was taken at `at` seconds."""
        self._recent.append((at, snapshot))
        if self._taken % SELDOM == 0:
            self._past.append((at, snapshot))
        self._taken += 1

    def since(self, at: float, now: Snapshot) -> Mapping[str, Quantiles]:
        """Return the quantiles, by name, of what came after the first snapshot that was taken at `at` or later.

        Where there is none, all that is in `now` counts.
        """
        kept = sorted([*self._past, *self._recent], key=lambda one: one[0])
        before: Snapshot = next((one for taken, one in kept if taken >= at), {})
        return {name: quantiles(_difference(counts, before.get(name, ()))) for name, counts in now.items()}

    def series(
        self, at: float, step: float, now: tuple[float, Snapshot]
    ) -> list[tuple[float, Mapping[str, Quantiles]]]:
        """Return the quantiles of each step since `at`: when it ended, and by name what came in it.

        Args:
            at: where the first step begins, or later where there is no snapshot of that time.
            step: seconds; those of `EVERY_SECONDS`, or more than `SELDOM` times as many.
            now: when it is, and the snapshot of now, with which the last step ends.
        """
        kept = self._recent if step < EVERY_SECONDS * SELDOM else self._past
        ends = list[tuple[float, Snapshot]]()
        for taken, snapshot in kept:
            if taken >= at and (not ends or taken >= ends[-1][0] + step - EVERY_SECONDS / 2):
                ends.append((taken, snapshot))
        return [
            (end, {name: quantiles(_difference(counts, before.get(name, ()))) for name, counts in after.items()})
            for (_, before), (end, after) in pairwise([*ends, now])
        ]


def _difference(after: Iterable[float], before: Sequence[float]) -> list[float]:
    return [new - (before[place] if place < len(before) else 0) for place, new in enumerate(after)]


class Source(Protocol):
    """Where the figures come from."""

    def snapshot(self) -> Snapshot:
        """Return the durations so far."""
        ...

    def take_tallies(self) -> dict[str, Tally]:
        """Return what was noted since the last call."""
        ...

    def put_back(self, tallies: Mapping[str, Tally]) -> None:
        """Take back what could not be stored."""
        ...


class Recorder:
    """Takes snapshots, and stores what ought to go well by the hour.

    Args:
        source: where the figures come from.
        store: where those by the hour go.
        clock: the time.

    Attributes:
        history: the snapshots.
    """

    def __init__(self, source: Source, store: OperatorStore, clock: Clock) -> None:
        self._source = source
        self._store = store
        self._clock = clock
        self.history = History()

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            self.history.add(self._clock.monotonic(), self._source.snapshot())
            await sleep(self._clock, EVERY_SECONDS)
            await self.store()

    async def store(self) -> None:
        """Store what was noted; what cannot be stored now is kept for the next time."""
        tallies = self._source.take_tallies()
        if not tallies:
            return
        try:
            await self._store.add_tallies(self._clock.now() // HOUR * HOUR, tallies)
        except ShelfwireError:
            self._source.put_back(tallies)

    def quantiles(self, seconds: float) -> Mapping[str, Quantiles]:
        """Return the quantiles of the last `seconds`, or of the time since the process began."""
        return self.history.since(self._clock.monotonic() - seconds, self._source.snapshot())

    def series(self, seconds: float, step: float) -> list[tuple[int, Mapping[str, Quantiles]]]:
        """Return the quantiles of each step of the last `seconds`, and when it ended, in ms since the epoch."""
        now, at = self._clock.now(), self._clock.monotonic()
        found = self.history.series(at - seconds, step, (at, self._source.snapshot()))
        return [(now - round((at - end) * 1000), by_name) for end, by_name in found]

    async def tallies(self, seconds: float) -> Mapping[str, Tally]:
        """Return what was noted in the last `seconds`, to the hour."""
        await self.store()
        return await self._store.tallies(self._clock.now() - round(seconds * 1000))
