"""A pipeline's view of its job: the input, the items, and how to record the outcome of each."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import msgspec
import structlog

from shelfwire.clock import Clock, SystemClock, yield_to_loop
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.draft import PER_CENT, Draft
from shelfwire.jobs.outcomes import encode_body
from shelfwire.jobs.patience import when_available
from shelfwire.jobs.ports import JobInputs, Marker
from shelfwire.jobs.store import Claimed, Item
from shelfwire.protocol import legacy
from shelfwire.protocol.messages import MAX_TITLE_CHARS, JobStarted, Message, Metadata, clip, encode
from shelfwire.safe_text import encodable

T = TypeVar("T")
MAX_UNCOMMITTED: Final = 5000
SLICE_SECONDS: Final = 0.002
"""The longest computation between two turns of the event loop, so that a PING is answered in time."""
RUNNING_JOB: Final = ContextVar("RUNNING_JOB", default="")
"""The id of the job that what runs now is for; what jobs share can serve them in turn. "" outside of any job."""

log = structlog.get_logger(__name__)


class Job:
    """One attempt at a job, as its pipeline sees it. While the store cannot be used, it waits for it as commits do.

    Attributes:
        options: how the job was asked to work: an instance of its pipeline's `options`.
        succeeded, failed: how many items are recorded, by outcome, those of earlier attempts included.
    """

    def __init__(
        self,
        store: JobInputs,
        committer: Marker,
        draft: Draft,
        claimed: Claimed,
        options: Any = None,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self._clock = clock or SystemClock()
        self._store = store
        self._committer = committer
        self._draft = draft
        self._retry = claimed.state.retry_of is not None
        self._selection = claimed.selection
        self._places = None if claimed.selection is None else {s: place for place, s in enumerate(claimed.selection)}
        self._recorded = set(claimed.recorded)
        self._total = 0
        self._warned = False
        self.succeeded = draft.state.succeeded
        self.failed = draft.state.failed

    @property
    def id(self) -> str:
        """The job's id."""
        return self._draft.state.id

    @property
    def attempt(self) -> int:
        """Which attempt at the job this is, from 1."""
        return self._draft.state.attempt

    @property
    def metadata(self) -> Metadata:
        """The metadata given when the job was made."""
        return self._draft.state.metadata or Metadata()

    async def input(self, name: str) -> bytes:
        """Return the whole of an input, by the name it was sent under; empty if there is none."""
        return await when_available(self._clock, lambda: self._store.read_input(self.id, name))

    async def log(self) -> Sequence[Item]:
        """Return the items that are committed, in the order of their index: what earlier attempts have done."""
        limit = max(1, len(self._recorded))
        return await when_available(self._clock, lambda: self._store.items(self.id, after=-1, limit=limit))

    async def keep(self, name: str, data: bytes) -> None:
        """Keep data that must not be fetched again, such as a paid answer; durable once this returns.

        It survives crashes, goes into the job's retries, and is erased with the job. While the store cannot be written,
        as on a full disk, this waits, as the items do that were recorded.

        Args:
            name: the key for `kept`; data kept under it before are replaced.
            data: the data.
        """
        await when_available(self._clock, lambda: self._store.keep(self.id, self.attempt, name, data))

    async def kept(self, name: str) -> bytes | None:
        """Return the data that this or an earlier attempt kept under a name; None if there are none."""
        return await when_available(self._clock, lambda: self._store.kept(self.id, name))

    def show(self, title: str, *, author: str | None = None) -> None:
        """Show followers what is under way within an item that takes long. It records nothing.

        Args:
            title: becomes the current title, until an item is recorded or something else shown.
            author: shown beside it.

        Raises:
            TypeError: one of them is no text.
        """
        draft = self._draft
        draft.title, draft.author, draft.isbn, draft.shown = _text(title), _text(author), None, True
        draft.activity += 1
        self._committer.mark(draft)

    def progress(self, fraction: float, *, title: str | None = None) -> None:
        """Say which part of work without items is done. Followers see whole per cents, and how long the rest takes.

        In memory only: durable within a tick. The fraction never falls, whatever is given.

        Args:
            fraction: from 0 to 1.
            title: what is being worked on.

        Raises:
            ValueError: the fraction is beyond 0 to 1.
            TypeError: the title is no text.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"A fraction is from 0 to 1, not {fraction!r}")
        draft = self._draft
        if draft.state.total is None and draft.total is None:
            draft.total = PER_CENT
        draft.advance(fraction, draft.state.total if draft.total is None else draft.total)
        if title is not None:
            draft.title, draft.author, draft.isbn, draft.shown = _text(title), None, None, True
        draft.activity += 1
        self._committer.mark(draft)

    async def start(self, total: int, metadata: Metadata | None = None) -> None:
        """Declare the number of items; followers are notified at once. Call it in each attempt, before recording.

        Args:
            total: items in the whole input; in a retry, followers see only the number of those it covers.
            metadata: describes the input; a long file name is clipped.

        Raises:
            ValueError: the total or a number in `metadata` is no whole number from 0.
        """
        if metadata is not None and metadata.file_name is not None:
            metadata = msgspec.structs.replace(metadata, file_name=clip(metadata.file_name))
        state = self._draft.state
        payload = JobStarted(total_count=total, metadata=metadata)
        # A message that cannot be encoded must not get into a commit, which other jobs share.
        encode(Message(job_id=state.id, pipeline=state.pipeline, timestamp=state.updated_at, payload=payload))
        self._draft.total = self._total = total if self._selection is None else len(self._selection)
        self._draft.metadata = metadata
        self._committer.mark(self._draft, urgent=True)
        await yield_to_loop()

    async def paced(self, work: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
        """Iterate over work that computes, giving the event loop a turn every few milliseconds."""
        clock = self._clock.monotonic
        until = clock() + SLICE_SECONDS
        if isinstance(work, AsyncIterable):
            async for element in work:
                yield element
                if clock() > until:
                    await yield_to_loop()
                    until = clock() + SLICE_SECONDS
            return
        for element in work:
            yield element
            if clock() > until:
                await yield_to_loop()
                until = clock() + SLICE_SECONDS

    async def pending(self, items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[tuple[int, T]]:
        """Iterate over the items that are to be done and not in the log yet, each with its index in the input.

        Every item is drawn from `items`, the recorded ones too, so a generator that decides over the whole input comes
        to the same decisions after a crash; it may wait for others' answers before it does. Waits while more than 5,000
        outcomes are uncommitted.
        """
        draft, recorded = self._draft, {None, *self._recorded}
        index = -1
        async for item in self.paced(items):
            index += 1
            if self._place(index) in recorded:
                continue
            yield index, item
            while draft.uncommitted >= MAX_UNCOMMITTED:
                draft.below_limit.clear()
                await draft.below_limit.wait()

    async def each(
        self, items: Iterable[T] | AsyncIterable[T], work: Callable[[int, T], Awaitable[None]], at_once: int
    ) -> None:
        """Do `work` for every item that `pending` gives, several at a time, and wait for all of it.

        Outcomes are recorded as they come, in any order. The first exception stops what is under way and is raised.

        Args:
            items: the whole input, as for `pending`.
            work: is given an item's index and the item, and records its outcome.
            at_once: maximum number of items under way.
        """
        slots = asyncio.Semaphore(at_once)
        try:
            async with asyncio.TaskGroup() as group:
                async for index, item in self.pending(items):
                    await slots.acquire()
                    group.create_task(_done(work, index, item)).add_done_callback(lambda _: slots.release())
        except BaseExceptionGroup as errors:
            # The worker decides by the one exception that ends an attempt, not by a group.
            raise errors.exceptions[0] from None

    def record(
        self, index: int, outcome: Any, *, title: str | None = None, author: str | None = None, isbn: str | None = None
    ) -> None:
        """Record an item as done. In memory only: the committer makes it durable within a tick.

        An outcome that cannot be kept is recorded as a failure, with `E_ITEM_TOO_LARGE` or `E_ITEM_INVALID` and the
        reason.

        Args:
            index: the item's place in the input, from 0.
            outcome: the item's result; anything that JSON can express in 256 KiB, nested at most 64 deep.
            title: a name for people.
            author: shown beside the title while it is the newest.
            isbn: likewise.

        Raises:
            ValueError: the item is recorded already, or beyond the total given to `start`.
            TypeError: the index or a text is something else.
        """
        title, author, isbn = _text(title), _text(author), _text(isbn)
        try:
            self._note(index, True, title, outcome)  # noqa: FBT003 - the order of an Item
        except ShelfwireError as error:
            if not self._warned:  # the others are in the results
                log.warning("an outcome cannot be kept; its item fails", item=index, reason=error.message)
                self._warned = True
            self.fail(index, error, title=title)
            return
        draft = self._draft
        draft.succeeded += 1
        self.succeeded += 1
        draft.title, draft.author, draft.isbn = title, author, isbn

    def fail(self, index: int, error: ShelfwireError, *, title: str | None = None, **details: Any) -> None:
        """Record an item as failed, with the reason; the job goes on.

        Args:
            index: the item's place in the input, from 0.
            error: what happened and what to do about it.
            title: a name for people.
            details: members to add to the item's error, such as its row number; limited like an outcome, and left out
                if they cannot be kept.

        Raises:
            ValueError: the item is recorded already, or beyond the total given to `start`.
            TypeError: the index or the title is something else.
        """
        title = _text(title)
        try:
            self._note(index, False, title, {**error.to_result(), **details})  # noqa: FBT003 - the order of an Item
        except ShelfwireError as trouble:
            self._note_briefly(index, title, (error, trouble))
        draft = self._draft
        draft.failed += 1
        self.failed += 1
        draft.title, draft.author, draft.isbn = title, None, None

    def _note_briefly(self, index: int, title: str | None, errors: Sequence[ShelfwireError]) -> None:
        """Record the first of some errors that can be kept, without details, and a title that surely can."""
        short = None if title is None else clip(title, MAX_TITLE_CHARS)
        for error in errors:
            with contextlib.suppress(ShelfwireError):
                self._note(index, False, short, error.to_result())  # noqa: FBT003 - the order of an Item
                return

    def update_progress(self, progress: float, status: str, keep_alive: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the signature of deployed callers
        """Report progress by a text, without recording items. For callers from before jobs had item logs.

        `"Enriching (5/10): Dune"` becomes 5 of 10 items and the title; any other text is shown as it is.
        Never lowers what was reported, and records no item.

        Args:
            progress: the fraction done, from 0 to 1, of the job's own total.
            status: the text.
            keep_alive: without effect: leases are renewed by themselves.

        .. deprecated:: 0.1
            Use `start`, and `record` or `fail` for each item.
        """
        warnings.warn(
            "update_progress is deprecated: call start(total), and record or fail for each item",
            DeprecationWarning,
            stacklevel=2,
        )
        draft = self._draft
        report = legacy.read(progress, encodable(status), draft.state.total if draft.total is None else draft.total)
        if (report.processed or 0) > max(draft.reported, draft.state.reported):
            draft.reported = report.processed or 0
            draft.activity += 1
        draft.total = draft.total if report.total is None else report.total
        draft.title = report.title or draft.title
        draft.user_message = report.user_message or draft.user_message
        self._committer.mark(draft)

    def _note(self, index: int, ok: bool, title: str | None, body: Any) -> None:  # noqa: FBT001 - the order of an Item
        if not isinstance(index, int):
            raise TypeError(f"an item's index is a whole number, not {type(index).__name__}")
        place = self._place(index)
        if place is None or not 0 <= place < self._total:
            raise ValueError(f"item {index} of job {self._draft.state.id} is beyond its total of {self._total}")
        if place in self._recorded:
            raise ValueError(f"item {index} of job {self._draft.state.id} is recorded already")
        draft = self._draft
        draft.items.append((place, ok, title, encode_body(body, title), index if self._retry else None))
        draft.activity += 1
        self._recorded.add(place)
        self._committer.mark(draft)

    def _place(self, index: int) -> int | None:
        """The index in this job's log of an item of the input; None if the job does not cover it."""
        return index if self._places is None else self._places.get(index)


async def _done(work: Callable[[int, T], Awaitable[None]], index: int, item: T) -> None:
    # A task that is canceled before it begins has called nothing, and so leaves nothing that is never awaited.
    await work(index, item)


def _text(text: str | None) -> str | None:
    # A pipeline need not be type-checked, and a title that breaks a commit breaks it for all jobs that share it. What
    # breaks one, a lone surrogate, is not printable.
    if text is None or (isinstance(text, str) and (text.isascii() or text.isprintable())):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a title, author or ISBN is a text or None, not {type(text).__name__}")
    return encodable(text)
