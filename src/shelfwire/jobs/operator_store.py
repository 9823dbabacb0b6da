"""The part of the port to the store that operators use: finding jobs, the audit, and figures by the hour."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from shelfwire.jobs.listing import JobFilter, JobPage, Position, StatusCounts
from shelfwire.protocol.tokens import Grant

AUDIT_TTL: Final = 30 * 24 * 3600 * 1000
"""Milliseconds for which the audit is kept."""
TALLY_TTL: Final = 7 * 24 * 3600 * 1000
"""Milliseconds for which the figures by the hour are kept."""
HOUR: Final = 3600 * 1000


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Who did what to which job, and what came of it.

    Attributes:
        at: when, in milliseconds since the epoch.
        key: the name of the API key, never the key.
        action: what was done.
        outcome: `ok`, or the code of the refusal.
        job_id: the job; None where it was about none.
        details: more about it.
        n: counts the entries, set by the store.
    """

    at: int
    key: str
    action: str
    outcome: str = "ok"
    job_id: str | None = None
    details: str | None = None
    n: int = 0


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What entries are found by; all that is given must be so.

    Attributes:
        job_id: the job.
        key: the name of the API key.
        since: at this time or later.
        before: with a smaller number: those of the pages behind the one that ended with it.
    """

    job_id: str | None = None
    key: str | None = None
    since: int | None = None
    before: int | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Whether an entry is found."""
        return (
            self.job_id in {None, entry.job_id}
            and self.key in {None, entry.key}
            and (self.since is None or entry.at >= self.since)
            and (self.before is None or entry.n < self.before)
        )


class Tally(NamedTuple):
    """How often something that ought to go well did not: `bad` of `total`."""

    bad: int = 0
    total: int = 0

    def __add__(self, other: object) -> "Tally":
        """Return the sum."""
        return Tally(self.bad + other.bad, self.total + other.total) if isinstance(other, Tally) else NotImplemented


class OperatorStore(Protocol):
    """What operators ask of a store. The rules are those of `JobStore`."""

    async def jobs(
        self, wanted: JobFilter, *, after: Position | None = None, limit: int, oldest_first: bool = False
    ) -> JobPage:
        """Return the jobs that match, the newest first or the oldest; those of one time in the same order of their ids.

        A page takes as long with many jobs as with few.

        Args:
            wanted: what they are found by.
            after: `JobPage.next` of the page before.
            limit: maximum number of jobs.
            oldest_first: whether the order is the other one.
        """
        ...

    async def count_jobs(self, wanted: JobFilter) -> StatusCounts:
        """Count the jobs that match, by status; statuses without any are left out."""
        ...

    async def tokens(self, job_id: str) -> Sequence[Grant]:
        """Return the tokens of a job's owner, expired ones too; in no certain order."""
        ...

    async def audit(self, entry: AuditEntry) -> None:
        """Add an entry. That of an action goes with the action: see `JobStore.request`."""
        ...

    async def audited(self, wanted: AuditFilter, *, limit: int) -> Sequence[AuditEntry]:
        """Return the entries that match, the newest first. A sweep erases those that are older than `AUDIT_TTL`."""
        ...

    async def add_tallies(self, hour: int, tallies: Mapping[str, Tally]) -> None:
        """Add figures to those of an hour, which begins at `hour`."""
        ...

    async def tallies(self, since: int) -> Mapping[str, Tally]:
        """Return the sums of the hours from `since` on. A sweep erases those that are older than `TALLY_TTL`."""
        ...
