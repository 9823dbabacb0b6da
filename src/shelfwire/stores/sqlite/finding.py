"""Finding jobs: first the places of those that match, by an index alone, then their rows.

SQLite, which keeps no statistics here, would often take an index that makes it read every row. It takes none for a
column with a plus before it, which changes nothing else (https://sqlite.org/optoverview.html).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Subquery, UnaryExpression, func, select, tuple_, union_all
from sqlalchemy.sql.operators import custom_op

from shelfwire.jobs.listing import MAX_COUNT, MAX_LOOKED_AT, MAX_TAGGED, JobFilter, JobPage, Position, Search
from shelfwire.protocol.job import JobState, Status
from shelfwire.stores import schema
from shelfwire.stores.sqlite import statements as sql

_job, _tag = schema.job, schema.tag
_PLACE: Final = (_job.c.created_at, _job.c.id)
_PLUS: Final[custom_op[Any]] = custom_op("+")
_BEHIND_DIGITS: Final = "g"
_SEEN: Final = (*_PLACE, _job.c.status, _job.c.pipeline, _job.c.code, _job.c.label)


class Order(NamedTuple):
    """A part of all jobs, in order.

    Attributes:
        after: where it begins behind; None for the beginning.
        limit: maximum number of jobs.
        oldest_first: whether the order is the other one.
    """

    after: Position | None
    limit: int
    oldest_first: bool

    def apply(self, query: Select[Any], at: ColumnElement[Any], job_id: ColumnElement[Any]) -> Select[Any]:
        """Select this part of what a query selects."""
        if self.after is not None:
            own, bound = tuple_(at, job_id), tuple_(self.after.created_at, self.after.id)
            query = query.where(own > bound if self.oldest_first else own < bound)
        direction = (at.asc(), job_id.asc()) if self.oldest_first else (at.desc(), job_id.desc())
        return query.order_by(*direction).limit(self.limit)


def find(connection: Connection, wanted: JobFilter, order: Order) -> JobPage:
    """See `OperatorStore.jobs`."""
    one_more = order._replace(limit=order.limit + 1)
    found = [Position(at, job_id) for at, job_id in connection.execute(places(wanted, one_more))]
    following = None
    if len(found) > order.limit:
        del found[order.limit :]
        following = found[-1]
    elif (bound := _looked_at(wanted, order)) is not None:
        last = connection.execute(bound).first()
        following = None if last is None else Position(last.created_at, last[1])
    return JobPage(states=_rows(connection, found), next=following)


def _rows(connection: Connection, found: Sequence[Position]) -> list[JobState]:
    """Read the rows of these jobs, in their order; those that are damaged as far as they can be read."""
    ids = [place.id for place in found]
    try:
        states = sql.read_jobs(connection, ids)
    except msgspec.DecodeError:
        salvaged = (sql.read_or_salvage(connection, job_id)[0] for job_id in ids)
        states = [state for state in salvaged if state is not None]
    by_id = {state.id: state for state in states}
    return [by_id[job_id] for job_id in ids if job_id in by_id]


def places(wanted: JobFilter, order: Order) -> Select[Any]:
    """Select when they were made, and the ids, of some of the jobs that match."""
    search = wanted.search
    if search is not None and search.id_prefix is not None:
        begins = _job.c.id.between(search.id_prefix, search.id_prefix + _BEHIND_DIGITS)
        query = select(*_PLACE).where(begins, *_conditions(wanted, _job))
        if wanted.tag is not None:
            query = query.where(_job.c.id.in_(select(_tag.c.job_id).where(_tag.c.tag == wanted.tag)))
        return order.apply(query, *_PLACE)
    if wanted.tag is not None:
        return _tagged(wanted, search, order)
    if search is not None:
        return _searched(wanted, search, order)
    if wanted.pipeline is not None:
        return order.apply(select(*_PLACE).where(*_conditions(wanted, _job, by_pipeline=True)), *_PLACE)
    if wanted.status:
        return _of_statuses(wanted, order)
    return order.apply(select(*_PLACE).where(*_time(wanted, _job.c.created_at)), *_PLACE)


def _time(wanted: JobFilter, at: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    since = [] if wanted.since is None else [at >= wanted.since]
    return since if wanted.until is None else [*since, at < wanted.until]


def _conditions(wanted: JobFilter, rows: Any, *, by_pipeline: bool = False) -> list[ColumnElement[bool]]:
    """All conditions but those of the search and the tag; `by_pipeline` lets an index be taken for the pipeline."""
    found = _time(wanted, rows.c.created_at)
    if wanted.status:
        found.append(_plain(rows.c.status).in_([str(status) for status in wanted.status]))
    if wanted.pipeline is not None:
        found.append((rows.c.pipeline if by_pipeline else _plain(rows.c.pipeline)) == wanted.pipeline)
    return found


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column that no index is taken for."""
    return UnaryExpression(column, operator=_PLUS, type_=column.type)


def _in_order(query: Select[Any], rows: Subquery, order: Order) -> Select[Any]:
    return order._replace(after=None).apply(query, rows.c.created_at, rows.c.id)


def _window(wanted: JobFilter, order: Order) -> Subquery:
    """As many jobs as a search looks at, with all that it can look for without reading their rows."""
    seen = select(*_SEEN)
    whole = order._replace(limit=MAX_LOOKED_AT)
    return whole.apply(seen.where(*_time(wanted, _job.c.created_at)), *_PLACE).subquery("seen")


def _searched(wanted: JobFilter, search: Search, order: Order) -> Select[Any]:
    if search.part is None:
        return order.apply(select(*_PLACE).where(_job.c.code == search.code, *_conditions(wanted, _job)), *_PLACE)
    seen = _window(wanted, order)
    part = seen.c.label.contains(search.part, autoescape=True)
    return _in_order(select(seen.c.created_at, seen.c.id).where(part, *_conditions(wanted, seen)), seen, order)


def _tag_window(wanted: JobFilter, order: Order) -> Select[Any]:
    own = select(_tag.c.created_at, _tag.c.job_id).where(_tag.c.tag == wanted.tag, *_time(wanted, _tag.c.created_at))
    return order.apply(own, _tag.c.created_at, _tag.c.job_id)


def _tagged(wanted: JobFilter, search: Search | None, order: Order) -> Select[Any]:
    if search is None and not wanted.status and wanted.pipeline is None:
        return _tag_window(wanted, order)
    seen = _tag_window(wanted, order._replace(limit=MAX_TAGGED)).subquery("seen")
    query = select(*_PLACE).join_from(seen, _job, _job.c.id == seen.c.job_id).where(*_conditions(wanted, _job))
    if search is not None and search.code is not None:
        query = query.where(_job.c.code == search.code)
    elif search is not None:
        query = query.where(_job.c.label.contains(search.part, autoescape=True))
    return order._replace(after=None).apply(query, seen.c.created_at, seen.c.job_id)


def _looked_at(wanted: JobFilter, order: Order) -> Select[Any] | None:
    """Select the last of the jobs that a page looks at, if there are as many; None if it looks at all that follow."""
    search = wanted.search
    if search is not None and search.id_prefix is not None:
        return None
    if wanted.tag is not None:
        if search is None and not wanted.status and wanted.pipeline is None:
            return None
        return _tag_window(wanted, order._replace(limit=1)).offset(MAX_TAGGED - 1)
    if search is None or search.part is None:
        return None
    seen = select(*_PLACE).where(*_time(wanted, _job.c.created_at))
    return order._replace(limit=1).apply(seen, *_PLACE).offset(MAX_LOOKED_AT - 1)


def _of_statuses(wanted: JobFilter, order: Order) -> Select[Any]:
    """Walk along the index once for each status."""
    of_one = select(*_PLACE).where(*_time(wanted, _job.c.created_at))
    walks = [order.apply(of_one.where(_job.c.status == str(one)), *_PLACE) for one in dict.fromkeys(wanted.status)]
    if len(walks) == 1:
        return walks[0]
    rows = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
    return _in_order(select(rows.c.created_at, rows.c.id), rows, order)


def count(connection: Connection, wanted: JobFilter) -> dict[Status, int]:
    """See `OperatorStore.count_jobs`."""
    search = wanted.search
    if search is None and wanted.tag is None and wanted.pipeline is None:
        statuses = dict.fromkeys(wanted.status or Status)
        some = (_of_statuses(_only(wanted, one), Order(None, MAX_COUNT + 1, oldest_first=False)) for one in statuses)
        found = [connection.scalar(select(func.count()).select_from(query.subquery())) or 0 for query in some]
        return {one: number for one, number in zip(statuses, found, strict=True) if number}
    query, status = _counting(wanted, search), _plain(_job.c.status)
    rows = connection.execute(query.group_by(status))
    known = set(Status)
    return {Status(status): min(number, MAX_COUNT + 1) for status, number in rows if status in known}


def _only(wanted: JobFilter, status: Status) -> JobFilter:
    return msgspec.structs.replace(wanted, status=(status,))


def _counting(wanted: JobFilter, search: Search | None) -> Select[Any]:
    by_pipeline = search is None and wanted.tag is None
    query = select(_job.c.status, func.count()).where(*_conditions(wanted, _job, by_pipeline=by_pipeline))
    if wanted.tag is not None:
        tagged = _tag.c.tag == wanted.tag, *_time(wanted, _tag.c.created_at)
        query = query.join_from(_tag, _job, _job.c.id == _tag.c.job_id).where(*tagged)
    if search is None:
        return query
    if search.id_prefix is not None:
        return query.where(_job.c.id.between(search.id_prefix, search.id_prefix + _BEHIND_DIGITS))
    if search.code is not None:
        return query.where(_job.c.code == search.code)
    return query.where(_job.c.label.contains(search.part, autoescape=True))
