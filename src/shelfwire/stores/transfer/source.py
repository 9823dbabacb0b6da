"""The data folder that is copied. Nobody else may have it open meanwhile."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import SQLAlchemyError

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores import schema
from shelfwire.stores.migrations import upgrade
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME, DataFolderBusyError, engine_of
from shelfwire.stores.sqlite.errors import unavailable
from shelfwire.stores.transfer.tables import Copied, Values

IDENTITY: Final = "identity"
"""The row of `meta` that tells a folder from all others, wherever it is moved to."""
IDENTITY_BYTES: Final = 16


class Source:
    """An open data folder.

    Args:
        path: the folder.
        identity: tells it from all others.
        connection: to its database, in a transaction that only reads.
    """

    def __init__(self, path: Path, identity: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self.identity = identity
        self._connection = connection

    def jobs(self) -> Iterator[tuple[str, str]]:
        """Yield the id and the row of each job, the oldest first."""
        return self._select("SELECT id, state FROM job ORDER BY created_at, id")

    def job(self, job_id: str) -> str | None:
        """Return the row of a job; None if there is none."""
        return next((row for (row,) in self._select("SELECT state FROM job WHERE id = ?", job_id)), None)

    def job_count(self) -> int:
        """Return the number of jobs."""
        ((count,),) = self._select("SELECT count(*) FROM job")
        return int(count)

    def rows_of(self, kind: Copied, job_id: str) -> Iterator[Values]:
        """Yield what is to be copied of a job, as it is to be."""
        query = f"SELECT {_names(kind)} FROM {_table(kind)} WHERE job_id = ? AND {kind.where} ORDER BY {_order(kind)}"  # noqa: S608 - of constants, as all here
        return (kind.convert(*values) for values in self._select(query, job_id, *kind.parameters))

    def rows(self, kind: Copied) -> Iterator[Values]:
        """Yield what is to be copied for all jobs together."""
        return (kind.convert(*values) for values in self._select(f"SELECT {_names(kind)} FROM {_table(kind)}"))  # noqa: S608

    def owned_rows(self, kind: Copied) -> Iterator[tuple[str, Values]]:
        """Yield the rows of all jobs as they were read, each with the id of its job."""
        query = f"SELECT job_id, {_names(kind)} FROM {_table(kind)} WHERE {kind.where}"  # noqa: S608
        return ((job_id, values) for job_id, *values in self._select(query, *kind.parameters))

    def _select(self, query: str, *parameters: Any) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query, parameters)
        except sqlite3.Error as error:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, f"{self.path} cannot be read: {error}") from error


@contextmanager
def opened(folder: Path, random_bytes: Callable[[int], bytes]) -> Iterator[Source]:
    """Lock a data folder, bring its schema up to date, and read it as it is now.

    Args:
        folder: the folder.
        random_bytes: a source that returns the given number of bytes.

    Raises:
        DataFolderBusyError: another process holds it.
        ShelfwireError: `E_STORAGE_UNAVAILABLE`: there is no database in it, or it cannot be read.
    """
    path = folder / DATABASE_NAME
    if not path.is_file():
        raise ShelfwireError(
            Code.STORAGE_UNAVAILABLE, f"There are no jobs in {folder}: it has no file {DATABASE_NAME}. Name the folder"
        )
    lock = FileLock(folder / "lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise DataFolderBusyError(folder) from None
    except OSError as error:
        raise unavailable(error) from error
    try:
        identity = _prepared(path, random_bytes(IDENTITY_BYTES).hex())
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # Text that is damaged is for its reader to refuse; it must not end the reading of others.
            connection.text_factory = lambda text: text.decode(errors="surrogateescape")
            connection.execute("BEGIN")
            yield Source(folder, identity, connection)
    finally:
        lock.release()


def _prepared(path: Path, identity: str) -> str:
    """Bring the schema up to date; return what tells the folder from others, which is `identity` the first time."""
    engine = engine_of(path, "BEGIN IMMEDIATE")
    try:
        with engine.begin() as connection:
            upgrade(connection)
            return _identified(connection, identity)
    except (SQLAlchemyError, OSError) as error:
        raise unavailable(error) from error
    finally:
        engine.dispose()


def _identified(connection: Connection, identity: str) -> str:
    row = {"name": IDENTITY, "value": identity}
    connection.execute(upsert(schema.meta).on_conflict_do_nothing(), row)
    known: str = connection.scalars(select(schema.meta.c.value).where(schema.meta.c.name == IDENTITY)).one()
    return known


def _table(kind: Copied) -> str:
    return f'"{kind.source.name}"'


def _names(kind: Copied) -> str:
    return ", ".join(f'"{name}"' for name in kind.columns)


def _order(kind: Copied) -> str:
    """Tokens keep their order; the others come as their index has them, which is fastest."""
    return "rowid" if kind.source is schema.grant else "1"
