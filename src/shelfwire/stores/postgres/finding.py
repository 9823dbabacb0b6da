"""Finding jobs: the places of those that match, by an index alone where there is one, then their rows."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Composed

from shelfwire.jobs.listing import MAX_COUNT, MAX_LOOKED_AT, MAX_TAGGED, JobFilter, JobPage, Position
from shelfwire.protocol.job import Status
from shelfwire.stores.postgres import rows
from shelfwire.stores.postgres.connections import Session
from shelfwire.stores.postgres.rows import without_nul

MAX_INTEGER: Final = 2**63 - 1
_NOTHING: Final = SQL("true")
_ROWS: Final = SQL(
    "SELECT state, id, pipeline, status, created_at, expires_at FROM shelfwire.job WHERE key IN (SELECT key FROM place)"
)


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

    @property
    def behind(self) -> Composed | SQL:
        """The condition on places."""
        if self.after is None:
            return _NOTHING
        return SQL("(created_at, id) {} (%(after_at)b::int8, %(after_id)b::text)").format(
            SQL(">" if self.oldest_first else "<")
        )

    @property
    def by_place(self) -> SQL:
        """The order."""
        return SQL("ORDER BY created_at, id" if self.oldest_first else "ORDER BY created_at DESC, id DESC")


_ALL: Final = Order(None, 0, oldest_first=False)


async def find(session: Session, wanted: JobFilter, order: Order) -> JobPage:
    """See `OperatorStore.jobs`."""
    params = _params(wanted, order)
    query = SQL("WITH place AS ({}) {} {}").format(_places(wanted, order), _ROWS, order.by_place)
    found = [rows.read_or_salvaged(*row)[0] for row in await session.rows(query, params)]
    if len(found) > order.limit:
        found = found[: order.limit]
        return JobPage(states=found, next=Position(found[-1].created_at, found[-1].id))
    bound = _looked_at(wanted, order)
    last = None if bound is None else await session.row(bound, params)
    return JobPage(states=found, next=None if last is None else Position(*last))


def _params(wanted: JobFilter, order: Order) -> Mapping[str, Any]:
    search = wanted.search
    return {
        "statuses": [str(status) for status in dict.fromkeys(wanted.status or Status)],
        "pipeline": wanted.pipeline,
        "tag": without_nul(wanted.tag),
        "since": wanted.since,
        "until": wanted.until,
        "code": search and search.code,
        "part": search and search.part and _pattern(search.part),
        "prefix": search and search.id_prefix,
        "after_at": order.after and order.after.created_at,
        "after_id": order.after and order.after.id,
        "limit": order.limit + 1,
    }


def _pattern(part: str) -> str:
    for special in ("\\", "%", "_"):
        part = part.replace(special, f"\\{special}")
    return f"%{part}%".replace("\0", "")


def _times(wanted: JobFilter) -> list[SQL]:
    since = [] if wanted.since is None else [SQL("created_at >= %(since)b::int8")]
    return since if wanted.until is None else [*since, SQL("created_at < %(until)b::int8")]


def _others(wanted: JobFilter) -> list[SQL]:
    """All conditions but those of the time, the search and the tag."""
    status = [SQL("status = ANY(%(statuses)b::text[])")] if wanted.status else []
    return status if wanted.pipeline is None else [*status, SQL("pipeline = %(pipeline)b::text")]


def _all(*conditions: SQL | Composed) -> Composed | SQL:
    return SQL(" AND ").join(conditions) if conditions else _NOTHING


def _places(wanted: JobFilter, order: Order) -> Composed:
    """Select the keys of some of the jobs that match."""
    search, times = wanted.search, _times(wanted)
    some = SQL("SELECT key FROM shelfwire.job WHERE {} {} LIMIT %(limit)b::int8")
    if search is not None and search.id_prefix is not None:
        begins = SQL("id BETWEEN %(prefix)b::text AND %(prefix)b::text || 'g'")
        tagged = SQL("key IN (SELECT job_key FROM shelfwire.tag WHERE tag = %(tag)b::text)")
        own = [begins, *times, *_others(wanted), *([] if wanted.tag is None else [tagged])]
        return some.format(_all(*own, order.behind), order.by_place)
    if wanted.tag is not None:
        return _tagged(wanted, order)
    if search is not None and search.code is not None:
        return some.format(_all(SQL("code = %(code)b::text"), *times, *_others(wanted), order.behind), order.by_place)
    if search is not None:
        window = SQL(
            "SELECT key, created_at, id, status, pipeline, label FROM shelfwire.job WHERE {} {} LIMIT {}"
        ).format(_all(*times, order.behind), order.by_place, SQL(str(MAX_LOOKED_AT)))
        matching = _all(SQL("label LIKE %(part)b::text"), *_others(wanted))
        return SQL("SELECT key FROM ({}) seen WHERE {} {} LIMIT %(limit)b::int8").format(
            window, matching, order.by_place
        )
    if wanted.pipeline is None and not wanted.status:
        return some.format(_all(*times, order.behind), order.by_place)
    return _walks(wanted, order)


def _walks(wanted: JobFilter, order: Order) -> Composed:
    """Walk along an index once for each status."""
    return SQL(
        "SELECT key FROM unnest(%(statuses)b::text[]) one(status) CROSS JOIN LATERAL ({}) walk {} LIMIT %(limit)b::int8"
    ).format(_walk(wanted, order, SQL("%(limit)b::int8")), order.by_place)


def _walk(wanted: JobFilter, order: Order, limit: SQL) -> Composed:
    """Select jobs of the status `one.status`, and of the pipeline.

    All columns of the index are named in the order, and compared as a row, so that no other index gives this order: by
    statistics that are old, walking along all jobs until some have the status may seem to be quicker.
    """
    names = ["status"] if wanted.pipeline is None else ["pipeline", "status"]
    prefix = SQL(", ").join(SQL(f"job.{name}") for name in names)
    values = SQL("one.status" if wanted.pipeline is None else "%(pipeline)b::text, one.status")
    times = SQL(
        "({0}, created_at) >= ({1}, coalesce(%(since)b::int8, 0)) AND "
        "({0}, created_at) < ({1}, coalesce(%(until)b::int8, {2}))"
    ).format(prefix, values, SQL(str(MAX_INTEGER)))
    behind: Composed | SQL = _NOTHING
    if order.after is not None:
        behind = SQL("({}, created_at, id) {} ({}, %(after_at)b::int8, %(after_id)b::text)").format(
            prefix, SQL(">" if order.oldest_first else "<"), values
        )
    direction = SQL("" if order.oldest_first else " DESC")
    by = SQL(", ").join(SQL("{}{}").format(SQL(f"job.{name}"), direction) for name in (*names, "created_at", "id"))
    return SQL("SELECT key, created_at, id FROM shelfwire.job WHERE {} AND {} ORDER BY {} LIMIT {}").format(
        times, behind, by, limit
    )


def _tag_window(wanted: JobFilter, order: Order, limit: SQL) -> Composed:
    own = _all(SQL("tag = %(tag)b::text"), *_times(wanted), order.behind)
    return SQL("SELECT job_key AS key, created_at, id FROM shelfwire.tag WHERE {} {} LIMIT {}").format(
        own, order.by_place, limit
    )


def _is_tag_alone(wanted: JobFilter) -> bool:
    return wanted.search is None and not wanted.status and wanted.pipeline is None


def _tagged(wanted: JobFilter, order: Order) -> Composed:
    if _is_tag_alone(wanted):
        return _tag_window(wanted, order, SQL("%(limit)b::int8"))
    seen = _tag_window(wanted, order, SQL(str(MAX_TAGGED)))
    return SQL(
        "SELECT key FROM shelfwire.job WHERE key IN (SELECT key FROM ({}) seen) AND {} {} LIMIT %(limit)b::int8"
    ).format(seen, _all(*_others(wanted), *_text(wanted)), order.by_place)


def _text(wanted: JobFilter) -> list[SQL]:
    """The condition of a search for a code or a part of a name."""
    search = wanted.search
    if search is None:
        return []
    return [SQL("label LIKE %(part)b::text") if search.code is None else SQL("code = %(code)b::text")]


def _looked_at(wanted: JobFilter, order: Order) -> Composed | None:
    """Select the last of the jobs that a page looks at, if there are as many; None if it looks at all that follow."""
    search = wanted.search
    if search is not None and search.id_prefix is not None:
        return None
    if wanted.tag is not None:
        if _is_tag_alone(wanted):
            return None
        table, of, last = SQL("shelfwire.tag"), [SQL("tag = %(tag)b::text")], MAX_TAGGED
    elif search is None or search.part is None:
        return None
    else:
        table, of, last = SQL("shelfwire.job"), [], MAX_LOOKED_AT
    return SQL("SELECT created_at, id FROM {} WHERE {} {} LIMIT 1 OFFSET {}").format(
        table, _all(*of, *_times(wanted), order.behind), order.by_place, SQL(str(last - 1))
    )


async def count(session: Session, wanted: JobFilter) -> dict[Status, int]:
    """See `OperatorStore.count_jobs`."""
    params = _params(wanted, _ALL)
    if wanted.search is None and wanted.tag is None:
        some = SQL("SELECT one.status, (SELECT count(*) FROM ({}) walk) FROM unnest(%(statuses)b::text[]) one(status)")
        query = some.format(_walk(wanted, _ALL, SQL(str(MAX_COUNT + 1))))
    else:
        query = SQL("SELECT status, count(*) FROM shelfwire.job WHERE {} GROUP BY status").format(_counted(wanted))
    known = {str(status): status for status in Status}
    found = await session.rows(query, params)
    return {known[status]: min(number, MAX_COUNT + 1) for status, number in found if number and status in known}


def _counted(wanted: JobFilter) -> Composed | SQL:
    search = wanted.search
    own = [*_times(wanted), *_others(wanted)]
    if search is not None and search.id_prefix is not None:
        own.append(SQL("id BETWEEN %(prefix)b::text AND %(prefix)b::text || 'g'"))
    else:
        own += _text(wanted)
    if wanted.tag is not None:
        own.append(SQL("key IN (SELECT job_key FROM shelfwire.tag WHERE tag = %(tag)b::text)"))
    return _all(*own)
