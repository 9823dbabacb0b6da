"""What a `Job` asks of its surroundings: a store and a committer in its own process, or a server elsewhere."""

from typing import Protocol

from shelfwire.jobs.draft import Draft
from shelfwire.jobs.store import Item


class JobInputs(Protocol):
    """What a job works on, what its earlier attempts have recorded, and what they have kept; see `JobStore`."""

    async def read_input(self, job_id: str, name: str) -> bytes:
        """Return a whole input; empty if there is none."""
        ...

    async def items(self, job_id: str, *, after: int, limit: int) -> list[Item]:
        """Return up to `limit` items with an index above `after`, in the order of their index."""
        ...

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes) -> bool:
        """Keep data for later attempts; False if the attempt does not hold the job any more."""
        ...

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """Return the data kept under a name; None if there are none."""
        ...


class Marker(Protocol):
    """Makes drafts durable."""

    def mark(self, draft: Draft, *, urgent: bool = False) -> None:
        """Schedule a changed draft; `urgent` does not wait for the tick."""
        ...
