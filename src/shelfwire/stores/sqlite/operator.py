"""What operators ask of the embedded store."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from shelfwire.jobs.listing import JobFilter, JobPage, Position, StatusCounts
from shelfwire.jobs.operator_store import AuditEntry, AuditFilter, Tally
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.sqlite import creation, finding, records
from shelfwire.stores.sqlite.outbox import Transaction

T = TypeVar("T")


class Write(Protocol):
    """Runs work in a transaction of its own; see `DataFolder.write`."""

    def __call__(self, work: Callable[[Connection], T], *, erasing: bool = False) -> Coroutine[Any, Any, T]:
        """Return what the work returns."""
        ...


class SqliteOperatorStore:
    """An `OperatorStore`, as the part of `SqliteStore` that it is."""

    _read: Transaction
    _write: Write

    async def jobs(
        self, wanted: JobFilter, *, after: Position | None = None, limit: int, oldest_first: bool = False
    ) -> JobPage:
        """See `OperatorStore.jobs`."""
        order = finding.Order(after, limit, oldest_first)
        return await self._read(lambda connection: finding.find(connection, wanted, order))

    async def count_jobs(self, wanted: JobFilter) -> StatusCounts:
        """See `OperatorStore.count_jobs`."""
        return await self._read(lambda connection: finding.count(connection, wanted))

    async def tokens(self, job_id: str) -> Sequence[Grant]:
        """See `OperatorStore.tokens`."""
        return await self._read(lambda connection: creation.owners_grants(connection, job_id))

    async def audit(self, entry: AuditEntry) -> None:
        """See `OperatorStore.audit`."""
        await self._write(lambda connection: records.add_audit(connection, entry))

    async def audited(self, wanted: AuditFilter, *, limit: int) -> Sequence[AuditEntry]:
        """See `OperatorStore.audited`."""
        return await self._read(lambda connection: records.audited(connection, wanted, limit))

    async def add_tallies(self, hour: int, tallies: Mapping[str, Tally]) -> None:
        """See `OperatorStore.add_tallies`."""
        await self._write(lambda connection: records.add_tallies(connection, hour, tallies))

    async def tallies(self, since: int) -> Mapping[str, Tally]:
        """See `OperatorStore.tallies`."""
        return await self._read(lambda connection: records.tallies(connection, since))
