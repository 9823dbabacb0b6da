"""How often each provider of book data is asked, unless a setting says otherwise, and the limits around that."""

import math
from typing import Final

from shelfwire.books.upstream.limits import Limits

OPEN_LIBRARY_RATE: Final = 1.0
OPEN_LIBRARY_RATE_WITH_CONTACT: Final = 3.0
GOOGLE_BOOKS_RATE: Final = 2.0
BURST_SECONDS: Final = 0.1
"""Requests start evenly, but for a burst of what the rate allows in this time."""
HEADROOM: Final = 1.04
"""Requests sent at the limit would arrive above it, as their time in the network varies."""
MAX_FAILURES: Final = 8
"""Failures in a row that open the circuit of a service."""
MAX_FAILURES_AT_LOW_RATE: Final = 4
"""Likewise of a service that is asked so rarely that more would take too long."""
PAUSE_SECONDS: Final = 2.0
"""How long a circuit stays open; less than `GRACE_SECONDS`."""
LATENCY_SECONDS: Final = 3.0
"""Answers that take up to this long still let the whole rate be used."""


def limits_for(rate: float) -> Limits:
    """The limits of a service that allows `rate` requests a second."""
    # The shortest period, of a second or more, for which the rate is a whole number of requests.
    whole = max(1, math.floor(rate))
    return Limits(
        rate=whole,
        period=whole / rate * HEADROOM,
        burst=max(1, math.floor(rate * BURST_SECONDS)),
        at_once=max(2, math.ceil(rate * LATENCY_SECONDS)),
        attempts=4,
        timeout=12.0,
        least_timeout=2.0,
        failures=MAX_FAILURES if rate >= MAX_FAILURES else MAX_FAILURES_AT_LOW_RATE,
        pause=PAUSE_SECONDS,
    )


def open_library_rate(contact: str | None) -> float:
    """Return requests a second to Open Library, which allows more to callers that name a contact."""
    return OPEN_LIBRARY_RATE_WITH_CONTACT if contact else OPEN_LIBRARY_RATE
