"""The events and figures that the engine reports for monitoring, independent of any metrics library."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from shelfwire.protocol.job import JobState


class Figure(StrEnum):
    """What ought to go well, and is counted by the hour.

    Attributes:
        UNAUTHORIZED: requests with a token that is stored, unexpired and the job's; bad is a 401 all the same.
        RECONNECTS: returns of clients by their own account; bad are those that they gave up.
        ATTEMPTS: attempts to return by their own account; bad are those that failed.
        INTERRUPTED: jobs that a process before this one had begun and not ended.
        RECOVERED: those of them that went on, or ended, in this one.
        UNDECODABLE: messages that clients could not read, by their own account; all are bad.
    """

    UNAUTHORIZED = "unauthorized"
    RECONNECTS = "reconnects"
    ATTEMPTS = "reconnect_attempts"
    INTERRUPTED = "interrupted_jobs"
    RECOVERED = "recovered_jobs"
    UNDECODABLE = "undecodable"


class Telemetry(Protocol):
    """Receives events as they happen; every method must return at once and never raise."""

    def committed(self, seconds: float) -> None:
        """A transaction with the jobs' progress was committed; it took `seconds`."""
        ...

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """Items of jobs of this pipeline were committed."""
        ...

    def ended(self, state: JobState) -> None:
        """A job has ended."""
        ...

    def answered(self, code: str | None, received: int) -> None:
        """A request was answered, with the error `code` if any; `received` bytes of its body were read."""
        ...

    def interrupted(self, job_ids: Collection[str]) -> None:
        """A process before this one had begun these jobs and not ended them."""
        ...

    def claimed(self, state: JobState, seconds: float) -> None:
        """A job was claimed, and waits since `seconds`."""
        ...

    def handed_over(self, seconds: float) -> None:
        """News of a job were handed to a follower's connection, `seconds` after they were committed."""
        ...

    def reported(self, seconds: float) -> None:
        """A report of a worker elsewhere was answered, which took `seconds`."""
        ...

    def responded(self, route: str, seconds: float) -> None:
        """The answer to a request for this route began, `seconds` after the request."""
        ...

    def noted(self, figure: Figure, bad: int = 0, total: int = 1) -> None:
        """Of `total` times that something should go well, it did not `bad` times."""
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

    def interrupted(self, job_ids: Collection[str]) -> None:
        """See `Telemetry.interrupted`."""

    def claimed(self, state: JobState, seconds: float) -> None:
        """See `Telemetry.claimed`."""

    def handed_over(self, seconds: float) -> None:
        """See `Telemetry.handed_over`."""

    def reported(self, seconds: float) -> None:
        """See `Telemetry.reported`."""

    def responded(self, route: str, seconds: float) -> None:
        """See `Telemetry.responded`."""

    def noted(self, figure: Figure, bad: int = 0, total: int = 1) -> None:
        """See `Telemetry.noted`."""

    def delivered(self, result: str, seconds: float) -> None:
        """See `Telemetry.delivered`."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's current figures.

    Attributes:
        jobs: number of jobs by pipeline and status; None while the store cannot be read.
        queue_age: seconds since the oldest waiting job became claimable; 0 where none waits.
        followers: followers attached to this node, by transport.
        sent_bytes: size of all messages sent to followers of this node.
        stalled: jobs on this node that have recorded nothing for too long, and all that no worker has any more.
        deliveries: webhooks in the store that are waiting or were given up, by status; None as for `jobs`.
    """

    jobs: Mapping[tuple[str, str], int] | None
    queue_age: float
    followers: Mapping[str, int]
    sent_bytes: int
    stalled: int
    deliveries: Mapping[str, int] | None = None
