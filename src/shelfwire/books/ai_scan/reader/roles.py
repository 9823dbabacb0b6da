"""Title and authors of a spine, by weighing all ways to give roles to its pieces of text.

Each piece is part of the title, names authors, or is neither. A way to give these roles is described by numbers
(`FEATURES`), and its value is their weighed sum. The weights, and those of the chance that the best way names a book,
come from `weights.json`, which `bench/fit_scan.py` fits to photos with a truth.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shelfwire.books.ai_scan.reader.engine import Word
from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.likely_names import name_likeness
from shelfwire.books.ai_scan.reader.spine_text import SpineContent, arranged, pieces_of, read_spine, whole_lines
from shelfwire.books.ai_scan.reader.spines import Group
from shelfwire.books.ai_scan.reader.splitting import BY, EDGES, ON, Piece, is_noise, letters, meaningful, names_of
from shelfwire.books.ai_scan.reader.vocabulary import NOISE
from shelfwire.books.bibliography.publishers import is_publisher
from shelfwire.books.bibliography.text import words as words_of

Array = NDArray[np.float64]

FEATURES: Final = (
    *("author_name", "author_unlike", "author_rare", "author_common", "author_size", "author_tiny", "author_publisher"),
    *("author_noise", "author_by", "author_long", "author_crossing", "author_score"),
    *("title_size", "title_weight", "title_known", "title_name", "title_publisher", "title_noise", "title_tiny"),
    *("title_crossing", "title_misread", "title_score", "title_goes_on"),
    *("left_weight", "left_pieces", "title_pieces", "title_holes", "title_mixed", "has_author", "more_authors"),
    *("parted", "unjoined", "author_first", "name_contrast", "author_larger", "rules_title", "rules_authors"),
)
"""What describes a way to give roles. Sums over pieces, or means weighed by their letters, of what `_Facts` says."""

_MOST_PIECES: Final = 6
"""The most prominent pieces of a spine: all ways to give them roles are tried."""
_MOST_AUTHORS: Final = 3
_MOST_CUTS: Final = 2
"""Places at which a line may be parted, the likeliest."""
_LEAST_LIKE: Final = 0.3
"""The likeness to a name from which on a part of a line may be one."""
_KNOWN: Final = 3.0
_COMMON: Final = 4.2
"""Frequencies, see `Lexicon.frequency`."""
_TINY: Final = 3
_LONG: Final = 5
_SURE: Final = 0.9
_TITLE, _AUTHOR, _NEITHER = range(3)


class Roles(NamedTuple):
    """A way to give roles to the pieces of a spine.

    Attributes:
        features: one number for each of FEATURES.
        title: the title it gives.
        authors: the authors it gives.
        height: of the title's letters, in pixels.
        score: of the title's line that was read worst, 0 to 1.
    """

    features: tuple[float, ...]
    title: str
    authors: tuple[str, ...]
    height: float
    score: float


class _Layout(NamedTuple):
    """Pieces of a spine in reading order; whether one line was parted; whether lines were left apart."""

    pieces: Sequence[Piece]
    parted: bool = False
    unjoined: bool = False


@dataclass(frozen=True)
class _Facts:
    """What is known of a piece, independent of its role. Shares are of its letters."""

    name: float
    known: float
    rare: float
    common: float
    size: float
    weight: float
    publisher: float
    noise: float
    score: float
    tiny: float
    by: float
    long: float
    misread: float
    letters: int

    @classmethod
    def of(cls, piece: Piece, lexicon: Lexicon, tallest: float, heaviest: float) -> "_Facts":
        words = words_of(piece.text)
        total = max(1, sum(map(len, words)))
        known = sum(len(word) for word in words if lexicon.frequency(word) > _KNOWN) / total
        rare = sum(len(word) for word in words if not lexicon.frequency(word) or lexicon.is_family(word, _COMMON))
        single = len(words) == 1 and lexicon.frequency(words[0]) >= _COMMON and not lexicon.is_name(words[0])
        printed = len(words) > 1 and all(is_publisher(word) or word in NOISE for word in words)
        count = letters(piece.text)
        return cls(
            name=name_likeness(piece.text, lexicon),
            known=known,
            rare=rare / total,
            common=float(single),
            size=piece.size / tallest,
            weight=piece.weight / heaviest,
            publisher=float(is_publisher(piece.text) or printed),
            noise=float(is_noise(piece.text)),
            score=(piece.score - _SURE) * 5,
            tiny=1.0 if count < _TINY else 0.5 if count == _TINY and known < 0.5 else 0.0,  # noqa: PLR2004
            by=float(bool(BY.search(piece.text))),
            long=float(len(words) > _LONG),
            misread=float(known < 0.4 and piece.score < 0.92),  # noqa: PLR2004
            letters=count,
        )


def ways(group: Group, lexicon: Lexicon) -> list[Roles]:
    """All ways to give roles to the pieces of a spine, the one by the rules of `splitting` among them."""
    rules = read_spine(group)
    found = [way for layout in _layouts(group, lexicon) for way in _assignments(layout, rules, lexicon)]
    title, authors = _flat(rules.title), _flat(" ".join(rules.authors))
    if (
        found
        and title
        and not any(_flat(way.title) == title and _flat(" ".join(way.authors)) == authors for way in found)
    ):
        nearest = max(found, key=lambda way: _flat(way.title) == title)
        features = (*nearest.features[:-2], 1.0, 1.0)
        found.append(Roles(features, rules.title, rules.authors, rules.height or nearest.height, nearest.score))
    return found


def _flat(text: str) -> str:
    return "".join(words_of(text))


def _layouts(group: Group, lexicon: Lexicon) -> Iterator[_Layout]:
    """The pieces by the rules, lines left apart, lines joined but not parted, and each line parted at a name."""
    along, crossing = whole_lines(group)
    pieces = pieces_of(group)
    whole = [piece for piece, _ in along]
    layouts = [
        _Layout(meaningful(pieces) or pieces),
        _Layout([*whole, *crossing], unjoined=True),
        _Layout(arranged(whole) + crossing),
    ]
    for piece, words in along:
        others = [other for other in whole if other is not piece]
        layouts += [
            _Layout(arranged([*others, *parts]) + crossing, parted=True) for parts in _cuts(piece, words, lexicon)
        ]
    seen: set[tuple[tuple[str, float], ...]] = set()
    for layout in layouts:
        key = tuple((piece.text, round(piece.left)) for piece in layout.pieces)
        if key and key not in seen:
            seen.add(key)
            yield layout


def _cuts(piece: Piece, words: Sequence[Word], lexicon: Lexicon) -> list[tuple[Piece, Piece]]:
    """The likeliest ways to part a line into two of which one looks like a name."""
    tokens = piece.text.split()
    if len(words) != len(tokens):
        return []
    cuts: list[tuple[float, int]] = []
    for index in range(1, len(tokens)):
        parts = " ".join(tokens[:index]), " ".join(tokens[index:])
        likeness = [name_likeness(part, lexicon) for part in parts]
        if max(likeness) >= _LEAST_LIKE and min(map(letters, parts)) > 1:
            cuts.append((max(likeness) - 0.5 * min(likeness), index))
    best = sorted(cuts, reverse=True)[:_MOST_CUTS]
    return [(_part(piece, words[:index]), _part(piece, words[index:])) for _, index in best]


def _part(piece: Piece, words: Sequence[Word]) -> Piece:
    length = piece.right - piece.left
    left, right = piece.left + length * words[0].start, piece.left + length * words[-1].end
    return replace(piece, text=" ".join(word.text for word in words), left=left, right=right)


def _assignments(layout: _Layout, rules: SpineContent, lexicon: Lexicon) -> Iterator[Roles]:
    prominent = sorted(layout.pieces, key=lambda piece: -piece.weight)[:_MOST_PIECES]
    pieces = [piece for piece in layout.pieces if piece in prominent]
    tallest, heaviest = max(piece.size for piece in pieces), max(1e-6, *(piece.weight for piece in pieces))
    facts = [_Facts.of(piece, lexicon, tallest, heaviest) for piece in pieces]
    for roles in itertools.product((_TITLE, _AUTHOR, _NEITHER), repeat=len(pieces)):
        titles, authors, rest = ([index for index, role in enumerate(roles) if role == wanted] for wanted in range(3))
        title = " ".join(pieces[index].text for index in titles).strip(EDGES + "*\"'“”")
        if letters(title) < 2 or len(authors) > _MOST_AUTHORS:  # noqa: PLR2004
            continue
        names = tuple(name for index in authors for name in names_of(pieces[index].text))
        values = {
            **_of_authors(pieces, facts, authors, titles),
            **_of_title(pieces, facts, titles),
            **_of_whole(pieces, facts, titles, rest),
            "parted": float(layout.parted),
            "unjoined": float(layout.unjoined),
            "rules_title": float(_flat(title) == _flat(rules.title)),
            "rules_authors": float(_flat(" ".join(names)) == _flat(" ".join(rules.authors))),
        }
        height, score = max(pieces[index].height for index in titles), min(pieces[index].score for index in titles)
        yield Roles(tuple(values.get(name, 0.0) for name in FEATURES), title, names, height, score)


def _of_authors(
    pieces: Sequence[Piece], facts: Sequence[_Facts], authors: Sequence[int], titles: Sequence[int]
) -> dict[str, float]:
    if not authors:
        return {}
    chosen = [facts[index] for index in authors]
    total = sum(fact.letters for fact in chosen) or 1
    return {
        "author_name": sum(fact.name * fact.letters for fact in chosen) / total,
        "author_rare": sum(fact.rare * fact.letters for fact in chosen) / total,
        "author_size": sum(fact.size * fact.letters for fact in chosen) / total,
        "author_score": sum(fact.score * fact.letters for fact in chosen) / total,
        "author_unlike": float(sum(fact.name < 0 for fact in chosen)),
        "author_common": sum(fact.common for fact in chosen),
        "author_tiny": sum(fact.tiny for fact in chosen),
        "author_publisher": sum(fact.publisher for fact in chosen),
        "author_noise": sum(fact.noise for fact in chosen),
        "author_by": sum(fact.by for fact in chosen),
        "author_long": sum(fact.long for fact in chosen),
        "author_crossing": float(sum(pieces[index].crossing != pieces[titles[0]].crossing for index in authors)),
        "has_author": 1.0,
        "more_authors": len(authors) - 1.0,
        "author_first": 1.0 if authors[0] < titles[0] else -1.0,
        "name_contrast": max(fact.name for fact in chosen) - max(facts[index].name for index in titles),
        "author_larger": float(
            len(titles) > 1
            and max(pieces[index].size for index in authors) > min(pieces[index].size for index in titles)
        ),
    }


def _of_title(pieces: Sequence[Piece], facts: Sequence[_Facts], titles: Sequence[int]) -> dict[str, float]:
    chosen = [facts[index] for index in titles]
    total = sum(fact.letters for fact in chosen) or 1
    crossing = sum(facts[index].letters for index in titles if pieces[index].crossing)
    return {
        "title_size": sum(fact.size * fact.letters for fact in chosen) / total,
        "title_known": sum(fact.known * fact.letters for fact in chosen) / total,
        "title_name": sum(max(0.0, fact.name) * fact.letters for fact in chosen) / total,
        "title_score": sum(fact.score * fact.letters for fact in chosen) / total,
        "title_crossing": crossing / total,
        "title_weight": sum(fact.weight for fact in chosen),
        "title_publisher": sum(fact.publisher for fact in chosen),
        "title_noise": sum(fact.noise for fact in chosen),
        "title_tiny": sum(fact.tiny for fact in chosen),
        "title_misread": sum(fact.misread for fact in chosen),
        "title_goes_on": float(bool(ON.match(pieces[titles[0]].text))),
    }


def _of_whole(
    pieces: Sequence[Piece],
    facts: Sequence[_Facts],
    titles: Sequence[int],
    rest: Sequence[int],
) -> dict[str, float]:
    left = [facts[index].weight for index in rest if not facts[index].publisher and not facts[index].noise]
    return {
        "left_weight": sum(left),
        "left_pieces": float(len(rest)),
        "title_pieces": len(titles) - 1.0,
        "title_holes": float(titles[-1] - titles[0] + 1 - len(titles)),
        "title_mixed": float(len({pieces[index].crossing for index in titles}) > 1),
    }
