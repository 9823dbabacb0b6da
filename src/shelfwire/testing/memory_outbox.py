"""The deliveries of a store in memory."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from shelfwire.jobs.outbox import RETENTION, Delivery, DeliveryStatus, Room, split_place, tried_again


class HasDeliveries(Protocol):
    """What keeps deliveries, and until when each is held, by id and time."""

    deliveries: dict[tuple[str, int], tuple[Delivery, int]]


class MemoryOutbox:
    """An `Outbox` in memory."""

    def __init__(self, database: HasDeliveries) -> None:
        self._database = database

    async def take(self, room: Room, now: int, until: int) -> list[Delivery]:
        """See `Outbox.take`."""
        taken: list[Delivery] = []
        begun = dict(room.under_way)
        for one in sorted(self._of(DeliveryStatus.WAITING), key=lambda one: one.due_at):
            _, held_until = self._database.deliveries[_key(one)]
            here = msgspec.structs.replace(room, under_way=begun)
            if max(one.due_at, held_until) <= now and here.of(one.host):
                begun[one.host] = begun.get(one.host, 0) + 1
                self._database.deliveries[_key(one)] = one, until
                taken.append(one)
        return taken

    async def settle(self, delivery: Delivery) -> None:
        """See `Outbox.settle`."""
        if _key(delivery) in self._database.deliveries:
            self.write([delivery])

    async def list(self, status: DeliveryStatus | None, *, after: str | None, limit: int) -> list[Delivery]:
        """See `Outbox.list`."""
        before = None if after is None else split_place(after)
        found = [one for one in self._of(status) if one.url and (before is None or (one.made_at, one.id) < before)]
        return sorted(found, key=lambda one: (one.made_at, one.id), reverse=True)[:limit]

    async def retry(self, delivery_id: str, now: int) -> Delivery | None:
        """See `Outbox.retry`."""
        same = [one for one in self._of(None) if one.id == delivery_id and one.url]
        if not same:
            return None
        found = max(same, key=lambda one: one.made_at)
        if found.status is not DeliveryStatus.DONE:
            found = tried_again(found, now=now)
            self.write([found])
        return found

    def write(self, deliveries: Iterable[Delivery]) -> None:
        """Write deliveries that nobody holds."""
        self._database.deliveries.update({_key(one): (one, 0) for one in deliveries})

    def erase_old(self, now: int) -> None:
        """Erase what ended, or should have, long ago."""
        for one in self._of(None):
            if (one.give_up_at if one.ended_at is None else one.ended_at) <= now - RETENTION:
                del self._database.deliveries[_key(one)]

    def counts(self) -> dict[str, int]:
        """Count the webhooks that are waiting or were given up."""
        counted = (DeliveryStatus.WAITING, DeliveryStatus.GIVEN_UP)
        return {str(status): sum(one.url is not None for one in self._of(status)) for status in counted}

    def _of(self, status: DeliveryStatus | None) -> Sequence[Delivery]:
        return [one for one, _ in self._database.deliveries.values() if status in {None, one.status}]


def _key(delivery: Delivery) -> tuple[str, int]:
    return delivery.id, delivery.made_at
