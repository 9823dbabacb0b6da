"""What owners correct of items, in the database."""

from collections.abc import Mapping
from typing import Final

import msgspec

from shelfwire.jobs.corrections import Corrections, check_size
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.stores.postgres import records
from shelfwire.stores.postgres.connections import Connections, Session

FIND: Final = """
SELECT index, body FROM shelfwire.correction
WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %(id)s)
  AND index >= %(first)s AND (%(last)s::int8 IS NULL OR index <= %(last)s)
ORDER BY index
"""
LOCK: Final = "SELECT key FROM shelfwire.job WHERE id = %(id)s FOR NO KEY UPDATE"
TAKE_BACK: Final = """
DELETE FROM shelfwire.correction WHERE job_key = %(key)s AND (%(whole)s OR index = ANY (%(indices)s::int[]))
"""
ADD: Final = "INSERT INTO shelfwire.correction VALUES (%(key)s, %(index)s, %(body)s)"
SIZE: Final = "SELECT sum(octet_length(body))::int8 FROM shelfwire.correction WHERE job_key = %(key)s"


class PostgresCorrectionStore:
    """A `CorrectionStore`, as the part of `PostgresStore` that it is."""

    _pool: Connections

    async def corrections(self, job_id: str, *, first: int = 0, last: int | None = None) -> Corrections:
        """See `CorrectionStore.corrections`."""
        wanted = {"id": job_id, "first": first, "last": last}
        rows = await self._pool.read(lambda session: session.rows(FIND, wanted))
        return {index: msgspec.Raw(body.encode()) for index, body in rows}

    async def correct(
        self,
        job_id: str,
        corrections: Mapping[int, msgspec.Raw | None],
        *,
        whole: bool,
        limit: int,
        audit: AuditEntry | None = None,
    ) -> bool:
        """See `CorrectionStore.correct`."""

        async def work(session: Session) -> bool:
            key = await session.value(LOCK, {"id": job_id})
            if key is None:
                return False
            added = [
                (ADD, {"key": key, "index": index, "body": bytes(body).decode()})
                for index, body in corrections.items()
                if body is not None
            ]
            gone = {"key": key, "whole": whole, "indices": list(corrections)}
            await session.together([(TAKE_BACK, gone), *added])
            check_size(job_id, await session.value(SIZE, {"key": key}) or 0, limit)
            await records.add_audit(session, audit)
            return True

        return await self._pool.write(work)
