"""The limit of followers, over all transports."""

from collections.abc import Iterator
from contextlib import contextmanager

from shelfwire.errors import Code, ShelfwireError


class ConnectionLimit:
    """Counts the followers that are attached.

    Args:
        limit: the greatest number at once.

    Attributes:
        attached: the number now.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.attached = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count one follower until the context ends.

        It is counted before anything is awaited: after a restart followers come in bursts.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the limit is reached.
        """
        self.join()
        try:
            yield
        finally:
            self.leave()

    def join(self) -> None:
        """Count one follower until `leave` is called.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the limit is reached, and it is not counted.
        """
        if self.attached >= self._limit:
            raise ShelfwireError(Code.OVERLOADED)
        self.attached += 1

    def leave(self) -> None:
        """Count one follower less."""
        self.attached -= 1
