"""Estimated time to completion.

The rate is the slope between two moments at which items were recorded: the newest one, and the newest of those that
are both `WINDOW_SECONDS` and `MIN_MOMENTS` - 1 moments older, or else the first one of this attempt. It is the moving
average of progress bars (tqdm, indicatif), taken between recorded moments instead of up to now, which makes it exact
where items come in bursts: n bursts lie between n + 1 moments, however long the next one is in coming.

- A slow start does not count: what came before the first recorded moment is no part of the slope, and slow first items
  leave it after ten seconds of a faster rate. A weighted average would carry them along, the less the later.
- Time without a worker does not count: each attempt measures anew, from its own first moment.
- At a steady rate the estimate is exact to the second from the second moment on, and again ten seconds and seven
  moments after any other rate. Of bursts that are recorded at once seven are enough, whatever lies between them.
"""

import math
from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 10.0
MIN_MOMENTS: Final = 8
STEP_SECONDS: Final = 0.25
"""Moments closer than this count as one, which bounds how many are remembered."""
MILLION: Final = 1_000_000
SHOWN_AFTER: Final = 20_000
"""Millionths that must be done in an attempt before an estimate from fractions is worth anything;"""
SHOWN_SECONDS: Final = 5.0
"""or so many seconds passed."""


class Eta:
    """Measures one attempt's rate."""

    def __init__(self) -> None:
        self._before: int | None = None
        self._moments: deque[tuple[float, int]] = deque()

    def update(self, now: float, processed: int, total: int | None) -> int | None:
        """Note how far the job is, and return whole seconds left; None while the rate is unknown.

        Args:
            now: monotonic seconds.
            processed: items done so far, those of earlier attempts included, which alone the first call gives.
            total: items in all, if known.
        """
        if self._before is not None and processed > self._before:
            self._note(now, processed)
        self._before = processed
        if total is None or len(self._moments) < 2:  # noqa: PLR2004 - a slope has two ends
            return None
        (then, before), (newest, done) = self._moments[0], self._moments[-1]
        if newest <= then:
            return None
        return max(0, math.ceil((total - processed) * (newest - then) / (done - before)))

    def _note(self, now: float, processed: int) -> None:
        moments = self._moments
        if len(moments) > 1 and now - moments[-2][0] < STEP_SECONDS:
            moments.pop()
        moments.append((now, processed))
        while len(moments) > MIN_MOMENTS and now - moments[1][0] >= WINDOW_SECONDS:
            moments.popleft()


class FractionEta:
    """Measures the rate of an attempt that has no items and says what fraction of its work is done.

    It reckons with millionths: per cents, which followers see, come so seldom that the estimate would stand still
    between them and be many times too high near the end. What has passed since the newest fraction is subtracted.
    """

    def __init__(self) -> None:
        self._eta = Eta()
        self._first: tuple[float, int] | None = None
        self._newest: tuple[float, int] = (0.0, -1)

    def update(self, now: float, fraction: float) -> int | None:
        """Note how far the job is, and return whole seconds left; None until `SHOWN_AFTER` or `SHOWN_SECONDS`.

        Args:
            now: monotonic seconds.
            fraction: from 0 to 1; never less than before.
        """
        done = round(fraction * MILLION)
        if self._first is None:
            self._first = now, done
        if done > self._newest[1]:
            self._newest = now, done
        left = self._eta.update(now, done, MILLION)
        since, before = self._first
        if left is None or (done - before < SHOWN_AFTER and now - since < SHOWN_SECONDS):
            return None
        return max(0, left - int(now - self._newest[0]))
