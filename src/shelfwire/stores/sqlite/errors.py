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
WITHOUT_CODE: Final = (sql_errors.TimeoutError, sql_errors.DisconnectionError)
"""Likewise, of SQLAlchemy's own. The driver gives no code where text of a row is no UTF-8, which does not pass."""


def unavailable(error: Exception) -> ShelfwireError:
    """Say that the store cannot be used now."""
    return ShelfwireError(
        Code.STORAGE_UNAVAILABLE, f"The store cannot be used: {getattr(error, 'orig', None) or error}"
    )


def translated(error: SQLAlchemyError | msgspec.DecodeError) -> ShelfwireError:
    """Say whether an error passes, so that the same work may succeed later, or is one of this very work."""
    if isinstance(error, msgspec.DecodeError):
        return ShelfwireError(Code.INTERNAL, f"A row of the store cannot be read: {error}")
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    passes = isinstance(error, WITHOUT_CODE) if code is None else code & PRIMARY in PASSING
    if passes:
        return unavailable(error)
    return ShelfwireError(Code.INTERNAL, f"The store refuses the work: {getattr(error, 'orig', None) or error}")
