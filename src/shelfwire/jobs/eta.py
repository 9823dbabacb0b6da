"""How long a job has left, from the rate measured lately."""

import math
from collections import deque

WINDOW_SECONDS = 10.0
"""The rate is that of the last ten seconds, so that it follows a provider that slows down."""


class Eta:
    """Measures one attempt's rate."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, now: float, processed: int, total: int | None) -> int | None:
        """Note how far the job is, and return whole seconds left; None while the rate is unknown.

        Args:
            now: monotonic seconds.
            processed: items recorded so far.
            total: items in all, if known.
        """
        if total is None:
            return None
        self._samples.append((now, processed))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_SECONDS:  # noqa: PLR2004 - keep a span
            self._samples.popleft()
        then, before = self._samples[0]
        if processed == before or now <= then:
            return None
        return max(0, math.ceil((total - processed) * (now - then) / (processed - before)))
