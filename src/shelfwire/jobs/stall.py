"""When a running job counts as stalled, and what a person is told of it meanwhile."""

from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600


class StallDetector:
    """How long one attempt has recorded nothing.

    Args:
        now: monotonic seconds; the attempt begins.
        limit: seconds after which it counts as stalled; 0 is never.
    """

    def __init__(self, now: float, limit: float) -> None:
        self._limit = limit
        self._since = now
        self._moves = 0
        self._told: str | None = None

    def look(self, now: float, moves: int) -> str | None:
        """Return what a person is to be told from now on; None where there is nothing new to tell.

        Args:
            now: monotonic seconds.
            moves: how many items the attempt has recorded so far.
        """
        if moves != self._moves:
            self._moves, self._since, self._told = moves, now, None
        if not self._limit or now - self._since < self._limit:
            return None
        text = f"No progress for {_span(int(now - self._since))}. Still trying…"
        if text == self._told:
            return None
        self._told = text
        return text


def _span(seconds: int) -> str:
    """A time as a person says it, in steps so wide that it changes once a minute at most, or once an hour."""
    if seconds < MINUTE:
        return "some seconds"
    count, unit = (seconds // MINUTE, "minute") if seconds < HOUR else (seconds // HOUR, "hour")
    return f"{count} {unit}s" if count > 1 else f"{'an' if unit == 'hour' else 'a'} {unit}"
