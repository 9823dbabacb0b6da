"""The deliveries in the database."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shelfwire.jobs.outbox import RETENTION, Delivery, DeliveryStatus, Room, split_place, tried_again
from shelfwire.stores.postgres.connections import Connections, Session, Statement

COLUMNS: Final = Delivery.__struct_fields__
_NAMES: Final = ", ".join(COLUMNS)
_VALUES: Final = ", ".join(f"%({name})s" for name in COLUMNS)
_SET: Final = ", ".join(f"{name} = %({name})s" for name in COLUMNS)
_SELECT: Final = f"SELECT {_NAMES} FROM shelfwire.outbox"  # noqa: S608 - of constants, as all here

WRITE: Final = f"""
INSERT INTO shelfwire.outbox ({_NAMES}, held_until) VALUES ({_VALUES}, 0)
ON CONFLICT (id, made_at) DO UPDATE SET {_SET}, held_until = 0
"""  # noqa: S608
SETTLE: Final = f"""
UPDATE shelfwire.outbox SET {_SET}, held_until = 0 WHERE id = %(id)s AND made_at = %(made_at)s
"""  # noqa: S608
HOSTS: Final = """
WITH RECURSIVE host(name) AS (
  (SELECT host FROM shelfwire.outbox WHERE status = 'waiting' ORDER BY host LIMIT 1)
  UNION ALL
  SELECT (SELECT o.host FROM shelfwire.outbox o WHERE o.status = 'waiting' AND o.host > h.name ORDER BY o.host LIMIT 1)
  FROM host h WHERE h.name IS NOT NULL
)
SELECT name FROM host WHERE name IS NOT NULL
"""
"""From one host to the next in the index, so that one with thousands of deliveries costs no more than another."""
DUE: Final = f"""
{_SELECT} WHERE status = 'waiting' AND host = %(host)s AND due_at <= %(now)s AND held_until <= %(now)s
ORDER BY due_at LIMIT %(few)s FOR NO KEY UPDATE SKIP LOCKED
"""
HOLD: Final = """
UPDATE shelfwire.outbox o SET held_until = %(until)s::int8
FROM unnest(%(ids)b::text[], %(times)b::int8[]) u(id, made_at) WHERE o.id = u.id AND o.made_at = u.made_at
"""
LIST: Final = f"""
{_SELECT} WHERE url IS NOT NULL AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(made_at)s::int8 IS NULL OR (made_at, id) < (%(made_at)s::int8, %(id)s))
ORDER BY made_at DESC, id DESC LIMIT %(limit)s
"""
NEWEST: Final = f"""
{_SELECT} WHERE id = %(id)s AND url IS NOT NULL ORDER BY made_at DESC LIMIT 1 FOR NO KEY UPDATE
"""
COUNT: Final = """
SELECT status, count(*) FROM shelfwire.outbox WHERE status IN ('waiting', 'given_up') AND url IS NOT NULL
GROUP BY status
"""
ERASE_OLD: Final = "DELETE FROM shelfwire.outbox WHERE coalesce(ended_at, give_up_at) <= %(then)s"


class PostgresOutbox:
    """An `Outbox` in a database.

    Args:
        connections: what it uses.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def take(self, room: Room, now: int, until: int) -> list[Delivery]:
        """See `Outbox.take`."""

        async def work(session: Session) -> list[Delivery]:
            due: list[Delivery] = []
            for (host,) in hosts:
                if few := room.of(host):
                    due += _deliveries(await session.rows(DUE, {"host": host, "now": now, "few": few}))
            taken = sorted(due, key=lambda one: one.due_at)[: room.free]
            if taken:
                keys = {"ids": [one.id for one in taken], "times": [one.made_at for one in taken]}
                await session.execute(HOLD, {**keys, "until": until})
            return taken

        hosts = await self._connections.read(lambda session: session.rows(HOSTS))
        return await self._connections.write(work) if hosts and room.free else []

    async def settle(self, delivery: Delivery) -> None:
        """See `Outbox.settle`."""
        await self._connections.write(lambda session: session.execute(SETTLE, _row(delivery)))

    async def list(self, status: DeliveryStatus | None, *, after: str | None, limit: int) -> list[Delivery]:
        """See `Outbox.list`."""
        made_at, delivery_id = (None, None) if after is None else split_place(after)
        wanted = {"made_at": made_at, "id": delivery_id, "limit": limit, "status": status and str(status)}
        return _deliveries(await self._connections.read(lambda session: session.rows(LIST, wanted)))

    async def retry(self, delivery_id: str, now: int) -> Delivery | None:
        """See `Outbox.retry`."""

        async def work(session: Session) -> Delivery | None:
            for found in _deliveries(await session.rows(NEWEST, {"id": delivery_id})):
                again = found if found.status is DeliveryStatus.DONE else tried_again(found, now=now)
                if again is not found:
                    await session.execute(SETTLE, _row(again))
                return again
            return None

        return await self._connections.write(work)


def writing(deliveries: Iterable[Delivery]) -> list[Statement]:
    """Return the statements that write deliveries. One of the same id and time takes the place of an earlier one."""
    return [(WRITE, _row(one)) for one in deliveries]


async def counts(session: Session) -> dict[str, int]:
    """Count the webhooks that are waiting or were given up."""
    found = dict(await session.rows(COUNT))
    return {str(status): found.get(str(status), 0) for status in (DeliveryStatus.WAITING, DeliveryStatus.GIVEN_UP)}


async def erase_old(session: Session, now: int) -> None:
    """Erase what ended, or should have, long ago."""
    await session.execute(ERASE_OLD, {"then": now - RETENTION})


def _row(delivery: Delivery) -> dict[str, Any]:
    return {name: _text(value) for name, value in msgspec.to_builtins(delivery).items()}


def _text(value: Any) -> Any:
    return value.replace("\0", "") if isinstance(value, str) else value


def _deliveries(rows: Iterable[tuple[Any, ...]]) -> list[Delivery]:
    return [msgspec.convert(dict(zip(COLUMNS, row, strict=True)), Delivery) for row in rows]
