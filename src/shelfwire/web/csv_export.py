"""Results as lines of JSON, and as a table that is safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from shelfwire.jobs.pipeline import OriginalTable
from shelfwire.jobs.store import Item
from shelfwire.safe_text import safe_cell
from shelfwire.web.schemas import ResultItem

CSV_TYPE: Final = "text/csv"
NDJSON_TYPE: Final = "application/x-ndjson"
_FIXED_COLUMNS: Final = ("index", "sourceIndex", "ok", "title", "code", "userMessage")
REASON: Final = "reason (shelfwire)"
"""The column that is added to the original rows; a pipeline that reads them again passes over it by this name."""
BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it, spreadsheet programs take UTF-8 for an older encoding, and save it so."""


def ndjson_of(items: Iterable[ResultItem]) -> bytes:
    """Return one line of JSON for each item."""
    return msgspec.json.Encoder().encode_lines(list(items))


def csv_of(items: Iterable[ResultItem], columns: Sequence[str], *, header: bool = True) -> str:
    """Return a table; pages of one job have the same columns, so that they can be joined.

    Args:
        items: the page.
        columns: the members of a result that get a column of their own; without any, the column `result` has its JSON.
        header: whether the table begins with the names of the columns.
    """
    text = io.StringIO()
    table = csv.writer(text)
    own = [column for column in columns if column not in _FIXED_COLUMNS]
    if header:
        table.writerow([*_FIXED_COLUMNS, *(own or ["result"])])
    for item in items:
        table.writerow([_cell(value) for value in _row(item, own, has_title="title" in columns)])
    return text.getvalue()


def original_header(table: OriginalTable) -> str:
    """Return the beginning of a file of original rows."""
    return BYTE_ORDER_MARK + _lines([[REASON, *table.header]])


def original_rows(table: OriginalTable, failed: Sequence[Item]) -> str:
    """Return the original rows of the failed items of a page, each after the reason."""
    reasons = [msgspec.json.decode(item.body)["userMessage"] for item in failed]
    return _lines([[reason, *cells] for reason, cells in zip(reasons, table.rows(failed), strict=True)])


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _row(item: ResultItem, columns: Sequence[str], *, has_title: bool) -> list[Any]:
    error = {} if item.ok else msgspec.json.decode(item.error)
    fixed = [item.index, item.source_index, item.ok, item.title, error.get("code"), error.get("userMessage")]
    if not item.ok:
        return [*fixed, *(error.get(column) for column in columns or ["result"])]
    result = msgspec.json.decode(item.result)
    if has_title and isinstance(result, dict) and result.get("title"):
        # The title that was found need not be the one that was asked for.
        fixed[_FIXED_COLUMNS.index("title")] = result["title"]
    if not columns:
        return [*fixed, result]
    return [*fixed, *(result.get(column) if isinstance(result, dict) else None for column in columns)]


def _cell(value: Any) -> str:
    """Return the text of a cell, safe to open in a spreadsheet."""
    match value:
        case None:
            text = ""
        case bool():
            text = str(value).lower()
        case str():
            text = value
        case [*parts] if all(isinstance(part, str) for part in parts):
            text = "; ".join(parts)
        case _:
            text = msgspec.json.encode(value).decode()
    return safe_cell(text)
