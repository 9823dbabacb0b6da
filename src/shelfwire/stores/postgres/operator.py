"""What operators ask of the database."""

from collections.abc import Mapping, Sequence

from shelfwire.jobs.listing import JobFilter, JobPage, Position, StatusCounts
from shelfwire.jobs.operator_store import AuditEntry, AuditFilter, Tally
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.postgres import finding, records, tokens
from shelfwire.stores.postgres.connections import Connections


class PostgresOperatorStore:
    """An `OperatorStore`, as the part of `PostgresStore` that it is."""

    _pool: Connections

    async def jobs(
        self, wanted: JobFilter, *, after: Position | None = None, limit: int, oldest_first: bool = False
    ) -> JobPage:
        """See `OperatorStore.jobs`."""
        order = finding.Order(after, limit, oldest_first)
        return await self._pool.read(lambda session: finding.find(session, wanted, order))

    async def count_jobs(self, wanted: JobFilter) -> StatusCounts:
        """See `OperatorStore.count_jobs`."""
        return await self._pool.read(lambda session: finding.count(session, wanted))

    async def tokens(self, job_id: str) -> Sequence[Grant]:
        """See `OperatorStore.tokens`."""
        return await self._pool.read(lambda session: tokens.of_owner(session, job_id))

    async def audit(self, entry: AuditEntry) -> None:
        """See `OperatorStore.audit`."""
        await self._pool.write(lambda session: records.add_audit(session, entry))

    async def audited(self, wanted: AuditFilter, *, limit: int) -> Sequence[AuditEntry]:
        """See `OperatorStore.audited`."""
        return await self._pool.read(lambda session: records.audited(session, wanted, limit))

    async def add_tallies(self, hour: int, tallies: Mapping[str, Tally]) -> None:
        """See `OperatorStore.add_tallies`."""
        await self._pool.write(lambda session: records.add_tallies(session, hour, tallies))

    async def tallies(self, since: int) -> Mapping[str, Tally]:
        """See `OperatorStore.tallies`."""
        return await self._pool.read(lambda session: records.tallies(session, since))
