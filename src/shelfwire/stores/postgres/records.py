"""The audit and the figures by the hour, within a caller's session."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from shelfwire.jobs.operator_store import AUDIT_TTL, TALLY_TTL, AuditEntry, AuditFilter, Tally
from shelfwire.stores.postgres.connections import Session

ADD_ENTRY: Final = """
INSERT INTO shelfwire.audit (at, key, action, job_id, outcome, details)
VALUES (%(at)s, %(key)s, %(action)s, %(job_id)s, %(outcome)s, %(details)s)
"""
ENTRIES: Final = """
SELECT at, key, action, outcome, job_id, details, n FROM shelfwire.audit
WHERE (%(job_id)s::text IS NULL OR job_id = %(job_id)s) AND (%(key)s::text IS NULL OR key = %(key)s)
  AND (%(since)s::int8 IS NULL OR at >= %(since)s) AND (%(before)s::int8 IS NULL OR n < %(before)s)
ORDER BY n DESC LIMIT %(limit)s
"""
ADD_TALLY: Final = """
INSERT INTO shelfwire.tally VALUES (%(hour)s, %(name)s, %(bad)s, %(total)s)
ON CONFLICT (hour, name) DO UPDATE SET bad = tally.bad + excluded.bad, total = tally.total + excluded.total
"""
TALLIES: Final = """
SELECT name, sum(bad)::int8, sum(total)::int8 FROM shelfwire.tally WHERE hour >= %(since)s GROUP BY name
"""
ERASE_ENTRIES: Final = "DELETE FROM shelfwire.audit WHERE at < %(then)s"
ERASE_TALLIES: Final = "DELETE FROM shelfwire.tally WHERE hour < %(then)s"


async def add_audit(session: Session, entry: AuditEntry | None) -> None:
    """Add an entry, if there is one."""
    if entry is not None:
        row = msgspec.structs.asdict(entry)
        texts = {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row.items()}
        await session.execute(ADD_ENTRY, texts)


async def audited(session: Session, wanted: AuditFilter, limit: int) -> Sequence[AuditEntry]:
    """See `OperatorStore.audited`."""
    rows = await session.rows(ENTRIES, {**msgspec.structs.asdict(wanted), "limit": limit})
    names = ("at", "key", "action", "outcome", "job_id", "details", "n")
    return [AuditEntry(**dict(zip(names, row, strict=True))) for row in rows]


async def add_tallies(session: Session, hour: int, tallies: Mapping[str, Tally]) -> None:
    """See `OperatorStore.add_tallies`."""
    # In one order, so that no two processes wait for each other.
    rows = [{"hour": hour, "name": name, **one._asdict()} for name, one in sorted(tallies.items())]
    await session.together([(ADD_TALLY, row) for row in rows])


async def tallies(session: Session, since: int) -> Mapping[str, Tally]:
    """See `OperatorStore.tallies`."""
    rows = await session.rows(TALLIES, {"since": since})
    return {name: Tally(bad, total) for name, bad, total in rows}


async def erase_old(session: Session, now: int) -> None:
    """Erase what has expired."""
    await session.execute(ERASE_ENTRIES, {"then": now - AUDIT_TTL})
    await session.execute(ERASE_TALLIES, {"then": now - TALLY_TTL})
