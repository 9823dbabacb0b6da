"""What a reporter has to report: gathered by any thread, taken by the one that sends."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from shelfwire.client.reporting.attempt import Attempt, Stopped
from shelfwire.client.reporting.delivery import MAX_BYTES, Batch
from shelfwire.errors import Code, ErrorCode, ShelfwireError
from shelfwire.protocol.messages import MAX_TITLE_CHARS, clip
from shelfwire.protocol.reports import MAX_REPORT_ITEMS, RESERVED_CODES, Indices, ReportAnswer, is_code
from shelfwire.safe_text import encodable

MAX_WAITING: Final = 5000
"""Items that are not durable yet, beyond which whoever records waits."""

_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Outbox:
    """The items and the progress of one attempt until they are durable. Its methods may be called in any thread.

    Args:
        attempt: the attempt.
        total: the number of items, if it is known.
        wake: called when there is something to report; its argument is whether that is urgent.
        changed: called when something was reported, or nothing will be any more.

    Attributes:
        stop: what the owner wants: `cancel`, `pause` or None.
        error: why nothing can be reported any more; None while it can.
        over: whether the report that ends the attempt is durable.
    """

    def __init__(
        self, attempt: Attempt, total: int | None, wake: Callable[[bool], object], changed: Callable[[], object]
    ) -> None:
        self.lock = threading.RLock()
        self.stop: str | None = None
        self.error: Exception | None = None
        self._wake = wake
        self._changed = changed
        self._before = Indices(index for first, last in attempt.recorded for index in range(first, last + 1))
        self._recorded = Indices()
        self._items: deque[bytes] = deque()
        self._fields: dict[str, Any] = {}
        self._end: bytes | None = None
        self._in_flight = 0
        self._said = self._taken = self._durable = 0
        self._total = total if attempt.selection is None else None
        self.over = False
        if total is not None and attempt.token is None:  # whoever made the job has said it
            self._put({"totalCount": total})

    def add(self, index: int, item: dict[str, Any]) -> bool:
        """Add an item; False if an earlier attempt has recorded it.

        Raises:
            ValueError: this attempt has recorded it already, or the index is beyond the total.
            Stopped, AttemptLostError, RefusedError: see `check`.
        """
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise ValueError(f"An item's index is a whole number from 0, not {index!r}")
        encoded = _encoded(index, item)
        with self.lock:
            self.check()
            if self._total is not None and index >= self._total:
                raise ValueError(f"There is no item {index}: the total is {self._total}")
            if index in self._before:
                return False
            if index in self._recorded:
                raise ValueError(f"Item {index} is recorded already")
            self._recorded.add(index)
            first = not self._items
            self._items.append(encoded)
            self._said += 1
        if first or len(self._items) >= MAX_REPORT_ITEMS:
            self._wake(len(self._items) >= MAX_REPORT_ITEMS)
        return True

    def say(self, **fields: Any) -> None:
        """Report something beside items; what was said of the same thing and not reported yet is replaced."""
        with self.lock:
            self.check()
            self._put(fields)
        self._wake(False)  # noqa: FBT003 - not urgent

    def _put(self, fields: dict[str, Any]) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        if self._total is not None:
            self._total = given.get("totalCount", self._total)
        if given.keys() & _DONE:
            for name in _DONE:
                self._fields.pop(name, None)
        self._fields |= given
        self._said += bool(given)

    def end(self, end: dict[str, Any]) -> None:
        """Report how the attempt ends, after everything else."""
        with self.lock:
            self._end = _encode(end)
        self._wake(True)  # noqa: FBT003 - urgent

    def is_recorded(self, index: int) -> bool:
        """Whether this attempt or an earlier one has recorded an item."""
        return index in self._before or index in self._recorded

    def check(self) -> None:
        """Check that there is any use in going on.

        Raises:
            Stopped: the owner wants the job canceled or paused.
            AttemptLostError: the attempt has lost its job.
            RefusedError: the server has refused a report.
        """
        if self.error is not None:
            raise self.error
        if self.stop is not None:
            raise Stopped(self.stop)

    @property
    def has_room(self) -> bool:
        """Whether more may be recorded at once; also if it may not at all, so that nobody waits for it."""
        return len(self._items) + self._in_flight < MAX_WAITING or self.error is not None

    def mark(self) -> int:
        """Return what `is_durable` is asked with, to know of everything that was said until now."""
        return self._said

    def is_durable(self, mark: int) -> bool:
        """Whether everything until a mark is durable."""
        return self._durable >= mark

    def take(self) -> Batch | None:
        """See `Source.take`."""
        with self.lock:
            chosen: list[msgspec.Raw] = []
            size = 0
            while self._items and len(chosen) < MAX_REPORT_ITEMS:
                size += len(self._items[0]) + 1
                if chosen and size > MAX_BYTES:
                    break
                chosen.append(msgspec.Raw(self._items.popleft()))
            content, self._fields = self._fields, {}
            # Beside many items the results of an ending may be too much for one report.
            fits = not chosen or size + len(self._end or b"") <= MAX_BYTES
            end = self._end if fits and not self._items else None
            self._taken = self._said - len(self._items)
            self._in_flight = len(chosen)
        content |= {"items": chosen} if chosen else {}
        content |= {} if end is None else {"end": msgspec.Raw(end)}
        return Batch(content, len(chosen), end is not None) if content else None

    def confirm(self, batch: Batch, answer: ReportAnswer) -> None:
        """See `Source.confirm`."""
        with self.lock:
            self._in_flight = 0
            self._durable = self._taken
            self.over = batch.ends
        self.hear(answer.stop)
        self._changed()

    def hear(self, stop: str | None) -> None:
        """Learn what the owner wants."""
        self.stop = stop

    def lose(self, error: Exception) -> None:
        """Nothing can be reported any more."""
        with self.lock:
            self.error = self.error or error
        self._changed()


_DONE: Final = frozenset({"processedCount", "fraction", "legacy"})
"""Each says how much is done; a report may hold one of them."""


def done(result: Any, title: str | None, author: str | None, isbn: str | None) -> dict[str, Any]:
    """Return the item of a report for something that was done."""
    texts = {"title": _text(title), "author": _text(author), "isbn": _text(isbn)}
    return {"ok": True, **{name: text for name, text in texts.items() if text is not None}, "result": result}


def failed(error: ShelfwireError | str, user_message: str | None, title: str | None) -> dict[str, Any]:
    """Return the item of a report for something that failed; see `failure`."""
    return {"ok": False, "title": _text(title), "error": failure(error, user_message)}


def failure(error: ShelfwireError | str, user_message: str | None) -> dict[str, Any]:
    """Return an error as reports have it.

    Args:
        error: what happened; or a code of the caller's own.
        user_message: what happened and what to do next, for a person; needed with a code of the caller's own.

    Raises:
        ValueError: the text for a person is missing, or the code is none, or one that only the server gives.
    """
    if isinstance(error, ShelfwireError):
        told = {**error.to_result(), **({} if user_message is None else {"userMessage": user_message})}
    elif user_message is None:
        raise ValueError(f"{error} needs a user_message: what happened and what to do next, for a person")
    else:
        told = {"code": str(error), "userMessage": user_message}
    if not is_code(told["code"]):
        raise ValueError(f"{told['code']!r} is no code: one is E_ and 1 to 60 of A-Z, 0-9 and _, such as E_PAGE")
    if told["code"] in RESERVED_CODES:
        raise ValueError(f"{told['code']} is a code that only the server gives. Choose one of your own, such as E_PAGE")
    return {name: encodable(value) if isinstance(value, str) else value for name, value in told.items()}


def _encoded(index: int, item: dict[str, Any]) -> bytes:
    """The JSON of an item; one whose result cannot be sent has failed."""
    code: ErrorCode = Code.ITEM_INVALID
    try:
        encoded = _encode({"index": index, **item})
        _read(encoded)
    except Exception as error:  # noqa: BLE001 - objects may raise what they like when they are encoded
        reason = f"The result cannot be written as JSON: {error}"
    else:
        if len(encoded) < MAX_BYTES:
            return encoded
        code, reason = Code.ITEM_TOO_LARGE, f"The result is {len(encoded):,} bytes as JSON: put it elsewhere"
    trouble = ShelfwireError(code, encodable(reason))
    return _encode({"index": index, **failed(trouble, None, item.get("title"))})


def _text(text: str | None) -> str | None:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"A title, author or ISBN is a text or None, not {type(text).__name__}")
    return None if text is None else clip(encodable(text), MAX_TITLE_CHARS)
