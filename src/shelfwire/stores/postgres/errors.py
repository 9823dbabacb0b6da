"""Which errors of PostgreSQL pass, and which would meet the same work again."""

from typing import Final

import msgspec
import psycopg

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.postgres.advice import with_advice

PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57"})
"""Classes of SQLSTATE that are of the connection, of concurrent work, of resources and of the operator's hand.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
PASSING: Final = frozenset({"25006", "25P03", "25P04", "55P03"})
"""The same of other classes: a server that only reads, transactions that took too long, a lock that did not come."""
REPEATABLE: Final = frozenset({"40001", "40P01"})
"""Nothing was changed, because of concurrent work; the same transaction succeeds when it is run again."""
DISK_FULL: Final = "53100"
MAX_SAID: Final = 500
"""Characters of what is said of several hosts."""


def passes(error: Exception) -> bool:
    """Whether the same work may succeed later."""
    if isinstance(error, ShelfwireError):
        return error.code is Code.STORAGE_UNAVAILABLE
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        if state is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return state[:2] in PASSING_CLASSES or state in PASSING
    return isinstance(error, OSError)


def translated(error: Exception) -> ShelfwireError:
    """Say whether an error passes, or is one of this very work.

    Of rows it says nothing: details of PostgreSQL's errors and errors of decoding have their text, which may be of a
    person.
    """
    if isinstance(error, ShelfwireError):
        return error
    if passes(error):
        return unavailable(with_advice(said(error)), disk_full=getattr(error, "sqlstate", None) == DISK_FULL)
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return ShelfwireError(Code.INTERNAL, f"The database refuses the work: {with_advice(said(error))}")
    return ShelfwireError(Code.INTERNAL, f"A row of the database cannot be read or written: {type(error).__name__}")


def unavailable(reason: str, *, disk_full: bool = False) -> ShelfwireError:
    """Say that the database cannot be used now."""
    if disk_full:
        return ShelfwireError(
            Code.STORAGE_UNAVAILABLE,
            "The disk of the database is full. Make room on it, or delete jobs; those that wait go on by themselves",
            user_message="The service has no room for new data. Delete what you no longer need, or try again later.",
        )
    return ShelfwireError(Code.STORAGE_UNAVAILABLE, f"The database cannot be used: {reason}")


def said(error: Exception) -> str:
    """Return what PostgreSQL or the connection said, in one line, without details of rows."""
    if isinstance(error, psycopg.Error):
        primary = error.diag.message_primary
        if primary is not None:
            return f"{primary} ({error.sqlstate})"
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if not lines:
        return type(error).__name__
    # Where there are several hosts, psycopg has a line for each, with the host twice.
    each = [line.partition("connection failed: ")[2] or line for line in lines if line.startswith("- host:")]
    return "; ".join(each)[:MAX_SAID] or lines[0]


def cause_of(error: Exception) -> str:
    """Return what the log may say of an error: nothing of rows."""
    if isinstance(error, psycopg.Error | msgspec.DecodeError | ShelfwireError):
        return translated(error).message
    return type(error).__name__
