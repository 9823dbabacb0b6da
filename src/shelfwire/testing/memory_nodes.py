"""What stores in memory that share a database offer to the nodes they are of."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from shelfwire.jobs.committed import Committed
from shelfwire.jobs.nodes import ADMISSION_WINDOW, REREAD_SECONDS, Gone, Hint, Lane, Link, News, Position
from shelfwire.protocol.job import HELD, JobState, Status
from shelfwire.protocol.tokens import Grant


class HasCommitted(Protocol):
    """A job in memory."""

    state: JobState

    @property
    def committed(self) -> Committed:
        """The row with the terminal message."""
        ...


class HasJobs(Protocol):
    """The part of a database that is read again.

    Attributes:
        grants: by digest.
        farewells: the endings of erased jobs, by id and when they were made.
        nodes: those that hear of hints.
        admissions: when each caller was counted, by its identity.
        lanes: what nodes share of outside services.
    """

    grants: dict[bytes, Grant]
    farewells: dict[tuple[str, int], Committed]
    nodes: "dict[MemoryNodes, None]"
    admissions: dict[bytes, list[int]]
    lanes: dict[str, Lane]

    @property
    def jobs(self) -> Mapping[str, HasCommitted]:
        """By id."""
        ...


class MemoryNodes:
    """`Nodes` in memory: hints arrive at once.

    Args:
        database: what the nodes share.
        steady: the clock of leases.

    Attributes:
        steady: as given.
        connected_at: as `Nodes.connected_at`.
        reread_seconds, link: as `Nodes` has them.
    """

    reread_seconds = REREAD_SECONDS

    def __init__(self, database: HasJobs, steady: Callable[[], int] | None) -> None:
        self._database = database
        self.steady = steady or (lambda: 0)
        self._heard: list[Hint] = []
        self._news = asyncio.Event()
        self.connected_at = 0
        self.link = Link()

    @property
    def alive(self) -> int:
        """See `Nodes.alive`."""
        return max(1, len(self._database.nodes))

    def connect(self) -> None:
        """Hear hints from now on."""
        self.connected_at = self.steady()
        self._database.nodes[self] = None

    def disconnect(self) -> None:
        """Hear no more hints."""
        self._database.nodes.pop(self, None)

    def others(self) -> "Iterator[MemoryNodes]":
        """The other nodes that hear hints."""
        return (node for node in self._database.nodes if node is not self)

    def hear(self, hints: Iterable[Hint]) -> None:
        """Take hints of another node."""
        self._heard += hints
        self._news.set()

    def send(self, hints: Iterable[Hint]) -> None:
        """See `Nodes.send`."""
        sent = list(hints)
        for node in self.others():
            node.hear(sent)

    async def receive(self) -> Sequence[Hint]:
        """See `Nodes.receive`."""
        await self._news.wait()
        self._news.clear()
        heard, self._heard = self._heard, []
        return heard

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        """See `Nodes.reread`."""
        rows, gone = [], []
        for position in positions:
            job = self._database.jobs.get(position.job_id)
            if job is None or job.state.created_at != position.created_at:
                ending = self._database.farewells.get((position.job_id, position.created_at))
                gone.append(Gone(position, ending))
            elif job.state.seq != position.seq:
                rows.append(job.committed)
        revoked = [digest for digest in digests if digest not in self._database.grants]
        return News(rows=rows, gone=gone, revoked=revoked)

    async def next_due(self, pipelines: Sequence[str], after: int) -> int | None:
        """See `Nodes.next_due`."""
        states = (job.state for job in self._database.jobs.values() if job.state.pipeline in pipelines)
        ends = (one.lease_until for one in states if one.status in HELD or one.status is Status.QUEUED)
        return min((end for end in ends if end > after), default=None)

    async def admit(self, identity: bytes, limit: int, now: int) -> int:
        """See `Nodes.admit`."""
        counted = self._database.admissions.get(identity, [])
        recent = [time for time in counted if time > now - ADMISSION_WINDOW]
        if len(recent) >= limit:
            return recent[-limit] + ADMISSION_WINDOW - now
        self._database.admissions[identity] = [*recent, now]
        return 0

    async def change_lane(self, name: str, change: Callable[[Lane], Lane]) -> Lane:
        """See `Nodes.change_lane`."""
        lane = self._database.lanes[name] = change(self._database.lanes.get(name, Lane()))
        return lane
