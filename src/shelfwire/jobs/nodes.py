"""The port between nodes: processes that share one store, and serve and run the same jobs.

A node tells the others by *hints* what it has committed, so that they look at it at once. Hints may be lost, late or
doubled, and nothing is concluded from them. What holds is what each node *reads again*, every second and after a hint.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from shelfwire.jobs.committed import Committed
from shelfwire.protocol.job import JobState

REREAD_SECONDS: Final = 1.0
"""How long a lost hint can go unnoticed."""
FAREWELL: Final = 60_000
"""Milliseconds for which the ending of an erased job is kept for the followers on other nodes."""
ADMISSION_WINDOW: Final = 60_000
"""Milliseconds within which `Nodes.admit` counts."""
LANE_TTL: Final = 86_400_000
"""Milliseconds after which a lane that nobody uses may be forgotten."""


class HintKind(StrEnum):
    """What a hint is about; the values are the letters of the wire format."""

    ROW = "r"
    """The job's row has changed."""
    CONTROL = "c"
    """Its owner has requested something of its worker."""
    TOKENS = "g"
    """A token of the job was revoked."""
    QUEUE = "q"
    """There may be a job to claim."""
    GONE = "d"
    """The job was erased."""
    MISSED = "?"
    """Hints may have been lost, so that everything is to be read again. A store makes it, and never sends it."""


class Hint(msgspec.Struct, frozen=True):
    """Something that another node may want to look at.

    Attributes:
        kind: what has changed.
        job_id: of which job; empty for `QUEUE` and `MISSED`.
        seq: the revision of the row, for `ROW`.
    """

    kind: HintKind
    job_id: str = ""
    seq: int = 0


class Position(msgspec.Struct, frozen=True):
    """A job, and the newest revision of it that this node knows; an id may have been given to another job since.

    Attributes:
        job_id, created_at: which job.
        seq: the revision.
    """

    job_id: str
    created_at: int
    seq: int

    @classmethod
    def of(cls, state: JobState) -> "Position":
        """Return the position of a row."""
        return cls(state.id, state.created_at, state.seq)


class Gone(msgspec.Struct, frozen=True):
    """A job that was erased.

    Attributes:
        position: as it was asked for.
        ending: how it ended, where the store keeps that for those who followed it; else None.
    """

    position: Position
    ending: Committed | None = None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of the jobs and tokens that a node has to do with.

    Attributes:
        rows: the rows that are newer than their positions; also those that are older, because the store has lost what
            it had confirmed, as after a failover to a copy that was behind.
        gone: the positions whose job is not there any more.
        revoked: the digests that no token has any more.
    """

    rows: Sequence[Committed] = ()
    gone: Sequence[Gone] = ()
    revoked: Collection[bytes] = ()


class Link(msgspec.Struct, frozen=True):
    """How a node is connected with what it shares.

    Attributes:
        hears: whether hints of other nodes are heard.
        clock_offset: milliseconds by which the clock of leases was behind the store's when it was compared last.
        clock_age: seconds since then.
    """

    hears: bool = True
    clock_offset: int = 0
    clock_age: float = 0.0


class Lane(msgspec.Struct, frozen=True):
    """What the nodes share of one outside service: how far its requests are. Times are those of the clock of leases.

    Attributes:
        begun: when the last requests began, or will begin, ascending.
        held_until: before that none begins.
        reason: why that is so, where the service refuses every request; else empty.
    """

    begun: tuple[int, ...] = ()
    held_until: int = 0
    reason: str = ""


class Nodes(Protocol):
    """What a store offers that several processes share, beside the methods of `JobStore`.

    It answers for all that is committed by anybody. Of a job that is erased less than `FAREWELL` after its end, or by
    that, the transaction that erases it keeps the ending for as long: followers on other nodes may not have had it.
    """

    @property
    def connected_at(self) -> int:
        """Since when, by the clock of leases, it can be written without a break: when it connected last."""
        ...

    @property
    def reread_seconds(self) -> float:
        """How often to read again: `REREAD_SECONDS`, or less where no hints can be heard."""
        ...

    @property
    def alive(self) -> int:
        """How many nodes there are, as far as was seen lately: at least 1."""
        ...

    @property
    def link(self) -> Link:
        """How this node is connected with what it shares. It compares the clocks about every second."""
        ...

    def send(self, hints: Iterable[Hint]) -> None:
        """Send hints to the other nodes, soon. Never waits and never raises; what cannot be sent is lost."""
        ...

    async def receive(self) -> Sequence[Hint]:
        """Wait for hints of other nodes, and return all that have come; never none.

        After a time in which hints may have been lost, as when the connection was, there is one of kind `MISSED`. It
        raises nothing: while hints cannot be heard, it waits. Only one task calls it.
        """
        ...

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        """Return what is new of these jobs and tokens. A job's row and its ending are of one moment.

        Raises:
            ShelfwireError: as the methods of `JobStore`. A row that cannot be read is left out.
        """
        ...

    async def next_due(self, pipelines: Sequence[str], after: int) -> int | None:
        """Return when something makes a job of these pipelines claimable, if nobody changes it before.

        That is the end of a lease or of a backoff later than `after`, both by the clock of leases; None if there is
        none.
        """
        ...

    async def admit(self, identity: bytes, limit: int, now: int) -> int:
        """Count what a caller does, unless all nodes have counted `limit` of it within the last `ADMISSION_WINDOW`.

        Args:
            identity: the digest of whatever identifies the caller.
            limit: at least 1.
            now: the time by the clock of leases.

        Returns:
            0 if it is counted; else the milliseconds until it may be again, at least 1.

        Raises:
            ShelfwireError: as the methods of `JobStore`.
        """
        ...

    async def change_lane(self, name: str, change: Callable[[Lane], Lane]) -> Lane:
        """Change a lane, one node after the other, and return it as it is then; one that is new begins empty.

        Args:
            name: of a service and of what its limits are for, such as a key: a digest of that, never itself.
            change: is pure; it may be called again where concurrent work came first.

        Raises:
            ShelfwireError: as the methods of `JobStore`.
        """
        ...
