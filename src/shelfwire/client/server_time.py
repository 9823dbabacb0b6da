"""What time it is for a server, whose clock and a client's may be hours apart."""

from datetime import datetime

import msgspec

from shelfwire.client.http import Response
from shelfwire.clock import Clock


class _Stamp(msgspec.Struct, frozen=True):
    timestamp: datetime


class _Stamped(msgspec.Struct, frozen=True):
    metadata: _Stamp


class ServerTime:
    """The time by a server's clock, reckoned from its newest answer and what has passed since.

    Args:
        clock: the client's clock, which is believed until an answer has the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: float | None = None

    @property
    def known(self) -> bool:
        """Whether an answer had the time."""
        return self._ahead is not None

    def learn(self, answer: Response) -> None:
        """Take the time from an answer that has it (`metadata.timestamp`, section 4 of the contract)."""
        try:
            stamp = msgspec.json.decode(answer.body, type=_Stamped).metadata.timestamp
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        self._ahead = stamp.timestamp() - self._clock.monotonic()

    def now(self) -> int:
        """Return milliseconds since the epoch, by the server's clock if it is known."""
        return self._clock.now() if self._ahead is None else round((self._ahead + self._clock.monotonic()) * 1000)
