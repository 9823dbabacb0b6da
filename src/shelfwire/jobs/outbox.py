"""What is to be told when jobs end, to whom and when: deliveries, their schedule, and the port to where they are kept.

A store writes the deliveries of an ending in the transaction that ends the job, so none is lost and none is made up.
Each is made until it succeeds, at least once. They outlive their job. All times are milliseconds since the epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from shelfwire.protocol.feed import ending_message
from shelfwire.protocol.job import HOUR, JobState, stored_row
from shelfwire.protocol.messages import JobComplete, JobError, encode
from shelfwire.protocol.state import results_path

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
DELAYS: Final = (
    *(5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR),
)
"""Between one try and the next; the first is made at once. Section 10 of the contract."""
SPREAD: Final = 0.2
"""By which part of a delay it may be shorter or longer, so that what failed together is not repeated together."""
PERSISTENCE: Final = 24 * HOUR
"""For how long a delivery is tried."""
MAX_RETRY_AFTER: Final = HOUR
"""The longest wait that a receiver may ask for."""
RETENTION: Final = 7 * 24 * HOUR
"""For how long a delivery is kept once it is done or given up."""
MAX_BODY_BYTES: Final = 64 * 1024
MAX_REASON_CHARS: Final = 300
_TIME_DIGITS: Final = 15


class DeliveryStatus(StrEnum):
    """How far a delivery is."""

    WAITING = "waiting"
    DONE = "done"
    GIVEN_UP = "given_up"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One ending that somebody is to be told of.

    Attributes:
        id: of a webhook the job's id and `seq`, the same for every try; together with `made_at` it is unique.
        job_id: the job, which may be erased.
        url: where a webhook goes; None for the application that shelfwire is part of.
        host: of the URL with its port, in lower case; "" for the application.
        body: what is told, the same for every try: of a webhook the request's body, else the job's final row as JSON.
        made_at: when the job ended.
        due_at: when the next try is due.
        give_up_at: until when it is tried.
        tries: number of tries that have ended.
        status: how far it is.
        ended_at: when it was done or given up.
        last_error: why the last try failed.
    """

    id: str
    job_id: str
    url: str | None
    host: str
    body: str
    made_at: int
    due_at: int
    give_up_at: int
    tries: int = 0
    status: DeliveryStatus = DeliveryStatus.WAITING
    ended_at: int | None = None
    last_error: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a try ended.

    Attributes:
        error: why it failed; None if it succeeded.
        final: whether the receiver wants no further try.
        retry_after: milliseconds that the receiver asks to wait.
    """

    error: str | None = None
    final: bool = False
    retry_after: int = 0


Announce = Callable[[JobState], Sequence[Delivery]]
"""Makes the deliveries of a job that has ended, from its final row.

A store calls it within a transaction; it must be pure and quick.
"""


def announce_nothing(_state: JobState) -> Sequence[Delivery]:
    """An `Announce` for stores whose endings nobody is told of."""
    return ()


def announcer(root: str = "", *, to_application: bool = False) -> Announce:
    """Make the function that makes deliveries.

    Args:
        root: what comes before the server's own paths in its URLs, as far as that is known for everybody.
        to_application: whether the application is told of every ending.
    """

    def announce(state: JobState) -> Sequence[Delivery]:
        made = []
        if state.callback_url is not None:
            made.append(_delivery(state, "", state.callback_url, webhook_body(state, root)))
        if to_application:
            made.append(_delivery(state, ".on_end", None, msgspec.json.encode(stored_row(state)).decode()))
        return made

    return announce


def _delivery(state: JobState, suffix: str, url: str | None, body: str) -> Delivery:
    now = state.updated_at if state.ended_at is None else state.ended_at
    return Delivery(
        id=f"{state.id}.{state.seq}{suffix}",
        job_id=state.id,
        url=url,
        host="" if url is None else url.split("/", 3)[2].lower(),
        body=body,
        made_at=now,
        due_at=now,
        give_up_at=now + PERSISTENCE,
    )


def webhook_body(state: JobState, root: str = "") -> str:
    """Return the terminal message of an ended job without its results, within `MAX_BODY_BYTES`."""
    results_url = results_path(state.id, root)
    message = ending_message(state, {}, results_url=results_url, truncated=False)
    payload = message.payload
    if isinstance(payload, JobComplete) and state.recorded:
        payload = msgspec.structs.replace(payload, results_url=results_url, truncated=True)
    body = encode(msgspec.structs.replace(message, payload=payload))
    if isinstance(payload, JobError) and len(body.encode()) > MAX_BODY_BYTES:
        payload = msgspec.structs.replace(payload, details=None, affected_items=None)
        body = encode(msgspec.structs.replace(message, payload=payload))
    return body


def after_try(delivery: Delivery, outcome: Outcome, *, now: int, chance: float) -> Delivery:
    """Return a delivery after a try.

    Args:
        delivery: as it was before.
        outcome: how the try ended.
        now: the time.
        chance: a random number in [0, 1) that spreads the tries.
    """
    tried = msgspec.structs.replace(delivery, tries=delivery.tries + 1, last_error=_reason(outcome.error))
    if outcome.error is None:
        return msgspec.structs.replace(tried, status=DeliveryStatus.DONE, ended_at=now)
    delay = DELAYS[min(delivery.tries, len(DELAYS) - 1)] * (1 - SPREAD + 2 * SPREAD * chance)
    due_at = now + max(round(delay), min(outcome.retry_after, MAX_RETRY_AFTER))
    if outcome.final or due_at > delivery.give_up_at:
        return msgspec.structs.replace(tried, status=DeliveryStatus.GIVEN_UP, ended_at=now)
    return msgspec.structs.replace(tried, due_at=due_at)


def tried_again(delivery: Delivery, *, now: int) -> Delivery:
    """Return a delivery that an operator lets be tried at once, and for as long as a new one."""
    return msgspec.structs.replace(
        delivery,
        status=DeliveryStatus.WAITING,
        tries=0,
        due_at=now,
        give_up_at=now + PERSISTENCE,
        ended_at=None,
    )


def _reason(error: str | None) -> str | None:
    return None if error is None else error[:MAX_REASON_CHARS]


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries may be under way at once.

    Attributes:
        total: in all.
        each: to one host.
        under_way: how many are, by host.
    """

    total: int
    each: int
    under_way: Mapping[str, int]

    def of(self, host: str) -> int:
        """Return how many more may begin to a host."""
        return max(0, min(self.each - self.under_way.get(host, 0), self.free))

    @property
    def free(self) -> int:
        """How many more may begin in all."""
        return max(0, self.total - sum(self.under_way.values()))


class Outbox(Protocol):
    """The deliveries in a store. Each method is a transaction, and raises what the methods of `JobStore` raise.

    Whoever takes a delivery holds it for a while; where a store belongs to one process, the next one frees what a dead
    process held.
    """

    async def take(self, room: Room, now: int, until: int) -> list[Delivery]:
        """Take the deliveries that are due, the longest due ones first, as many as there is room for.

        Nobody else is given them before `until`, unless they are settled.
        """
        ...

    async def settle(self, delivery: Delivery) -> None:
        """Write a delivery as it is after a try, and let go of it."""
        ...

    async def list(self, status: DeliveryStatus | None, *, after: str | None, limit: int) -> list[Delivery]:
        """Return webhooks, the newest first.

        Args:
            status: only those; None for all.
            after: the place of the last one that the caller has; see `place_of`.
            limit: maximum number.
        """
        ...

    async def retry(self, delivery_id: str, now: int) -> Delivery | None:
        """Let a webhook that was given up be tried again, by `tried_again`; return it as it is then.

        One that is waiting is due at once. One that is done stays as it is. None if there is none of this id; of
        several the newest is meant.
        """
        ...


def place_of(delivery: Delivery) -> str:
    """Return the place of a delivery in a list."""
    return f"{delivery.made_at}.{delivery.id}"


def split_place(place: str) -> tuple[int, str]:
    """Return `made_at` and `id` of a place in a list.

    Raises:
        ValueError: it is none.
    """
    made_at, _, delivery_id = place.partition(".")
    if not made_at.isascii() or not made_at.isdecimal() or len(made_at) > _TIME_DIGITS or "\0" in delivery_id:
        raise ValueError(f"{place[:100]!r} is no place in a list")
    return int(made_at), delivery_id
