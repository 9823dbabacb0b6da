"""Looks into a data folder that another process may hold, without changing anything in it."""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shelfwire.protocol.job import JobState, decode_row
from shelfwire.stores.schema import job
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from shelfwire.stores.sqlite.errors import translated


def states_in(folder: Path, job_ids: Collection[str]) -> Mapping[str, JobState]:
    """Return the committed states of those of some jobs that the folder has.

    Raises:
        FileNotFoundError: there is no store in the folder.
        ShelfwireError: it cannot be read, or is one of another version.
    """
    path = folder / DATABASE_NAME
    if not path.is_file():
        raise FileNotFoundError(str(path))
    # Where there is no log nobody writes, and a reader that looks for one would leave files behind.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?{mode}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(job.c.state).where(job.c.id.in_(job_ids))).scalars()
            states = [decode_row(row) for row in rows]
    except (SQLAlchemyError, msgspec.DecodeError) as error:
        raise translated(error) from error
    return {state.id: state for state in states}
