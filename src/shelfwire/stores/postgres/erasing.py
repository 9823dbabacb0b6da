"""Erasing jobs and what is left of them, within a caller's session.

With its row a job is gone, and its id is free. Its items and inputs, of which there may be many, are erased by steps
that follow; `remains` names what they have not come to yet.
"""

from typing import Final

import structlog

from shelfwire.jobs.nodes import FAREWELL
from shelfwire.jobs.store import Committed
from shelfwire.protocol.job import JobState
from shelfwire.stores.postgres import inputs, outbox, rows
from shelfwire.stores.postgres.connections import Session, Statement
from shelfwire.stores.postgres.errors import cause_of
from shelfwire.stores.postgres.rows import Endings, Row

UPLOAD_TTL: Final = 3600 * 1000
"""Milliseconds after its last part in which an upload has to become a job."""
STEP_ITEMS: Final = 5000
STEP_PARTS: Final = 32

ERASE_JOB: Final = "DELETE FROM shelfwire.job WHERE key = %(key)s"
ERASE_OWNED: Final = tuple(
    f"DELETE FROM shelfwire.{table} WHERE job_key = %(key)s"  # noqa: S608 - of constants
    for table in ("ending", "token", "tag", "idempotency", "selection", "kept", "mended", "correction")
)
LEAVE: Final = """
INSERT INTO shelfwire.remains SELECT %(key)s, input_key FROM shelfwire.job WHERE key = %(key)s
ON CONFLICT DO NOTHING
"""
SAY_FAREWELL: Final = f"""
INSERT INTO shelfwire.farewell
VALUES (%(key)s, %(id)s, %(created_at)s, %(state)s, %(message)s, {inputs.NOW}) ON CONFLICT DO NOTHING
"""  # noqa: S608
SAY_OWN_FAREWELL: Final = f"""
INSERT INTO shelfwire.farewell
SELECT j.key, j.id, j.created_at, j.state, e.message, {inputs.NOW}
FROM shelfwire.job j JOIN shelfwire.ending e ON e.job_key = j.key WHERE j.key = %(key)s
ON CONFLICT DO NOTHING
"""  # noqa: S608
FORGET_FAREWELLS: Final = f"DELETE FROM shelfwire.farewell WHERE gone_at < {inputs.NOW} - {FAREWELL}"  # noqa: S608
OLD_UPLOADS: Final = f"""
SELECT input_key FROM shelfwire.upload WHERE written_at < {inputs.NOW} - {UPLOAD_TTL} LIMIT 100
FOR UPDATE SKIP LOCKED
"""  # noqa: S608
ERASE_UPLOAD: Final = """
WITH gone AS (DELETE FROM shelfwire.upload WHERE input_key = %(input_key)b)
DELETE FROM shelfwire.input_part WHERE input_key = %(input_key)b
"""
REMAINS: Final = "SELECT job_key FROM shelfwire.remains LIMIT 1000"
LOCK_REMAINS: Final = """
SELECT input_key FROM shelfwire.remains WHERE job_key = %(key)s FOR UPDATE SKIP LOCKED
"""
ERASE_ITEMS: Final = """
DELETE FROM shelfwire.item WHERE job_key = %(key)s AND index IN (
  SELECT index FROM shelfwire.item WHERE job_key = %(key)s ORDER BY index LIMIT %(limit)s
)
"""
ERASE_PARTS: Final = """
DELETE FROM shelfwire.input_part WHERE input_key = %(input_key)b AND (name, part) IN (
  SELECT name, part FROM shelfwire.input_part WHERE input_key = %(input_key)b ORDER BY name, part LIMIT %(limit)s
) AND NOT EXISTS (SELECT FROM shelfwire.job WHERE input_key = %(input_key)b)
"""
FORGET: Final = "DELETE FROM shelfwire.remains WHERE job_key = %(key)s"

log = structlog.get_logger(__name__)


async def erase(session: Session, row: Row, after: JobState, endings: Endings, now: int) -> Committed:
    """Erase a job that is ended so, and return its ending; its row is locked."""
    before, key = row.state, row.key
    terminal = await session.value(rows.ENDING, {"key": key}) if before.ended else None
    if terminal is None:
        terminal = endings.encode_terminal(after, ())
    statements: list[Statement] = []
    if not before.ended:
        try:
            statements = outbox.writing(endings.announce(after))
        except (ValueError, LookupError, TypeError) as error:
            # Of a damaged address; its job is erased all the same.
            log.error("nobody can be told that a job has ended", job=after.id, reason=cause_of(error))  # noqa: TRY400
        ending = {"key": key, "id": after.id, "created_at": after.created_at, "message": terminal}
        statements.append((SAY_FAREWELL, {**ending, "state": rows.encoded(after)}))
    await session.together(statements)
    is_new = before.ended_at is not None and before.ended_at > now - FAREWELL
    await erase_head(session, key, farewell=is_new)
    return Committed(state=after, terminal=terminal)


async def erase_head(session: Session, key: int, *, farewell: bool) -> None:
    """Erase a job, so that it is gone; its inputs and items are left to `erase_some`.

    Args:
        session: of a transaction that has locked the row.
        key: the job's.
        farewell: whether its followers at other processes may not have received its ending yet.
    """
    own = {"key": key}
    erased = [(LEAVE, own), (ERASE_JOB, own), *((erase, own) for erase in ERASE_OWNED)]
    await session.together([(SAY_OWN_FAREWELL, own), *erased] if farewell else erased)


async def erase_some(session: Session, key: int) -> bool:
    """Erase some items and inputs of a job that is gone; return whether there may be more.

    Inputs that another job has as well, as a retry of this one, are left alone.
    """
    input_key = await session.value(LOCK_REMAINS, {"key": key})
    if input_key is None:
        return False
    items = await session.execute(ERASE_ITEMS, {"key": key, "limit": STEP_ITEMS})
    parts = await session.execute(ERASE_PARTS, {"input_key": input_key, "limit": STEP_PARTS})
    if items == STEP_ITEMS or parts == STEP_PARTS:
        return True
    await session.execute(FORGET, {"key": key})
    return False


async def erase_old_uploads(session: Session) -> None:
    """Erase uploads that have not become jobs, and endings that all followers have received."""
    for (input_key,) in await session.rows(OLD_UPLOADS):
        await session.execute(ERASE_UPLOAD, {"input_key": input_key})
    await session.execute(FORGET_FAREWELLS)
