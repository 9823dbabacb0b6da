"""Numbered migrations of the schema in PostgreSQL, applied when a store opens; several processes may open it at once.

To change the schema: add the next number under `versions`, and never touch a number that was released. While an update
is rolled out, older processes go on with the newer schema: add only, and take away in a later release what nobody uses
any more. `shelfwire.meta` names the oldest revision whose processes may use the database, as `min_reader`.
"""

from pathlib import Path
from typing import Final

import psycopg

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.postgres.errors import translated, unavailable

FOLDER: Final = Path(__file__).parent
REVISIONS: Final = tuple(sorted(path.name.partition("_")[0] for path in FOLDER.glob("versions/[0-9]*.py")))
"""The known revisions, the newest last."""
MIN_SERVER: Final = 140_000
"""The oldest version of PostgreSQL, as its protocol states it."""


def upgrade(conninfo: str) -> None:
    """Bring the database to the newest schema.

    Of several processes that do so at once one migrates, in one transaction, and the others wait.

    Args:
        conninfo: what libpq connects with.

    Raises:
        ShelfwireError: `E_STORAGE_UNAVAILABLE` where the database cannot be used, or only by a newer shelfwire.
    """
    try:
        with psycopg.connect(conninfo, prepare_threshold=None) as connection:
            _check_server(connection)
            if is_up_to_date(connection):
                return
        from shelfwire.stores.postgres.migrations.stepwise import upgrade_stepwise  # noqa: PLC0415 - slow to import

        upgrade_stepwise(conninfo)
    except (psycopg.Error, OSError) as error:
        raise translated(error) from error


def _check_server(connection: psycopg.Connection) -> None:
    """Check that the server and the database are such as shelfwire can use.

    Raises:
        ShelfwireError: they are not.
    """
    version = connection.info.server_version
    if version < MIN_SERVER:
        raise unavailable(
            f"it is PostgreSQL {version // 10_000}, and shelfwire needs {MIN_SERVER // 10_000} or newer. Update it"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise unavailable(
            f"its encoding is {encoding}, which has not all letters. Make another with: "
            "createdb --encoding UTF8 --template template0 --owner ROLE NAME"
        )


def is_up_to_date(connection: psycopg.Connection) -> bool:
    """Whether nothing is to be done.

    Raises:
        ShelfwireError: a newer shelfwire has changed the schema so that this one must not use it.
    """
    if _value(connection, "SELECT to_regclass('shelfwire.alembic_version') IS NULL"):
        return False
    current = _value(connection, "SELECT version_num FROM shelfwire.alembic_version")
    if current is None or current in REVISIONS:
        return current == REVISIONS[-1]
    oldest = _value(connection, "SELECT value FROM shelfwire.meta WHERE name = 'min_reader'")
    if oldest in REVISIONS:
        return True
    raise ShelfwireError(
        Code.STORAGE_UNAVAILABLE,
        f"A newer shelfwire has changed the database (schema {current}), and older ones cannot use it. Update this one",
    )


def _value(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]
