"""Creation of jobs and retries, within a caller's session."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Idempotency, Mended
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import HELD, JobState
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.postgres import erasing, inputs, rows, tokens
from shelfwire.stores.postgres.connections import RunAgainError, Session
from shelfwire.stores.postgres.rows import Row, without_nul

INSERT_JOB: Final = """
INSERT INTO shelfwire.job (id, pipeline, caller, created_at, seq, lease_until, state, input_key,
  status, run_at, expires_at, turn, lost_at, code, label, node)
VALUES (%(id)s, %(pipeline)s, %(caller)s, %(created_at)s, %(seq)s, %(lease_until)s, %(state)s,
  coalesce(%(input_key)b::uuid, gen_random_uuid()),
  %(status)s, %(run_at)s, %(expires_at)s, %(turn)s, %(lost_at)s, %(code)s, %(label)s, %(node)s)
ON CONFLICT (id) DO NOTHING RETURNING key, input_key
"""
INSERT_TAG: Final = """
INSERT INTO shelfwire.tag VALUES (%(tag)s, %(created_at)s, %(id)s, %(key)s) ON CONFLICT DO NOTHING
"""
INSERT_KEY: Final = """
INSERT INTO shelfwire.idempotency VALUES (%(key)b, %(job_key)s, %(fingerprint)b) ON CONFLICT DO NOTHING RETURNING true
"""
FIND_KEY: Final = """
SELECT i.fingerprint, j.key, j.id, j.expires_at FROM shelfwire.idempotency i JOIN shelfwire.job j ON j.key = i.job_key
WHERE i.key = %(key)b FOR NO KEY UPDATE OF j
"""
DONE: Final = "SELECT string_agg(index::text, ',') FROM shelfwire.item WHERE job_key = %(key)s AND ok"
RECORDED: Final = "SELECT string_agg(index::text, ',') FROM shelfwire.item WHERE job_key = %(key)s"
"""As one text: an array takes twice as long, rows longer still."""
SELECTION: Final = "SELECT indices FROM shelfwire.selection WHERE job_key = %(key)s"
INSERT_SELECTION: Final = "INSERT INTO shelfwire.selection VALUES (%(key)s, %(indices)b::int[])"
COPY_KEPT: Final = """
INSERT INTO shelfwire.kept SELECT %(to)s, name, data FROM shelfwire.kept WHERE job_key = %(key)s
"""


async def create(
    session: Session,
    state: JobState,
    grant: Grant,
    upload_id: str,
    idempotency: Idempotency | None,
    report: Grant | None,
    node: str,
) -> str:
    """See `JobStore.create`."""
    earlier = await _replayed(session, grant, state.created_at, idempotency)
    if earlier is not None:
        await inputs.discard(session, upload_id)
        return earlier
    is_held = state.status in HELD
    state = state if is_held else await rows.with_turn(session, state)
    key, input_key = await _insert(session, state, grant, idempotency, node=node if is_held else None)
    await inputs.move(session, upload_id, input_key)
    if report is not None:
        await session.together(tokens.inserting_report(key, report))
    return state.id


async def retry(
    session: Session,
    source: Row,
    job_id: str,
    grant: Grant,
    now: int,
    idempotency: Idempotency | None,
    steady: int | None,
    mended: Mended | None,
) -> str:
    """See `JobStore.retry`; the row of the source is locked."""
    earlier = await _replayed(session, grant, now, idempotency)
    if earlier is not None:
        return earlier
    state = owner_transitions.retry(source.state, job_id, now=now, steady=steady)
    done = frozenset(await _indices(session, DONE, source.key))
    covered = await selection(session, source.key, source.state)
    left: Sequence[int] | None
    if mended is None:
        left = owner_transitions.left_undone(source.state, done, covered)
    else:
        left = owner_transitions.chosen(source.state, done, covered, mended.indices, alone=mended.alone)
    state = await rows.with_turn(session, state)
    key, _ = await _insert(session, state, grant, idempotency, input_key=source.input_key)
    statements = [(COPY_KEPT, {"to": key, "key": source.key}), *inputs.inheriting(key, source.key, mended)]
    if left is not None:
        statements.append((INSERT_SELECTION, {"key": key, "indices": list(left)}))
    await session.together(statements)
    return job_id


async def selection(session: Session, key: int, state: JobState) -> list[int] | None:
    """The indices of the input that a job covers; None for all."""
    if state.retry_of is None:
        return None
    indices: list[int] | None = await session.value(SELECTION, {"key": key})
    return indices


async def recorded_indices(session: Session, key: int) -> list[int]:
    """Return the indices of the items in the log."""
    return await _indices(session, RECORDED, key)


async def _indices(session: Session, query: str, key: int) -> list[int]:
    text: str | None = await session.value(query, {"key": key})
    return [] if text is None else msgspec.json.decode(f"[{text}]", type=list[int])


async def _replayed(session: Session, grant: Grant, now: int, idempotency: Idempotency | None) -> str | None:
    """Give the token to the job that the same request has made before, and return its id; None if there is none."""
    if idempotency is None:
        return None
    earlier = await session.row(FIND_KEY, {"key": idempotency.key})
    if earlier is None:
        return None
    fingerprint, key, job_id, expires_at = earlier
    if expires_at <= now:
        await erasing.erase_head(session, key, farewell=True)
        return None
    if fingerprint != idempotency.fingerprint:
        raise ShelfwireError(Code.IDEMPOTENCY_MISMATCH)
    await tokens.add(session, key, msgspec.structs.replace(grant, job_id=job_id), now, forced=True)
    return str(job_id)


async def _insert(
    session: Session,
    state: JobState,
    grant: Grant,
    idempotency: Idempotency | None,
    *,
    input_key: Any = None,
    node: str | None = None,
) -> tuple[int, Any]:
    """Insert a job with its token; return its key and that of its inputs.

    Raises:
        ShelfwireError: `E_JOB_EXISTS`.
        RunAgainError: the same request has just made another job.
    """
    same = {name: getattr(state, name) for name in ("id", "pipeline", "caller", "created_at", "seq", "lease_until")}
    row = {**same, **rows.columns(state), "state": rows.encoded(state), "input_key": input_key, "node": node}
    made = await session.row(INSERT_JOB, row)
    if made is None:
        raise ShelfwireError(Code.JOB_EXISTS, f"Job {state.id} exists")
    key = made[0]
    if idempotency is not None:
        own = {"key": idempotency.key, "job_key": key, "fingerprint": idempotency.fingerprint}
        if not await session.value(INSERT_KEY, own):
            raise RunAgainError
    tags = [
        (INSERT_TAG, {"tag": without_nul(tag), "created_at": state.created_at, "id": state.id, "key": key})
        for tag in dict.fromkeys(state.tags)
    ]
    await session.together([tokens.inserting(key, grant), *tags])
    return key, made[1]
