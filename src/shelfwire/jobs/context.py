"""What a pipeline sees: its input, its items, and a way to record what became of each."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.committer import Committer, Draft
from shelfwire.jobs.store import JobStore
from shelfwire.protocol.messages import Metadata

T = TypeVar("T")
MAX_UNCOMMITTED: Final = 5000
SLICE_SECONDS: Final = 0.002
"""The event loop gets a turn after so long, that a PING is answered in time however many jobs compute."""

_encoder = msgspec.json.Encoder()


class Pipeline(Protocol):
    """A kind of job."""

    @property
    def name(self) -> str:
        """The pipeline's name on the wire."""
        ...

    async def run(self, job: "Job") -> str:
        """Do the job, or what is left of it, and return a summary for a person.

        May be called again for the same job after a crash; `Job.pending` then passes over what is in the log. It may be
        cancelled at any `await`.

        Raises:
            ShelfwireError: the job as a whole cannot be done, and trying again would not help.
            Exception: anything else ends the attempt, and the job is tried again.
        """
        ...


class Job:
    """One attempt at a job, as its pipeline sees it."""

    def __init__(self, store: JobStore, committer: Committer, draft: Draft, recorded: Sequence[int]) -> None:
        self._store = store
        self._committer = committer
        self._draft = draft
        self._recorded = set(recorded)
        self._total = 0
        self.succeeded = draft.state.succeeded
        self.failed = draft.state.failed

    @property
    def metadata(self) -> Metadata:
        """What was said of the input when the job was made."""
        return self._draft.state.metadata or Metadata()

    async def input(self, name: str) -> bytes:
        """Return the whole of an input, by the name it was sent under; empty if there is none."""
        return await self._store.read_input(self._draft.state.id, name)

    async def start(self, total: int, metadata: Metadata | None = None) -> None:
        """Say how many items there are; followers hear of it at once. Call it in each attempt, before recording."""
        self._draft.total = self._total = total
        self._draft.metadata = metadata
        self._committer.mark(self._draft, urgent=True)
        await asyncio.sleep(0)

    async def paced(self, work: Iterable[T]) -> AsyncIterator[T]:
        """Iterate over work that computes, giving the event loop a turn every few milliseconds."""
        clock = time.perf_counter
        until = clock() + SLICE_SECONDS
        for element in work:
            yield element
            if clock() > until:
                await asyncio.sleep(0)
                until = clock() + SLICE_SECONDS

    async def pending(self, items: Iterable[T]) -> AsyncIterator[tuple[int, T]]:
        """Iterate over the items that are not in the log yet, each with its index.

        Every item is drawn from `items`, the recorded ones too, so a generator that decides over the whole input comes
        to the same decisions after a crash. Waits while more than 5,000 outcomes are uncommitted.
        """
        draft, recorded = self._draft, self._recorded
        index = -1
        async for item in self.paced(items):
            index += 1
            if index in recorded:
                continue
            yield index, item
            while draft.uncommitted >= MAX_UNCOMMITTED:
                draft.room.clear()
                await draft.room.wait()

    def record(
        self, index: int, outcome: Any, *, title: str | None = None, author: str | None = None, isbn: str | None = None
    ) -> None:
        """Note that an item was done. Memory only: the committer makes it durable within a tick.

        Args:
            index: the item's place in the input, from 0.
            outcome: what becomes its result; anything JSON can say.
            title: what a person calls the item.
            author: shown beside the title while it is the newest.
            isbn: likewise.

        Raises:
            ValueError: the item is recorded already, or beyond the total that `start` was told.
        """
        self._note(index, True, title, outcome)  # noqa: FBT003 - the order of an Item
        draft = self._draft
        draft.succeeded += 1
        self.succeeded += 1
        draft.title, draft.author, draft.isbn = title, author, isbn

    def fail(self, index: int, error: ShelfwireError, *, title: str | None = None, **details: Any) -> None:
        """Note that an item failed, and why; the job goes on.

        Args:
            index: the item's place in the input, from 0.
            error: what happened and what to do about it.
            title: what a person calls the item.
            details: members to add to the item's error, such as the row it stands in.

        Raises:
            ValueError: the item is recorded already, or beyond the total that `start` was told.
        """
        body = {
            "code": error.code,
            "message": error.message,
            "userMessage": error.user_message,
            "retryable": error.retryable,
            **details,
        }
        self._note(index, False, title, body)  # noqa: FBT003 - the order of an Item
        draft = self._draft
        draft.failed += 1
        self.failed += 1
        draft.title, draft.author, draft.isbn = title, None, None

    def _note(self, index: int, ok: bool, title: str | None, body: Any) -> None:  # noqa: FBT001 - the order of an Item
        if not 0 <= index < self._total:
            raise ValueError(f"item {index} of job {self._draft.state.id} is beyond its total of {self._total}")
        if index in self._recorded:
            raise ValueError(f"item {index} of job {self._draft.state.id} is recorded already")
        self._draft.items.append(msgspec.Raw(_encoder.encode((index, ok, title, body))))
        self._recorded.add(index)
        self._committer.mark(self._draft)
