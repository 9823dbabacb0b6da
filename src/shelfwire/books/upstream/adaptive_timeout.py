"""A timeout that follows how long answers take, as RFC 6298 computes TCP's retransmission timeout."""

from typing import Final

MIN_SAMPLES: Final = 20
"""Until there are as many answers, the maximum applies."""
DEVIATIONS: Final = 4.0
"""How many mean deviations above the mean an answer may take. This and the weights are those of RFC 6298."""
MEAN_WEIGHT: Final = 1 / 8
DEVIATION_WEIGHT: Final = 1 / 4
"""The weight of each new answer: one that is late on a busy machine does not lengthen the timeout for long."""


class AdaptiveTimeout:
    """Computes how long to wait for an answer. Pure.

    Args:
        minimum: seconds that the first attempt has at least; None: every attempt has `maximum`.
        maximum: seconds that any attempt has at most.
    """

    def __init__(self, minimum: float | None, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._samples = 0
        self._mean = self._deviation = 0.0

    def record(self, seconds: float) -> None:
        """Record how long an answer took."""
        self._samples += 1
        if self._samples == 1:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += DEVIATION_WEIGHT * (abs(seconds - self._mean) - self._deviation)
        self._mean += MEAN_WEIGHT * (seconds - self._mean)

    def timeout(self, timed_out: int) -> float:
        """Seconds for an attempt of a request, doubled for each of its `timed_out` earlier attempts."""
        if self._minimum is None or self._samples < MIN_SAMPLES:
            return self._maximum
        seconds: float = max(self._minimum, self._mean + DEVIATIONS * self._deviation) * 2**timed_out
        return min(seconds, self._maximum)
