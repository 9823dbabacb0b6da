"""Many rows in few statements, straight through the driver, within the caller's transaction.

The driver lets go of the interpreter's lock, and has to get it back, once a statement; beside a busy event loop each of
these may take milliseconds. And a statement takes SQLAlchemy longer than SQLite.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection

MANY: Final = 512
SOME: Final = 64
"""Rows of a statement; what is left over has one of its own size. The driver keeps those that are used prepared."""
_ITEM_COLUMNS: Final = 6
_ROW_COLUMNS: Final = 3


def _marks(rows: int, columns: int) -> str:
    one = f"({','.join('?' * columns)})"
    return ",".join([one] * rows)


@cache
def _insert_items(rows: int) -> str:
    return f'INSERT INTO item (job_id, "index", ok, title, body, source) VALUES {_marks(rows, _ITEM_COLUMNS)}'  # noqa: S608 - only marks


@cache
def _update_jobs(rows: int) -> str:
    return (
        f"WITH new (id, lease_until, state) AS (VALUES {_marks(rows, _ROW_COLUMNS)}) "  # noqa: S608 - only marks
        "UPDATE job SET state = new.state, lease_until = new.lease_until FROM new WHERE job.id = new.id"
    )


def insert_items(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Add entries to item logs: the job's id, then the members of a `NewItem`."""
    _execute(connection, _insert_items, _ITEM_COLUMNS, rows)


def update_jobs(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of jobs of which no indexed column has changed: id, end of the lease, state as JSON."""
    _execute(connection, _update_jobs, _ROW_COLUMNS, rows)


def _execute(
    connection: Connection, statement: Callable[[int], str], columns: int, rows: Iterable[Sequence[Any]]
) -> None:
    flat = list(chain.from_iterable(rows))
    start, left = 0, len(flat) // columns
    while left:
        size = next((size for size in (MANY, SOME) if left >= size), left)
        end = start + size * columns
        connection.exec_driver_sql(statement(size), tuple(flat[start:end]))
        start, left = end, left - size
