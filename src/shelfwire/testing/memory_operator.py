"""What operators ask of the store in memory."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from shelfwire.jobs.listing import MAX_COUNT, JobFilter, JobPage, Position, StatusCounts
from shelfwire.jobs.operator_store import AUDIT_TTL, TALLY_TTL, AuditEntry, AuditFilter, Tally
from shelfwire.protocol.job import JobState


class MemoryRecords:
    """The audit and the figures by the hour; they outlive the jobs.

    Attributes:
        entries: the audit, in the order in which it was written.
        tallies: the figures, by hour and name.
        written: number of entries so far.
    """

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.tallies: dict[tuple[int, str], Tally] = {}
        self.written = 0

    def add(self, entry: AuditEntry | None) -> None:
        """Add an entry, if there is one."""
        if entry is not None:
            self.written += 1
            self.entries.append(msgspec.structs.replace(entry, n=self.written))

    def erase_old(self, now: int) -> None:
        """Erase what has expired."""
        self.entries = [entry for entry in self.entries if entry.at >= now - AUDIT_TTL]
        self.tallies = {place: one for place, one in self.tallies.items() if place[0] >= now - TALLY_TTL}


class MemoryOperatorStore:
    """An `OperatorStore`, as the part of `MemoryStore` that it is."""

    records: MemoryRecords

    def states(self) -> Iterable[JobState]:
        """Return the rows of all jobs."""
        raise NotImplementedError

    async def jobs(
        self, wanted: JobFilter, *, after: Position | None = None, limit: int, oldest_first: bool = False
    ) -> JobPage:
        """See `OperatorStore.jobs`."""
        found = {Position(state.created_at, state.id): state for state in self.states() if wanted.matches(state)}
        order = sorted(found, reverse=not oldest_first)
        if after is not None:
            order = [place for place in order if (place > after if oldest_first else place < after)]
        page = order[:limit]
        return JobPage(states=[found[place] for place in page], next=page[-1] if len(order) > limit else None)

    async def count_jobs(self, wanted: JobFilter) -> StatusCounts:
        """See `OperatorStore.count_jobs`."""
        counts = Counter(state.status for state in self.states() if wanted.matches(state))
        return {status: min(number, MAX_COUNT + 1) for status, number in counts.items()}

    async def audit(self, entry: AuditEntry) -> None:
        """See `OperatorStore.audit`."""
        self.records.add(entry)

    async def audited(self, wanted: AuditFilter, *, limit: int) -> Sequence[AuditEntry]:
        """See `OperatorStore.audited`."""
        return [entry for entry in reversed(self.records.entries) if wanted.matches(entry)][:limit]

    async def add_tallies(self, hour: int, tallies: Mapping[str, Tally]) -> None:
        """See `OperatorStore.add_tallies`."""
        for name, one in tallies.items():
            self.records.tallies[hour, name] = self.records.tallies.get((hour, name), Tally()) + one

    async def tallies(self, since: int) -> Mapping[str, Tally]:
        """See `OperatorStore.tallies`."""
        sums: dict[str, Tally] = {}
        for (hour, name), one in self.records.tallies.items():
            if hour >= since:
                sums[name] = sums.get(name, Tally()) + one
        return sums
