"""What an import would make of a file, shown without importing anything: its columns, or its rows."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.field_names import MEANINGS, ColumnMeaning
from shelfwire.books.csv_import.imported_book import ImportedBook, ImportPlan
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem, UnreadableCsv
from shelfwire.books.csv_import.summaries import summary
from shelfwire.books.csv_import.survey import Survey
from shelfwire.books.csv_import.unpacking import opened
from shelfwire.books.csv_import.verdicts import verdicts
from shelfwire.cli.errors import CommandError
from shelfwire.cli.progress_summary import clean

MOST_SHOWN: Final = 20
"""Books that a dry run shows; with --json it shows all."""
MOST_PROBLEMS: Final = 50
_MAX_CELL: Final = 60
_MAX_WIDTH: Final = 120


def column_meanings(given: Sequence[str]) -> dict[str, ColumnMeaning]:
    """Read `--column "Score /5=rating"`, as often as it is given.

    Raises:
        CommandError: one of them is not of this form.
    """
    found: dict[str, ColumnMeaning] = {}
    for text in given:
        name, equals, meaning = text.rpartition("=")
        word = next((word for word in MEANINGS if word == meaning.strip().lower().replace(" ", "_")), None)
        if not equals or not name.strip() or word is None:
            words = ", ".join(MEANINGS)
            raise CommandError(f'--column {text} is not of the form "NAME=WORD". WORD is one of: {words}')
        found[name.strip()] = word  # type: ignore[assignment] # it is one of them
    return found


def explain(path: Path, columns: Mapping[str, ColumnMeaning], *, as_json: bool) -> int:
    """Show what each column of a file is taken for."""
    file, survey = _looked_at(path, columns, keep_duplicates=False)
    plan = file.plan(survey.unused)
    if as_json:
        sys.stdout.write(f"{msgspec.json.encode(plan).decode()}\n")
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _MAX_WIDTH)
    header = f"header in row {plan.header_row}" if plan.header_row else "no header"
    source = "a list" if plan.source == "generic" else f"an export of {plan.source}"
    rows = f"{survey.count:,} {'row' if survey.count == 1 else 'rows'}"
    console.print(f"{clean(path.name)}: {source}, {rows}, {header}, {plan.encoding}", markup=False)
    table = Table("Column", "Taken for", "By", "Examples", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in plan.columns:
        cells = (column.column, column.holds or "-", column.by or "", " | ".join(column.examples))
        table.add_row(*(Text(clean(cell)[:_MAX_CELL]) for cell in cells))
    console.print(table)
    _print_notes(console, plan)
    console.print(
        f'To correct a column: shelfwire import {clean(path.name)} --column "NAME=WORD". WORD is one of: '
        f"{', '.join(MEANINGS)}",
        markup=False,
    )
    return 0


def dry_run(path: Path, columns: Mapping[str, ColumnMeaning], *, keep_duplicates: bool, as_json: bool) -> int:
    """Show what becomes of each row, and import nothing."""
    file, survey = _looked_at(path, columns, keep_duplicates=keep_duplicates)
    outcomes = list(verdicts(file, survey))
    if as_json:
        for verdict in outcomes:
            sys.stdout.write(f"{msgspec.json.encode(_shown(verdict)).decode()}\n")
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _MAX_WIDTH)
    books = [verdict for verdict in outcomes if isinstance(verdict, ImportedBook)]
    table = Table("Row", "Title", "Author", "Shelf", "Rating", "Read", box=box.SIMPLE_HEAD, pad_edge=False)
    for book in books[:MOST_SHOWN]:
        members = (book.row, book.title, ", ".join(book.authors), book.shelf, book.rating, ", ".join(book.dates_read))
        table.add_row(*(Text(clean("" if member is None else str(member))[:_MAX_CELL]) for member in members))
    console.print(table)
    if len(books) > MOST_SHOWN:
        console.print(f"... and {len(books) - MOST_SHOWN:,} more")
    problems = [line for verdict in outcomes for line in _problems(verdict)]
    for line in problems[:MOST_PROBLEMS]:
        console.print(clean(line), markup=False)
    if len(problems) > MOST_PROBLEMS:
        console.print(f"... and {len(problems) - MOST_PROBLEMS:,} more; --json shows all")
    _print_notes(console, file.plan(survey.unused))
    if file.doubt is not None:
        console.print("With a key for Gemini, an import asks it about this file; a dry run does not.")
    console.print(f"Nothing was imported. An import would say: {summary(len(books), len(outcomes) - len(books))}")
    return 0


def _looked_at(path: Path, columns: Mapping[str, ColumnMeaning], *, keep_duplicates: bool) -> tuple[BookFile, Survey]:
    try:
        file = BookFile(asyncio.run(opened(path.read_bytes())).data)
        file.correct(columns)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    except UnreadableCsv as error:
        raise CommandError(f"{path}: {error}") from None
    survey = Survey(file, keep_duplicates=keep_duplicates)
    for _ in survey.steps():
        pass
    return file, survey


def _print_notes(console: Console, plan: ImportPlan) -> None:
    for warning in plan.warnings:
        console.print(clean(warning), markup=False)
    if plan.unused_columns:
        unused = ", ".join(f'{clean(column.column)} ("{clean(column.example)}")' for column in plan.unused_columns)
        console.print(f"Columns that were not used: {unused}", markup=False)


def _problems(verdict: Any) -> list[str]:
    match verdict:
        case ImportedBook(row=row, warnings=warnings):
            return [f"Row {row}: {warning}" for warning in warnings]
        case (RepeatedBook(row=row) as repeated, _):
            return [f"Row {row} would not be imported: {repeated}"]
        case RowProblem():
            return [f"Not imported: {verdict}"]
        case _:
            return []


def _shown(verdict: Any) -> dict[str, Any]:
    match verdict:
        case ImportedBook():
            return {"ok": True, "result": verdict}
        case (RepeatedBook(row=row) as repeated, ImportedBook(title=title)):
            return {"ok": False, "row": row, "title": title, "reason": str(repeated)}
        case problem:
            return {"ok": False, "row": problem.row, "title": getattr(problem, "title", ""), "reason": str(problem)}
