"""The audit and the figures by the hour, on one connection in its transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, exists, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from shelfwire.jobs.operator_store import AUDIT_TTL, TALLY_TTL, AuditEntry, AuditFilter, Tally
from shelfwire.stores import schema

_audit, _tally = schema.audit, schema.tally


def add_audit(connection: Connection, entry: AuditEntry | None) -> None:
    """Add an entry, if there is one."""
    if entry is not None:
        row = msgspec.structs.asdict(entry)
        del row["n"]
        connection.execute(insert(_audit), row)


def audited(connection: Connection, wanted: AuditFilter, limit: int) -> Sequence[AuditEntry]:
    """See `OperatorStore.audited`."""
    rows = select(_audit).order_by(_audit.c.n.desc()).limit(limit)
    if wanted.job_id is not None:
        rows = rows.where(_audit.c.job_id == wanted.job_id)
    if wanted.key is not None:
        rows = rows.where(_audit.c.key == wanted.key)
    if wanted.since is not None:
        rows = rows.where(_audit.c.at >= wanted.since)
    if wanted.before is not None:
        rows = rows.where(_audit.c.n < wanted.before)
    return [AuditEntry(**row._asdict()) for row in connection.execute(rows)]


def add_tallies(connection: Connection, hour: int, tallies: Mapping[str, Tally]) -> None:
    """See `OperatorStore.add_tallies`."""
    adding = upsert(_tally)
    adding = adding.on_conflict_do_update(
        index_elements=["hour", "name"],
        set_={"bad": _tally.c.bad + adding.excluded.bad, "total": _tally.c.total + adding.excluded.total},
    )
    connection.execute(adding, [{"hour": hour, "name": name, **one._asdict()} for name, one in tallies.items()])


def tallies(connection: Connection, since: int) -> dict[str, Tally]:
    """See `OperatorStore.tallies`."""
    sums = func.sum(_tally.c.bad), func.sum(_tally.c.total)
    rows = connection.execute(select(_tally.c.name, *sums).where(_tally.c.hour >= since).group_by(_tally.c.name))
    return {name: Tally(bad, total) for name, bad, total in rows}


def _old(now: int) -> tuple[Any, Any]:
    return _audit.c.at < now - AUDIT_TTL, _tally.c.hour < now - TALLY_TTL


def any_old(connection: Connection, now: int) -> bool:
    """Whether there is something to erase."""
    return any(connection.scalar(select(exists().where(old))) for old in _old(now))


def erase_old(connection: Connection, now: int) -> None:
    """Erase what has expired."""
    for table, old in zip((_audit, _tally), _old(now), strict=True):
        connection.execute(delete(table).where(old))
