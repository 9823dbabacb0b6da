"""How often and how soon one outside service may be asked, and when it is left alone. Pure: time is an argument."""

from collections import deque
from dataclasses import dataclass
from typing import Final

CATCHING_UP: Final = 1.25
"""How much faster than evenly requests may follow each other, to make up for timers that were late."""
FEWEST_ANSWERS: Final = 20
"""Fewer do not tell yet how quick a service is."""
MARGIN: Final = 4.0
"""So many times its usual distance from the mean may an answer be late. This and the weights are those of RFC 6298."""
MEAN_WEIGHT: Final = 1 / 8
SPREAD_WEIGHT: Final = 1 / 4
"""Of each answer, so that one which is late on a busy machine does not make all others wait for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a service stands, and what a job stands of it.

    Attributes:
        rate: requests that may begin within any `period`.
        period: seconds.
        burst: how many of them may begin at once; the others are spread over the period. None: all of them.
        at_once: requests under way at a time.
        attempts: how often a request is sent, at most.
        timeout: seconds for one attempt from the first byte sent to the last one read.
        least_timeout: seconds for the first attempt, at least. It has as long as answers have usually taken and
            `MARGIN` times their spread, and each one after a time-out twice as long, so that a request which hangs
            costs no more than it must where a service is quick. None: every attempt has `timeout`.
        backoff: seconds before the second attempt, twice as many before each further one; a random half is taken off.
        longest_backoff: seconds between two attempts, at most.
        patience: seconds of a wait that the service asked for; a longer one is not waited for but fails at once.
        failures: how many in a row shut the lane, so that a dead service does not cost every item its attempts.
        pause: seconds it stays shut; then one request tries how things are.
        most_bytes: of an answer.
    """

    rate: int
    period: float = 1.0
    burst: int | None = None
    at_once: int = 4
    attempts: int = 4
    timeout: float = 30.0
    least_timeout: float | None = None
    backoff: float = 0.5
    longest_backoff: float = 8.0
    patience: float = 30.0
    failures: int = 8
    pause: float = 30.0
    most_bytes: int = 8 * 1024 * 1024


@dataclass(slots=True)
class Slot:
    """When a request began, in seconds."""

    at: float


class RateLimiter:
    """When the next request may begin. Pure: the time, in seconds, is an argument.

    Args:
        rate: requests that may begin within any `period`.
        period: seconds.
        burst: see `Limits.burst`.
    """

    def __init__(self, rate: int, period: float, burst: int | None = None) -> None:
        self._begun: deque[Slot] = deque(maxlen=rate)
        self._period = period
        self._burst = rate if burst is None else min(burst, rate)
        self._spread = self._burst * period / rate / CATCHING_UP
        self._held_until = float("-inf")

    def delay(self, now: float) -> float:
        """Seconds until the next request may begin; 0 if it may now."""
        begun = self._begun
        full = begun[0].at + self._period - now if len(begun) == begun.maxlen else 0.0
        close = begun[-self._burst].at + self._spread - now if len(begun) >= self._burst < (begun.maxlen or 0) else 0.0
        return max(self.held(now), full, close)

    def held(self, now: float) -> float:
        """Seconds left of what the service has asked for; 0 if it has not."""
        return max(self._held_until - now, 0.0)

    def begin(self, now: float) -> "Slot":
        """Note that a request begins. Should it be late on its way out, the caller moves the slot to that time."""
        slot = Slot(now)
        self._begun.append(slot)
        return slot

    def hold(self, until: float) -> None:
        """Let nothing begin before then."""
        self._held_until = max(self._held_until, until)


class AdaptiveTimeout:
    """How long an answer is waited for. Pure.

    Args:
        least: see `Limits.least_timeout`.
        most: see `Limits.timeout`.
    """

    def __init__(self, least: float | None, most: float) -> None:
        self._least = least
        self._most = most
        self._answers = 0
        self._mean = self._spread = 0.0

    def answered(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._answers += 1
        if self._answers == 1:
            self._mean, self._spread = seconds, seconds / 2
            return
        self._spread += SPREAD_WEIGHT * (abs(seconds - self._mean) - self._spread)
        self._mean += MEAN_WEIGHT * (seconds - self._mean)

    def timeout(self, timed_out: int) -> float:
        """Seconds that an attempt has, after so many that got no answer in time."""
        if self._least is None or self._answers < FEWEST_ANSWERS:
            return self._most
        seconds: float = max(self._least, self._mean + MARGIN * self._spread) * 2**timed_out
        return min(seconds, self._most)


class Breaker:
    """Whether a service is worth asking. Pure: the time, in seconds, is an argument.

    Args:
        failures: how many in a row open it.
        pause: seconds until one request may try how things are.
    """

    def __init__(self, failures: int, pause: float) -> None:
        self._most = failures
        self._pause = pause
        self._failures = 0
        self._failing_since: float | None = None
        self._open_until: float | None = None
        self._probing = False

    def wait(self, now: float) -> float | None:
        """None if requests may go out; or the seconds until one may, 0 while one is out to see."""
        if self._open_until is None or (now >= self._open_until and not self._probing):
            return None
        return max(self._open_until - now, 0.0)

    def failing(self, now: float) -> float:
        """Seconds since the first of the failures in a row; 0 if the last answer was a good one."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def begin(self) -> bool:
        """A request goes out, after `wait` has allowed it. Tell whether it is the one that tries how things are."""
        self._probing = self._open_until is not None
        return self._probing

    def succeeded(self) -> bool:
        """The service gave an answer. Tell whether it had been given up."""
        was_open = self._open_until is not None
        self._failures, self._open_until, self._probing = 0, None, False
        self._failing_since = None
        return was_open

    def failed(self, now: float, *, probe: bool) -> bool:
        """The service gave none, to the request that tried how things are or another. Tell whether it is given up."""
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        opens = probe if self._open_until is not None else self._failures >= self._most
        if opens:
            self._open_until, self._probing = now + self._pause, False
        return opens

    def withdrawn(self, *, probe: bool) -> None:
        """A request was given up by its sender, which says nothing of the service."""
        self._probing = self._probing and not probe
