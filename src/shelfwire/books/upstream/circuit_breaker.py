"""A circuit breaker: after too many failures in a row, requests fail at once and a probe looks again later."""


class CircuitBreaker:
    """Decides whether a service may be asked. Pure: the time, in seconds, is an argument.

    Args:
        failures: failures in a row that open the circuit.
        pause: seconds until a probe may be sent.
    """

    def __init__(self, failures: int, pause: float) -> None:
        self._max_failures = failures
        self._pause = pause
        self._failures = 0
        self._failing_since: float | None = None
        self._open_until: float | None = None
        self._probing = False

    def retry_in(self, now: float) -> float | None:
        """None if a request may be sent; otherwise the seconds until one may, 0 while a probe is under way."""
        if self._open_until is None or (now >= self._open_until and not self._probing):
            return None
        return max(self._open_until - now, 0.0)

    def failing_seconds(self, now: float) -> float:
        """Seconds since the first of the failures in a row; 0 if the last answer was good."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def start(self) -> bool:
        """Record that a request is sent, which `retry_in` has allowed. Return whether it is the probe."""
        self._probing = self._open_until is not None
        return self._probing

    def succeeded(self) -> bool:
        """Record a good answer, which closes the circuit. Return whether it was open."""
        was_open = self._open_until is not None
        self._failures, self._open_until, self._probing = 0, None, False
        self._failing_since = None
        return was_open

    def failed(self, now: float, *, probe: bool) -> bool:
        """Record a failure, of the probe or of another request. Return whether it opens the circuit."""
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        opens = probe if self._open_until is not None else self._failures >= self._max_failures
        if opens:
            self._open_until, self._probing = now + self._pause, False
        return opens

    def refused(self, now: float, pause: float) -> bool:
        """Record that every request would be refused, which opens the circuit. Return whether it was closed."""
        was_closed = self._open_until is None
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._open_until, self._probing = now + pause, False
        return was_closed

    def cancelled(self, *, probe: bool) -> None:
        """Record that the caller gave up a request, which says nothing about the service."""
        self._probing = self._probing and not probe
