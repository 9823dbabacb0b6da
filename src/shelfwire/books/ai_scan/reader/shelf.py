"""The books among the spines of a photo."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shelfwire.books.ai_scan.ipc import LIKELY, Reading
from shelfwire.books.ai_scan.reader import roles
from shelfwire.books.ai_scan.reader.cover import cover_of
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.geometry import sides
from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.likely_names import name_likeness
from shelfwire.books.ai_scan.reader.lines import Line
from shelfwire.books.ai_scan.reader.spine_text import SpineContent, read_spine
from shelfwire.books.ai_scan.reader.spines import Group, spines_of
from shelfwire.books.ai_scan.reader.splitting import is_name, letters
from shelfwire.books.ai_scan.reader.vocabulary import NO_BOOKS
from shelfwire.books.ai_scan.reader.weights import Weights, shipped
from shelfwire.books.bibliography.publishers import is_publisher
from shelfwire.books.bibliography.text import words as words_of

Array = NDArray[np.float64]

FEATURES: Final = (
    *("letters", "score", "has_author", "author_name", "height", "words", "known", "short", "title_name", "publisher"),
    *("no_book", "edged", "single", "chance_of_roles", "lines_score"),
)
"""What tells a book from other text."""
_UNLIKELY: Final = 0.05
"""A spine that is less likely a book is left out even where a catalogue is asked."""
_DOUBTED: Final = LIKELY - 0.01
"""The confidence at most, where nothing shows that a photo is of books, or a title is cut off."""
_AT_EDGE: Final = 0.3
"""Letter heights between a line and the edge of the photo that cuts it off."""
_ODDS: Final = 3.0
_MOST_READINGS: Final = 6
"""Readings of a spine that a catalogue is asked for: their log odds against the best one, and their number at most."""
_SURE_ENOUGH: Final = 0.75
"""A title without an author, read with a lower score, is discarded."""
_LONG: Final = 8
"""Number of letters from which on several words are a title even if they are small."""
_SMALL: Final = 0.3
_LARGE: Final = 0.75
"""Height of a title relative to the median of its photo: smaller text is on a cover, or not on a book."""
_NAMES: Final = 3
_NAMELIKE: Final = 0.2
_NAMED_SHARE: Final = 0.25
_OTHER_SCRIPT: Final = 0.2
"""Share of a photo's letters from which on Chinese and Japanese are accepted as text."""


class Candidate(NamedTuple):
    """The best reading of a spine, and one number for each of FEATURES."""

    spine: SpineContent
    features: Array


def books_of(lines: Sequence[Line], edges: Edges, size: tuple[int, int]) -> list[SpineContent]:
    """Find the books among the lines of a photo of this width and height; those below `LIKELY` are for a catalogue."""
    wide = _is_wide_script(lines)
    groups = spines_of(lines if wide else [line for line in lines if not _wide(line.text)], edges, size)
    if wide:
        books = _by_rules(groups)
        return books if is_shelf(books) else []
    if (cover := cover_of(lines, edges, size, lexicon_of(groups))) is not None:
        return [cover if cover.authors and cover.confidence >= _SURE_ENOUGH else _doubted(cover)]
    books = found_by_weights(groups, shipped(roles.FEATURES, FEATURES), size, _UNLIKELY)
    if is_shelf([book for book in books if book.confidence >= LIKELY]):
        return books
    return [_doubted(book) for book in books]


def _by_rules(groups: Sequence[Group]) -> list[SpineContent]:
    """The books of a photo in Chinese or Japanese, to which no weights were fitted."""
    spines = [spine for spine in map(read_spine, groups) if spine.title]
    usual = float(np.median([spine.height for spine in spines])) if spines else 0.0
    return [spine for spine in spines if is_book(spine, usual)]


def found_by_weights(
    groups: Sequence[Group], weights: Weights, size: tuple[int, int], least: float = LIKELY
) -> list[SpineContent]:
    """The spines that are books with a chance of at least `least`, which is their confidence.

    That of a book whose title is cut off by the edge of the photo, of this width and height, is below `LIKELY`, as is
    that of a film or game with its kind in the place of an author.
    """
    books = []
    for spine, features in candidates(groups, weights.roles):
        chance = float(1 / (1 + np.exp(-(features @ weights.chance + weights.bias))))
        book = replace(spine, confidence=chance)
        if is_cut_off(spine, size) or any(map(_is_kind, spine.authors)):
            book = _doubted(book)
        if book.confidence >= least:
            books.append(book)
    return books


def _doubted(book: SpineContent) -> SpineContent:
    return replace(book, confidence=min(book.confidence, _DOUBTED))


def _is_kind(name: str) -> bool:
    """Whether a name is the kind of a thing that is no book."""
    words = words_of(name)
    return any(word in NO_BOOKS for word in (*words, "".join(words[:2])))


def is_cut_off(spine: SpineContent, size: tuple[int, int]) -> bool:
    """Whether a line of the title touches the edge of the photo, so that letters are missing."""
    title = set(words_of(spine.title))
    return any(
        min(line.quad.min(), *(np.array(size) - line.quad.max(axis=0))) < _AT_EDGE * min(sides(line.quad))
        for line in spine.group.lines
        if title & set(words_of(line.text))
    )


def candidates(groups: Sequence[Group], role_weights: Array) -> list[Candidate]:
    """The best reading of each spine by these weights of `roles.FEATURES`, with what tells whether it is a book."""
    lexicon = lexicon_of(groups)
    best = [(group, *_best(ways, role_weights)) for group in groups if (ways := roles.ways(group, lexicon))]
    usual = float(np.median([way.height for _, way, _, _ in best])) if best else 1.0
    return [
        Candidate(
            SpineContent(way.title, way.authors, chance, way.height, group, readings),
            np.array(_features(group, way, chance, usual, lexicon)),
        )
        for group, way, chance, readings in best
    ]


def lexicon_of(groups: Sequence[Group]) -> Lexicon:
    """The words that are known, in the languages of a photo's spines."""
    return Lexicon(word for group in groups for line in group.lines for word in words_of(line.text))


def _best(ways: Sequence[roles.Roles], weights: Array) -> tuple[roles.Roles, float, tuple[Reading, ...]]:
    """The best way to give roles, its chance among all of them, and what the likeliest ones give."""
    values = np.array([way.features for way in ways]) @ weights
    order = np.argsort(-values, kind="stable")
    best = values[order[0]]
    likely = [ways[index] for index in order if best - values[index] <= _ODDS]
    readings = dict.fromkeys(Reading(way.title, way.authors) for way in likely)
    return ways[order[0]], float(1 / np.exp(values - best).sum()), tuple(readings)[:_MOST_READINGS]


def _features(group: Group, way: roles.Roles, chance: float, usual: float, lexicon: Lexicon) -> tuple[float, ...]:
    words, count = words_of(way.title), letters(way.title)
    known = sum(len(word) for word in words if lexicon.frequency(word)) / max(1, sum(map(len, words)))
    return (
        min(count, 16) / 16,
        (way.score - 0.9) * 5,
        float(bool(way.authors)),
        name_likeness(", ".join(way.authors), lexicon) if way.authors else 0.0,
        min(2.0, way.height / max(1.0, usual)),
        min(4, len(words)) / 4,
        known,
        float(count < 4),  # noqa: PLR2004
        max(0.0, name_likeness(way.title, lexicon)),
        float(is_publisher(way.title)),
        float(any(word in NO_BOOKS for word in words)),
        float(group.edged),
        float(len(words) == 1 and not way.authors),
        chance,
        float(np.mean([line.score for line in group.lines])),
    )


def is_shelf(books: Sequence[SpineContent]) -> bool:
    """Whether what was read in a photo are books: there are names on spines, and none on boxes, signs and screens.

    One text that is a name suffices, or several texts that look like one, or one on each, if not too few of the books
    have any. Of a text in Chinese or Japanese nobody knows here whether it looks like a name.
    """
    names = sum(bool(book.authors) for book in books)
    if names < max(1, _NAMED_SHARE * len(books)):
        return False
    if any(is_name(name) for book in books for name in book.authors):
        return True
    lexicon = lexicon_of([book.group for book in books])
    likely = sum(
        any(_wide(name) or name_likeness(name, lexicon) > _NAMELIKE for name in book.authors) for book in books
    )
    return likely >= min(_NAMES, len(books))


def is_book(spine: SpineContent, usual: float) -> bool:
    """Whether this is a book; if in doubt, it is not.

    Args:
        spine: its text.
        usual: the median height of the titles of this photo, in pixels.
    """
    count, small = letters(spine.title), spine.height / max(1.0, usual)
    if spine.authors:
        return count >= 3 and small > _SMALL  # noqa: PLR2004
    if not spine.group.edged or count < 4 or is_name(spine.title) or spine.confidence < _SURE_ENOUGH:  # noqa: PLR2004
        return False
    return small > (_SMALL if len(words_of(spine.title)) > 1 and count >= _LONG else _LARGE)


def _is_wide_script(lines: Sequence[Line]) -> bool:
    """Whether a photo's text is Chinese or Japanese; in one that has little of it, it is misread ornament."""
    many = sum(line.letters * line.score for line in lines if _wide(line.text))
    return many > _OTHER_SCRIPT * sum(line.letters for line in lines)


def _wide(text: str) -> bool:
    return any("\u2e80" <= character <= "\uffef" for character in text)
