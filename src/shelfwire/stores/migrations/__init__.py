"""Numbered migrations of the schema, applied when a store opens.

To change the schema: add the next number under `versions`, change `schema.py` to match, and never touch a number that
was released. Versions from `MIN_READER` on use a newer schema as it is: add what they need not write, with defaults, or
raise it. A new database is created from `schema.py` directly; Alembic runs the migrations of older ones.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores import schema

FOLDER: Final = Path(__file__).parent
REVISIONS: Final = tuple(sorted(path.name.partition("_")[0] for path in FOLDER.glob("versions/[0-9]*.py")))
"""The known revisions, the newest last."""
VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic keeps the revision of a database."""
MIN_READER: Final = "0010"
"""The oldest revision that can use a database of the newest one. A migration that raises it writes it into `meta`."""


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest schema; the caller commits.

    Raises:
        ShelfwireError: `E_STORAGE_UNAVAILABLE` where a newer shelfwire has changed it so that this one cannot use it.
    """
    if not inspect(connection).has_table(VERSION.name):
        schema.metadata.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        connection.execute(insert(VERSION), {"version_num": REVISIONS[-1]})
        connection.execute(insert(schema.meta), {"name": "min_reader", "value": MIN_READER})
        return
    current = connection.scalar(select(VERSION.c.version_num))
    if current is not None and current not in REVISIONS:
        if _min_reader(connection) in REVISIONS:
            return
        raise ShelfwireError(
            Code.STORAGE_UNAVAILABLE,
            f"The data was written by a newer shelfwire (schema {current}). Update this one, or name another folder",
        )
    if current != REVISIONS[-1]:
        from shelfwire.stores.migrations.stepwise import upgrade_stepwise  # noqa: PLC0415 - Alembic is slow to import

        upgrade_stepwise(connection)


def _min_reader(connection: Connection) -> str | None:
    """Return the oldest revision that can use a database of a newer version; None if it does not say."""
    if not inspect(connection).has_table(schema.meta.name):
        return None
    found: str | None = connection.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "min_reader"))
    return found
