"""The deliveries in the embedded store."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Select, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from shelfwire.jobs.outbox import RETENTION, Delivery, DeliveryStatus, Room, split_place, tried_again
from shelfwire.stores import schema

T = TypeVar("T")
_outbox: Final = schema.outbox
_WAITING: Final = _outbox.c.status == str(DeliveryStatus.WAITING)
_COLUMNS: Final = tuple(_outbox.c[name] for name in Delivery.__struct_fields__)


class Transaction(Protocol):
    """Runs work in a transaction of its own."""

    def __call__(self, work: Callable[[Connection], T]) -> Awaitable[T]:
        """Return what the work returns."""
        ...


class SqliteOutbox:
    """An `Outbox` in the file of a store.

    Args:
        read: runs work that changes nothing.
        write: runs work that may.
    """

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read = read
        self._write = write

    async def take(self, room: Room, now: int, until: int) -> list[Delivery]:
        """See `Outbox.take`."""

        def work(connection: Connection) -> list[Delivery]:
            taken = _due(connection, room, now)
            keys = [(one.id, one.made_at) for one in taken]
            held = update(_outbox).where(tuple_(_outbox.c.id, _outbox.c.made_at).in_(keys)).values(held_until=until)
            connection.execute(held)
            return taken

        return await self._write(work) if await self._read(lambda connection: _due(connection, room, now)) else []

    async def settle(self, delivery: Delivery) -> None:
        """See `Outbox.settle`."""
        await self._write(lambda connection: _settle(connection, delivery))

    async def list(self, status: DeliveryStatus | None, *, after: str | None, limit: int) -> list[Delivery]:
        """See `Outbox.list`."""
        place = _outbox.c.made_at, _outbox.c.id
        rows = select(*_COLUMNS).where(_outbox.c.url.is_not(None)).order_by(*(column.desc() for column in place))
        if status is not None:
            rows = rows.where(_outbox.c.status == str(status))
        if after is not None:
            rows = rows.where(tuple_(*place) < tuple_(*split_place(after)))
        return await self._read(lambda connection: _deliveries(connection, rows.limit(limit)))

    async def retry(self, delivery_id: str, now: int) -> Delivery | None:
        """See `Outbox.retry`."""
        newest = select(*_COLUMNS).where(_outbox.c.id == delivery_id, _outbox.c.url.is_not(None))

        def work(connection: Connection) -> Delivery | None:
            for found in _deliveries(connection, newest.order_by(_outbox.c.made_at.desc()).limit(1)):
                again = found if found.status is DeliveryStatus.DONE else tried_again(found, now=now)
                if again is not found:
                    _settle(connection, again)
                return again
            return None

        return await self._write(work)


def write(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Write new deliveries. One of the same id and time takes the place of an earlier one."""
    rows = [msgspec.to_builtins(one) for one in deliveries]
    if rows:
        connection.execute(upsert(_outbox).prefix_with("OR REPLACE"), rows)


def free(connection: Connection) -> None:
    """Let go of what a dead process held."""
    connection.execute(update(_outbox).where(_WAITING, _outbox.c.held_until > 0).values(held_until=0))


def erase_old(connection: Connection, now: int) -> None:
    """Erase what ended, or should have, long ago."""
    connection.execute(delete(_outbox).where(_old(now)))


def any_old(connection: Connection, now: int) -> bool:
    """Whether there is something for `erase_old`."""
    return bool(connection.scalar(select(exists().where(_old(now)))))


def counts(connection: Connection) -> Mapping[str, int]:
    """Count the webhooks that are waiting or were given up."""
    counted = [DeliveryStatus.WAITING, DeliveryStatus.GIVEN_UP]
    rows = select(_outbox.c.status, func.count().label("webhooks")).where(
        _outbox.c.status.in_([str(status) for status in counted])
    )
    webhooks = rows.where(_outbox.c.url.is_not(None)).group_by(_outbox.c.status)
    found = {row.status: row.webhooks for row in connection.execute(webhooks)}
    return {str(status): found.get(status, 0) for status in counted}


def _old(now: int) -> Any:
    return func.coalesce(_outbox.c.ended_at, _outbox.c.give_up_at) <= now - RETENTION


def _due(connection: Connection, room: Room, now: int) -> list[Delivery]:
    """Go from one host to the next, so that one with thousands of deliveries costs no more than another."""
    due: list[Delivery] = []
    for host in connection.scalars(select(_outbox.c.host).where(_WAITING).distinct()).all():
        own = select(*_COLUMNS).where(_WAITING, _outbox.c.host == host, _outbox.c.due_at <= now)
        if few := room.of(host):
            due += _deliveries(connection, own.where(_outbox.c.held_until <= now).order_by(_outbox.c.due_at).limit(few))
    return sorted(due, key=lambda one: one.due_at)[: room.free]


def _settle(connection: Connection, delivery: Delivery) -> None:
    same = _outbox.c.id == delivery.id, _outbox.c.made_at == delivery.made_at
    connection.execute(update(_outbox).where(*same).values(**msgspec.to_builtins(delivery), held_until=0))


def _deliveries(connection: Connection, rows: Select[Any]) -> list[Delivery]:
    return [_delivery(row) for row in connection.execute(rows)]


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._asdict(), "status": DeliveryStatus(row.status)})
