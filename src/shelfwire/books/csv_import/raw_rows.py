"""Decoded text to rows, lazily, with rules for malformed input that the CSV parser of the standard library lacks.

A quotation mark that is never closed costs one row, not the rest of the file: the record is abandoned, and the lines
after its first one are read as rows again. No step takes longer for a longer file, because a record has bounds on its
length, its lines and its cells.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

MAX_CHARACTERS: Final = 1_310_720
"""The longest record, in characters; Excel allows a cell 32,767."""
MAX_CELLS: Final = 16_384
"""The most cells in a row, which is Excel's limit too."""
_MAX_LINES: Final = 5_000
_MAX_DELIMITERS: Final = 200_000
_TOO_LONG: Final = "is longer than a book can be. Look for a missing line break or quotation mark there."
_TOO_MANY_CELLS: Final = "has too many cells. Look for a missing line break there."
_UNCLOSED: Final = (
    "A quotation mark opened in row {row} is never closed. Close it or remove it, and import the file again."
)
_QUOTATION: Final = re.compile(r'(?:^|[,;\t|])\s*"[^",;\t|]+"[ \w]')
_WHITESPACE: Final = " \t\v\f\x1a\xa0\u3000\ufeff"
_NEAR: Final = 256
_CHUNK: Final = 65_536

# The standard library's own limit of 128 KiB on a cell is below ours, and there is one for the whole process.
csv.field_size_limit(max(csv.field_size_limit(), MAX_CHARACTERS + 1))


class RawRow(msgspec.Struct, frozen=True, gc=False):
    """A record of the file.

    Attributes:
        row: Its number from 1, as a spreadsheet shows it: blank lines count, a cell of many lines is one row.
        cells: Its cells, quotation marks resolved; as many as the file has, not as many as the header. Of a row whose
            quotation mark is never closed, its first line cut at the delimiters, for a person to look at.
        problem: Why it cannot be read, for a person, or None.
    """

    row: int
    cells: Sequence[str]
    problem: str | None = None


class _Unclosed(Exception):  # noqa: N818 - it never leaves this module
    """The record reached the end of the file, or its own bounds, within a quoted cell."""


def raw_rows(text: str, *, delimiter: str, width: int, start: int = 0) -> Iterator[RawRow]:
    """Read the records of `text` that are not empty.

    Args:
        text: The whole file; lines end with a line feed alone.
        delimiter: One character.
        width: The number of cells a row should have; it distinguishes a swallowed row from a line break in a cell.
        start: Where the first record begins.

    Yields:
        Every record but blank lines and lines of only delimiters and white space.
    """
    find, end = text.find, len(text)
    blank = _BlankLines(text, delimiter)
    blank_characters = blank.characters
    open_records = _OpenRecords(text, delimiter, width, start)
    pending: list[str] = []
    # The parser asks for a further line exactly if a quoted cell is still open, and then meets the IndexError.
    parser = csv.reader(iter(pending.pop, None), delimiter=delimiter, skipinitialspace=True)
    position, number = start, 0
    while position < end:
        stop = find("\n", position)
        if stop < 0:
            stop = end
        number += 1
        if stop - position > MAX_CELLS and (problem := _oversize(text, position, stop, delimiter)):
            if stop < blank.run_end(position) or stop == blank.run_end(position) == end:
                position = stop + 1
                continue
            position = stop + 1
            yield RawRow(number, (), f"Row {number} {problem}")
            continue
        line = text[position:stop]
        if '"' not in line:
            if not line.strip(blank_characters):
                after = blank.run_end(position)
                number += text.count("\n", stop + 1, after)
                position = after
                continue
            cells: list[str] | None = line.split(delimiter)
            position = stop + 1
        else:
            pending.append(line)
            try:
                cells = next(parser)
                position = stop + 1
                if '" ' in line and _QUOTATION.search(line):
                    cells = _with_marks(cells, line.split(delimiter))
            except IndexError:
                cells, position = open_records.read(position, stop)
        if cells is not None and len(cells) <= MAX_CELLS:
            yield RawRow(number, cells)
        else:
            yield _unread(number, cells, line.split(delimiter))


def _with_marks(cells: list[str], plain: list[str]) -> list[str]:
    """The cells of a row with the marks of a quotation that one begins with, as in `"A" Is for Alibi`."""
    if len(cells) != len(plain):
        return cells
    return [
        bare if (bare := text.strip())[:1] == '"' and bare[-1:] != '"' else cell
        for cell, text in zip(cells, plain, strict=True)
    ]


def _unread(number: int, cells: list[str] | None, unquoted: list[str]) -> RawRow:
    if cells is None:
        return RawRow(number, unquoted, _UNCLOSED.format(row=number))
    return RawRow(number, (), f"Row {number} {_TOO_MANY_CELLS}")


def _oversize(text: str, position: int, stop: int, delimiter: str) -> str | None:
    if stop - position > MAX_CHARACTERS:
        return _TOO_LONG
    if text.count(delimiter, position, stop) > _MAX_DELIMITERS:
        return _TOO_MANY_CELLS
    return None


class _BlankLines:
    """Finds blank lines, and skips long runs of them, such as a sheet's million empty rows."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._text = text
        self.characters = delimiter + _WHITESPACE
        self._run = re.compile(f"[\n{re.escape(self.characters)}]*")
        self._bytes = f"\n{self.characters}".encode("ascii", "ignore")

    def run_end(self, position: int) -> int:
        """Where the first line after `position` begins that is not blank; `position` is the start of a blank line."""
        text, end = self._text, len(self._text)
        reach = self._run.match(text, position, position + _NEAR).end()  # type: ignore[union-attr]  # it may be empty
        if reach == position + _NEAR:
            # Deleting bytes is three times faster than the expression.
            while reach < end and not text[reach : reach + _CHUNK].encode("utf-8", "replace").translate(
                None, self._bytes
            ):
                reach += _CHUNK
            reach = self._run.match(text, reach, reach + _CHUNK).end()  # type: ignore[union-attr]  # as above
        return end if reach >= end else text.rfind("\n", position, reach) + 1


class _OpenRecords:
    """Reads records whose first line leaves a quoted cell open, and abandons those that swallow other rows.

    What was abandoned is never tried again: a line within a record that stayed open to its end would take the same
    course from there. So the work stays linear however many stray quotation marks a file has.
    """

    def __init__(self, text: str, delimiter: str, width: int, start: int) -> None:
        self._text = text
        self._delimiter = delimiter
        self._width = width
        self._abandoned_to = start

    def read(self, position: int, stop: int) -> tuple[list[str] | None, int]:
        """Read the record at `position`, whose first line ends at `stop`.

        Returns:
            Its cells, or None if it is never closed; and where the next record begins.
        """
        if stop >= self._abandoned_to:
            cells, reach = self._to_its_end(position)
            if cells is not None and reach is not None:
                return cells, reach
        line = self._text[position:stop]
        # Programs that write tabs often do not quote at all, so that their quotation marks are text.
        if self._delimiter == "\t" and line.count("\t") + 1 == self._width:
            return line.split("\t"), stop + 1
        return None, stop + 1

    def _to_its_end(self, position: int) -> tuple[list[str] | None, int]:
        strict = _Lines(self._text, position, self._delimiter)
        try:
            return next(self._parser(strict, strict=True)), strict.reach
        except _Unclosed:
            self._abandoned_to = strict.reach
            return None, position
        except csv.Error:
            return self._leniently(position)

    def _leniently(self, position: int) -> tuple[list[str] | None, int]:
        """Text follows a closing mark: it is a quote within a quotation, or the opening mark of another row."""
        lines = _Lines(self._text, position, self._delimiter)
        try:
            cells = next(self._parser(lines, strict=False))
        except _Unclosed:
            self._abandoned_to = lines.reach
            return None, position
        if any(map(self._is_whole_row, self._text[position : lines.reach - 1].split("\n")[1:])):
            # The last line closed the record, and may open one of its own.
            self._abandoned_to = lines.last
            return None, position
        return cells, lines.reach

    def _parser(self, lines: Iterator[str], *, strict: bool) -> "Iterator[list[str]]":
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True, strict=strict)

    def _is_whole_row(self, line: str) -> bool:
        if '"' not in line:
            return bool(line) and line.count(self._delimiter) + 1 == self._width
        return len(next(self._parser(iter((line,)), strict=False))) == self._width


class _Lines:
    """The lines of one record for the parser; `reach` is where the line after the last one it took begins."""

    def __init__(self, text: str, position: int, delimiter: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._limit = position + MAX_CHARACTERS
        self._lines_left = _MAX_LINES
        self._delimiters_left = _MAX_DELIMITERS
        self.last = self.reach = position

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        text = self._text
        stop = text.find("\n", self.reach)
        if stop < 0:
            stop = len(text)
        self._lines_left -= 1
        self._delimiters_left -= text.count(self._delimiter, self.reach, stop)
        if self.reach >= len(text) or stop > self._limit or min(self._lines_left, self._delimiters_left) < 0:
            raise _Unclosed
        self.last, self.reach = self.reach, stop + 1
        return text[self.last : self.reach]
