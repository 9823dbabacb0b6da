"""A client that follows a job: which transport to use, when to reconnect, which messages to show.

Source: sections 2 and 6 of the wire contract.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from shelfwire.protocol.messages import JobStarted, Message

DELAYS: Final = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds to wait before each attempt to reconnect. A successful connection starts from the first again."""
REFRESH_AHEAD: Final = 60_000
"""Milliseconds before its expiry at which a token is replaced, or half of its lifetime if that is shorter."""


class Transport(StrEnum):
    """A transport of a job's messages, the best first."""

    WEBSOCKET = "websocket"
    SSE = "sse"
    POLLING = "polling"


class FailureKind(StrEnum):
    """Kinds of failed connections.

    `LOST`: the server is away or busy; the same transport may work later.
    `MUTE`: it was cut before anything was received on it, by chance or by a policy of the network.
    `BLOCKED`: something between client and server does not let this transport through.
    `UNFINISHED`: it was closed as if the job had ended, and no ending came on it: a proxy closed it, or a library
    dropped the last message behind the close.
    """

    LOST = "lost"
    MUTE = "mute"
    BLOCKED = "blocked"
    UNFINISHED = "unfinished"


PATIENCE: Final = {FailureKind.MUTE: 2, FailureKind.BLOCKED: 1, FailureKind.UNFINISHED: 1}
"""Failures in a row after which a transport that never worked is given up."""
PROVEN_PATIENCE: Final = 3
"""The same for one that has worked: a gateway may answer for a server that is only restarting."""


class Backoff:
    """The delays before attempts to reconnect.

    Args:
        delays: seconds before each attempt; after the last one the client gives up.
    """

    def __init__(self, delays: tuple[float, ...] = DELAYS) -> None:
        self._delays = delays
        self._attempts = 0

    def next(self, fraction: float) -> float | None:
        """Return the seconds until the next attempt, or None to give up.

        Args:
            fraction: random in [0, 1); takes off up to half, so that clients cut off together do not return together.
        """
        if self._attempts >= len(self._delays):
            return None
        delay = self._delays[self._attempts] * (1 - fraction / 2)
        self._attempts += 1
        return delay

    def connected(self) -> None:
        """Start from the first delay again: a connection succeeded."""
        self._attempts = 0


class TransportFallback:
    """Chooses the transport: the first that gets through, and from then on that one.

    Args:
        allowed: the transports to try, in this order.
    """

    def __init__(self, allowed: Sequence[Transport] = tuple(Transport)) -> None:
        if not allowed:
            raise ValueError("at least one transport is needed")
        self._allowed = tuple(allowed)
        self._at = 0
        self._proven = False
        self._failures = 0

    @property
    def current(self) -> Transport:
        """The transport to try next."""
        return self._allowed[self._at]

    def works(self) -> None:
        """Stay with the current transport: something was received on it."""
        self._proven = True
        self._failures = 0

    def failed(self, failure: FailureKind) -> bool:
        """Return whether to try another transport at once. Otherwise the caller waits before it tries `current`."""
        if failure is FailureKind.LOST:
            if not self._proven:
                self.start_over()
            return False
        self._failures += 1
        patience = PROVEN_PATIENCE if self._proven else PATIENCE[failure]
        if failure is not FailureKind.UNFINISHED and self._failures < patience:
            return False
        following = self._at + 1
        self.start_over()
        self._at = following % len(self._allowed)
        return self._at > 0

    def start_over(self) -> None:
        """Forget what worked: the network has changed."""
        self._at = 0
        self._proven = False
        self._failures = 0


def refresh_in(expires_at: int, now: int) -> float:
    """Return the seconds until a token should be replaced.

    Args:
        expires_at: its expiry, in milliseconds since the epoch.
        now: the time, likewise.
    """
    left = max(0, expires_at - now)
    return (left - min(REFRESH_AHEAD, left // 2)) / 1000


class Deduplicator:
    """Drops messages that a client has shown already, over all its connections.

    Attributes:
        seq: the newest revision shown.
        after: the newest revision shown in full, to attach after. The start shares its revision with the progress that
            follows it, and a cut may come between the two.
        over: whether the ending was shown.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.after = 0
        self.over = False
        self._started = False

    def accept(self, message: Message) -> bool:
        """Return whether to show `message`: not if it is older than what was shown; each start and ending once."""
        if self.over or (message.seq is not None and message.seq < self.seq and not message.terminal):
            return False
        if isinstance(message.payload, JobStarted):
            if self._started:
                return False
            self._started = True
        if message.seq is not None:
            self.seq = max(self.seq, message.seq)
            if not isinstance(message.payload, JobStarted):
                self.after = self.seq
        self.over = message.terminal
        return True
