"""What a command knows of a job's progress and of its ending, whatever way it is shown."""

from collections import deque
from typing import Any, Final

import msgspec

from shelfwire.plugins import Labels
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobComplete, JobProgress, JobStarted, Message
from shelfwire.safe_text import safe_line

WINDOW_MS: Final = 5000
"""The rate is that of the last five seconds."""
MIN_WINDOW_MS: Final = 150
WHOLE_FROM: Final = 9.95
"""Items a second from which a rate is a whole number."""


def clean(text: str) -> str:
    """Make a text from a file fit for a terminal."""
    return safe_line(text)


class ProgressSummary:
    """The newest progress of a job.

    Args:
        labels: the words for its pipeline.

    Attributes:
        total: how many items there are; None until that is known.
        done: how many of them are recorded.
        title: what was recorded last, or is under way.
        note: what the server says beside the counts.
        eta: seconds left; None while it is unknown.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.total: int | None = None
        self.done = 0
        self.title = ""
        self.note = ""
        self.eta: int | None = None
        self._seen: deque[tuple[int, int]] = deque()

    def take(self, message: Message) -> None:
        """Learn what a message says."""
        match message.payload:
            case JobStarted() as started:
                self.total = started.total_count
            case JobProgress() as progress:
                self._progress(progress, message.timestamp)
            case JobComplete() as complete:
                self.done = complete.success_count + complete.failure_count
                self.total, self.title, self.note, self.eta = self.done, "", "", None
            case _:
                self.title, self.note, self.eta = "", "", None

    @property
    def share(self) -> float:
        """How much of the job is done, from 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def rate(self) -> float | None:
        """Items a second, by the server's clock; None while it is unknown."""
        if len(self._seen) < 2:  # noqa: PLR2004 - it takes two points to measure
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) * 1000 / (ended - began) if ended - began >= MIN_WINDOW_MS else None

    @property
    def pace(self) -> str:
        """The rate in words; empty while it is unknown. Slow ones have a decimal, such as "0.4 photos/s"."""
        if self.rate is None:
            return ""
        return f"{self.rate:,.{0 if self.rate >= WHOLE_FROM else 1}f} {self.labels.item}s/s"

    @property
    def position(self) -> str:
        """How many items are done, in words; empty before the first."""
        if not self.done:
            return ""
        return f"{self.done:,} of {self.labels.counted(self.total)}" if self.total else self.labels.counted(self.done)

    def _progress(self, progress: JobProgress, timestamp: int) -> None:
        self.done = progress.processed_count
        self.total = self.total if progress.total_count is None else progress.total_count or self.total
        self.title = clean(progress.current_title or "")
        self.note = clean(progress.user_message or "")
        self.eta = progress.eta_seconds
        self._seen.append((timestamp, self.done))
        while self._seen[0][0] < timestamp - WINDOW_MS:
            self._seen.popleft()


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """An item that failed.

    Attributes:
        row: its number, as a spreadsheet shows it, or its place.
        title: what it is called; may be empty.
        code: why, for a program.
        reason: why, for a person.
    """

    row: int
    title: str
    code: str
    reason: str


class Ending(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a job ended.

    Attributes:
        job_id: the job.
        file: the name of the file.
        status: `complete`, `failed` or `canceled`.
        success_count, failure_count: items, by outcome.
        duration: whole seconds; None where it was not measured.
        summary: what it came to, for a person.
        code: why it failed or was canceled, for a program.
        failures: every item that failed.
    """

    job_id: str
    file: str
    status: str
    success_count: int
    failure_count: int
    duration: int | None
    summary: str
    code: str | None
    failures: list[Failure]

    @property
    def counted(self) -> bool:
        """Whether any item got an outcome."""
        return self.success_count + self.failure_count > 0


def failure_of(item: dict[str, Any]) -> Failure:
    """Read a failed item of the results; one of a retry has the place it had in the original input."""
    error = item["error"]
    place = item.get("sourceIndex", item["index"]) + 1
    return Failure(error.get("row", place), item.get("title", ""), error["code"], error["userMessage"])


def line_of(failure: Failure, labels: Labels) -> str:
    """A failed item in one line."""
    return f"{labels.item} {failure.row}: {clean(failure.title) or '(no title)'}: {clean(failure.reason)}"


def headline(ending: Ending, labels: Labels) -> str:
    """What the job came to, for a person."""
    summary = clean(ending.summary)
    return f"{labels.noun.capitalize()} failed: {summary}" if ending.status == Status.FAILED else summary


def counts(ending: Ending, labels: Labels) -> str:
    """How many items were done and how many were not, in words."""
    items = ending.success_count + ending.failure_count
    took = "" if ending.duration is None else f" in {ending.duration:,} s" if ending.duration else " in under a second"
    failed = f"{ending.failure_count:,} failed:" if ending.failure_count else "none failed"
    return f"{labels.counted(items)}{took}: {ending.success_count:,} {labels.done}, {failed}"
