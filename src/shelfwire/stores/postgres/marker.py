"""The note in a database that jobs are being copied into it: until all are there, nobody may serve or run them."""

from typing import Final

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.postgres.connections import Session

NAME: Final = "migration"
"""Of its row in `shelfwire.meta`."""
READ: Final = f"SELECT value FROM shelfwire.meta WHERE name = '{NAME}'"  # noqa: S608 - of constants


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Which data folder is copied, or was.

    Attributes:
        identity: tells the folder from all others.
        folder: where it was, for people.
        finished: whether all of it is there.
    """

    identity: str
    folder: str
    finished: bool = False


async def check_finished(session: Session) -> None:
    """Refuse a database into which jobs are being copied.

    Raises:
        ShelfwireError: `E_STORAGE_UNAVAILABLE`.
    """
    text = await session.value(READ)
    marker = None if text is None else msgspec.json.decode(text, type=Marker)
    if marker is not None and not marker.finished:
        raise ShelfwireError(
            Code.STORAGE_UNAVAILABLE,
            f"The jobs of {marker.folder} are being copied into this database, and not all are there. Run `shelfwire "
            "migrate` again, with the same --from and --to: it goes on where it was",
        )
