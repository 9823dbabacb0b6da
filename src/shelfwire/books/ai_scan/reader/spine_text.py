"""The text of a spine: from its group of lines to title, authors and confidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from shelfwire.books.ai_scan.ipc import Reading
from shelfwire.books.ai_scan.reader.aligned_lines import AlignedLine
from shelfwire.books.ai_scan.reader.engine import Word
from shelfwire.books.ai_scan.reader.lines import Line
from shelfwire.books.ai_scan.reader.spines import Group
from shelfwire.books.ai_scan.reader.splitting import (
    Piece,
    is_noise,
    listed,
    namelike,
    spaced,
    split,
    split_line,
)
from shelfwire.books.bibliography.publishers import is_publisher
from shelfwire.books.bibliography.text import words as words_of

_SURE: Final = 0.6
"""A line read with a lower score is not used."""
_ONE_KIND: Final = 0.4
"""Difference in looking like a name up to which two pieces may be one."""


@dataclass(frozen=True)
class SpineContent:
    """The text of a spine.

    Attributes:
        title: empty if there is none.
        authors: as printed, in order.
        confidence: 0 to 1.
        height: of the title's letters, in pixels.
        group: the lines it was taken from.
        readings: ways to give it title and authors, the likeliest first; empty if none were weighed.
    """

    title: str
    authors: tuple[str, ...]
    confidence: float
    height: float
    group: Group
    readings: tuple[Reading, ...] = ()


def pieces_of(group: Group) -> list[Piece]:
    """The pieces of a spine in reading order: those along it, then those across."""
    along, crossing = whole_lines(group)
    parts = [part for piece, words in along for part in split_line(piece, words)]
    return arranged(parts) + crossing


def arranged(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces along a spine in reading order, those of one kind joined, without publishers and praise."""
    return in_order(beside(stacked([piece for piece in pieces if not _printed_by(piece.text)])))


def whole_lines(group: Group) -> tuple[list[tuple[Piece, list[Word]]], list[Piece]]:
    """Each line along a spine as one piece, with its words, and the pieces across it, those of one kind joined."""
    rows = [row for row in group.rows if _says(row.line)]
    if not rows:
        return [], []
    # The frame of the second axis is the photo turned once, in which text of one turn is upright.
    upright = 0 if rows[0].line.turns % 2 == 0 else 1
    backward = sum(row.line.letters * (1 if row.line.turns == upright else -1) for row in rows) < 0
    slope = _slope(rows)
    along = [_level(row, slope, group.left, backward=backward) for row in rows]
    crossing = stacked([_crossing(row, upright) for row in group.crossing if _says(row.line)])
    return along, [replace(piece, text=listed(piece.text)) for piece in crossing]


def _slope(rows: Sequence[AlignedLine]) -> float:
    lengths = [row.right - row.left for row in rows]
    return float(np.average([row.slope for row in rows], weights=lengths))


def _says(line: Line) -> bool:
    return line.score >= _SURE and line.letters > 1


def _printed_by(text: str) -> bool:
    """Whether a line is a publisher's or praise; single words of praise may be a title's."""
    return is_publisher(text) or (is_noise(text) and len(words_of(text)) > 1)


def _level(row: AlignedLine, slope: float, origin: float, *, backward: bool) -> tuple[Piece, list[Word]]:
    """The piece of a line and its words, with the slope of its spine removed, so that pieces side by side are level."""
    middle = row.middle - slope * (row.centre - origin)
    left, right, middle = (-row.right, -row.left, -middle) if backward else (row.left, row.right, middle)
    half = row.height / 2
    text, words = spaced(row.line.text, row.line.words)
    return Piece(text, left, right, middle - half, middle + half, row.height, row.line.score), words


def _crossing(row: AlignedLine, upright: int) -> Piece:
    """The piece of a line across: it reads from left to right in its spine's frame turned by a quarter."""
    if (row.line.turns - upright) % 4 == 1:
        # It runs down the frame, so what is below is to the right of it.
        left, right, top, bottom = row.top, row.bottom, -row.right, -row.left
    else:
        left, right, top, bottom = -row.bottom, -row.top, row.left, row.right
    return Piece(row.line.text, left, right, top, bottom, bottom - top, row.line.score, crossing=True)


def beside(pieces: Sequence[Piece]) -> list[Piece]:
    """Join pieces of one kind that follow each other closely in a line."""
    found: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        for index, before in enumerate(found):
            gap = piece.left - before.right
            tall = max(piece.height, before.height)
            level = abs((piece.top + piece.bottom) - (before.top + before.bottom)) / 2 < 0.35 * tall
            alike = min(piece.height, before.height) > 0.75 * tall
            kind = before.lines == piece.lines and abs(namelike(before.text) - namelike(piece.text)) < _ONE_KIND
            if level and alike and kind and -0.5 * tall < gap < 0.7 * tall:
                found[index] = _together(before, piece)
                break
        else:
            found.append(piece)
    return found


def stacked(pieces: Sequence[Piece]) -> list[Piece]:
    """Join pieces of one kind that are closely above each other."""
    found: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.top):
        for index, above in enumerate(found):
            tall, small = max(piece.height, above.height), min(piece.height, above.height)
            common = min(piece.right, above.right) - max(piece.left, above.left)
            gap = piece.top - above.bottom
            narrow = min(piece.right - piece.left, above.right - above.left)
            if small > 0.68 * tall and common > 0.4 * narrow and -0.7 * tall < gap < 0.6 * small:
                found[index] = replace(_together(above, piece), lines=above.lines + piece.lines)
                break
        else:
            found.append(piece)
    return found


def in_order(pieces: Sequence[Piece]) -> list[Piece]:
    """Put pieces into reading order: column by column, and each from top to bottom."""
    columns: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        for column in columns:
            left, right = min(other.left for other in column), max(other.right for other in column)
            if min(right, piece.right) - max(left, piece.left) > 0.5 * min(right - left, piece.right - piece.left):
                column.append(piece)
                break
        else:
            columns.append([piece])
    return [piece for column in columns for piece in sorted(column, key=lambda piece: piece.top)]


def _together(one: Piece, other: Piece) -> Piece:
    return replace(
        one,
        text=f"{one.text} {other.text}",
        left=min(one.left, other.left),
        right=max(one.right, other.right),
        top=min(one.top, other.top),
        bottom=max(one.bottom, other.bottom),
        height=(one.height + other.height) / 2,
        score=(one.score + other.score) / 2,
    )


def read_spine(group: Group) -> SpineContent:
    """Find title and authors of a spine."""
    pieces = pieces_of(group)
    title, authors = split(pieces)
    scores = [piece.score for piece in pieces] or [0.0]
    height = max((piece.height for piece in pieces if set(words_of(piece.text)) & set(words_of(title))), default=0.0)
    return SpineContent(title, authors, float(np.mean(scores)), height, group)
