"""What is copied: each table of the embedded store, and where its rows go.

A test compares `known_columns` with the schema, so that a table or column that is added later is not forgotten here.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b, sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Table

from shelfwire.jobs.store import MIN_RETURN
from shelfwire.protocol.job import HELD, JobState, Status
from shelfwire.stores import schema
from shelfwire.stores.postgres import rows
from shelfwire.stores.postgres.rows import without_nul
from shelfwire.stores.sqlite.creation import KEPT, SELECTION

Values = tuple[Any, ...]
DIGEST_BYTES: Final = 16
MODULUS: Final = 2 ** (8 * DIGEST_BYTES)

JOB_COLUMNS: Final = ("id", "state")
"""What is read of a job. The others repeat what `state` says, for indexes."""
REPEATED_COLUMNS: Final = (
    *("pipeline", "status", "run_at", "lease_until", "expires_at", "caller"),
    *("turn", "lost_at", "created_at", "code", "label"),
)
_OWN: Final = ("pipeline", "caller", "created_at", "seq")
JOB_TYPES: Final = MappingProxyType(
    {
        "pipeline": "text",
        "caller": "text",
        "created_at": "int8",
        "seq": "int8",
        "status": "text",
        "expires_at": "int8",
        "turn": "int8",
        "lost_at": "int8",
        "code": "text",
        "label": "text",
    }
)
"""The columns of a job in PostgreSQL that are compared, with their types."""


def _plain(*values: Any) -> Values:
    """Leave out the one character that PostgreSQL has no place for, as its store does."""
    return tuple(without_nul(value) if isinstance(value, str) else value for value in values)


def _item(index: int, ok: int, title: str | None, body: str, source: int | None) -> Values:
    return index, bool(ok), without_nul(title), body, source


def _token(digest: bytes, scopes: str, *rest: Any) -> Values:
    return digest, " ".join(sorted(msgspec.json.decode(scopes, type=list[str]))), *rest


def _selection(data: bytes) -> Values:
    return (msgspec.json.decode(data, type=list[int]),)


def _kept(name: str, data: bytes) -> Values:
    if not name.startswith(KEPT):
        raise ValueError("data that this version does not know")  # its name may be of a person
    return without_nul(name.removeprefix(KEPT)), data


def _delivery(*values: Any) -> Values:
    *copied, _ = _plain(*values)
    return *copied, 0  # whoever held it is dead


class Copied(NamedTuple):
    """One kind of rows.

    Attributes:
        name: for people.
        source: the table of the embedded store.
        columns: of its columns those that are read, beside the id of the job.
        target: the table in PostgreSQL.
        into: its columns with their types, beside that of the job; what `convert` returns.
        convert: makes the values for PostgreSQL of those that were read.
        owner: the column of the target that says to which job a row belongs.
        where: which rows of the source are meant, in SQL.
        parameters: of that condition.
    """

    name: str
    source: Table
    columns: tuple[str, ...]
    target: str
    into: Mapping[str, str]
    convert: Callable[..., Values] = _plain
    owner: str = "job_key"
    where: str = "true"
    parameters: tuple[str, ...] = ()


OF_JOBS: Final = (
    Copied(
        "results",
        schema.item,
        ("index", "ok", "title", "body", "source"),
        "item",
        {"index": "int4", "ok": "bool", "title": "text", "body": "text", "source": "int4"},
        _item,
    ),
    Copied("corrections", schema.correction, ("index", "body"), "correction", {"index": "int4", "body": "text"}),
    Copied("endings", schema.ending, ("message",), "ending", {"message": "text"}),
    Copied(
        "tokens",
        schema.grant,
        ("digest", "scopes", "expires_at", "ttl", "attempt"),
        "token",
        {"digest": "bytea", "scopes": "text", "expires_at": "int8", "ttl": "int8", "attempt": "int4"},
        _token,
    ),
    Copied(
        "parts of inputs",
        schema.input_part,
        ("name", "part", "data"),
        "input_part",
        {"name": "text", "part": "int4", "data": "bytea"},
        owner="input_key",
        where="name >= ?",  # no name of a file begins with the character before
        parameters=("\1",),
    ),
    Copied(
        "kept data",
        schema.input_part,
        ("name", "data"),
        "kept",
        {"name": "text", "data": "bytea"},
        _kept,
        where="name < ? AND name <> ?",
        parameters=("\1", SELECTION),
    ),
    Copied(
        "selections",
        schema.input_part,
        ("data",),
        "selection",
        {"indices": "int4[]"},
        _selection,
        where="name = ?",
        parameters=(SELECTION,),
    ),
    Copied(
        "idempotency keys",
        schema.idempotency,
        ("key", "fingerprint"),
        "idempotency",
        {"key": "bytea", "fingerprint": "bytea"},
    ),
    Copied(
        "tags",
        schema.tag,
        ("tag", "created_at", "job_id"),
        "tag",
        {"tag": "text", "created_at": "int8", "id": "text"},
    ),
)
"""What belongs to jobs."""
_DELIVERY_TYPES: Final = {
    "id": "text",
    "made_at": "int8",
    "job_id": "text",
    "url": "text",
    "host": "text",
    "body": "text",
    "due_at": "int8",
    "give_up_at": "int8",
    "tries": "int4",
    "status": "text",
    "ended_at": "int8",
    "last_error": "text",
    "held_until": "int8",
}
_AUDIT_TYPES: Final = {
    "n": "int8",
    "at": "int8",
    "key": "text",
    "action": "text",
    "job_id": "text",
    "outcome": "text",
    "details": "text",
}
OF_SERVICE: Final = (
    Copied("webhooks", schema.outbox, tuple(_DELIVERY_TYPES), "outbox", _DELIVERY_TYPES, _delivery),
    Copied("audit entries", schema.audit, tuple(_AUDIT_TYPES), "audit", _AUDIT_TYPES),
    Copied(
        "hourly figures",
        schema.tally,
        ("hour", "name", "bad", "total"),
        "tally",
        {"hour": "int8", "name": "text", "bad": "int8", "total": "int8"},
    ),
    Copied("queues", schema.queue, ("pipeline", "turn"), "queue", {"pipeline": "text", "turn": "int8"}),
)
"""What outlives jobs, or is of all of them."""


def known_columns() -> dict[str, set[str]]:
    """Return the columns of the embedded store that are copied, by table."""
    known: dict[str, set[str]] = {"job": {*JOB_COLUMNS, *REPEATED_COLUMNS}}
    for kind in OF_JOBS:
        known.setdefault(kind.source.name, {"job_id"}).update(kind.columns)
    for kind in OF_SERVICE:
        known.setdefault(kind.source.name, set()).update(kind.columns)
    return known


def freed(state: JobState, now: int) -> JobState:
    """Return a job as the embedded store frees it when it opens: nobody who is left holds it.

    Args:
        state: the job.
        now: the time of the database, by which leases are kept from now on.
    """
    if state.status not in {*HELD, Status.QUEUED}:
        return state
    lease_until = 0
    if state.remote and state.lease_until > 0:
        # The server was away, not the worker: it has as long as ever to come back.
        lease_until = now + max(state.lease or 0, MIN_RETURN)
    return msgspec.structs.replace(state, lease_until=lease_until, run_at=min(state.run_at, now))


def compared(state: JobState) -> JobState:
    """Return a job without what each copy makes anew: leases and waiting times."""
    return msgspec.structs.replace(state, lease_until=0, run_at=0)


def job_values(state: JobState) -> Values:
    """Return what is compared of a job: its document, and the columns `JOB_TYPES` in their order."""
    columns = {**rows.columns(state), **{name: getattr(state, name) for name in _OWN}}
    return rows.encoded(compared(state)), *(columns[name] for name in JOB_TYPES)


def digest_of(name: str, values: Values) -> int:
    """Return a digest of a row. Sums of them, modulo `MODULUS`, do not depend on the order of the rows."""
    return int.from_bytes(blake2b(msgspec.msgpack.encode([name, *values]), digest_size=DIGEST_BYTES).digest())


def shortened(values: Values) -> Values:
    """Return a row with the SHA-256 of its bytes in place of them, as the database does before it sends them."""
    return tuple(sha256(value).digest() if isinstance(value, bytes) else value for value in values)
