"""Runs the migrations one by one with Alembic."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from shelfwire.stores.migrations import FOLDER


def upgrade_stepwise(connection: Connection, revision: str = "head") -> None:
    """Apply the migrations from the database's revision up to `revision`; the caller commits."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
