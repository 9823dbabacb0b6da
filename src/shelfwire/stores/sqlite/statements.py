"""SQL statements, and functions that run them on one connection in its transaction.

Bulk data is returned from SQLite as one JSON value. Python's driver takes the interpreter's lock again for every row it
steps over, and beside a busy event loop each of these may have to wait. `stores.sqlite.bulk` writes it.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    LargeBinary,
    Select,
    Table,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from shelfwire.jobs.listing import code_of, label_of
from shelfwire.jobs.page_size import fitting
from shelfwire.jobs.store import Counts, Item
from shelfwire.protocol.job import CLAIMED_TURN, HELD, JobState, Status, decode_row, decode_rows, next_turn
from shelfwire.protocol.worker_transitions import MAX_BACKOFF
from shelfwire.stores import schema
from shelfwire.stores.sqlite import outbox

MAX_INTEGER: Final = 2**63 - 1
"""SQLite compares text as larger than all numbers: what is above this in a column of numbers is damage."""
UNKNOWN_SEQ: Final = 2**31
"""The revision of a damaged row: above any that its followers have."""
MIN_ITEM_BYTES: Final = 2
"""Lower bound of an item's JSON with its comma; bounds the number of rows in the head of a log."""

STEP_BYTES: Final = 512 * 1024
STEP_ROWS: Final = 2000
"""Rows looked at for one step; those that fit into `STEP_BYTES`, and one more, are erased in it."""

_job, _queue, _item, _ending, _part = schema.job, schema.queue, schema.item, schema.ending, schema.input_part


def _each(name: str) -> Any:
    return func.json_each(bindparam(name)).table_valued("value", name=name)


def _at(row: Any, path: str) -> Any:
    return func.json_extract(row.c.value, literal_column(f"'{path}'"))


_states = _each("states")
READ_JOBS: Final = "SELECT CAST(group_concat(state, ',') AS BLOB) FROM job WHERE id IN (SELECT value FROM json_each(?))"
"""As bytes: text of a damaged row that is no UTF-8 is for the decoder to refuse, as all damage is. Straight through the
driver, as the statements of `bulk`."""
_IN_STATE: Final = ("status", "run_at", "expires_at", "turn", "lost_at")


def indexed(state: JobState) -> dict[str, Any]:
    """Return the columns that an index has and that change, by name."""
    return {**{name: getattr(state, name) for name in _IN_STATE}, "code": code_of(state), "label": label_of(state)}


_shown_in_index: Final = attrgetter(*_IN_STATE, "error", "metadata")


def is_indexed_anew(before: JobState, after: JobState) -> bool:
    """Whether a column may have changed that an index has."""
    return bool(_shown_in_index(before) != _shown_in_index(after))


def _write_jobs(own: Mapping[str, str]) -> Any:
    # A turn of 0, the default, is left out of the document.
    values = {name: _at(_states, path) for name, path in own.items()}
    extracted = {name: func.coalesce(value, 0) if name == "turn" else value for name, value in values.items()}
    document = _states.c.value.op("->")(literal_column("'$[0]'"))
    lease = {"lease_until": _at(_states, "$[0].lease_until")}
    return update(_job).where(_job.c.id == _at(_states, "$[0].id")).values({"state": document, **lease, **extracted})


WRITE_INDEXED: Final = _write_jobs(
    {**{name: f"$[0].{name}" for name in _IN_STATE}, "code": "$[0].error.code", "label": "$[1]"}
)
"""Takes pairs of a row and its label: SQLite knows no lower case beyond ASCII."""
_ITEM_TEXT: Final[Any] = literal_column(
    """'[' || "index" || iif(ok, ',true,', ',false,') || json_quote(title) || ',' || body || ','
    || json_quote(source) || ']'"""
)
"""An `Item` as JSON, concatenated: SQLite's JSON functions would parse every body again."""
_BODY_SIZE: Final[Any] = literal_column("length(CAST(body AS BLOB))")
_BODY_BYTES: Final = func.sum(func.length(_item.c.body))
_decode_items: Final = msgspec.json.Decoder(list[Item]).decode


def read_jobs(connection: Connection, ids: Sequence[str]) -> list[JobState]:
    """Return the rows of these jobs, as far as they exist.

    Raises:
        msgspec.DecodeError: one is damaged.
    """
    rows = connection.exec_driver_sql(READ_JOBS, (msgspec.json.encode(ids).decode(),)).scalar()
    return decode_rows(b"[%b]" % (rows or b""))


def with_turn(connection: Connection, state: JobState) -> JobState:
    """Return a job that joins the queue of its pipeline, with its turn by `protocol.job.next_turn`."""
    taken = connection.scalar(select(_queue.c.turn).where(_queue.c.pipeline == state.pipeline))
    last = connection.scalar(
        select(func.max(_job.c.turn)).where(
            _job.c.caller == state.caller,
            _job.c.pipeline == state.pipeline,
            _job.c.status == Status.QUEUED,
            _job.c.turn <= MAX_INTEGER,
        )
    )
    return msgspec.structs.replace(state, turn=next_turn(CLAIMED_TURN if taken is None else taken, last))


def take_turn(connection: Connection, state: JobState) -> None:
    """Keep the turn of a job that is claimed from its queue, if none after it was claimed before."""
    if state.turn > CLAIMED_TURN:
        taken = upsert(_queue).values(pipeline=state.pipeline, turn=state.turn)
        latest = func.max(_queue.c.turn, taken.excluded.turn)
        connection.execute(taken.on_conflict_do_update(index_elements=["pipeline"], set_={"turn": latest}))


def queues(
    pipelines: Sequence[str], passing: Mapping[str, Collection[str]], then: int, *, take_over: bool = True
) -> Iterator[Select[Any]]:
    """Select the ids of the jobs to claim, in the order of `JobStore.claim`: a query for the lapsed, then each queue.

    Each walks along an index; see `worker_transitions.claimable` for the conditions.
    """
    ended = _job.c.lease_until <= (then if take_over else 0)
    lapsed = select(_job.c.id).where(_job.c.status.in_([str(status) for status in HELD]), ended)
    yield lapsed.where(_job.c.pipeline.in_(pipelines)).order_by(_job.c.run_at)
    # The first, which follows from the second, is in the index.
    its_time = (_job.c.run_at <= then) | (_job.c.lease_until <= then) | (_job.c.lease_until > then + MAX_BACKOFF)
    queued = select(_job.c.id).where(_job.c.status == Status.QUEUED, its_time)
    for pipeline in pipelines:
        own = queued.where(_job.c.pipeline == pipeline, _job.c.caller.not_in(passing.get(pipeline, ())))
        yield own.order_by(_job.c.turn, _job.c.run_at)


def claimable(connection: Connection, pipelines: Sequence[str], then: int) -> list[str]:
    """See `JobStore.claimable`."""
    first = {name: queues([name], {}, then) for name in pipelines}
    return [name for name, own in first.items() if any(finds(connection, one) for one in own)]


def ids(connection: Connection, query: Select[Any]) -> list[str]:
    """Return the ids that a query selects, but for those that are no UTF-8: reading one would break off the query."""
    rows = connection.scalars(query.with_only_columns(cast(query.selected_columns[0], LargeBinary))).all()
    texts = (row.decode(errors="replace") for row in rows)
    return [text for text, row in zip(texts, rows, strict=True) if text.encode() == row]


def finds(connection: Connection, query: Select[Any]) -> bool:
    """Whether a query selects anything, whatever is damaged of it."""
    one: Select[Any] = query.with_only_columns(literal_column("1"), maintain_column_froms=True)
    return connection.scalar(one.limit(1)) is not None


def read_job(connection: Connection, job_id: str) -> JobState | None:
    """Return a job's row, if it exists.

    Raises:
        msgspec.DecodeError: it is damaged.
    """
    state = connection.scalar(select(cast(_job.c.state, LargeBinary)).where(_job.c.id == job_id))
    return None if state is None else decode_row(state)


def read_or_salvage(connection: Connection, job_id: str) -> tuple[JobState | None, bool]:
    """Return a job's row, if it exists, and whether it is damaged.

    The state of a damaged row is put together from its columns, for its ending.
    """
    columns = (_job.c.pipeline, _job.c.status, _job.c.expires_at, _job.c.state)
    row = connection.execute(select(*(cast(one, LargeBinary) for one in columns)).where(_job.c.id == job_id)).first()
    if row is None:
        return None, False
    pipeline, status, expires_at, state = (bytes(value or b"") for value in row)
    with contextlib.suppress(msgspec.DecodeError):
        return decode_row(state), False
    known = {name.encode(): name for name in Status}
    salvaged = JobState(
        id=job_id,
        pipeline=pipeline.decode(errors="replace"),
        status=known.get(status, Status.QUEUED),
        seq=UNKNOWN_SEQ,
        created_at=0,
        updated_at=0,
        expires_at=int(expires_at) if expires_at.isdigit() else 0,
        run_at=0,
        lease_until=0,
    )
    return salvaged, True


def read_items(connection: Connection, rows: Select[Any]) -> list[Item]:
    """Return the items selected by `rows`, which is `log` or narrower."""
    text = connection.scalar(select(func.group_concat(_ITEM_TEXT, literal_column("','"))).select_from(rows.subquery()))
    return _decode_items(f"[{text or ''}]")


def fitting_items(connection: Connection, rows: Select[Any], within: int) -> int:
    """Return how many of `rows` there are up to `within` bytes of bodies, one at least; see `fitting`."""
    with connection.execute(rows.with_only_columns(_BODY_SIZE)) as sizes:
        return fitting(sizes.scalars(), within)  # of a row that the cursor has not come to nothing is read


def log(job_id: str, after: int = -1) -> Select[Any]:
    """Select a job's items with an index above `after`, in the order of their index."""
    return select(_item).where(_item.c.job_id == job_id, _item.c.index > after).order_by(_item.c.index)


def head_of_log(connection: Connection, job_id: str, within: int) -> list[Item]:
    """Return the first items, as many as fit into `within` bytes of bodies."""
    if (connection.scalar(select(_BODY_BYTES).where(_item.c.job_id == job_id)) or 0) <= within:
        return read_items(connection, log(job_id))
    rows = log(job_id).limit(within // MIN_ITEM_BYTES).subquery()
    size = func.sum(func.length(rows.c.body)).over(order_by=rows.c.index).label("size")
    sized = select(rows, size).subquery()
    return read_items(connection, select(sized).where(sized.c.size <= within))


def terminal(connection: Connection, state: JobState) -> str | None:
    """Return the terminal message of a job that has ended."""
    if not state.ended:
        return None
    return connection.scalar(select(_ending.c.message).where(_ending.c.job_id == state.id))


def done_indices(connection: Connection, job_id: str) -> frozenset[int]:
    """Return the indices of the items that were done."""
    indices = select(func.json_group_array(_item.c.index)).where(_item.c.job_id == job_id, _item.c.ok)
    return frozenset(msgspec.json.decode(connection.scalar(indices) or "[]", type=list[int]))


def recorded_indices(connection: Connection, job_id: str) -> list[int]:
    """Return the indices of the items in the log."""
    indices = select(func.json_group_array(_item.c.index)).where(_item.c.job_id == job_id)
    return msgspec.json.decode(connection.scalar(indices) or "[]", type=list[int])


def lapsing(then: int) -> Select[Any]:
    """Select the ids of held jobs whose lease has ended, and of jobs that nobody has had for too long."""
    held = _job.c.status.in_([str(status) for status in HELD])
    ended = select(_job.c.id).where(held, _job.c.lease_until > 0, _job.c.lease_until <= then)
    return select(union_all(ended, select(_job.c.id).where(_job.c.lost_at <= then)).subquery().c.id)


def next_lapse(connection: Connection, then: int) -> int | None:
    """Return when the next lease ends, or the next job has waited for a worker for too long."""
    held = _job.c.status.in_([str(status) for status in HELD])
    lease = connection.scalar(
        select(func.min(_job.c.lease_until)).where(held, _job.c.lease_until.between(then + 1, MAX_INTEGER))
    )
    lost = connection.scalar(select(func.min(_job.c.lost_at)).where(_job.c.lost_at.between(then + 1, MAX_INTEGER)))
    return min((due for due in (lease, lost) if due is not None), default=None)


def ahead(connection: Connection, state: JobState, limit: int) -> int:
    """See `JobStore.ahead`."""
    before = tuple_(_job.c.turn, _job.c.run_at) < tuple_(literal(state.turn), literal(state.run_at))
    queue = select(literal(1)).where(_job.c.status == str(Status.QUEUED), _job.c.pipeline == state.pipeline, before)
    return connection.scalar(select(func.count()).select_from(queue.limit(limit).subquery())) or 0


def erase(connection: Connection, job_id: str) -> None:
    """Erase a job and all its data."""
    erase_head(connection, job_id)
    for table in schema.BULKY:
        connection.execute(delete(table).where(table.c.job_id == job_id))


def erase_head(connection: Connection, job_id: str) -> None:
    """Erase a job, so that it is gone; its inputs and items are left to `erase_some`."""
    connection.execute(delete(_job).where(_job.c.id == job_id))
    for table in schema.OWNED:
        connection.execute(delete(table).where(table.c.job_id == job_id))


def erase_some(connection: Connection, job_id: str) -> bool:
    """Erase inputs and items whose job is gone, some `STEP_BYTES` of each; return whether there may be more.

    What belongs to a new job of the same id is left alone; `creation.create` has erased the rest.
    """
    if connection.scalar(select(exists().where(_job.c.id == job_id))):
        return False
    return sum(connection.execute(step, {"job": job_id}).rowcount for step in _ERASE_STEPS) > 0


def _erase_step(table: Table, data: Any) -> Any:
    keys = [column for column in table.primary_key if column.name != "job_id"]
    some = select(*keys, data.label("data")).where(table.c.job_id == bindparam("job")).order_by(*keys).limit(STEP_ROWS)
    rows = some.subquery()
    order = [rows.c[key.name] for key in keys]
    before = func.coalesce(func.sum(func.length(rows.c.data)).over(order_by=order, rows=(None, -1)), 0)
    sized = select(*order, before.label("before")).subquery()
    chosen = select(*(sized.c[key.name] for key in keys)).where(sized.c.before < STEP_BYTES)
    return delete(table).where(table.c.job_id == bindparam("job"), tuple_(*keys).in_(chosen))


_ERASE_STEPS: Final = (_erase_step(_part, _part.c.data), _erase_step(_item, _item.c.body))


def ownerless(connection: Connection) -> set[str]:
    """Return the ids under which there are inputs or items and no job: of uploads and erasures that were broken off."""
    return {job_id for query in _OWNERLESS for job_id in ids(connection, query)}


def _ownerless(table: Table) -> Any:
    """Go from one id to the next in the index, past all the rows that each has."""
    ids = select(func.min(table.c.job_id).label("id")).cte(recursive=True)
    following = select(func.min(table.c.job_id)).where(table.c.job_id > ids.c.id).scalar_subquery()
    ids = ids.union_all(select(following).where(ids.c.id.is_not(None)))
    return select(ids.c.id).where(ids.c.id.is_not(None), ids.c.id.not_in(select(_job.c.id)))


_OWNERLESS: Final = tuple(_ownerless(table) for table in schema.BULKY)


def reusable_bytes(connection: Connection) -> int:
    """Return the size of the pages that were erased and not used again."""
    pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("freelist_count", "page_size"))
    return int(pages or 0) * int(size or 0)


def counts(connection: Connection, now: int) -> Counts:
    """Count the jobs, and find the oldest that waits."""
    kinds = (_job.c.status, _job.c.pipeline)
    rows = connection.execute(select(*kinds, func.count()).group_by(*kinds))
    oldest = select(func.min(_job.c.run_at)).where(
        _job.c.status == "queued", _job.c.run_at <= now, _job.c.lease_until <= now
    )
    jobs = {(pipeline, status): count for status, pipeline, count in rows}
    lapsed = select(func.count()).where(_job.c.status == str(Status.RUNNING), _job.c.lease_until == 0)
    return Counts(
        jobs=jobs,
        waiting_since=connection.scalar(oldest),
        deliveries=outbox.counts(connection),
        lapsed=connection.scalar(lapsed) or 0,
    )
