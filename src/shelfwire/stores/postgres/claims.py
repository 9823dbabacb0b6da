"""Taking jobs, within a caller's session."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from shelfwire.jobs.store import Counts
from shelfwire.protocol.worker_transitions import MAX_BACKOFF
from shelfwire.stores.postgres import outbox
from shelfwire.stores.postgres.connections import Session

CANDIDATES: Final = 20
"""Jobs of each queue that are looked at; those before the one that is taken are locked by other processes."""

_LAPSED: Final = "status IN ('running', 'canceling') AND lease_until <= %(then)s AND (lease_until = 0 OR %(take_over)s)"
_ITS_TIME: Final = "status = 'queued' AND (lease_until <= %(then)s OR lease_until > %(then)s + %(max_backoff)s)"

FIND: Final = f"""
WITH candidate AS MATERIALIZED (
  (SELECT key, 0::int8 AS place, 0::int8 AS turn, run_at FROM shelfwire.job
   WHERE {_LAPSED} AND pipeline = ANY(%(pipelines)b::text[])
     AND (%(only)s::text IS NULL OR id = %(only)s) AND key <> ALL(%(damaged)b::int8[])
   ORDER BY run_at LIMIT {CANDIDATES})
  UNION ALL
  SELECT w.key, p.place, w.turn, w.run_at
  FROM unnest(%(pipelines)b::text[]) WITH ORDINALITY p(pipeline, place)
  CROSS JOIN LATERAL (
    SELECT j.key, j.turn, j.run_at FROM shelfwire.job j
    WHERE j.pipeline = p.pipeline AND {_ITS_TIME}
      AND (%(only)s::text IS NULL OR id = %(only)s) AND key <> ALL(%(damaged)b::int8[])
      AND NOT EXISTS (
        SELECT FROM unnest(%(passed_pipelines)b::text[], %(passed_callers)b::text[]) x(pipeline, caller)
        WHERE x.pipeline = j.pipeline AND x.caller = j.caller
      )
    ORDER BY j.turn, j.run_at LIMIT {CANDIDATES}
  ) w
)
SELECT job.key, job.input_key, job.id, job.state
FROM candidate c JOIN shelfwire.job job ON job.key = c.key
WHERE ({_LAPSED}) OR ({_ITS_TIME})
ORDER BY c.place, c.turn, c.run_at LIMIT 1 FOR NO KEY UPDATE OF job SKIP LOCKED
"""  # noqa: S608 - of constants, as all here
"""The conditions stand there twice: a job that another process has taken meanwhile does not meet them any more."""
FREE_LAPSED: Final = f"""
SELECT pg_terminate_backend(a.pid, 500) FROM pg_stat_activity a
WHERE EXISTS (SELECT FROM shelfwire.job WHERE {_LAPSED} AND pipeline = ANY(%(pipelines)b::text[]))
  AND a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid()
  AND (a.application_name LIKE 'shelfwire %%' OR a.application_name = current_setting('application_name'))
  AND a.state = 'active' AND a.wait_event = 'ClientRead' AND a.query_start < clock_timestamp() - interval '1 s'
"""  # noqa: S608
"""Ends sessions whose client has stopped in the midst of a COPY or of a pipeline, if the lease of a job has ended.

They may have its row locked, for as long as the client stands still: no time-out of PostgreSQL applies while it waits
for the rest of what a client sends. It waits half a second at most until a session is gone.
"""
TAKE_TURN: Final = """
INSERT INTO shelfwire.queue VALUES (%(pipeline)s, %(turn)s)
ON CONFLICT (pipeline) DO UPDATE SET turn = greatest(queue.turn, excluded.turn) WHERE queue.turn < excluded.turn
"""
CLAIMABLE: Final = f"""
SELECT p.pipeline FROM unnest(%(pipelines)b::text[]) p(pipeline)
WHERE EXISTS (SELECT FROM shelfwire.job j WHERE j.pipeline = p.pipeline AND {_ITS_TIME})
  OR EXISTS (SELECT FROM shelfwire.job j WHERE j.pipeline = p.pipeline AND {_LAPSED})
"""  # noqa: S608
LAPSING: Final = """
SELECT id FROM shelfwire.job
WHERE status IN ('running', 'canceling') AND lease_until > 0 AND lease_until <= %(then)s
UNION
SELECT id FROM shelfwire.job WHERE lost_at <= %(then)s
"""
NEXT_LAPSE: Final = """
SELECT least(
  (SELECT min(lease_until) FROM shelfwire.job WHERE status IN ('running', 'canceling') AND lease_until > %(then)s),
  (SELECT min(lost_at) FROM shelfwire.job WHERE lost_at > %(then)s)
)
"""
COUNT: Final = "SELECT pipeline, status, count(*) FROM shelfwire.job GROUP BY pipeline, status"
OLDEST: Final = """
SELECT min(run_at) FROM shelfwire.job WHERE status = 'queued' AND run_at <= %(now)s AND lease_until <= %(now)s
"""
LAPSED: Final = "SELECT count(*) FROM shelfwire.job WHERE status = 'running' AND lease_until = 0"


def wanted(
    pipelines: Sequence[str],
    then: int,
    passing: Mapping[str, Collection[str]],
    only: str | None,
    *,
    take_over: bool,
    damaged: Collection[int] = (),
) -> dict[str, Any]:
    """Return the parameters of `FIND` and `CLAIMABLE`."""
    passed = [(pipeline, caller) for pipeline, callers in passing.items() for caller in callers]
    return {
        "pipelines": list(pipelines),
        "then": then,
        "max_backoff": MAX_BACKOFF,
        "take_over": take_over,
        "only": only,
        "damaged": list(damaged),
        "passed_pipelines": [pipeline for pipeline, _ in passed],
        "passed_callers": [caller for _, caller in passed],
    }


async def counts(session: Session, now: int) -> Counts:
    """Count the jobs, and find the oldest that waits."""
    rows = await session.rows(COUNT)
    return Counts(
        jobs={(pipeline, status): count for pipeline, status, count in rows},
        waiting_since=await session.value(OLDEST, {"now": now}),
        deliveries=await outbox.counts(session),
        lapsed=await session.value(LAPSED),
    )
