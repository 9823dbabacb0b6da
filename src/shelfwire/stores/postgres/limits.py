"""Limits that all processes share, within a caller's session."""

from collections.abc import Callable
from typing import Final

from shelfwire.jobs.nodes import ADMISSION_WINDOW, LANE_TTL, Lane
from shelfwire.stores.postgres.connections import Session

_RECENT: Final = "ARRAY(SELECT t FROM unnest(a.times) t WHERE t > %(since)s::int8 ORDER BY t)"
ADMIT: Final = f"""
WITH counted AS (
  INSERT INTO shelfwire.admission AS a VALUES (%(identity)b, ARRAY[%(now)s::int8])
  ON CONFLICT (identity) DO UPDATE SET times = {_RECENT} || %(now)s::int8
  WHERE cardinality({_RECENT}) < %(limit)s
  RETURNING 1
)
SELECT EXISTS (SELECT FROM counted), (
  SELECT t FROM shelfwire.admission a, unnest({_RECENT}) t
  WHERE a.identity = %(identity)b ORDER BY t DESC OFFSET %(limit)s - 1 LIMIT 1
)
"""  # noqa: S608 - of constants, as all here
"""One statement, which waits for nobody but another node that counts the same caller at this moment.

Its second column is the oldest of the times that are in the way, as they were when it began.
"""
FORGET_ADMISSIONS: Final = "DELETE FROM shelfwire.admission WHERE times[cardinality(times)] <= %(since)s"
MAKE_LANE: Final = "INSERT INTO shelfwire.lane VALUES (%(name)s, '{}', 0, '') ON CONFLICT DO NOTHING"
LOCK_LANE: Final = "SELECT begun, held_until, reason FROM shelfwire.lane WHERE name = %(name)s FOR NO KEY UPDATE"
WRITE_LANE: Final = """
UPDATE shelfwire.lane SET begun = %(begun)b::int8[], held_until = %(held_until)s, reason = %(reason)s
WHERE name = %(name)s
"""
FORGET_LANES: Final = """
DELETE FROM shelfwire.lane WHERE greatest(held_until, begun[cardinality(begun)]) < %(since)s
"""
AT_ONCE: Final = "SET LOCAL synchronous_commit = off"
"""A crash of the database may forget the last turns: that is less than what waiting for the disk costs each request."""


async def admit(session: Session, identity: bytes, limit: int, now: int) -> int:
    """See `Nodes.admit`."""
    wanted = {"identity": identity, "limit": limit, "now": now, "since": now - ADMISSION_WINDOW}
    row = await session.row(ADMIT, wanted)
    is_counted, oldest = row or (False, None)
    # Another node may have counted the caller for the first time only just now.
    return 0 if is_counted else max(1, (now if oldest is None else oldest) + ADMISSION_WINDOW - now)


async def change_lane(session: Session, name: str, change: Callable[[Lane], Lane]) -> Lane:
    """See `Nodes.change_lane`."""
    named = {"name": name}
    statements = [(AT_ONCE, {}), (MAKE_LANE, named), (LOCK_LANE, named)]
    _, _, ((begun, held_until, reason),) = await session.together(statements)
    before = Lane(begun=tuple(begun), held_until=held_until, reason=reason)
    after = change(before)
    if after != before:
        written = {"begun": list(after.begun), "held_until": after.held_until, "reason": after.reason}
        await session.execute(WRITE_LANE, {**named, **written})
    return after


async def forget(session: Session, steady: int) -> None:
    """Erase what has no effect any more."""
    await session.execute(FORGET_ADMISSIONS, {"since": steady - ADMISSION_WINDOW})
    await session.execute(FORGET_LANES, {"since": steady - LANE_TTL})
