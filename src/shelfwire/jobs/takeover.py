"""When a node may claim jobs, and when it may take over those of others."""

from typing import Final

import structlog

from shelfwire.clock import Clock
from shelfwire.jobs.nodes import Nodes
from shelfwire.protocol.job import Policy

MAX_CLOCK_OFFSET: Final = 5000
"""Milliseconds by which the clock of leases may differ from the store's for a node that claims."""
MAX_CLOCK_AGE: Final = 5.0
"""Seconds for which a comparison of the clocks holds good."""
QUIET_LEASES: Final = 2
"""Leases that must pass after a disturbance. One was too little where a node's own reconnection came 1.7 s late."""

log = structlog.get_logger(__name__)


class TakeoverRule:
    """Keeps a node from taking jobs over while the disturbance may be its own, or everybody's.

    When a database was away, or a node stood still, the leases of all jobs have ended by its clock, and their workers
    live. So for two leases after the store was connected, after a call of it failed or took long, and after this
    process was frozen, a node takes over nothing: the others renew their leases first.

    Nor does it claim anything while its clock is not that of the others: it would take leases for ended that are not,
    or give itself one that others take for ended.

    Args:
        policy: the lease.
        clock: the time.
        nodes: the other nodes; None where there are none, so that there is nothing to wait for.
    """

    def __init__(self, policy: Policy, clock: Clock, nodes: Nodes | None) -> None:
        self._lease = policy.lease / 1000
        self._clock = clock
        self._nodes = nodes
        self._disturbed_at = float("-inf")
        self._expected_at = float("inf")
        self._permitted = True

    def disturbed(self) -> None:
        """Note that the store failed, or something else went wrong here."""
        self._disturbed_at = self._clock.monotonic()

    def took(self, seconds: float) -> None:
        """Note how long a call of the store took."""
        if seconds > self._lease / 2:
            self.disturbed()

    def beats(self, seconds: float) -> None:
        """Note that the caller is about to wait, and calls this again after so many seconds if the process runs."""
        self._look()
        self._expected_at = self._clock.monotonic() + seconds

    def _look(self) -> None:
        if self._clock.monotonic() - self._expected_at > self._lease / 2:
            self.disturbed()

    @property
    def permits_claims(self) -> bool:
        """Whether jobs may be claimed at all; the log says once if not, and once when they may be again."""
        if self._nodes is None:
            return True
        link = self._nodes.link
        is_wrong = abs(link.clock_offset) > MAX_CLOCK_OFFSET
        permits = not is_wrong and link.clock_age <= MAX_CLOCK_AGE
        if permits != self._permitted:
            self._permitted = permits
            if permits:
                log.info("jobs are claimed again: the clock is that of the database")
            else:
                seconds = round(link.clock_offset / 1000, 1)
                why = "it is wrong" if is_wrong else "it could not be compared lately"
                log.error("no jobs are claimed: the clock is not that of the database", reason=why, seconds=seconds)
        return permits

    @property
    def permits(self) -> bool:
        """Whether jobs whose lease has ended may be taken over now."""
        if self._nodes is None:
            return True
        self._look()
        connected = (self._clock.steady() - self._nodes.connected_at) / 1000
        quiet = self._clock.monotonic() - self._disturbed_at
        return min(connected, quiet) >= QUIET_LEASES * self._lease
