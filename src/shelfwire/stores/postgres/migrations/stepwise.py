"""Runs the migrations one by one with Alembic."""

from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from shelfwire.stores.postgres.migrations import FOLDER, is_up_to_date

LOCK: Final = 7_435_337_009
"""The advisory lock of those who migrate; any number that nobody else is likely to take."""
LOCK_TIMEOUT: Final = "30s"


def upgrade_stepwise(conninfo: str, revision: str = "head") -> None:
    """Apply the migrations from the database's revision up to `revision`, unless another process has meanwhile.

    Raises:
        psycopg.Error: the database refuses it, or is away. Nothing was changed.
        ShelfwireError: as `is_up_to_date`.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    connect = lambda: psycopg.connect(conninfo, prepare_threshold=None)  # noqa: E731 - an argument
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            # Of the transaction: one of the session would stay behind in a pooler.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            own = connection.connection.dbapi_connection
            assert isinstance(own, psycopg.Connection)  # noqa: S101 - it is what `connect` has made
            if is_up_to_date(own):
                return
            if connection.exec_driver_sql("SELECT to_regnamespace('shelfwire') IS NULL").scalar():
                # Not `IF NOT EXISTS`, which wants the right to make schemas where there is one, too.
                connection.exec_driver_sql("CREATE SCHEMA shelfwire")
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
