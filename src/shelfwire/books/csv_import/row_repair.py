"""Rows whose cells have left their columns, put in order where it is clear how.

A comma without quotation marks pushes every cell behind it to the right. Which cells belong together shows by what the
columns hold in other rows: where the year, the ISBN and the state are in their places again, the row is right.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.csv_import.cell_kinds import (
    Kind,
    fit,
    is_answer,
    is_code,
    is_date,
    is_link,
    is_number,
    is_state,
    is_typed,
    kind_of,
)  # fmt: skip
from shelfwire.books.csv_import.columns import Columns, column_of
from shelfwire.books.csv_import.joined_titles import TITLES

_FITS: Final = 1.5
_MISFITS: Final = 3.0
_WORDS: Final = 0.25
"""What a cell of words counts in its place: little, because words fit anywhere."""
_FOREIGN: Final = 2.0
"""What a number, date or link costs among words."""
_SPACED: Final = 1.0
"""What a cell costs that begins with a space where others do not: it goes on from the cell before."""
_NO_TITLE: Final = 4.0
_DROPPED: Final = 2.0
_JOINED_AT_SPACE: Final = 0.75
_JOINED_AT_LOWER_CASE: Final = 0.25
_JOINED_ANYWHERE: Final = -0.5
_JOINED_BLANK: Final = -1.5
_CLEARLY: Final = 0.5
_CLEARLY_IN_PLACE: Final = 3.0
"""How much better a row must fit that has as many cells as it should."""
_MOST_COMMAS: Final = 12
_MOST_MISSING: Final = 3
_MOST_COLUMNS: Final = 60
_RELIABLE: Final = 0.6
_FEWEST_CELLS: Final = 2
_HOPELESS: Final = 3
_MERGED: Final = frozenset(
    {"title", "title_with_series", "subtitle", "author", "authors", "comma_authors", "inverted_author", "publisher"}
    | {"additional_authors", "ampersand_authors", "surname_first_author", "series", "tags", "piped_tags", "review"}
    | {"notes", "review_title", "collections", "secondary_authors", "publication", "format", "spaced_tags"}
)
"""Fields whose cells may have commas in them."""
_KIND_TESTS: Final[dict[Kind, Callable[[str], bool]]] = {
    Kind.ISBN: looks_like_isbn,
    Kind.DATE: is_date,
    Kind.ANSWER: is_answer,
    Kind.NUMBER: is_number,
    Kind.LINK: is_link,
    Kind.CODE: is_code,
    Kind.STATE: is_state,
}


class Repaired(NamedTuple):
    """A row whose cells are in their columns.

    Attributes:
        cells: as many as the header has.
        joined: columns (from 0) whose cell was put together; none if cells were missing.
        missing: columns whose cell was missing.
    """

    cells: list[str]
    joined: tuple[int, ...]
    missing: tuple[int, ...] = ()


class HopelessRowError(Exception):
    """The cells of a row are not those of its columns, and no order of them is."""


class _Column(NamedTuple):
    """What a column holds: a test that its cells pass, if they pass one; whether they may have commas."""

    test: Callable[[str], bool] | None
    is_reliable: bool
    is_title: bool
    merges: bool
    spaced: bool


class _Trial(NamedTuple):
    """One way to put a row in order: how well it fits, and how much of that the joints say."""

    score: float
    bonus: float
    cells: list[str]
    joined: tuple[int, ...]
    missing: tuple[int, ...] = ()


def unwrapped(cells: Sequence[str], delimiter: str) -> Sequence[str] | None:
    """The cells of a row in quotation marks as a whole, as `"Emma,""Austen, Jane"",1815"`; None if it is not."""
    if not cells or delimiter not in cells[0] or any(cells[1:]):
        return None
    line = cells[0].replace("\n", " ")
    spaced = f'{delimiter} "' in line  # otherwise a space may show where a comma has no quotation marks
    inner = next(csv.reader([line], delimiter=delimiter, skipinitialspace=spaced), [])
    return inner if len(inner) > 1 else None


class RowRepair:
    """Repairs the rows of one file.

    Args:
        columns: what the columns hold.
        sample: rows of the file; those that have as many cells as the header show what is usual.
        delimiter: what separates the cells.
    """

    def __init__(self, columns: Columns, sample: Sequence[Sequence[str]], delimiter: str) -> None:
        self._width = len(columns.names)
        self._delimiter = delimiter
        whole = [row for row in sample if len(row) == self._width]
        fields = dict(reversed(columns.fields))
        self._columns = [_column(fields.get(index), whole, index) for index in range(self._width)]

    def repaired(self, cells: Sequence[str]) -> Repaired | None:
        """Put a row in order that has too many cells, too few, or some that do not fit; None if it stays as it is.

        Raises:
            HopelessRowError: most of its cells do not fit their columns in any order.
        """
        as_it_is = self._cut(list(cells))
        kept = self._score(as_it_is) - _DROPPED * sum(bool(cell.strip()) for cell in cells[self._width :])
        best = max(self._trials(list(cells)), key=lambda trial: trial.score, default=None)
        if (
            best is not None
            and best.score > kept
            and self._is_sure(best, kept, as_it_is, is_wider=len(cells) > self._width)
        ):
            self._check(best.cells)
            return Repaired(best.cells, best.joined, best.missing)
        self._check(as_it_is)
        return None

    def _is_sure(self, best: "_Trial", kept: float, as_it_is: Sequence[str], *, is_wider: bool) -> bool:
        """Whether a row is better so than as it is; one that has as many cells as it should must show it clearly."""
        if is_wider:
            return best.score >= kept + _CLEARLY
        is_likely = best.score >= kept + _CLEARLY_IN_PLACE and best.bonus >= 0
        return is_likely and self._fitting(best.cells) > self._fitting(as_it_is)

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether every cell is of its column's kind, as far as that shows."""
        return all(
            column.test is None or not (bare := cell.strip()) or column.test(bare)
            for column, cell in zip(self._columns, cells, strict=False)
        )

    def _fitting(self, cells: Sequence[str]) -> int:
        """How many cells are surely in their places."""
        return sum(
            column.test(bare)
            for column, cell in zip(self._columns, cells, strict=True)
            if column.test and (bare := cell.strip())
        )

    def _check(self, cells: Sequence[str]) -> None:
        verdicts = [
            column.test(bare)
            for column, cell in zip(self._columns, cells, strict=True)
            if column.test and column.is_reliable and (bare := cell.strip())
        ]
        misfits = verdicts.count(False)
        if misfits >= _HOPELESS and misfits * 2 > len(verdicts):
            raise HopelessRowError

    def _trials(self, cells: list[str]) -> Iterator[_Trial]:
        if self._width > _MOST_COLUMNS:
            return
        surplus = len(cells) - self._width
        if 0 < -surplus <= _MOST_MISSING:
            yield from self._gaps(cells, -surplus)
        commas = range(1, min(surplus, _MOST_COMMAS) + 1) if surplus > 0 else range(1, _MOST_MISSING + 1)
        for count in commas:
            rest = len(cells) - count
            if any(cell.strip() for cell in cells[len(cells) - max(0, rest - self._width) :]):
                continue  # something would be left over
            for runs in _runs(self._mergeable(len(cells)), count):
                if trial := self._trial(cells, runs):
                    yield trial

    def _gaps(self, cells: list[str], count: int) -> Iterator[_Trial]:
        """Suppose that neighbouring cells are missing within the row, and not at its end."""
        for place in range(1, len(cells)):
            out = [*cells[:place], *[""] * count, *cells[place:]]
            yield _Trial(self._score(out), 0.0, out, (), tuple(range(place, place + count)))

    def _mergeable(self, width: int) -> list[int]:
        return [index for index, column in enumerate(self._columns) if column.merges and index < width]

    def _trial(self, cells: list[str], runs: Sequence[tuple[int, int]]) -> _Trial | None:
        """Join the cells of each run: a column, and how many cells join the one there. None if there are too few."""
        out: list[str] = []
        bonus = 0.0
        position = 0
        for column, count in runs:
            start = position + column - len(out)
            if start + count >= len(cells):
                return None
            out += cells[position:start]
            pieces = cells[start : start + count + 1]
            bonus += sum(map(_joint, pieces[1:])) + (_JOINED_BLANK if not pieces[0].strip() else 0)
            out.append(self._joined(pieces, cells))
            position = start + count + 1
        out = self._cut([*out, *cells[position:]])
        return _Trial(self._score(out) + bonus, bonus, out, tuple(column for column, _ in runs))

    def _joined(self, pieces: Sequence[str], cells: Sequence[str]) -> str:
        """A text that was cut at its commas; the space behind one is gone where other cells have quotation marks."""
        was_quoted = any(self._delimiter in cell or '"' in cell for cell in cells)
        return (", " if was_quoted and self._delimiter == "," else self._delimiter).join(pieces)

    def _cut(self, cells: list[str]) -> list[str]:
        return [*cells[: self._width], *[""] * (self._width - len(cells))]

    def _score(self, cells: Sequence[str]) -> float:
        return sum(_cell_score(column, cell) for column, cell in zip(self._columns, cells, strict=True))


def _cell_score(column: _Column, cell: str) -> float:
    bare = cell.strip()
    if not bare:
        return -_NO_TITLE if column.is_title else 0.0
    if column.test is not None:
        return _FITS if column.test(bare) else -_MISFITS
    score = _WORDS
    if cell[0] == " " and not column.spaced:
        score -= _SPACED
    if looks_like_isbn(bare) or is_link(bare) or (not column.is_title and (is_number(bare) or is_date(bare))):
        score -= _FOREIGN
    return score


def _joint(piece: str) -> float:
    """How likely it is that a cell goes on from the one before."""
    if not piece.strip():
        return _JOINED_BLANK
    if piece[0] == " ":
        return _JOINED_AT_SPACE + (_JOINED_AT_LOWER_CASE if piece.lstrip()[0].islower() else 0)
    return _JOINED_AT_LOWER_CASE if piece[0].islower() else _JOINED_ANYWHERE


def _runs(columns: Sequence[int], count: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """The ways in which so many commas belong to one column, or to two."""
    for column in columns:
        yield ((column, count),)
    for first, second in combinations(columns, 2):
        for part in range(1, count):
            yield (first, part), (second, count - part)


def _column(field: str | None, rows: Sequence[Sequence[str]], index: int) -> _Column:
    cells = list(column_of(rows, index))
    test: Callable[[str], bool] | None = None
    if field and is_typed(field):
        test = _test_of(field)
    elif field is None and cells:
        test = _KIND_TESTS.get(kind_of(cells))
        if test and not all(map(test, cells)):
            test = None
    fitting = sum(map(test, cells)) if test else 0
    return _Column(
        test,
        is_reliable=len(cells) >= _FEWEST_CELLS and fitting >= _RELIABLE * len(cells),
        is_title=field in TITLES,
        merges=field in _MERGED or (field is None and test is None),
        spaced=sum(row[index][:1] == " " for row in rows) * 2 > len(rows),
    )


def _test_of(field: str) -> Callable[[str], bool]:
    return lambda cell: fit(field, cell)
