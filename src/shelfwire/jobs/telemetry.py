"""The events and figures that the engine reports for monitoring, independent of any metrics library."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from shelfwire.protocol.job import JobState


class Telemetry(Protocol):
    """Receives events as they happen; every method must return at once and never raise."""

    def committed(self, seconds: float) -> None:
        """A transaction with the jobs' progress was committed; it took `seconds`."""
        ...

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """Items of a job of this pipeline were committed."""
        ...

    def ended(self, state: JobState) -> None:
        """A job has ended."""
        ...

    def answered(self, code: str | None, received: int) -> None:
        """A request was answered, with the error `code` if any; `received` bytes of its body were read."""
        ...

    def delivered(self, result: str, seconds: float) -> None:
        """A webhook was tried: `ok`, `failed` (it is tried again) or `given_up`; the try took `seconds`."""
        ...


class NoTelemetry:
    """Ignores every event."""

    def committed(self, seconds: float) -> None:
        """See `Telemetry.committed`."""

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """See `Telemetry.recorded`."""

    def ended(self, state: JobState) -> None:
        """See `Telemetry.ended`."""

    def answered(self, code: str | None, received: int) -> None:
        """See `Telemetry.answered`."""

    def delivered(self, result: str, seconds: float) -> None:
        """See `Telemetry.delivered`."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's current figures.

    Attributes:
        jobs: number of jobs by pipeline and status; None while the store cannot be read.
        queue_age: seconds since the oldest waiting job became claimable; 0 where none waits.
        followers: followers attached to this node, by transport.
        sent_bytes: size of all messages sent to followers of this node.
        stalled: jobs on this node that have recorded nothing for too long.
        deliveries: webhooks in the store that are waiting or were given up, by status; None as for `jobs`.
    """

    jobs: Mapping[tuple[str, str], int] | None
    queue_age: float
    followers: Mapping[str, int]
    sent_bytes: int
    stalled: int
    deliveries: Mapping[str, int] | None = None
