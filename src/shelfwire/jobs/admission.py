"""Admits direct followers: without a read where the hub knows the token, else with one read for all who come."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from shelfwire.clock import Clock
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.steps import DirectFollower
from shelfwire.jobs.store import Committed, JobStore
from shelfwire.jobs.telemetry import Figure
from shelfwire.protocol import tokens
from shelfwire.protocol.tokens import Grant, Scope

EXPIRY_SECONDS: Final = 10.0
"""How long the clock may have been set before it is noticed that a token has expired by it."""
MAX_LOOK_UPS: Final = 128
"""Tokens that are looked up in one read; others' reads wait for it."""

Answer = Callable[[bool], None]


class Admission:
    """Decides on direct followers. Whoever is not admitted is told why by another way, which asks again.

    Args:
        store: where tokens are looked up.
        hub: where followers are seated.
        clock: the time.
    """

    def __init__(self, store: JobStore, hub: Hub, clock: Clock) -> None:
        self._store = store
        self._hub = hub
        self._clock = clock
        self._waiting: list[tuple[bytes, Callable[[tuple[Grant, Committed] | None], None]]] = []
        self._looking: asyncio.Task[None] | None = None
        self._expiring: dict[DirectFollower, int] = {}
        self._sooner = asyncio.Event()
        self._expiry: asyncio.Task[None] | None = None

    def admit(self, token: str, job_id: str, follower: DirectFollower, answer: Answer) -> None:
        """Seat a follower and decide whether it may follow, now if its token is known here, else after a read.

        It is seated first: a token that is revoked from here on dismisses it, and so does one that expires. The caller
        calls `leave` in any case.

        Args:
            token: what it shows.
            job_id: the job, in its canonical form.
            follower: has the digest of the token.
            answer: is called once, with True if the follower is attached to the job.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the server shuts down. The follower is not seated.
        """
        hub = self._hub
        hub.seat(job_id, follower)
        known = hub.known(job_id, follower.digest)
        if known is not None:
            answer(self._attach(token, job_id, follower, known))
            return
        changes = hub.token_changes

        def decide(found: tuple[Grant, Committed] | None) -> None:
            admitted = found is not None and self._attach(token, job_id, follower, found)
            if found is not None and admitted and changes == hub.token_changes:
                hub.remember(*found)
            answer(admitted)

        self._waiting.append((follower.digest, decide))
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_up())

    def leave(self, job_id: str, follower: DirectFollower) -> None:
        """Forget a follower that was seated."""
        self._expiring.pop(follower, None)
        self._hub.leave(job_id, follower)

    def _attach(self, token: str, job_id: str, follower: DirectFollower, found: tuple[Grant, Committed]) -> bool:
        grant, row = found
        now = self._clock.now()
        try:
            tokens.check(grant, token, job_id, Scope.WATCH, now=now)
        except ShelfwireError:
            return False
        gone = follower.dismissal is not None or not self._hub.expects(job_id, follower)
        if row.state.expires_at <= now or gone:
            return False
        self._hub.attach(job_id, follower, row)
        self._hub.telemetry.noted(Figure.UNAUTHORIZED)
        if grant.expires_at is not None:
            self._expiring[follower] = grant.expires_at
            self._sooner.set()
            if self._expiry is None:
                self._expiry = asyncio.get_running_loop().create_task(self._expire())
        return True

    async def _expire(self) -> None:
        """Dismiss followers when their tokens expire, or the clock is set to after that."""
        while self._expiring:
            self._sooner.clear()
            left = min(self._expiring.values()) - self._clock.now()
            await self._clock.wait(self._sooner, max(0.0, min(left / 1000, EXPIRY_SECONDS)))
            now = self._clock.now()
            for follower in [one for one, at in self._expiring.items() if at <= now]:
                del self._expiring[follower]
                follower.dismiss(Dismissal.EXPIRED)
        self._expiry = None

    async def _look_up(self) -> None:
        """Look up what is asked for until nothing is; all who came in the turn of the loop that began it are there."""
        while self._waiting:
            taken, self._waiting = self._waiting[:MAX_LOOK_UPS], self._waiting[MAX_LOOK_UPS:]
            found: Mapping[bytes, tuple[Grant, Committed]] = {}
            try:
                found = await self._store.look_up({digest for digest, _ in taken}, self._clock.now())
            except ShelfwireError:
                """The other way finds out, and says so."""
            finally:
                for digest, decide in taken:
                    decide(found.get(digest))
        self._looking = None
