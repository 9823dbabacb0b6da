"""The three ways to show a job: a live bar on a terminal, plain lines in a pipe, JSON for programs."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

import msgspec
from rich.console import Console

from shelfwire.cli.bar import Bar
from shelfwire.cli.progress_summary import Ending, ProgressSummary, clean, counts, headline, line_of
from shelfwire.plugins import Labels, ResultTable
from shelfwire.protocol.messages import Message, encode

PARTS: Final = 10
"""A line for each tenth of the job,"""
QUIET_MS: Final = 5000
"""and one after so long without."""


class Output(Protocol):
    """Shows one job from its first message to its ending. A context manager: outside it, the screen is at rest."""

    summary: ProgressSummary

    def __enter__(self) -> Self:
        """Begin to show progress."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the screen at rest."""
        ...

    def message(self, message: Message) -> None:
        """Show what the server says."""
        ...

    def waiting(self, seconds: float) -> None:
        """Say that the connection was lost, and when it is tried again."""
        ...

    def end(self, ending: Ending) -> None:
        """Show how it ended, with every item that failed."""
        ...

    def results(self, results: ResultTable) -> None:
        """Show the results of a complete job, where they are a table."""
        ...


def choose(file: str, short_id: str, labels: Labels, *, as_json: bool) -> Output:
    """Choose the way that fits the standard output."""
    if as_json:
        return JsonLines(sys.stdout, labels)
    console = Console(highlight=False)
    if sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return Bar(console, file, short_id, labels)
    return Lines(sys.stdout, file, labels)


class Lines:
    """Plain lines at sensible moments.

    Args:
        stream: where they go.
        file: the name of the file.
        labels: the words for its pipeline.
    """

    def __init__(self, stream: TextIO, file: str, labels: Labels) -> None:
        self.summary = ProgressSummary(labels)
        self._labels = labels
        self._print = _printer(stream)
        self._file = clean(file)
        self._said_total = False
        self._part = 0
        self._last = 0

    def __enter__(self) -> Self:
        """See `Output`."""
        return self

    def __exit__(self, *_: object) -> None:
        """See `Output`."""

    def message(self, message: Message) -> None:
        """See `Output`."""
        summary = self.summary
        summary.take(message)
        if summary.total is not None and not self._said_total:
            self._said_total, self._last = True, message.timestamp
            self._print(f"{self._labels.doing} {self._file}: {self._labels.counted(summary.total)}")
        if message.terminal or not summary.done:
            return
        part = int(summary.done * PARTS // summary.total) if summary.total else 0
        if part > self._part or message.timestamp - self._last >= QUIET_MS:
            self._part, self._last = part, message.timestamp
            pace = f", {summary.pace}" if summary.pace else ""
            self._print(f"{summary.share:4.0%}  {summary.position}{pace}")

    def waiting(self, seconds: float) -> None:
        """See `Output`."""
        self._print(f"Connection lost, trying again in {seconds:.0f} s")

    def end(self, ending: Ending) -> None:
        """See `Output`."""
        self._print(headline(ending, self._labels))
        if ending.counted:
            self._print(counts(ending, self._labels))
        for failure in ending.failures:
            self._print(line_of(failure, self._labels))

    def results(self, results: ResultTable) -> None:
        """See `Output`."""
        for row in results.rows:
            self._print("\t".join(map(str, row)))


class JsonLines:
    """Each message as it came, a line each; at the end one more object, of type `outcome`.

    Args:
        stream: where they go.
        labels: the words for its pipeline.
    """

    def __init__(self, stream: TextIO, labels: Labels) -> None:
        self.summary = ProgressSummary(labels)
        self._print = _printer(stream)

    def __enter__(self) -> Self:
        """See `Output`."""
        return self

    def __exit__(self, *_: object) -> None:
        """See `Output`."""

    def message(self, message: Message) -> None:
        """See `Output`."""
        self.summary.take(message)
        self._print(encode(message))

    def waiting(self, seconds: float) -> None:
        """See `Output`."""

    def end(self, ending: Ending) -> None:
        """See `Output`."""
        self._print(msgspec.json.encode({"type": "outcome", **msgspec.to_builtins(ending)}).decode())

    def results(self, results: ResultTable) -> None:
        """See `Output`; the last message has them."""


def _printer(stream: TextIO) -> Callable[[str], None]:
    def line(text: str) -> None:
        stream.write(text + "\n")
        stream.flush()

    return line
