"""How many followers there is room for, over all the ways to follow."""

from collections.abc import Iterator
from contextlib import contextmanager

from shelfwire.errors import Code, ShelfwireError


class ConnectionLimit:
    """Counts those who are inside.

    Args:
        most: so many at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Take a place until the context ends.

        Count before anything is awaited: after a restart followers come in bursts.

        Raises:
            ShelfwireError: `E_OVERLOADED`: there is none left.
        """
        self.inside += 1
        try:
            if self.inside > self._most:
                raise ShelfwireError(Code.OVERLOADED)
            yield
        finally:
            self.inside -= 1
