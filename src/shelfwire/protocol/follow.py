"""The client's side of following: when to reconnect, and which messages to show.

Source: sections 2 and 6 of the wire contract.
"""

from typing import Final

from shelfwire.protocol.messages import JobStarted, Message

DELAYS: Final = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds to wait before each try to reconnect. A successful connection starts them anew."""


class Backoff:
    """How long to wait before each try to reconnect.

    Args:
        delays: seconds before each try; when they are used up the client gives up.
    """

    def __init__(self, delays: tuple[float, ...] = DELAYS) -> None:
        self._delays = delays
        self.tries = 0

    def next(self, fraction: float) -> float | None:
        """Seconds until the next try, or None to give up.

        Args:
            fraction: random in [0, 1); takes off up to half, so that clients cut off together do not return together.
        """
        if self.tries >= len(self._delays):
            return None
        delay = self._delays[self.tries] * (1 - fraction / 2)
        self.tries += 1
        return delay

    def connected(self) -> None:
        """Start anew: a connection succeeded."""
        self.tries = 0


class Shown:
    """What this client has shown, over all its connections.

    Attributes:
        seq: the newest revision shown; what to attach `after`.
        over: whether the ending was shown.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.over = False
        self._started = False

    def accept(self, message: Message) -> bool:
        """Whether to show `message`: not if it is older than what was shown, and each start and ending once."""
        if self.over or (message.seq is not None and message.seq < self.seq and not message.terminal):
            return False
        if isinstance(message.payload, JobStarted):
            if self._started:
                return False
            self._started = True
        if message.seq is not None:
            self.seq = max(self.seq, message.seq)
        self.over = message.terminal
        return True
