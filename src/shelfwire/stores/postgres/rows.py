"""Rows of jobs: reading them, locking them, and writing what has changed; each within a caller's session."""

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.jobs.listing import code_of, label_of
from shelfwire.jobs.outbox import Announce
from shelfwire.jobs.store import EncodeTerminal, Item
from shelfwire.protocol.job import CLAIMED_TURN, JobState, Status, decode_row, next_turn, stored_row
from shelfwire.stores.postgres import outbox
from shelfwire.stores.postgres.connections import Session, Statement

UNKNOWN_SEQ: Final = 2**31
"""The revision of a damaged row: above any that its followers have."""
SLICE: Final = 500
"""Items that are read at once for an ending."""

LOCK: Final = "SELECT key, input_key, state FROM shelfwire.job WHERE id = %(id)b::text FOR NO KEY UPDATE"
LOCK_MANY: Final = """
SELECT key, input_key, state FROM shelfwire.job WHERE id = ANY(%(ids)b::text[]) ORDER BY key FOR NO KEY UPDATE
"""
"""In one order, so that no two wait for each other."""
READ: Final = """
SELECT j.state, e.message FROM shelfwire.job j LEFT JOIN shelfwire.ending e ON e.job_key = j.key
WHERE j.id = %(id)b::text
"""
SALVAGE: Final = """
SELECT key, input_key, state, id, pipeline, status, created_at, expires_at FROM shelfwire.job
WHERE id = %(id)b::text FOR NO KEY UPDATE
"""
WRITE_PROGRESS: Final = """
UPDATE shelfwire.job j SET state = u.state, seq = u.seq, lease_until = u.lease_until
FROM unnest(%(keys)b::int8[], %(states)b::text[], %(seqs)b::int8[], %(leases)b::int8[]) u(key, state, seq, lease_until)
WHERE j.key = u.key
"""
WRITE_INDEXED: Final = """
UPDATE shelfwire.job SET state = %(state)b::text, seq = %(seq)b::int8, status = %(status)b::text,
  run_at = %(run_at)b::int8, lease_until = %(lease_until)b::int8, expires_at = %(expires_at)b::int8,
  turn = %(turn)b::int8, lost_at = %(lost_at)b::int8, code = %(code)b::text, label = %(label)b::text,
  node = coalesce(%(node)b::text, node)
WHERE key = %(key)b::int8
"""
WRITE_ENDING: Final = "INSERT INTO shelfwire.ending VALUES (%(key)b::int8, %(message)b::text)"
ENDING: Final = "SELECT message FROM shelfwire.ending WHERE job_key = %(key)b::int8"
ENDINGS: Final = "SELECT job_key, message FROM shelfwire.ending WHERE job_key = ANY(%(keys)b::int8[])"
HEAD: Final = """
SELECT index, ok, title, body, source FROM shelfwire.item
WHERE job_key = %(key)b::int8 AND index > %(after)b::int8 ORDER BY index LIMIT %(limit)b::int8
"""
LOCK_TURNS: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(caller)b::text || ' ' || %(pipeline)b::text, 0))"
TURNS: Final = """
SELECT (SELECT turn FROM shelfwire.queue WHERE pipeline = %(pipeline)b::text),
  (SELECT max(turn) FROM shelfwire.job
   WHERE caller = %(caller)b::text AND pipeline = %(pipeline)b::text AND status = 'queued')
"""


class Row(NamedTuple):
    """A row as it was read.

    Attributes:
        key: its own, which is never used again.
        input_key: under which its inputs are kept.
        state: the document.
    """

    key: int
    input_key: Any
    state: JobState


class Endings(NamedTuple):
    """What is needed to end jobs.

    Attributes:
        encode_terminal: encodes the terminal message.
        inline_limit: bytes of item bodies to pass to `encode_terminal`.
        announce: makes what is to be told.
    """

    encode_terminal: EncodeTerminal
    inline_limit: int
    announce: Announce


async def locked(session: Session, job_id: str) -> Row | None:
    """Return the row of a job and lock it until the transaction ends; None if there is none.

    Raises:
        msgspec.DecodeError: it is damaged.
    """
    row = await session.row(LOCK, {"id": job_id})
    return None if row is None else Row(row[0], row[1], decode_row(row[2]))


async def locked_or_salvaged(session: Session, job_id: str) -> tuple[Row | None, bool]:
    """Return the row of a job, locked, and whether it is damaged.

    The state of a damaged row is put together from its columns, for its ending.
    """
    row = await session.row(SALVAGE, {"id": job_id})
    if row is None:
        return None, False
    state, is_damaged = read_or_salvaged(*row[2:])
    return Row(row[0], row[1], state), is_damaged


def read_or_salvaged(
    document: str, job_id: str, pipeline: str, status: str, created_at: int, expires_at: int
) -> tuple[JobState, bool]:
    """Return the state of a row, and whether it is damaged; then it is put together from the other columns."""
    with contextlib.suppress(msgspec.DecodeError):
        return decode_row(document), False
    known = {str(one): one for one in Status}
    salvaged = JobState(
        id=job_id,
        pipeline=pipeline,
        status=known.get(status, Status.QUEUED),
        seq=UNKNOWN_SEQ,
        created_at=created_at,
        updated_at=created_at,
        expires_at=expires_at,
        run_at=0,
        lease_until=0,
    )
    return salvaged, True


def columns(state: JobState) -> dict[str, Any]:
    """Return the columns that an index has and that change, by name."""
    return {
        "status": str(state.status),
        "run_at": state.run_at,
        "expires_at": state.expires_at,
        "turn": state.turn,
        "lost_at": state.lost_at,
        "code": code_of(state),
        "label": without_nul(label_of(state)),
    }


def encoded(state: JobState) -> str:
    """Return the document of a row."""
    return msgspec.json.encode(stored_row(state)).decode()


def without_nul(text: str | None) -> str | None:
    """Return a text without the one character that PostgreSQL has no place for."""
    return None if text is None else text.replace("\0", "")


async def with_turn(session: Session, state: JobState) -> JobState:
    """Return a job that joins the queue of its pipeline, with its turn by `protocol.job.next_turn`."""
    queue = {"pipeline": state.pipeline, "caller": state.caller}
    # Others of the same caller wait until this one is committed: each statement sees what was before it began.
    _, ((taken, last),) = await session.together([(LOCK_TURNS, queue), (TURNS, queue)])
    return msgspec.structs.replace(state, turn=next_turn(CLAIMED_TURN if taken is None else taken, last))


async def save(
    session: Session,
    changes: Sequence[tuple[Row, JobState]],
    endings: Endings,
    results: Mapping[int, msgspec.Raw] = MappingProxyType({}),
    node: str | None = None,
) -> dict[int, str]:
    """Write changed rows, and the terminal messages of those that have ended; return these by key.

    Args:
        session: of a transaction that has locked the rows.
        changes: each row as it was read, and its state now.
        endings: what is needed to end jobs.
        results: by key, what the message shows in place of the list of items.
        node: who has taken the jobs; None if nobody has.
    """
    indexed = [(row.key, after) for row, after in changes if node is not None or columns(row.state) != columns(after)]
    own = {key for key, _ in indexed}
    progressed = [(row.key, after) for row, after in changes if row.key not in own]
    statements = _progress(progressed) if progressed else []
    terminals: dict[int, str] = {}
    for key, after in indexed:
        values = {**columns(after), "key": key, "seq": after.seq, "lease_until": after.lease_until, "node": node}
        statements.append((WRITE_INDEXED, {**values, "state": encoded(after)}))
        if after.ended:
            head = () if key in results else await _head(session, key, after, endings.inline_limit)
            terminals[key] = endings.encode_terminal(after, head, results.get(key))
            statements.append((WRITE_ENDING, {"key": key, "message": terminals[key]}))
            statements += outbox.writing(endings.announce(after))
    await session.together(statements)
    return terminals


def _progress(rows: Sequence[tuple[int, JobState]]) -> list[Statement]:
    """Leave out the indexed columns: a change of one, to the same value too, would be one of the index."""
    arrays = {
        "keys": [key for key, _ in rows],
        "states": [encoded(state) for _, state in rows],
        "seqs": [state.seq for _, state in rows],
        "leases": [state.lease_until for _, state in rows],
    }
    return [(WRITE_PROGRESS, arrays)]


async def _head(session: Session, key: int, state: JobState, within: int) -> Sequence[Item]:
    """Return the first items of a completed job, as many as fit into `within` bytes of bodies."""
    head: list[Item] = []
    if state.status is not Status.COMPLETE:
        return head
    used = 0
    while True:
        after = head[-1].index if head else -1
        page = items_of(await session.rows(HEAD, {"key": key, "after": after, "limit": SLICE}))
        for item in page:
            used += len(item.body)
            if used > within:
                return head
            head.append(item)
        if len(page) < SLICE:
            return head


def items_of(rows: Sequence[tuple[Any, ...]]) -> list[Item]:
    """Return rows of an item log as items."""
    return [Item(index, ok, title, msgspec.Raw(body.encode()), source) for index, ok, title, body, source in rows]
