"""The live bar on a terminal, and the table of failures under it."""

from types import TracebackType
from typing import Final, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shelfwire.cli.progress_summary import Ending, Failure, ProgressSummary, clean, counts, headline, line_of
from shelfwire.plugins import Labels, ResultTable
from shelfwire.protocol.messages import Message

LISTED: Final = 200
"""The most failures that a terminal lists; a file takes all of them."""
MAX_WIDTH: Final = 110
WIDTH_FOR_TABLE: Final = 40
"""On a narrower terminal a column may have no room at all; lines have."""
WIDTH_FOR_ETA: Final = 60
WIDTH_FOR_RATE: Final = 76
REFRESHES: Final = 15
RATE_DIGITS: Final = 11
"""Room for a rate, so that the bar keeps its length: seven digits, and a space, "s" and "/s" around the item's name."""
STYLES: Final = {"complete": "bold green", "failed": "bold red", "canceled": "bold yellow"}


class Bar:
    """A bar with its figures, and the title of what was recorded last; see `show.Output`.

    Args:
        console: the terminal.
        file: the name of the file.
        short_id: what the job is called in a command.
        labels: the words for its pipeline.
    """

    def __init__(self, console: Console, file: str, short_id: str, labels: Labels) -> None:
        self.summary = ProgressSummary(labels)
        self._labels = labels
        self._console = console
        self._file = clean(file)
        self._short_id = short_id
        self._trouble = ""
        self._left = False
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=REFRESHES)

    def __enter__(self) -> Self:
        """See `show.Output`."""
        name = Text.assemble(f"{self._labels.doing} ", (self._file, "bold"), "  ", (self._short_id, "dim"))
        self._console.print(name, no_wrap=True, overflow="ellipsis")
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `show.Output`."""
        self._left = True
        self.summary.title = self.summary.note = self._trouble = ""
        self._live.stop()

    def message(self, message: Message) -> None:
        """See `show.Output`."""
        self.summary.take(message)
        self._trouble = ""

    def waiting(self, seconds: float) -> None:
        """See `show.Output`."""
        self._trouble = f"Connection lost, trying again in {seconds:.0f} s"
        self._live.refresh()

    def end(self, ending: Ending) -> None:
        """See `show.Output`."""
        say = self._console.print
        say(Text(headline(ending, self._labels), STYLES.get(ending.status, "")))
        if ending.counted:
            say(Text(counts(ending, self._labels)))
        failures = ending.failures[:LISTED]
        if failures and self._console.width >= WIDTH_FOR_TABLE:
            say(self._table(failures))
        else:
            for failure in failures:
                say(Text(line_of(failure, self._labels)))
        if failures and self._labels.original:
            say(
                Text(f"Correct them: shelfwire results {self._short_id} --failed --original --output failed.csv", "dim")
            )
        if len(ending.failures) > LISTED:
            more = (
                f"These are the first {LISTED}. All {len(ending.failures):,}: shelfwire watch {self._short_id} --json"
            )
            say(Text(more, "yellow"))

    def results(self, results: ResultTable) -> None:
        """See `show.Output`."""
        if self._console.width < WIDTH_FOR_TABLE:
            for row in results.rows:
                self._console.print(Text(" ".join(map(str, row))))
            return
        table = Table(*results.columns, box=box.SIMPLE_HEAD, width=min(self._console.width, MAX_WIDTH), pad_edge=False)
        for row in results.rows:
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
        if results.rows:
            self._console.print(table)

    def _render(self) -> RenderableType:
        summary, width = self.summary, min(self._console.width, MAX_WIDTH)
        known, whole = bool(summary.total), f"{summary.total or 0:,}"
        grid = Table.grid(padding=(0, 1, 0, 0))
        if self._left and not known:
            return ""
        cells = [f"{summary.share:4.0%}", f"{summary.done:{len(whole)},}/{whole}"] if known else []
        if width >= WIDTH_FOR_RATE and summary.pace:
            cells.append(f"{summary.pace:>{len(self._labels.item) + RATE_DIGITS}}")
        if width >= WIDTH_FOR_ETA and summary.eta is not None:
            cells.append(f"{_clock(summary.eta):>5} left")
        texts = [Text(cell, no_wrap=True) for cell in cells]
        taken = sum(text.cell_len + 1 for text in texts)
        bar = ProgressBar(summary.total or None, summary.done, width=max(width - taken - 1, 4), pulse=not known)
        grid.add_row(bar, *texts)
        line = self._trouble or summary.title or summary.note
        below = Text(line, "yellow" if self._trouble else "dim", no_wrap=True, overflow="ellipsis")
        return Group(grid, below) if line else grid

    def _table(self, failures: list[Failure]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, width=min(self._console.width, MAX_WIDTH), pad_edge=False)
        table.add_column(self._labels.item.capitalize(), justify="right", style="cyan", no_wrap=True)
        table.add_column("Title", ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column("Why", ratio=3, overflow="fold")
        for failure in failures:
            title = Text(clean(failure.title)) if failure.title else Text("no title", "dim")
            table.add_row(f"{failure.row:,}", title, Text(clean(failure.reason)))
        return table


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
