"""Many rows in few statements, straight through the driver, within the caller's transaction.

The driver lets go of the interpreter's lock, and has to get it back, once a statement; beside a busy event loop each of
these may take milliseconds. And a statement takes SQLAlchemy longer than SQLite.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection

_SIZES: Final = (512, 128, 32, 8, 2, 1)
"""Rows of a statement; the driver keeps one of each prepared."""
_ITEM_COLUMNS: Final = 6
_ROW_COLUMNS: Final = 3


def _marks(rows: int, columns: int) -> str:
    one = f"({','.join('?' * columns)})"
    return ",".join([one] * rows)


_INSERT_ITEMS: Final = {
    size: f'INSERT INTO item (job_id, "index", ok, title, body, source) VALUES {_marks(size, _ITEM_COLUMNS)}'  # noqa: S608 - only marks
    for size in _SIZES
}
_UPDATE_JOBS: Final = {
    size: f"WITH new (id, lease_until, state) AS (VALUES {_marks(size, _ROW_COLUMNS)}) "  # noqa: S608 - only marks
    "UPDATE job SET state = new.state, lease_until = new.lease_until FROM new WHERE job.id = new.id"
    for size in _SIZES
}


def insert_items(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Add entries to item logs: the job's id, then the members of a `NewItem`."""
    _execute(connection, _INSERT_ITEMS, _ITEM_COLUMNS, rows)


def update_jobs(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of jobs of which no indexed column has changed: id, end of the lease, state as JSON."""
    _execute(connection, _UPDATE_JOBS, _ROW_COLUMNS, rows)


def _execute(
    connection: Connection, statements: Mapping[int, str], columns: int, rows: Iterable[Sequence[Any]]
) -> None:
    flat = list(chain.from_iterable(rows))
    start, left = 0, len(flat) // columns
    for size, statement in statements.items():
        while left >= size:
            end = start + size * columns
            connection.exec_driver_sql(statement, tuple(flat[start:end]))
            start, left = end, left - size
