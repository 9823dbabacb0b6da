"""What owners correct of items, in the embedded store."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, LargeBinary, cast, delete, exists, func, insert, select

from shelfwire.jobs.corrections import Corrections, check_size
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.stores import schema
from shelfwire.stores.sqlite import records
from shelfwire.stores.sqlite.operator import Write
from shelfwire.stores.sqlite.outbox import Transaction

_row = schema.correction


class SqliteCorrectionStore:
    """A `CorrectionStore`, as the part of `SqliteStore` that it is."""

    _read: Transaction
    _write: Write

    async def corrections(self, job_id: str, *, first: int = 0, last: int | None = None) -> Corrections:
        """See `CorrectionStore.corrections`."""
        wanted = select(_row.c.index, _row.c.body).where(_row.c.job_id == job_id, _row.c.index >= first)
        if last is not None:
            wanted = wanted.where(_row.c.index <= last)
        ordered = wanted.order_by(_row.c.index)
        return await self._read(
            lambda connection: {index: msgspec.Raw(body.encode()) for index, body in connection.execute(ordered)}
        )

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
        own = _row.c.job_id == job_id
        replaced = own if whole else own & _row.c.index.in_(corrections)
        rows = [
            {"job_id": job_id, "index": index, "body": bytes(body).decode()}
            for index, body in corrections.items()
            if body is not None
        ]

        def work(connection: Connection) -> bool:
            if not connection.scalar(select(exists().where(schema.job.c.id == job_id))):
                return False
            connection.execute(delete(_row).where(replaced))
            if rows:
                connection.execute(insert(_row), rows)
            size = connection.scalar(select(func.sum(func.length(cast(_row.c.body, LargeBinary)))).where(own))
            check_size(job_id, size or 0, limit)
            records.add_audit(connection, audit)
            return True

        return await self._write(work)
