"""The uncommitted changes of an attempt whose worker is outside of the server, made of its reports."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.draft import PER_CENT, Draft
from shelfwire.jobs.outcomes import MAX_ITEM_DEPTH, check_readable, depth, encode_body
from shelfwire.jobs.stall import StallDetector
from shelfwire.jobs.store import Change, Committed, NewItem
from shelfwire.protocol import legacy
from shelfwire.protocol.job import JobState, Transition
from shelfwire.protocol.messages import MAX_DETAILS_BYTES, Metadata, clip
from shelfwire.protocol.reports import MAX_REPEATED, MAX_TOTAL, Indices, JobFailure, Report, ReportedItem
from shelfwire.safe_text import safe_line


class RemoteDraft(Draft):
    """A `Draft` that can be made again at any time from the job's row and log.

    Args:
        state: the row.
        recorded: the indices that are in the log.
        selection: in a retry, which items of the input it is about, ascending; None for all.
        stall: measures how long the attempt has recorded nothing.

    Attributes:
        number, crc: of the newest report, committed or not.
        repeated: the indices that this report was refused, as recorded before.
        answer: resolved with the row once that report is durable, or with None if the attempt has lost the job; None
            for a report that was durable before.
        stall: as given.
        stale: whether the row has changed since it was read.
    """

    def __init__(
        self, state: JobState, recorded: Iterable[int], selection: Sequence[int] | None, stall: StallDetector
    ) -> None:
        super().__init__(state)
        self.stall = stall
        self.number, self.crc = state.number, state.crc
        self.title, self.author, self.isbn = state.title, state.author, state.isbn
        self.repeated: Sequence[int] = ()
        self.answer: asyncio.Future[Committed | None] | None = None
        self.stale = False
        self._retry = state.retry_of is not None
        self._places = None if selection is None else {source: place for place, source in enumerate(selection)}
        self._recorded = Indices(recorded)
        self._waiting: list[asyncio.Future[Committed | None]] = []
        self._taken: list[asyncio.Future[Committed | None]] = []
        self._stamped = state.number

    def durable(self) -> asyncio.Future[Committed | None]:
        """Return what is resolved by the commit that holds everything up to now; see `answer`."""
        future: asyncio.Future[Committed | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    @property
    def pending(self) -> bool:
        """Whether somebody waits for a commit."""
        return bool(self._waiting or self._taken)

    def take(self, now: float) -> Change:
        """See `Draft.take`."""
        if self.repeat is None:
            self.stale = False
            self._taken, self._waiting = self._waiting, []
        return super().take(now)

    def confirm(self, change: Change, answer: Committed | None) -> None:
        """See `Draft.confirm`."""
        super().confirm(change, answer)
        answered = [*self._taken, *self._waiting] if self.finished.is_set() else self._taken
        self._taken, self._waiting = [], [] if self.finished.is_set() else self._waiting
        for future in answered:
            if not future.done():
                future.set_result(None if self.lost else answer)

    def _stamp(self) -> tuple[int, int, int | None]:
        if self.number == self._stamped:
            return 0, 0, None
        self._stamped = self.number
        return self.number, self.crc, None

    def add(self, report: Report, crc: int, closing: Transition | None, *, inline_limit: int) -> None:
        """Take the whole of a report with the attempt's next number, or nothing of it.

        Args:
            report: the report.
            crc: its checksum.
            closing: how the attempt ends by it.
            inline_limit: the most bytes of results of the caller's own.

        Raises:
            ShelfwireError: `E_ITEM_UNKNOWN` or `E_REPORT_INVALID`.
        """
        known = self.state.total if self.total is None else self.total
        total = self._total(report, known)
        fresh, repeated = self._fresh(report.items, total)
        results = _results(report, inline_limit)
        metadata = None if report.metadata is None else clean_metadata(report.metadata)
        if report.end is not None and report.end.fail is not None:
            _check_details(report.end.fail)
        entries = [self._encoded(place, item) for place, item in fresh.items()]
        # Nothing is refused from here on.
        self._note(report, fresh, entries)
        self.repeated = repeated[:MAX_REPEATED]
        self.total = self.total if total == known else total
        self.metadata = metadata or self.metadata
        self._show(report, total)
        self.number, self.crc = report.number, crc
        if closing is not None:
            self.closing, self.results = closing, results
        self.answer = self.durable()

    def _total(self, report: Report, known: int | None) -> int | None:
        """The job's number of items from now on; None while it is not known."""
        old = None if report.legacy is None else legacy.read(0, report.legacy.status, None).total
        total = report.total_count
        if total is None and old is not None:
            total = min(max(old, self._recorded.beyond), MAX_TOTAL)
        if total is None and known is None and report.fraction is not None:
            total = PER_CENT
        if total is None:
            return known
        if self._places is not None:
            return len(self._places)
        if total < self._recorded.beyond:
            raise ShelfwireError(
                Code.REPORT_INVALID, f"totalCount is {total}, and item {self._recorded.beyond - 1} is recorded already"
            )
        return max(total, self.state.reported, self.reported)  # followers have seen that many, which never fall

    def _fresh(self, items: Sequence[ReportedItem], total: int | None) -> tuple[dict[int, ReportedItem], Sequence[int]]:
        """The items that are not recorded yet, by their place in the log, and the indices of the others."""
        fresh: dict[int, ReportedItem] = {}
        repeated: list[int] = []
        limit = MAX_TOTAL if total is None else total
        for item in items:
            place = item.index if self._places is None else self._places.get(item.index, -1)
            if not 0 <= place < limit:
                known = f"a job has up to {MAX_TOTAL:,}" if total is None else f"this one has {total:,}, from 0"
                raise ShelfwireError(
                    Code.ITEM_UNKNOWN,
                    f"There is no item {item.index}: {known if self._places is None else 'this job is not about it'}",
                    details={"index": min(max(item.index, -MAX_TOTAL), 2 * MAX_TOTAL)},
                )
            if place in fresh or place in self._recorded:
                repeated.append(item.index)
            else:
                fresh[place] = item
        return fresh, repeated

    def _encoded(self, place: int, item: ReportedItem) -> tuple[bool, NewItem]:
        """An entry of the log, and whether the item was done; one whose result cannot be kept has failed."""
        body = item.result if item.error is None or item.ok else item.error.to_result()
        title = None if item.title is None else clip(item.title)
        try:
            return item.ok, self._entry(place, item, title, body, ok=item.ok)
        except ShelfwireError as error:
            return False, self._entry(place, item, title, error.to_result(), ok=False)

    def _entry(self, place: int, item: ReportedItem, title: str | None, body: Any, *, ok: bool) -> NewItem:
        return place, ok, title, encode_body(body, title), item.index if self._retry else None

    def _note(self, report: Report, fresh: dict[int, ReportedItem], entries: Sequence[tuple[bool, NewItem]]) -> None:
        for place in fresh:
            self._recorded.add(place)
        done = sum(ok for ok, _ in entries)
        self.items.extend(entry for _, entry in entries)
        self.succeeded += done
        self.failed += len(entries) - done
        if fresh:
            self.activity += 1
            newest = report.items[-1]
            self.title, self.author, self.isbn = (
                None if text is None else clip(text) for text in (newest.title, newest.author, newest.isbn)
            )

    def _show(self, report: Report, total: int | None) -> None:
        """Take what followers see beside the items."""
        done, title, message = report.processed_count, report.current_title, report.user_message
        before = max(self.state.reported, self.reported)
        if report.fraction is not None:
            self.advance(report.fraction, total)
        elif report.legacy is not None:
            old = legacy.read(report.legacy.progress, report.legacy.status, total)
            done, title, message = old.processed, title or old.title, message or old.user_message
        if done is not None:
            self.reported = max(self.reported, done if total is None else min(done, total))
        if title is not None:
            self.title, self.author, self.isbn, self.shown = title, None, None, True
        if title is not None or self.reported > before:
            self.activity += 1
        self.user_message = message or self.user_message


def _results(report: Report, limit: int) -> msgspec.Raw | None:
    """The results of the caller's own, in place of the list of items; None for that list."""
    given = None if report.end is None or report.end.complete is None else report.end.complete.results
    if not isinstance(given, msgspec.Raw):
        return None
    results = bytes(given)
    if len(results) > limit:
        raise ShelfwireError(
            Code.REPORT_INVALID,
            f"end.complete.results is {len(results):,} bytes as JSON, and at most {limit:,} fit into an ending: report "
            "items instead",
        )
    try:
        check_readable(results)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ShelfwireError(Code.REPORT_INVALID, f"end.complete.results cannot be read: {error}") from None
    _check_depth(results, "end.complete.results")
    return msgspec.Raw(results)


def _check_details(failure: JobFailure) -> None:
    details = msgspec.json.encode(failure.details)
    if len(details) > MAX_DETAILS_BYTES:
        raise ShelfwireError(
            Code.REPORT_INVALID,
            f"end.fail.details is {len(details):,} bytes as JSON, and at most {MAX_DETAILS_BYTES:,} are kept",
        )
    _check_depth(details, "end.fail.details")


def _check_depth(encoded: bytes, where: str) -> None:
    if depth(encoded) > MAX_ITEM_DEPTH:
        raise ShelfwireError(
            Code.REPORT_INVALID, f"{where} has more than {MAX_ITEM_DEPTH} lists and objects within one another"
        )


def clean_metadata(metadata: Metadata) -> Metadata:
    """Return metadata that any row can hold and anybody can show.

    Raises:
        ShelfwireError: `E_REPORT_INVALID`: a number is beyond 64 bits.
    """
    name = None if metadata.file_name is None else clip(safe_line(metadata.file_name))
    if max(metadata.file_size or 0, metadata.photo_count or 0) >= 2**63:
        raise ShelfwireError(Code.REPORT_INVALID, "A number in metadata is beyond 64 bits")
    return msgspec.structs.replace(metadata, file_name=name)
