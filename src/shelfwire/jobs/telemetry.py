"""What the engine tells whoever measures it. It knows no metrics library, and by default nobody listens."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from shelfwire.protocol.job import JobState


class Telemetry(Protocol):
    """Hears of what happens, as it happens; must return at once and never raise."""

    def committed(self, seconds: float) -> None:
        """A transaction with what the jobs recorded was made, in so many seconds."""
        ...

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """So many items of a job of this pipeline were committed."""
        ...

    def ended(self, state: JobState) -> None:
        """A job has ended."""
        ...

    def answered(self, code: str | None, received: int) -> None:
        """A request was answered: with this error, if with one; so many bytes of its body were read."""
        ...


class NoTelemetry:
    """Listens to nothing."""

    def committed(self, seconds: float) -> None:
        """See `Telemetry.committed`."""

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """See `Telemetry.recorded`."""

    def ended(self, state: JobState) -> None:
        """See `Telemetry.ended`."""

    def answered(self, code: str | None, received: int) -> None:
        """See `Telemetry.answered`."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand now.

    Attributes:
        jobs: how many there are, by pipeline and status; None while the store cannot be read.
        queue_age: seconds that the job has waited which could have been claimed first; 0 where none waits.
        followers: how many are attached to this node, by transport.
        sent_bytes: the size of all messages that followers of this node were told.
        stalled: jobs on this node that have recorded nothing for too long.
    """

    jobs: Mapping[tuple[str, str], int] | None
    queue_age: float
    followers: Mapping[str, int]
    sent_bytes: int
    stalled: int
