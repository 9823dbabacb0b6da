"""Tokens of jobs, within a caller's session. Whoever adds one has locked the row of its job."""

import contextlib
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import REPORT_GRANTS, Committed
from shelfwire.protocol.job import decode_row
from shelfwire.protocol.tokens import GRACE, MAX_GRANTS, Grant, Scope, may_add
from shelfwire.stores.postgres.connections import Session, Statement

FIND: Final = """
SELECT t.digest, j.id, t.scopes, t.expires_at, t.ttl, t.attempt
FROM shelfwire.token t JOIN shelfwire.job j ON j.key = t.job_key
WHERE t.digest = %(digest)b AND j.expires_at > %(now)s
"""
OF_OWNER: Final = """
SELECT t.digest, j.id, t.scopes, t.expires_at, t.ttl, t.attempt
FROM shelfwire.token t JOIN shelfwire.job j ON j.key = t.job_key
WHERE j.id = %(job_id)s AND t.attempt IS NULL
"""
MAX_ENDING_BYTES: Final = 4 * 1024 * 1024
"""Of the terminal messages that one look-up returns; each may have a million."""
LOOK_UP: Final = """
SELECT digest, id, scopes, expires_at, ttl, attempt, state, message FROM (
  SELECT t.digest, j.id, t.scopes, t.expires_at, t.ttl, t.attempt, j.state, e.message,
    coalesce(sum(octet_length(e.message)) OVER (ORDER BY t.digest), 0) AS size
  FROM shelfwire.token t JOIN shelfwire.job j ON j.key = t.job_key LEFT JOIN shelfwire.ending e ON e.job_key = j.key
  WHERE t.digest = ANY(%(digests)b::bytea[]) AND j.expires_at > %(now)s
) found WHERE size <= %(limit)s
"""
INSERT: Final = """
INSERT INTO shelfwire.token (digest, job_key, scopes, expires_at, ttl, attempt)
VALUES (%(digest)b, %(key)s, %(scopes)s, %(expires_at)s, %(ttl)s, %(attempt)s)
"""
OF_JOB: Final = """
SELECT digest, expires_at FROM shelfwire.token WHERE job_key = %(key)s AND attempt IS NULL
ORDER BY expires_at NULLS LAST, n
"""
IS_OF_JOB: Final = "SELECT true FROM shelfwire.token WHERE job_key = %(key)s AND digest = %(digest)b"
EXPIRE: Final = """
UPDATE shelfwire.token SET expires_at = %(until)s
WHERE digest = %(digest)b AND job_key = %(key)s AND (expires_at IS NULL OR expires_at > %(until)s)
"""
ERASE: Final = "DELETE FROM shelfwire.token WHERE digest = ANY(%(digests)b::bytea[])"
ERASE_REPORTS: Final = "DELETE FROM shelfwire.token WHERE job_key = %(key)s AND attempt <= %(oldest)s"


class Token(NamedTuple):
    """A token as far as room is made for another one."""

    digest: bytes
    expires_at: int | None


async def find(session: Session, digest: bytes, now: int) -> Grant | None:
    """See `JobStore.grant`."""
    row = await session.row(FIND, {"digest": digest, "now": now})
    return None if row is None else _grant(*row)


async def of_owner(session: Session, job_id: str) -> list[Grant]:
    """See `OperatorStore.tokens`."""
    return [_grant(*row) for row in await session.rows(OF_OWNER, {"job_id": job_id})]


async def look_up(session: Session, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
    """See `JobStore.look_up`."""
    rows = await session.rows(LOOK_UP, {"digests": list(digests), "now": now, "limit": MAX_ENDING_BYTES})
    found = {}
    for *columns, state, terminal in rows:
        grant = _grant(*columns)
        with contextlib.suppress(msgspec.DecodeError):  # a damaged row
            found[grant.digest] = grant, Committed(state=decode_row(state), terminal=terminal)
    return found


def _grant(
    digest: bytes, job_id: str, scopes: str, expires_at: int | None, ttl: int | None, attempt: int | None
) -> Grant:
    named = frozenset(Scope(scope) for scope in scopes.split())
    return Grant(digest=digest, job_id=job_id, scopes=named, expires_at=expires_at, ttl=ttl, attempt=attempt)


def inserting(key: int, grant: Grant) -> Statement:
    """Return the statement that inserts a token."""
    row: dict[str, Any] = {
        "digest": grant.digest,
        "key": key,
        "scopes": " ".join(sorted(grant.scopes)),
        "expires_at": grant.expires_at,
        "ttl": grant.ttl,
        "attempt": grant.attempt,
    }
    return INSERT, row


def inserting_report(key: int, grant: Grant) -> list[Statement]:
    """Return the statements that add the token of a new attempt; the last few can still learn that it has the job."""
    assert grant.attempt is not None  # noqa: S101 - a report token has one
    return [(ERASE_REPORTS, {"key": key, "oldest": grant.attempt - REPORT_GRANTS}), inserting(key, grant)]


async def add(
    session: Session,
    key: int,
    grant: Grant,
    now: int,
    *,
    authorized_by: bytes | None = None,
    replaces: bytes | None = None,
    forced: bool = False,
) -> bool:
    """See `JobStore.add_grant`.

    Args:
        session: of a transaction that has locked the row of the job.
        key: the job's.
        grant: the token.
        now: the time.
        authorized_by: see there.
        replaces: see there.
        forced: whether a valid token goes where there is no room, instead of an error.
    """
    if authorized_by is not None and not await session.value(IS_OF_JOB, {"key": key, "digest": authorized_by}):
        return False
    tokens = [Token(*row) for row in await session.rows(OF_JOB, {"key": key})]
    going = _surplus(grant.job_id, tokens, now, replaces, forced=forced)
    statements: list[Statement] = [(ERASE, {"digests": going})] if going else []
    statements.append(inserting(key, grant))
    if replaces is not None:
        statements.append((EXPIRE, {"digest": replaces, "key": key, "until": now + GRACE}))
    await session.together(statements)
    return True


def _surplus(
    job_id: str,
    tokens: Sequence[Token],
    now: int,
    replaces: bytes | None,
    *,
    forced: bool,
) -> list[bytes]:
    """Return the tokens that must go before one more is added, those that expire first before others."""
    surplus = len(tokens) + 1 - MAX_GRANTS
    if surplus <= 0:
        return []
    limited = [(token.digest, token.expires_at) for token in tokens if token.expires_at is not None]
    until = now if replaces is None else now + GRACE
    going = {digest for digest, expires_at in limited if expires_at <= until}
    lasting = len(tokens) - len(going)
    if not forced and not may_add(lasting, replacing=replaces is not None, repeated=replaces in going):
        raise ShelfwireError(
            Code.JOB_STATE,
            f"Job {job_id} has {MAX_GRANTS} tokens. Revoke one, or wait until one expires",
            user_message="Too many devices have access to this job. Take access away from one of them.",
        )
    expired = [digest for digest, expires_at in limited if expires_at <= now]
    return ([token.digest for token in tokens] if forced else expired)[:surplus]
