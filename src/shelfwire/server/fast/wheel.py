"""One timer for many connections."""

import asyncio
from typing import Final, Protocol

SLOTS: Final = 30


class Turning(Protocol):
    """What has turns on a wheel."""

    @property
    def turns(self) -> int:
        """Their number in an interval."""
        ...

    def beat(self) -> None:
        """Do what is to be done in a turn."""
        ...

    def cut(self) -> None:
        """End, because it has taken too long."""
        ...


class Wheel:
    """One timer for all connections: each has its turn once an interval, and those that take too long are cut.

    Args:
        seconds: the interval.
    """

    def __init__(self, seconds: float) -> None:
        self._step = seconds / SLOTS
        self._slots: list[dict[Turning, None]] = [{} for _ in range(SLOTS)]
        self._deadlines: dict[Turning, float] = {}
        self._hand = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, connection: Turning) -> int:
        """Give a connection turns, the first after a whole interval of its own; return its slot."""
        for slot in self._own(connection, self._hand):
            self._slots[slot][connection] = None
        self._start()
        return self._hand

    def expect_end(self, connection: Turning, seconds: float) -> None:
        """Cut a connection unless it leaves within some seconds."""
        self._deadlines[connection] = asyncio.get_running_loop().time() + seconds
        self._start()

    def leave(self, connection: Turning, slot: int) -> None:
        """Forget a connection."""
        self._deadlines.pop(connection, None)
        for own in self._own(connection, slot):
            self._slots[own].pop(connection, None)

    def _own(self, connection: Turning, first: int) -> list[int]:
        return [(first + turn * SLOTS // connection.turns) % SLOTS for turn in range(connection.turns)]

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._step, self.turn)

    def turn(self) -> None:
        """Go on by one slot."""
        self._timer = None
        self._hand = (self._hand + 1) % SLOTS
        for connection in tuple(self._slots[self._hand]):
            connection.beat()
        now = asyncio.get_running_loop().time()
        for connection in [one for one, until in self._deadlines.items() if until <= now]:
            connection.cut()
        if self._deadlines or any(self._slots):
            self._start()
