"""Detects running jobs that make no progress, and words the message that their owner sees meanwhile."""

from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600


class StallDetector:
    """Measures how long one attempt has recorded nothing.

    Args:
        now: monotonic seconds at which the attempt begins.
        limit: seconds after which it counts as stalled; 0 disables the detection.
    """

    def __init__(self, now: float, limit: float) -> None:
        self._limit = limit
        self._since = now
        self._activity = 0
        self._reported: str | None = None

    def check(self, now: float, activity: int) -> str | None:
        """Return the message to show from now on; None if it is unchanged or the attempt is not stalled.

        Args:
            now: monotonic seconds.
            activity: grows with every item that the attempt records or shows.
        """
        if activity != self._activity:
            self._activity, self._since, self._reported = activity, now, None
        if not self._limit or now - self._since < self._limit:
            return None
        text = f"No progress for {_span(int(now - self._since))}. Still trying…"
        if text == self._reported:
            return None
        self._reported = text
        return text


def _span(seconds: int) -> str:
    """Format a duration coarsely, so that it changes at most once a minute, and after an hour once an hour."""
    if seconds < MINUTE:
        return "some seconds"
    count, unit = (seconds // MINUTE, "minute") if seconds < HOUR else (seconds // HOUR, "hour")
    return f"{count} {unit}s" if count > 1 else f"{'an' if unit == 'hour' else 'a'} {unit}"
