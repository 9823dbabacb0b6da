"""The limits that one outside service sets, and those that jobs set it."""

from dataclasses import dataclass
from typing import Final

LONGEST_HOLD: Final = 900.0
"""Seconds; a service that asks for a longer pause is asked again all the same, in case it asked by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rate, concurrency, retry and timeout limits of one upstream.

    Attributes:
        rate: requests that may start within any `period`.
        period: seconds.
        burst: how many of them may start at once; the others are spread over the period. None: all of them.
        at_once: requests under way at a time.
        attempts: how often a request is sent at most.
        timeout: seconds for one attempt at most, from the first byte sent to the last one read.
        least_timeout: seconds for the first attempt at least. The timeout follows how long answers have taken (see
            `AdaptiveTimeout`), so that a request that hangs costs little where a service is quick. None: every attempt
            has `timeout`.
        backoff: seconds before the second attempt, doubled for each further one; a random half is taken off.
        longest_backoff: seconds between two attempts at most.
        patience: seconds of a wait that the service may ask for; a request fails at once if it asks for more.
        failures: failures in a row that open the circuit, so that a dead service does not cost every item its attempts.
        pause: seconds that the circuit stays open; then one request probes the service.
        most_bytes: size of an answer at most.
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
