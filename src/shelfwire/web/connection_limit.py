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
        self.attached += 1
        try:
            if self.attached > self._limit:
                raise ShelfwireError(Code.OVERLOADED)
            yield
        finally:
            self.attached -= 1
