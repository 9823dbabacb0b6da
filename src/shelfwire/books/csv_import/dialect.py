"""How a file is laid out: its delimiter, and where its header is."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.cell_kinds import Kind, fits, is_typed, kind_of
from shelfwire.books.csv_import.column_plan import export_of, language_of, map_columns
from shelfwire.books.csv_import.columns import Columns, column_of
from shelfwire.books.csv_import.headerless import is_header_of
from shelfwire.books.csv_import.headers import exact_field, header_strength
from shelfwire.books.csv_import.inferred_columns import infer_columns
from shelfwire.books.csv_import.raw_rows import RawRow, raw_rows
from shelfwire.books.csv_import.row_repair import unwrapped
from shelfwire.books.csv_import.two_line_headers import with_groups, with_names_below
from shelfwire.books.csv_import.values import known_shelf

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS: Final = 32_768
_SAMPLE_ROWS: Final = 200
_MAX_PREAMBLE: Final = 30
_CERTAIN: Final = 2
# Excel reads this line as an instruction and does not show it as a row.
_SEP: Final = re.compile(r'"?sep=([,;\t|:^~])"?[,;\t| ]*(?:\n|$)', re.IGNORECASE)
_LEAST_CONSISTENT: Final = 0.6
_NEARLY_ALL: Final = 0.8
_NO_WORDS: Final = frozenset({Kind.NUMBER, Kind.ANSWER})
_FEWEST_WIDER: Final = 2
_FEWEST_IN_TWO_LINES: Final = 3
_SINGLE_COLUMN: Final = 0.01  # any real table is preferred to a list of titles


class Layout(NamedTuple):
    """A file's layout.

    Attributes:
        delimiter: One character.
        start: Where the first row begins in the text.
        header_row: The header's row number, from 1; 0 if there is none.
        columns: What the columns hold.
        sample: Rows from below the header.
    """

    delimiter: str
    start: int
    header_row: int
    columns: Columns
    sample: list[list[str]]


class _DelimiterTrial(NamedTuple):
    delimiter: str
    rows: list[RawRow]
    strength: int
    header: RawRow | None
    consistency: float


def find_layout(text: str) -> Layout:
    """Find the delimiter and the header from the beginning of a decoded file.

    A header is the row that names most columns of a book list, at least one of them essential; titles and blank
    lines may precede it. The delimiter is the one that gives the most complete header, or else the one
    whose rows have the most consistent number of cells.
    """
    sep = _SEP.match(text)
    start = sep.end() if sep else 0
    blank_until = text.rfind("\n", start, len(text) - len(text[start:].lstrip())) + 1
    begin = max(start, blank_until)
    sample = text[begin : begin + _SAMPLE_CHARACTERS]
    candidates = [_try(sample, delimiter) for delimiter in ((sep[1],) if sep else _DELIMITERS)]
    best = max(candidates, key=lambda candidate: (candidate.strength, candidate.consistency))
    header_row = best.header.row if best.header else 0
    body = [list(row.cells) for row in best.rows if row.row > header_row]
    if best.header and len(best.header.cells) > 1:
        body = [list(unwrapped(row, best.delimiter) or row) if len(row) == 1 else row for row in body]
    before = text.count("\n", start, begin)
    if best.header is None and best.rows and _is_unknown_header(body):
        first, *body = body
        columns = infer_columns(body, tuple(cell.strip() for cell in first))
        return Layout(best.delimiter, start, best.rows[0].row + before, columns, body)
    if best.header is None:
        return Layout(best.delimiter, start, 0, infer_columns(body), body)
    names = best.header.cells
    if (whole := _two_lines(best)) is not None:
        names, last = whole
        body = [list(row.cells) for row in best.rows if row.row > last]
        header_row = last
    return Layout(best.delimiter, start, header_row + before, _named(names, body), body)


def _two_lines(trial: _DelimiterTrial) -> tuple[Sequence[str], int] | None:
    """The names of a header of two lines, and the row number of the second; None if it is of one."""
    rows = {row.row: row.cells for row in trial.rows}
    if trial.header is None or len(trial.header.cells) < _FEWEST_IN_TWO_LINES:
        return None
    row, header = trial.header.row, trial.header.cells
    language = language_of([text_key(name) for name in header])
    if (below := rows.get(row + 1)) and (named := with_names_below(header, below, language)):
        return named, row + 1
    grouped = with_groups(header, rows.get(row - 1, ()), language)
    return None if grouped == header else (grouped, row)


def _is_unknown_header(rows: list[list[str]]) -> bool:
    first, *rest = rows
    return len(first) > 1 and is_header_of(first, {index: list(column_of(rest, index)) for index in range(len(first))})


def _named(header: Sequence[str], body: list[list[str]]) -> Columns:
    """What the columns hold, also where the header has one name less than the rows have cells."""
    width = len(header)
    wider = [row for row in body if len(row) == width + 1]
    if width == 1 or len(wider) < max(1, _NEARLY_ALL * sum(len(row) > 1 for row in body)):
        return map_columns(header, body)
    if not any(row[-1].strip() for row in wider):
        return map_columns([*header, ""], body)  # every row ends with a delimiter
    spaced = sum(any(cell[:1] == " " and cell.strip() for cell in row) for row in wider)
    if len(wider) < _FEWEST_WIDER or (spaced * 2 > len(wider) and not any(name[:1] == " " for name in header)):
        return map_columns(header, body)  # commas without quotation marks
    place = max(range(width, -1, -1), key=lambda place: _alignment(header, place, wider))
    columns = map_columns([*header[:place], "", *header[place:]], body)
    doubt = (
        f"The header names {width} columns, and the rows have {width + 1} cells: "
        f"column {place + 1} was taken for the one without a name."
    )
    return columns._replace(doubts=(doubt, *columns.doubts))


def _alignment(header: Sequence[str], place: int, rows: list[list[str]]) -> int:
    """How many columns have cells that fit their names, if the one without a name is at this place."""
    keys = [text_key(name) for name in header]
    export, language = export_of(keys), language_of(keys)
    score = 0
    for index, name in enumerate(header):
        field = (export.columns.get(keys[index]) if export else None) or exact_field(name, language)
        cells = list(column_of(rows, index + (index >= place)))
        if field and cells and is_typed(field):
            score += 1 if fits(field, cells) else -1
        elif field and cells and (not fits(field, cells) or kind_of(cells) in _NO_WORDS):
            score -= 1
    return score


def _try(sample: str, delimiter: str) -> _DelimiterTrial:
    read = list(islice(raw_rows(sample, delimiter=delimiter, width=0), _SAMPLE_ROWS))
    if not read:
        # Nothing but this delimiter, as a sheet's empty rows are written.
        return _DelimiterTrial(delimiter, [], 0, None, consistency=1)
    rows = [row for row in read if row.problem is None]
    strength, header = _header(rows)
    if strength < _CERTAIN:
        whole = [RawRow(row.row, cells) for row in rows if (cells := unwrapped(row.cells, delimiter))]
        wrapped_strength, wrapped_header = _header(whole)
        if wrapped_strength >= _CERTAIN:
            strength, header = wrapped_strength, wrapped_header
    return _DelimiterTrial(delimiter, rows, strength, header if strength else None, _consistency(rows))


def _header(rows: list[RawRow]) -> tuple[int, RawRow | None]:
    """The row that names most columns, and how many."""
    candidates = ((_strength(row, first=row is rows[0]), row) for row in rows[:_MAX_PREAMBLE])
    return max(candidates, key=lambda candidate: candidate[0], default=(0, None))


def _strength(row: RawRow, *, first: bool) -> int:
    if len(row.cells) == 1 and known_shelf(row.cells[0]):
        return 0  # "Currently reading:" is the heading of a section
    strength = header_strength(row.cells)
    if strength >= _CERTAIN or len(row.cells) == 1:
        return strength
    # One known name may occur among names in a language we do not know, but not among a book's own cells.
    return strength if first and not any(_is_content(cell) for cell in row.cells) else 0


def _is_content(cell: str) -> bool:
    return cell.strip()[:1].isdecimal() or looks_like_isbn(cell)


def _consistency(rows: list[RawRow]) -> float:
    widths = Counter(len(row.cells) for row in rows)
    single = widths.pop(1, 0)
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    if count < _LEAST_CONSISTENT * len(rows) or not count:
        return _SINGLE_COLUMN * single / max(1, len(rows))
    return count / len(rows) * (1 - 1 / width)
