"""Which errors of SQLite pass, and which would meet the same work again."""

import sqlite3
from typing import Final

import msgspec
from sqlalchemy import exc as sql_errors
from sqlalchemy.exc import SQLAlchemyError

from shelfwire.errors import Code, ShelfwireError

PRIMARY: Final = 0xFF
"""The part of SQLite's extended error codes that is the primary code."""
PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Errors of the machine, which pass; all others are of the statement or the data."""
WANTING_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Errors where a file cannot grow; SQLite's index of the log has the second."""
WITHOUT_CODE: Final = (sql_errors.TimeoutError, sql_errors.DisconnectionError)
"""Errors that pass, of SQLAlchemy's own. Text of a row that is no UTF-8, which does not pass, has no code either."""


def full() -> ShelfwireError:
    """Say that the disk is full, and what to do."""
    return ShelfwireError(
        Code.STORAGE_UNAVAILABLE,
        "The disk of the data folder is full. Make room on it, or delete jobs; those that wait go on by themselves",
        user_message="The service has no room for new data. Delete what you no longer need, or try again later.",
    )


def unavailable(error: Exception) -> ShelfwireError:
    """Say that the store cannot be used now."""
    if code_of(error) == sqlite3.SQLITE_FULL:
        return full()
    return ShelfwireError(
        Code.STORAGE_UNAVAILABLE, f"The store cannot be used: {getattr(error, 'orig', None) or error}"
    )


def translated(error: SQLAlchemyError | msgspec.DecodeError) -> ShelfwireError:
    """Say whether an error passes, so that the same work may succeed later, or is one of this very work."""
    if isinstance(error, msgspec.DecodeError):
        return ShelfwireError(Code.INTERNAL, f"A row of the store cannot be read: {error}")
    code = code_of(error)
    passes = isinstance(error, WITHOUT_CODE) if code is None else code in PASSING
    if passes:
        return unavailable(error)
    return ShelfwireError(Code.INTERNAL, f"The store refuses the work: {getattr(error, 'orig', None) or error}")


def wants_room(error: Exception) -> bool:
    """Whether SQLite may have failed for want of room on the disk."""
    return code_of(error) in WANTING_ROOM


def code_of(error: Exception) -> int | None:
    """Return SQLite's primary code of an error; None if it has none."""
    code: int | None = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & PRIMARY
