"""Watches the leases of remote workers, and looks for jobs that those who wait can have."""

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from shelfwire.clock import Clock, sleep
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.remote import RemoteAttempts
from shelfwire.jobs.store import Committed, JobStore
from shelfwire.jobs.waiters import Waiters
from shelfwire.protocol.job import Policy

POLL_SECONDS: Final = 1.0
"""How often to look. The shortest lease lasts as long, so that its end is known before it comes."""
MARGIN_SECONDS: Final = 0.003
"""How long after the end of a lease to look, so that it has surely ended."""

log = structlog.get_logger(__name__)


class LeaseWatcher:
    """Notices when leases end, and wakes those who wait for a job.

    Args:
        store: where jobs are kept.
        remote: the attempts of remote workers.
        waiters: those who wait for a job.
        publish: receives the rows that changed.
        policy: lifetimes and limits.
        clock: source of the time.
    """

    def __init__(
        self,
        store: JobStore,
        remote: RemoteAttempts,
        waiters: Waiters,
        publish: Callable[[Iterable[Committed]], None],
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._store = store
        self._remote = remote
        self._waiters = waiters
        self._publish = publish
        self._policy = policy
        self._clock = clock

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            next_at = None
            try:
                next_at = await self.look()
            except ShelfwireError as error:
                log.warning("looking at leases failed, trying again", code=error.code, reason=error.message)
            left = POLL_SECONDS if next_at is None else (next_at - self._clock.steady()) / 1000 + MARGIN_SECONDS
            await sleep(self._clock, min(POLL_SECONDS, max(MARGIN_SECONDS, left)))

    async def look(self) -> int | None:
        """Do what is due now, and return when something will be, by the clock of leases; None if nothing is known."""
        if not (self._remote.may_claim and self._remote.may_take_over):
            return None
        lapses = await self._store.lapse(self._policy, self._clock.now(), self._clock.steady())
        self._publish(lapses.changed)
        for row in lapses.changed:
            state = row.state
            log.info("no worker has the job", job=state.id, attempt=state.attempt, status=state.status)
            self._remote.check(state.id)
        self._remote.forget_idle()
        if self._waiters.pipelines:
            for pipeline in await self._store.claimable(self._waiters.pipelines, self._clock.steady()):
                self._waiters.wake(pipeline)
        return lapses.next_at
