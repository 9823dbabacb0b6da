"""`shelfwire catalogue`: builds a local catalogue of books, and looks into one."""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from shelfwire.books.bibliography.isbn import parse_isbn
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import Catalogue, CatalogueError, CatalogueHit
from shelfwire.books.catalogue.build import Built, Progress, Step, build
from shelfwire.books.settings import BookSettings
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import gather
from shelfwire.cli.progress_summary import clean
from shelfwire.clock import SystemClock

INTERRUPTED: Final = 130
SHOWN_BAD_LINES: Final = 5
LINE_SECONDS: Final = 10.0
"""So often a build says in a pipe how far it is."""


def build_catalogue(file: Path, /, *files: Path, out: Path) -> int:
    """Build a catalogue from dumps of Open Library or book lists; started again, it goes on where it was interrupted.

    Args:
        file: A dump of editions, works or authors, or a list of books as CSV; plain or gzip.
        files: More of them, in any order.
        out: The file to make; one that is there is replaced at the end, in one moment.
    """
    from shelfwire.books.csv_import.catalogue_source import find_books  # noqa: PLC0415 - search does not need it

    began = SystemClock().monotonic()
    gc.disable()  # millions of small objects and no cycles: looking for these takes a sixth of the time
    with ExitStack() as stack:
        shown = stack.enter_context(_Shown(Console(stderr=True, highlight=False)))
        try:
            built = build([file, *files], out, find_books=find_books, report=shown.take)
        except CatalogueError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            sys.stderr.write(
                "shelfwire: Interrupted. Start it again with the same arguments, and it goes on from here\n"
            )
            return INTERRUPTED
    _tell(built, out, SystemClock().monotonic() - began)
    return Exit.OK


def search(
    text: str, /, *, catalogue: Path | None = None, author: str | None = None, limit: int = 10, json: bool = False
) -> int:
    """Look for a book by ISBN, or by its title with or without its author; misspellings are forgiven.

    Args:
        text: An ISBN, a title, or title and author in any order.
        catalogue: The catalogue; or set SHELFWIRE_CATALOGUE.
        author: The author, where it should not be taken for a part of the title.
        limit: The maximum number of books.
        json: Print them as one JSON array, with all that is known of each.
    """
    path = gather({"catalogue": catalogue}, os.environ).section(BookSettings).catalogue
    if path is None:
        raise CommandError("Which catalogue? Name its file: --catalogue FILE, or set SHELFWIRE_CATALOGUE")
    try:
        with Catalogue(path) as opened:
            found = _found(opened, text, author, max(1, limit))
    except CatalogueError as error:
        raise CommandError(str(error)) from None
    if json:
        sys.stdout.write(msgspec.json.encode([_plain(one) for one in found]).decode() + "\n")
    elif found:
        Console(highlight=False).print(_table(found))
    else:
        sys.stdout.write(f"Nothing in {path} is like that\n")
    return Exit.OK


def _found(catalogue: Catalogue, text: str, author: str | None, limit: int) -> Sequence[CatalogueHit]:
    if parse_isbn(text):
        return [CatalogueHit(book, 1.0) for book in catalogue.by_isbn([text]).values()]
    return catalogue.search(text, author, limit) if author else catalogue.find(text, limit)


def _plain(hit: CatalogueHit) -> dict[str, Any]:
    """A book as JSON has it: what is not known is left out."""
    fields = {field.encode_name: getattr(hit.book, field.name) for field in msgspec.structs.fields(BookRecord)}
    del fields["isEdition"]
    fields |= {"isbn10s": hit.book.isbn10s}
    return {"score": round(hit.score, 3), "sure": hit.is_sure} | {
        name: value for name, value in fields.items() if value
    }


def _table(found: Sequence[CatalogueHit]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Title", style="bold", overflow="fold", ratio=3)
    table.add_column("Author", overflow="fold", ratio=2)
    table.add_column("Published", style="dim")
    table.add_column("ISBN", style="dim", no_wrap=True)
    table.add_column("Score", justify="right")
    for one in found:
        book = one.book
        title = f"{book.title}: {book.subtitle}" if book.subtitle else book.title
        table.add_row(
            Text(clean(title)),
            Text(clean(", ".join(book.authors))),
            Text(clean(book.published or "")),
            next(iter(book.isbn13s), ""),
            Text(f"{one.score:.2f}", "green" if one.is_sure else ""),
        )
    return table


def _tell(built: Built, out: Path, seconds: float) -> None:
    again = "Went on with an interrupted build. " if built.is_continued else ""
    figures = f"{built.books:,} books, {built.isbns:,} ISBNs, {decimal(out.stat().st_size)}, {seconds:.1f} s"
    sys.stdout.write(f"{again}Built {out}: {figures}\n")
    for file in built.spoiled:
        sys.stdout.write(f"Left out {file.bad:,} of {file.lines:,} lines of {file.path.name}:\n")
        for line, why in file.first_bad[:SHOWN_BAD_LINES]:
            sys.stdout.write(f"  line {line:,} {clean(why)}\n")
        if file.bad > SHOWN_BAD_LINES:
            sys.stdout.write(f"  and {file.bad - SHOWN_BAD_LINES:,} more\n")


class _Shown:
    """Shows how a build goes: with bars on a terminal, with a line now and then elsewhere. It is a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description}", style="bold"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}", style="dim"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._tasks: dict[Step, TaskID] = {}
        self._told = SystemClock().monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def take(self, progress: Progress) -> None:
        """Show how far it is."""
        if not self._console.is_terminal:
            self._say(progress)
            return
        figures = _figures(progress)
        if progress.step not in self._tasks:
            self._tasks[progress.step] = self._bars.add_task(
                progress.step, total=progress.total, completed=progress.done, figures=figures
            )
        self._bars.update(self._tasks[progress.step], completed=progress.done, figures=figures)

    def _say(self, progress: Progress) -> None:
        now = SystemClock().monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            share = progress.done / max(1, progress.total)
            self._console.print(f"{progress.step} {share:.0%}, {_figures(progress)}", markup=False, soft_wrap=True)


def _figures(progress: Progress) -> str:
    if progress.step is Step.READ:
        return f"{decimal(progress.done)} of {decimal(progress.total)}, {clean(progress.doing)}"
    return f"{progress.done:,} of {progress.total:,}"
