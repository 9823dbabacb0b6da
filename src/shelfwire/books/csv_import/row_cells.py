"""The cells of a row by the names of their columns: for a person to mend, and as they were mended."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.safe_text import encodable

MAX_SHOWN_BYTES: Final = 4096
"""Of all cells together, as JSON."""
FEWEST_CHARACTERS: Final = 16
"""What is left of a cell at least, before whole cells are left out."""
MAX_NAMED: Final = 20


class ShownCells(NamedTuple):
    """The cells of a row as they are shown.

    Attributes:
        cells: by the name of the column, in the order of the row.
        clipped: the columns whose cells are longer than they are shown.
    """

    cells: dict[str, str]
    clipped: tuple[str, ...]


def shown_cells(names: Sequence[str], cells: Sequence[str]) -> ShownCells:
    """Show the cells of a row, the longest clipped so that all take 4 KiB at most; what is left over is left out."""
    whole = {name: encodable(cell) for name, cell in zip(_keys(names), cells, strict=False)}
    whole |= {_beyond(index): encodable(cells[index]) for index in range(len(names), len(cells))}
    most = MAX_SHOWN_BYTES
    shown = whole
    while not _fits(shown) and most > FEWEST_CHARACTERS:
        most //= 2
        shown = {name: _clipped(cell, most) for name, cell in whole.items()}
    if not _fits(shown):
        shown = dict(_as_many_as_fit(shown))
    return ShownCells(shown, tuple(name for name, cell in shown.items() if cell != whole[name]))


def with_cells(names: Sequence[str], raw: RawRow, cells: Sequence[str], mended: Mapping[str, str]) -> RawRow:
    """Return a row with some of its cells mended.

    Args:
        names: the names of the columns.
        raw: the row.
        cells: its cells as they are shown.
        mended: the new ones, by the names under which they are shown.

    Raises:
        RowProblem: there is no column of that name.
    """
    keys = [*_keys(names), *map(_beyond, range(len(names), len(cells)))]
    places = {key: place for place, key in enumerate(keys)}
    new = [*cells, *[""] * (len(names) - len(cells))]
    for name, cell in mended.items():
        if name not in places:
            known = ", ".join(f'"{key}"' for key in keys[:MAX_NAMED])
            raise RowProblem(f'There is no column "{name}" in row {raw.row}. It has: {known}.', row=raw.row)
        new[places[name]] = cell
    return RawRow(raw.row, new)


def _keys(names: Sequence[str]) -> Sequence[str]:
    """The names, each once: of columns with one name all have their number."""
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name} ({_beyond(index)})" if name in repeated else name for index, name in enumerate(names)]


def _beyond(index: int) -> str:
    return f"column {index + 1}"


def _clipped(cell: str, most: int) -> str:
    return cell if len(cell) <= most else f"{cell[: most - 1]}\u2026"


def _fits(cells: Mapping[str, str]) -> bool:
    return len(msgspec.json.encode(cells)) <= MAX_SHOWN_BYTES


def _as_many_as_fit(cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    room = MAX_SHOWN_BYTES - len("{}")
    for name, cell in cells.items():
        room -= len(msgspec.json.encode({name: cell})) - len("{}") + len(",")
        if room < 0:
            return
        yield name, cell
