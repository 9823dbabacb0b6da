"""Whether a node can serve and run jobs, for whoever spreads requests over nodes."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import JobStore
from shelfwire.jobs.takeover import TakeoverRule

CHECK_SECONDS: Final = 1.0
"""For how long a commit that succeeded makes the service ready; anybody may ask."""
ANSWER_SECONDS: Final = 3.0
"""How long a store may take to answer: a balancer gives up soon after."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How a node stands that shares a store with others; none of it keeps it from serving.

    Attributes:
        hints: whether it hears at once what others change; else it reads again more often.
        clock_offset: milliseconds by which its clock of leases is behind the store's.
        claims: whether it takes jobs, as far as its clock is concerned.
        nodes: how many nodes there are.
    """

    hints: bool
    clock_offset: int
    claims: bool
    nodes: int


class Readiness:
    """Finds out whether the store answers, and gathers what fails here.

    Args:
        store: the store.
        clock: the time.
        takeover: when jobs may be claimed.
        failing: returns what fails of the engine, in words for a developer.

    Attributes:
        leaving: whether the server shuts down.
    """

    def __init__(
        self, store: JobStore, clock: Clock, takeover: TakeoverRule, failing: Callable[[], Sequence[str]] = lambda: ()
    ) -> None:
        self._store = store
        self._clock = clock
        self._takeover = takeover
        self._failing = failing
        self._checked_at = -math.inf
        self._checking: asyncio.Task[None] | None = None
        self.leaving = False

    def problems(self) -> Sequence[str]:
        """Return why nobody should be sent here, as far as is known without asking the store."""
        return [*self.departures(), *self._failing()]

    def departures(self) -> Sequence[str]:
        """Return those of the problems for which the store need not be asked: it has no better reason."""
        nodes = self._store.nodes
        away = 0.0 if nodes is None else nodes.link.clock_age
        return [
            *(["the server shuts down"] if self.leaving else []),
            *([f"the database has not answered for {away:.0f} s"] if away > ANSWER_SECONDS else []),
        ]

    @property
    def condition(self) -> Condition | None:
        """How this node stands among others; None where there are none."""
        nodes = self._store.nodes
        if nodes is None:
            return None
        link, claims = nodes.link, self._takeover.permits_claims
        return Condition(hints=link.hears, clock_offset=link.clock_offset, claims=claims, nodes=nodes.alive)

    async def check(self) -> None:
        """Find out whether the store is read, and a commit succeeded lately or succeeds now.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: it does not, or not in time.
        """
        if self._checking is None:
            self._checking = asyncio.create_task(self._check(), name="readiness")
        checking = self._checking
        answered = asyncio.Event()

        def answer(done: asyncio.Task[None]) -> None:
            answered.set()
            if not done.cancelled():
                done.exception()  # or asyncio logs it as never retrieved, where nobody waits any more

        checking.add_done_callback(answer)
        await self._clock.wait(answered, ANSWER_SECONDS)
        if not checking.done():  # it ends by the store's own deadlines, and others may wait for it as well
            raise ShelfwireError(
                Code.STORAGE_UNAVAILABLE, f"The store has not answered within {ANSWER_SECONDS:g} seconds"
            )
        checking.result()

    async def _check(self) -> None:
        try:
            await self._store.job("")
            if self._failing() or self._clock.monotonic() - self._checked_at >= CHECK_SECONDS:
                await self._store.check()
                self._checked_at = self._clock.monotonic()
        finally:
            self._checking = None
