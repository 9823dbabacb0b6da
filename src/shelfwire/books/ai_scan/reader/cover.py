"""The face of one book, which a photo may show in place of spines: its title and authors, without its praise.

A cover has few lines, all in one direction and one above the other about one middle, and a large title. On each of 13
shelves and 24 rendered ones a good third of the lines have others beside them; on none of three covers has one.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from shelfwire.books.ai_scan.ipc import Reading
from shelfwire.books.ai_scan.reader.aligned_lines import AlignedLine, with_edges
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.geometry import turned_points
from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.likely_names import name_likeness
from shelfwire.books.ai_scan.reader.lines import Line
from shelfwire.books.ai_scan.reader.spine_text import SpineContent
from shelfwire.books.ai_scan.reader.spines import Group
from shelfwire.books.ai_scan.reader.splitting import is_noise, letters, names_of
from shelfwire.books.ai_scan.reader.vocabulary import NO_BOOKS
from shelfwire.books.bibliography.text import words as words_of

_LEGIBLE: Final = 0.7
_MOST_LINES: Final = 25
_ONE_WAY: Final = 0.85
"""Share of all text, by its length, that runs in one direction."""
_WIDE: Final = 0.75
"""Length of the longest line as a share of the width of all text,"""
_LARGE: Final = 0.35
"""and of the photo's."""
_ASIDE: Final = 0.13
"""Distance of the lines from their common middle, the median, as a share of the photo's width."""
_TITLE: Final = 0.5
"""Height of a line of the title, as a share of its largest line."""
_NAME: Final = 0.25
"""Likeness to a name from which on a line names an author,"""
_OTHER_NAME: Final = 0.5
"""and from which on it does in letters as large as the title's."""
_PARTED: Final = 0.4
"""Share of the gaps between lines in which there is an edge, from which on they are a stack's."""
_SUREST: Final = 0.9
"""The confidence at most: posters look like covers."""
_PRAISE: Final = re.compile(r"^\W*[\"“”„«].*[\"“”»]|[\"“”»]\s*[-\u2013\u2014]")
_OF_OTHERS: Final = re.compile(
    r"(?i)\b(author of|introduction|foreword|afterword|preface|translated|illustrated|edited|vorwort|"
    r"übersetzt|aus dem|préface|traduit|prólogo|traducc)"
)


class _Row(NamedTuple):
    """A line of a cover: its row, and whether it is about others, as its words or the line above say."""

    aligned: AlignedLine
    of_others: bool

    @property
    def text(self) -> str:
        return self.aligned.line.text


def cover_of(lines: Sequence[Line], edges: Edges, size: tuple[int, int], lexicon: Lexicon) -> SpineContent | None:
    """Read a photo of one book's face; None if it is none, or has no title. Without authors it may be a sign or a box.

    Args:
        lines: of a photo of this width and height.
        edges: those of the photo.
        size: that width and height.
        lexicon: the words that are known.
    """
    rows = _rows(lines, edges, size)
    if not rows:
        return None
    names = [_likeness(row, lexicon) for row in rows]
    heights = [row.aligned.height for row in rows]
    largest = max(range(len(rows)), key=lambda index: (names[index] < _OTHER_NAME, _worth(rows[index])))
    title = [largest]
    for step in (-1, 1):
        index = largest + step
        while 0 <= index < len(rows) and _goes_on(rows[index], names[index], heights[index] / heights[largest]):
            title.append(index)
            index += step
    text = " ".join(rows[index].text for index in sorted(title)).strip(" \"'“”„«»")
    if letters(text) < 3:  # noqa: PLR2004
        return None
    best = max((index for index in range(len(rows)) if index not in title), key=names.__getitem__, default=None)
    if best is None or names[best] < _NAME or any(word in NO_BOOKS for row in rows for word in words_of(row.text)):
        authors: tuple[str, ...] = ()
    else:
        authors = names_of(rows[best].text)
    score = min(_SUREST, float(np.mean([rows[index].aligned.line.score for index in title])))
    group = Group([row.aligned for row in rows])
    return SpineContent(text, authors, score, heights[largest], group, (Reading(text, authors),))


def _rows(lines: Sequence[Line], edges: Edges, size: tuple[int, int]) -> list[_Row]:
    """The lines of a cover from above; none if the photo shows none."""
    legible = [line for line in lines if line.score >= _LEGIBLE and line.letters > 2]  # noqa: PLR2004
    if not 1 < len(legible) <= _MOST_LINES:
        return []
    lengths = [float(np.abs(line.quad[1] - line.quad[0]).max()) for line in legible]
    share = [0.0] * 4
    for line, length in zip(legible, lengths, strict=True):
        share[line.turns] += length
    way = max(range(4), key=share.__getitem__)
    width = size[way % 2]
    upright = [AlignedLine.of(line, turned_points(line.quad, way, size)) for line in legible if line.turns == way]
    upright.sort(key=lambda row: row.middle)
    longest = max(row.right - row.left for row in upright)
    span = max(row.right for row in upright) - min(row.left for row in upright)
    centres = [row.centre for row in upright]
    aside = float(np.median(np.abs(np.array(centres) - np.median(centres))))
    if (
        share[way] < _ONE_WAY * sum(share)
        or longest < max(_WIDE * span, _LARGE * width)
        or aside > _ASIDE * width
        or _is_stack(upright, edges.turned(way, size))
        or any(_beside(one, other) for number, one in enumerate(upright) for other in upright[:number])
    ):
        return []
    marked = [_OF_OTHERS.search(row.line.text) is not None for row in upright]
    return [_Row(row, marked[index] or (index > 0 and marked[index - 1])) for index, row in enumerate(upright)]


def _is_stack(rows: Sequence[AlignedLine], edges: Edges) -> bool:
    """Whether edges part lines that are above each other: they are on spines of books that lie on each other."""
    with_edges(rows, edges)
    parted = sum(
        min(upper.below, lower.above) < lower.middle - upper.middle for upper, lower in itertools.pairwise(rows)
    )
    return parted > _PARTED * (len(rows) - 1)


def _beside(one: AlignedLine, other: AlignedLine) -> bool:
    level = min(one.bottom, other.bottom) - max(one.top, other.top)
    apart = max(one.left, other.left) - min(one.right, other.right)
    return apart > 0 and level > 0.5 * min(one.height, other.height)


def _likeness(row: _Row, lexicon: Lexicon) -> float:
    if row.of_others or is_noise(row.text) or _PRAISE.search(row.text):
        return -1.0
    return name_likeness(row.text, lexicon)


def _worth(row: _Row) -> float:
    """How much of a title a line may be: its height, if it is no praise."""
    return 0.0 if row.of_others or is_noise(row.text) or _PRAISE.search(row.text) else row.aligned.height


def _goes_on(row: _Row, name: float, height: float) -> bool:
    """Whether a line beside the title's largest is of the title."""
    return height >= _TITLE and name < _OTHER_NAME and _worth(row) > 0 and len(words_of(row.text)) > 0
