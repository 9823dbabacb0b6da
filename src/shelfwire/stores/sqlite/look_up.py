"""Tokens with their jobs, for all followers that come in one moment: one statement that returns one value.

Plain SQL on the driver's connection: with SQLAlchemy a statement takes as long as the rest of an attachment.
"""

from collections.abc import Collection
from typing import Final

import msgspec
from sqlalchemy import Connection

from shelfwire.jobs.store import Committed
from shelfwire.protocol.job import decode_row
from shelfwire.protocol.tokens import Grant, Scope

MAX_ENDING_CHARS: Final = 4 * 1024 * 1024
"""Of the terminal messages that one look-up returns; each may have a million."""
_SELECT: Final = """
SELECT CAST(group_concat(
    '["' || hex(g.digest) || '",' || json_quote(g.job_id) || ',' || g.scopes || ',' || json_quote(g.expires_at) || ','
    || json_quote(g.ttl) || ',' || json_quote(g.attempt) || ',' || iif(json_valid(j.state), j.state, 'null') || ']'
) AS BLOB)
FROM "grant" AS g JOIN job AS j ON j.id = g.job_id WHERE j.expires_at > ? AND g.digest IN (%s)"""
_ENDING: Final = "SELECT message FROM ending WHERE job_id = ?"

_Row = tuple[str, str, frozenset[Scope], int | None, int | None, int | None, msgspec.Raw]
_decode_rows: Final = msgspec.json.Decoder(list[_Row]).decode


def look_up(connection: Connection, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
    """See `JobStore.look_up`."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # noqa: S101 - it is open
    # Filled up to a power of two, so that the driver's cache holds all statements that there are.
    asked = list(digests)
    asked += asked[-1:] * ((1 << (len(asked) - 1).bit_length()) - len(asked))
    (text,) = driver.execute(_SELECT % ",".join("?" * len(asked)), (now, *asked)).fetchone()
    found = {}
    room = MAX_ENDING_CHARS
    for digest, job_id, scopes, expires_at, ttl, attempt, raw in _decode_rows(b"[%b]" % (text or b"")):
        try:
            state = decode_row(raw)
        except msgspec.DecodeError:
            continue  # it is damaged
        terminal = None
        if state.ended:
            (terminal,) = driver.execute(_ENDING, (job_id,)).fetchone() or (None,)
            room -= len(terminal or "")
            if terminal is None or room < 0:
                continue
        key = bytes.fromhex(digest)
        grant = Grant(digest=key, job_id=job_id, scopes=scopes, expires_at=expires_at, ttl=ttl, attempt=attempt)
        found[key] = grant, Committed(state=state, terminal=terminal)
    return found
