"""The lane of one service: the turns in which all nodes that share a store send their requests to it."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec
import structlog

from shelfwire.books.upstream.errors import Reason
from shelfwire.books.upstream.limits import LONGEST_HOLD, Limits
from shelfwire.books.upstream.rate_limiter import RateLimiter
from shelfwire.errors import ShelfwireError
from shelfwire.plugins import Lane, Nodes

ALONE: Final = 5000
"""Milliseconds for which a node goes on by itself before it asks a store again that was away."""
DIGEST_CHARS: Final = 16
OF_THE_ACCOUNT: Final = frozenset({Reason.KEY_REFUSED, Reason.API_OFF, Reason.DAY_QUOTA})
"""Why a service refuses the requests of all nodes alike; other reasons may be those of one machine's address."""

log = structlog.get_logger(__name__)


class Turn(NamedTuple):
    """When a request may be sent.

    Attributes:
        wait: seconds until then; 0 where there is no turn because of `held`.
        held: seconds for which the service wants no requests; 0 where it takes some.
        reason: why, where it refuses the requests of all nodes.
    """

    wait: float = 0.0
    held: float = 0.0
    reason: Reason | None = None


class SharedLane:
    """Takes turns with the other nodes. While the store is away, this node has its share of the rate.

    Args:
        name: of the lane.
        limits: the rate of all nodes together, and how long a request may wait.
        nodes: returns the other nodes; None where there are none, so that there is nothing to wait for.
        steady: the clock of leases.
    """

    def __init__(self, name: str, limits: Limits, nodes: Callable[[], Nodes | None], steady: Callable[[], int]) -> None:
        self._name = name
        self._limits = limits
        self._nodes = nodes
        self._steady = steady
        self._known = Lane()
        self._alone_until = 0

    async def take(self) -> Turn:
        """Take the next turn, if there is one within the limits' patience."""
        nodes = self._nodes()
        if nodes is None:
            return Turn()
        now = self._steady()
        await self._change(nodes, now, lambda lane, limits: next_turn(lane, limits, now))
        lane = self._known
        if not _is_open(lane, self._limits, now):
            return Turn(held=_held(lane, now) / 1000, reason=_reason(lane))
        return Turn(wait=max(0, lane.begun[-1] - self._steady()) / 1000)

    async def hold(self, seconds: float, reason: Reason) -> None:
        """Let no node send anything for a while, because of an answer of the service."""
        nodes = self._nodes()
        if nodes is None or (reason.is_lasting and reason not in OF_THE_ACCOUNT):
            return
        now = self._steady()
        until, why = now + math.ceil(seconds * 1000), reason.value if reason.is_lasting else ""
        await self._change(nodes, now, lambda lane, _: held(lane, until, why, now))

    async def _change(self, nodes: Nodes, now: int, change: Callable[[Lane, Limits], Lane]) -> None:
        if now >= self._alone_until:
            try:
                self._known = await nodes.change_lane(self._name, lambda lane: change(lane, self._limits))
            except ShelfwireError as error:
                event = "the turns of other nodes are not known; the rate is divided by their number"
                log.warning(event, service=self._name, nodes=nodes.alive, reason=error.message)
                self._alone_until = now + ALONE
            else:
                return
        self._known = change(self._known, replace(self._limits, period=self._limits.period * nodes.alive))


class Lanes(NamedTuple):
    """Makes the lanes of services.

    Attributes:
        nodes, steady: as `SharedLane`.
    """

    nodes: Callable[[], Nodes | None]
    steady: Callable[[], int]

    def of(self, service: str, limits: Limits, *account: str) -> SharedLane:
        """Return the lane of a service.

        Args:
            service: its name.
            limits: see `SharedLane`.
            account: its address, and the key if there is one: a service counts the requests of each key.
        """
        digest = hashlib.sha256("\0".join(account).encode()).hexdigest()[:DIGEST_CHARS]
        return SharedLane(f"{service} {digest}", limits, self.nodes, self.steady)


def next_turn(lane: Lane, limits: Limits, now: int) -> Lane:
    """Return the lane with one more request, as soon as the limits allow, after all that have their turn already.

    Without one where it would have to wait longer than their patience.
    """
    if not _is_open(lane, limits, now):
        return lane
    # Later ones are of before somebody set the clock of the database back.
    latest = now + round(2000 * (limits.patience + limits.period))
    begun = tuple(time for time in lane.begun if time <= latest)
    limiter = RateLimiter(limits.rate, limits.period, limits.burst, (time / 1000 for time in begun))
    begins = max(now + math.ceil(limiter.delay(now / 1000) * 1000), now + _held(lane, now), *begun[-1:])
    return msgspec.structs.replace(lane, begun=(*begun, begins)[-limits.rate :])


def held(lane: Lane, until: int, reason: str, now: int) -> Lane:
    """Return the lane with a pause, unless it has a longer one."""
    if until - now <= _held(lane, now):
        return lane
    still = lane.reason if _held(lane, now) else ""
    return msgspec.structs.replace(lane, held_until=until, reason=reason or still)


def _is_open(lane: Lane, limits: Limits, now: int) -> bool:
    return not _held(lane, now) or (not lane.reason and _held(lane, now) <= limits.patience * 1000)


def _held(lane: Lane, now: int) -> int:
    """Milliseconds for which the lane is held; one for longer than there is a hold is of a clock that was set back."""
    left = lane.held_until - now
    return left if 0 < left <= LONGEST_HOLD * 1000 else 0


def _reason(lane: Lane) -> Reason | None:
    """The reason as far as this version knows it."""
    return Reason(lane.reason) if lane.reason in set(Reason) else None
