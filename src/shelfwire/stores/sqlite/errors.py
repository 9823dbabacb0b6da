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
CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Errors of a database file that is damaged."""
WANTING_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Errors where a file cannot grow; SQLite's index of the log has the second."""
WITHOUT_CODE: Final = (sql_errors.TimeoutError, sql_errors.DisconnectionError)
"""Errors that pass, of SQLAlchemy's own. Text of a row that is no UTF-8, which does not pass, has no code either."""

WHILE_OPEN: Final = "Make room on it, or delete jobs; those that wait go on by themselves"
WHILE_OPENING: Final = "Make room on it, then start again. Nothing is lost"


def full(advice: str = WHILE_OPEN) -> ShelfwireError:
    """Say that the disk is full, and what to do."""
    return ShelfwireError(
        Code.STORAGE_UNAVAILABLE,
        f"The disk of the data folder is full. {advice}",
        user_message="The service has no room for new data. Delete what you no longer need, or try again later.",
    )


def unavailable(error: Exception) -> ShelfwireError:
    """Say that the store cannot be used now."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return full()
    has_rows = code is None and isinstance(error, SQLAlchemyError)
    said = type(error).__name__ if has_rows else getattr(error, "orig", None) or error
    return ShelfwireError(Code.STORAGE_UNAVAILABLE, f"The store cannot be used: {said}")


def translated(error: SQLAlchemyError | msgspec.DecodeError) -> ShelfwireError:
    """Say whether an error passes, so that the same work may succeed later, or is one of this very work.

    Of rows it says nothing: errors of decoding have their text, which may be of a person.
    """
    if passes(error):
        return unavailable(error)
    if code_of(error) is None:
        return ShelfwireError(Code.INTERNAL, f"A row of the store cannot be read: {type(error).__name__}")
    return ShelfwireError(Code.INTERNAL, f"The store refuses the work: {getattr(error, 'orig', None) or error}")


def passes(error: Exception) -> bool:
    """Whether the same work may succeed later."""
    code = code_of(error)
    return isinstance(error, WITHOUT_CODE) if code is None else code in PASSING


def cause_of(error: Exception) -> str:
    """Return what the log may say of an error: nothing of rows."""
    if isinstance(error, SQLAlchemyError | msgspec.DecodeError):
        return translated(error).message
    return error.message if isinstance(error, ShelfwireError) else type(error).__name__


def is_corrupt(error: Exception) -> bool:
    """Whether SQLite has found that its file is damaged."""
    return code_of(error) in CORRUPT


def wants_room(error: Exception) -> bool:
    """Whether SQLite may have failed for want of room on the disk."""
    return code_of(error) in WANTING_ROOM


def code_of(error: Exception) -> int | None:
    """Return SQLite's primary code of an error; None if it has none."""
    code: int | None = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & PRIMARY
