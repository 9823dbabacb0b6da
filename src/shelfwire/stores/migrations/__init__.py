"""Numbered migrations of the schema, run by Alembic when a store opens.

To change the schema: add the next number under `versions`, change `schema.py` to match, and never touch a number that
was released.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from shelfwire.errors import Code, ShelfwireError


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest schema; the caller commits.

    Raises:
        ShelfwireError: `E_STORAGE_UNAVAILABLE` where a newer shelfwire has written it.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ShelfwireError(
            Code.STORAGE_UNAVAILABLE,
            f"The data was written by a newer shelfwire (schema {current}). Update this one, or name another folder",
        )
    command.upgrade(config, "head")
