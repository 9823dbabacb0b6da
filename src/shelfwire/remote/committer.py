"""Makes what a `Job` records durable, by reports to the server."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shelfwire.client.reporting.attempt import PATIENCE_SECONDS, Attempt, AttemptLostError, Retries
from shelfwire.client.reporting.delivery import MAX_BYTES, Batch, Delivery
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.store import NewItem
from shelfwire.protocol.messages import clip
from shelfwire.protocol.reports import MAX_REPORT_ITEMS, RESERVED_CODES, ReportAnswer

ENVELOPE_BYTES: Final = 60
"""What an item in a report has more than one in a log."""
ITEM_FAILED: Final = "E_ITEM_FAILED"
"""Stands for the codes that only a server may give, such as `E_INTERNAL`."""


class RemoteCommitter:
    """Reports the draft of one attempt. A `Marker`, and the `Source` of its `delivery`.

    Args:
        retries: sends requests.
        attempt: the attempt.
        draft: what its pipeline has recorded.

    Attributes:
        delivery: sends the reports.
    """

    def __init__(self, retries: Retries, attempt: Attempt, draft: Draft) -> None:
        self._draft = draft
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._title = draft.state.title
        self._fraction: float | None = None
        self.delivery = Delivery(retries, attempt, self, PATIENCE_SECONDS)

    @property
    def renewed_at(self) -> float:
        """See `Renewed`."""
        return self.delivery.renewed_at

    def mark(self, draft: Draft, *, urgent: bool = False) -> None:
        """See `Marker.mark`."""
        self._idle.clear()
        self.delivery.wake(urgent=urgent or len(draft.items) >= MAX_REPORT_ITEMS)

    async def flush(self) -> None:
        """Return once everything that was recorded is durable."""
        self.mark(self._draft, urgent=True)
        await self._idle.wait()

    def hear(self, stop: str | None) -> None:
        """See `Renewed`."""
        if stop is not None:
            self._loop.call_soon_threadsafe(self._stop)

    def lose(self, error: AttemptLostError) -> None:
        """See `Renewed`. The next report finds it out as well."""
        del error
        self._loop.call_soon_threadsafe(self._lose)

    def take(self) -> Batch | None:
        """See `Source.take`."""
        draft = self._draft
        chosen = self._items()
        content: dict[str, Any] = {"items": chosen} if chosen else {}
        content |= _said(totalCount=draft.total, metadata=draft.metadata, userMessage=draft.user_message)
        content |= _said(processedCount=draft.reported or None) if draft.fraction is None else {}
        if draft.fraction != self._fraction:
            content["fraction"] = self._fraction = draft.fraction
        if draft.title != self._title and draft.title is not None and (draft.shown or not chosen):
            content["currentTitle"] = clip(draft.title)
        self._title = draft.title
        state, total, reported = draft.state, draft.total, draft.reported
        draft.state = msgspec.structs.replace(
            state,
            total=state.total if total is None else total,
            reported=max(state.reported, reported),
            succeeded=state.succeeded + draft.succeeded,
            failed=state.failed + draft.failed,
        )
        draft.in_flight = len(chosen)
        draft.total = draft.metadata = draft.user_message = None
        draft.succeeded = draft.failed = draft.reported = 0
        draft.shown = False
        if not content:
            self._idle.set()
            return None
        return Batch(content, len(chosen))

    def _items(self) -> list[dict[str, Any]]:
        """Take the items of the next report off the draft."""
        draft, size, count = self._draft, 0, 0
        for _, _, title, body, _ in draft.items[:MAX_REPORT_ITEMS]:
            size += len(body.encode()) + len((title or "").encode()) + ENVELOPE_BYTES
            if count and size > MAX_BYTES:
                break
            count += 1
        chosen = [_on_wire(item) for item in draft.items[:count]]
        del draft.items[:count]
        if chosen and not draft.items and chosen[-1].get("title") == draft.title:
            chosen[-1] |= _said(author=draft.author, isbn=draft.isbn)
        return chosen

    def confirm(self, batch: Batch, answer: ReportAnswer) -> None:
        """See `Source.confirm`."""
        del batch
        self._draft.in_flight = 0
        self._draft.below_limit.set()
        if answer.stop is not None:
            self._stop()

    def _stop(self) -> None:
        if not self._draft.halted:
            self._draft.halt()

    def _lose(self) -> None:
        self._draft.lost = True
        self._stop()


def _on_wire(item: NewItem) -> dict[str, Any]:
    place, ok, title, body, source = item
    outcome: dict[str, Any] = {"result": msgspec.Raw(body.encode())} if ok else {"error": _allowed(body)}
    return {"index": place if source is None else source, "ok": ok, **_said(title=title), **outcome}


def _allowed(error: str) -> dict[str, Any]:
    """An error as a report may have it: some codes are the server's alone."""
    told = msgspec.json.decode(error, type=dict[str, Any])
    return {**told, "code": ITEM_FAILED} if told["code"] in RESERVED_CODES else told


def _said(**members: Any) -> Mapping[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
