"""Creation of jobs, tokens and retries, on one connection in its transaction."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, exists, func, insert, literal, literal_column, select, update

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import REPORT_GRANTS, Idempotency, InputSize, Mended
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import HELD, JobState, stored_row
from shelfwire.protocol.tokens import GRACE, MAX_GRANTS, Grant, Scope, may_add
from shelfwire.stores import schema
from shelfwire.stores.sqlite import statements as sql

SELECTION: Final = "\0selection"
"""The input part with the indices that a retry covers; no upload can have this name."""

INTERNAL: Final = "\0"
"""What these names begin with."""

KEPT: Final = "\0kept:"
"""Prefix of the names of kept data among the input parts; no upload can have such a name either."""

_job, _grant, _part, _key = schema.job, schema.grant, schema.input_part, schema.idempotency


def create(
    connection: Connection,
    state: JobState,
    grant: Grant,
    upload_id: str,
    idempotency: Idempotency | None,
    report: Grant | None,
) -> str:
    """See `JobStore.create`."""
    earlier = _replayed(connection, grant, state.created_at, idempotency)
    if earlier is not None:
        discard_input(connection, upload_id)
        return earlier
    if connection.scalar(select(exists().where(_job.c.id == state.id))):
        raise ShelfwireError(Code.JOB_EXISTS, f"Job {state.id} exists")
    # Of an earlier job of this id there may be rows that are not erased yet.
    connection.execute(delete(schema.item).where(schema.item.c.job_id == state.id))
    if upload_id != state.id:
        connection.execute(delete(_part).where(_part.c.job_id == state.id))
        connection.execute(update(_part).where(_part.c.job_id == upload_id).values(job_id=state.id))
    _insert(connection, state if state.status in HELD else sql.with_turn(connection, state), grant, idempotency)
    if report is not None:
        add_report_grant(connection, report)
    return state.id


def retry(
    connection: Connection,
    source: JobState,
    job_id: str,
    grant: Grant,
    now: int,
    idempotency: Idempotency | None,
    steady: int | None,
    mended: Mended | None,
) -> str:
    """See `JobStore.retry`."""
    earlier = _replayed(connection, grant, now, idempotency)
    if earlier is not None:
        return earlier
    state = owner_transitions.retry(source, job_id, now=now, steady=steady)
    done, covered = sql.done_indices(connection, source.id), selection(connection, source)
    own: dict[str, bytes] = {}
    if mended is None:
        left = owner_transitions.left_undone(source, done, covered)
    else:
        left = owner_transitions.chosen(source, done, covered, mended.indices, alone=mended.alone)
        own[mended.name] = mended.data
    inputs = select(literal(job_id), _part.c.name, _part.c.part, _part.c.data)
    kept = inputs.where(_part.c.job_id == source.id, _part.c.name.not_in([SELECTION, *own]))
    connection.execute(insert(_part).from_select(["job_id", "name", "part", "data"], kept))
    if left is not None:
        own[SELECTION] = msgspec.json.encode(left)
    for name, data in own.items():
        connection.execute(insert(_part), {"job_id": job_id, "name": name, "part": 0, "data": data})
    _insert(connection, sql.with_turn(connection, state), grant, idempotency)
    return job_id


def selection(connection: Connection, state: JobState) -> Sequence[int] | None:
    """The indices of the input that a job covers; None for all."""
    if state.retry_of is None:
        return None
    query = select(_part.c.data).where(_part.c.job_id == state.id, _part.c.name == SELECTION)
    data = connection.scalar(query)
    return None if data is None else msgspec.json.decode(data, type=list[int])


def inputs(connection: Connection, job_id: str) -> list[InputSize]:
    """See `JobStore.inputs`."""
    size = func.sum(func.length(_part.c.data)).label("size")
    rows = select(_part.c.name, size).where(_part.c.job_id == job_id).group_by(_part.c.name).order_by(_part.c.name)
    return [InputSize(name=row.name, size=row.size) for row in connection.execute(rows) if row.name[0] != INTERNAL]


def keep(connection: Connection, job_id: str, attempt: int, name: str, data: bytes, limit: int | None) -> bool:
    """See `JobStore.keep`."""
    if not any(state.attempt == attempt and state.status in HELD for state in sql.read_jobs(connection, [job_id])):
        return False
    part = {"job_id": job_id, "name": KEPT + name, "part": 0}
    connection.execute(delete(_part).filter_by(**part))
    connection.execute(insert(_part), {**part, "data": data})
    if limit is not None and _kept_bytes(connection, job_id) > limit:
        raise ShelfwireError(Code.FILE_TOO_LARGE, f"Job {job_id} would keep more than {limit:,} bytes")
    return True


def _kept_bytes(connection: Connection, job_id: str) -> int:
    kept = _part.c.job_id == job_id, _part.c.name.startswith(KEPT, autoescape=True)
    return connection.scalar(select(func.sum(func.length(_part.c.data))).where(*kept)) or 0


def discard_input(connection: Connection, upload_id: str) -> None:
    """Erase the upload of a job that does not exist."""
    connection.execute(delete(_part).where(_part.c.job_id == upload_id, _part.c.job_id.not_in(select(_job.c.id))))


def find_grant(connection: Connection, digest: bytes, now: int) -> Grant | None:
    """See `JobStore.grant`."""
    of_living = _grant.select().join(_job, _job.c.id == _grant.c.job_id).where(_job.c.expires_at > now)
    row = connection.execute(of_living.where(_grant.c.digest == digest)).first()
    return None if row is None else _grant_in(row)


def owners_grants(connection: Connection, job_id: str) -> list[Grant]:
    """See `OperatorStore.tokens`."""
    query = _grant.select().where(_grant.c.job_id == job_id, _grant.c.attempt.is_(None))
    return [_grant_in(row) for row in connection.execute(query)]


def _grant_in(row: Row[Any]) -> Grant:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return Grant(
        digest=row.digest,
        job_id=row.job_id,
        scopes=scopes,
        expires_at=row.expires_at,
        ttl=row.ttl,
        attempt=row.attempt,
    )


def add_report_grant(connection: Connection, grant: Grant) -> None:
    """Add the token of a new attempt; those of the last few can still learn that they have lost the job."""
    assert grant.attempt is not None  # noqa: S101 - a report token has one
    old = _grant.c.attempt <= grant.attempt - REPORT_GRANTS
    connection.execute(delete(_grant).where(_grant.c.job_id == grant.job_id, old))
    connection.execute(insert(_grant), _grant_row(grant))


def add_grant(
    connection: Connection,
    grant: Grant,
    now: int,
    authorized_by: bytes | None = None,
    replaces: bytes | None = None,
    *,
    forced: bool = False,
) -> bool:
    """See `JobStore.add_grant`.

    Args:
        connection: a connection in a transaction.
        grant: the token.
        now: the time.
        authorized_by: see there.
        replaces: see there.
        forced: whether a valid token goes where there is no room, instead of an error.
    """
    if not connection.scalar(select(exists().where(_job.c.id == grant.job_id))):
        return False
    own = _grant.c.job_id == grant.job_id
    if authorized_by is not None and not connection.scalar(
        select(exists().where(own, _grant.c.digest == authorized_by))
    ):
        return False
    _make_room(connection, grant.job_id, now, replaces, forced=forced)
    connection.execute(insert(_grant), _grant_row(grant))
    if replaces is not None:
        until = now + GRACE
        later = _grant.c.expires_at.is_(None) | (_grant.c.expires_at > until)
        connection.execute(update(_grant).where(_grant.c.digest == replaces, own, later).values(expires_at=until))
    return True


def _make_room(connection: Connection, job_id: str, now: int, replaces: bytes | None, *, forced: bool) -> None:
    """Erase as many tokens as must go before one more is added, those that expire first before others."""
    query = select(_grant.c.digest, _grant.c.expires_at).where(_grant.c.job_id == job_id, _grant.c.attempt.is_(None))
    oldest_first = query.order_by(_grant.c.expires_at.nulls_last(), literal_column("rowid"))
    tokens = connection.execute(oldest_first).all()
    surplus = len(tokens) + 1 - MAX_GRANTS
    if surplus <= 0:
        return
    limited = [token for token in tokens if token.expires_at is not None]
    expired = [token for token in limited if token.expires_at <= now]
    until = now if replaces is None else now + GRACE
    going = {token.digest for token in limited if token.expires_at <= until}
    lasting = len(tokens) - len(going)
    if not forced and not may_add(lasting, replacing=replaces is not None, repeated=replaces in going):
        raise ShelfwireError(
            Code.JOB_STATE,
            f"Job {job_id} has {MAX_GRANTS} tokens. Revoke one, or wait until one expires",
            user_message="Too many devices have access to this job. Take access away from one of them.",
        )
    erased = tokens if forced else expired
    digests = [token.digest for token in erased[:surplus]]
    connection.execute(delete(_grant).where(_grant.c.digest.in_(digests)))


def _replayed(connection: Connection, grant: Grant, now: int, idempotency: Idempotency | None) -> str | None:
    if idempotency is None:
        return None
    earlier = connection.execute(_key.select().filter_by(key=idempotency.key)).first()
    if earlier is None:
        return None
    job_id: str = earlier.job_id
    if (connection.scalar(select(_job.c.expires_at).where(_job.c.id == job_id)) or 0) <= now:
        sql.erase(connection, job_id)
        return None
    if earlier.fingerprint != idempotency.fingerprint:
        raise ShelfwireError(Code.IDEMPOTENCY_MISMATCH)
    add_grant(connection, msgspec.structs.replace(grant, job_id=job_id), now, forced=True)
    return job_id


def _insert(connection: Connection, state: JobState, grant: Grant, idempotency: Idempotency | None) -> None:
    searched = {name: getattr(state, name) for name in ("id", "pipeline", "caller", "lease_until", "created_at")}
    document = msgspec.json.encode(stored_row(state)).decode()
    connection.execute(insert(_job), {"state": document, **searched, **sql.indexed(state)})
    if state.tags:
        tags = [{"tag": tag, "created_at": state.created_at, "job_id": state.id} for tag in dict.fromkeys(state.tags)]
        connection.execute(insert(schema.tag), tags)
    connection.execute(insert(_grant), _grant_row(grant))
    if idempotency is not None:
        row = {"key": idempotency.key, "job_id": state.id, "fingerprint": idempotency.fingerprint}
        connection.execute(insert(_key), row)


def _grant_row(grant: Grant) -> dict[str, Any]:
    return {**msgspec.structs.asdict(grant), "scopes": sorted(grant.scopes)}
