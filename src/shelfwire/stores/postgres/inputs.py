"""Inputs of jobs, and what attempts keep; within a caller's session.

Parts are kept under a key that is derived from the id of the upload, until the job is made: it has a key of its own,
which the retries of the job share. What these mend is kept beside it. So what is left under an id is never seen by a
later job of that id.
"""

from typing import Any, Final

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import InputSize, Mended
from shelfwire.protocol.job import HELD, decode_row
from shelfwire.stores.postgres.connections import Session, Statement
from shelfwire.stores.postgres.rows import without_nul

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::int8"
UPLOAD_KEY: Final = "md5('upload ' || %(id)s)::uuid"
INPUT_KEY: Final = f"coalesce((SELECT input_key FROM shelfwire.job WHERE id = %(id)s), {UPLOAD_KEY})"  # noqa: S608 - of constants, as all here

WRITE_PART: Final = f"""
WITH place AS (SELECT {INPUT_KEY} AS input_key),
upload AS (
  INSERT INTO shelfwire.upload SELECT input_key, {NOW} FROM place WHERE input_key = {UPLOAD_KEY}
  ON CONFLICT (input_key) DO UPDATE SET written_at = excluded.written_at
)
INSERT INTO shelfwire.input_part SELECT input_key, %(name)s, %(part)s, %(data)b FROM place
"""  # noqa: S608
READ_PARTS: Final = f"""
WITH own AS (
  SELECT m.data FROM shelfwire.mended m JOIN shelfwire.job j ON j.key = m.job_key
  WHERE j.id = %(id)s AND m.name = %(name)s
)
SELECT data FROM own
UNION ALL
(SELECT data FROM shelfwire.input_part
 WHERE input_key = {INPUT_KEY} AND name = %(name)s AND NOT EXISTS (SELECT FROM own) ORDER BY part)
"""  # noqa: S608
SIZES: Final = """
WITH job AS (SELECT key, input_key FROM shelfwire.job WHERE id = %(id)s),
own AS (SELECT name, octet_length(data)::int8 AS size FROM shelfwire.mended WHERE job_key = (SELECT key FROM job))
SELECT name, size FROM own
UNION ALL
SELECT name, sum(octet_length(data))::int8 FROM shelfwire.input_part JOIN job USING (input_key)
WHERE name NOT IN (SELECT name FROM own) GROUP BY name
ORDER BY name
"""
COPY_MENDED: Final = """
INSERT INTO shelfwire.mended SELECT %(to)s, name, data FROM shelfwire.mended WHERE job_key = %(key)s
"""
MEND: Final = """
INSERT INTO shelfwire.mended VALUES (%(to)s, %(name)s, %(data)b)
ON CONFLICT (job_key, name) DO UPDATE SET data = excluded.data
"""
MOVE: Final = f"""
WITH gone AS (DELETE FROM shelfwire.upload WHERE input_key = {UPLOAD_KEY})
UPDATE shelfwire.input_part SET input_key = %(key)b::uuid WHERE input_key = {UPLOAD_KEY}
"""  # noqa: S608
DISCARD: Final = f"""
WITH gone AS (DELETE FROM shelfwire.upload WHERE input_key = {UPLOAD_KEY})
DELETE FROM shelfwire.input_part WHERE input_key = {UPLOAD_KEY}
"""  # noqa: S608
LOCK_FOR_KEEPING: Final = "SELECT key, state FROM shelfwire.job WHERE id = %(id)s FOR NO KEY UPDATE"
KEEP: Final = """
INSERT INTO shelfwire.kept VALUES (%(key)s, %(name)s, %(data)b)
ON CONFLICT (job_key, name) DO UPDATE SET data = excluded.data
"""
KEPT_BYTES: Final = "SELECT sum(octet_length(data))::int8 FROM shelfwire.kept WHERE job_key = %(key)s"
KEPT: Final = """
SELECT k.data FROM shelfwire.kept k JOIN shelfwire.job j ON j.key = k.job_key WHERE j.id = %(id)s AND k.name = %(name)s
"""


async def write(session: Session, job_id: str, name: str, part: int, data: bytes) -> None:
    """See `JobStore.write_input`."""
    await session.execute(WRITE_PART, {"id": job_id, "name": without_nul(name), "part": part, "data": data})


async def read(session: Session, job_id: str, name: str) -> bytes:
    """See `JobStore.read_input`."""
    return b"".join(data for (data,) in await session.rows(READ_PARTS, {"id": job_id, "name": without_nul(name)}))


async def sizes(session: Session, job_id: str) -> list[InputSize]:
    """See `JobStore.inputs`."""
    return [InputSize(name=name, size=size) for name, size in await session.rows(SIZES, {"id": job_id})]


async def move(session: Session, upload_id: str, key: Any) -> None:
    """Make the parts of an upload those of a job."""
    await session.execute(MOVE, {"id": upload_id, "key": key})


async def discard(session: Session, upload_id: str) -> None:
    """Erase the parts of an upload; those of a job are kept under another key."""
    await session.execute(DISCARD, {"id": upload_id})


def inheriting(to: int, key: int, mended: Mended | None) -> list[Statement]:
    """Return the statements that give a retry, which shares the input of the job `key`, what was mended of it."""
    copied: Statement = (COPY_MENDED, {"to": to, "key": key})
    if mended is None:
        return [copied]
    return [copied, (MEND, {"to": to, "name": without_nul(mended.name), "data": mended.data})]


async def keep(session: Session, job_id: str, attempt: int, name: str, data: bytes, limit: int | None) -> bool:
    """See `JobStore.keep`."""
    row = await session.row(LOCK_FOR_KEEPING, {"id": job_id})
    if row is None:
        return False
    key, state = row[0], decode_row(row[1])
    if state.attempt != attempt or state.status not in HELD:
        return False
    await session.execute(KEEP, {"key": key, "name": without_nul(name), "data": data})
    if limit is not None and (await session.value(KEPT_BYTES, {"key": key}) or 0) > limit:
        raise ShelfwireError(Code.FILE_TOO_LARGE, f"Job {job_id} would keep more than {limit:,} bytes")
    return True


async def kept(session: Session, job_id: str, name: str) -> bytes | None:
    """See `JobStore.kept`."""
    data: bytes | None = await session.value(KEPT, {"id": job_id, "name": without_nul(name)})
    return data
