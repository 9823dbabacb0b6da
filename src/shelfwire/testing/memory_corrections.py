"""What owners correct of items, in the store in memory."""

from collections.abc import Mapping

import msgspec

from shelfwire.jobs.corrections import Corrections, check_size
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.testing.memory_operator import MemoryRecords


class MemoryCorrectionStore:
    """A `CorrectionStore`, as the part of `MemoryStore` that it is."""

    records: MemoryRecords

    def corrections_of(self, job_id: str) -> dict[int, msgspec.Raw] | None:
        """Return what is corrected of a job, to be changed in place; None if there is no such job."""
        raise NotImplementedError

    async def corrections(self, job_id: str, *, first: int = 0, last: int | None = None) -> Corrections:
        """See `CorrectionStore.corrections`."""
        kept = sorted((self.corrections_of(job_id) or {}).items())
        return {index: body for index, body in kept if index >= first and (last is None or index <= last)}

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
        kept = self.corrections_of(job_id)
        if kept is None:
            return False
        others = {} if whole else {index: body for index, body in kept.items() if index not in corrections}
        new = others | {index: body for index, body in corrections.items() if body is not None}
        check_size(job_id, sum(len(bytes(body)) for body in new.values()), limit)
        kept.clear()
        kept.update(new)
        self.records.add(audit)
        return True
