"""Words as the catalogue spells them, for words that were typed or read wrongly."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import apsw
from rapidfuzz.distance import OSA

from shelfwire.books.catalogue.database import EDGE, SHORTEST_SPELLING

MOST_SPELLINGS: Final = 3
"""Right spellings that are looked for in the place of one wrong word, at most."""
_LOOKED_AT: Final = 60
_TRIPLE: Final = 3
_SHORT: Final = 5
_MIDDLING: Final = 9
_SHORTEST_PART: Final = 2
_SHORTEST_SPLIT: Final = 6
_LONGEST_SPLIT: Final = 60

_KNOWN: Final = "SELECT word, names FROM word WHERE word IN (SELECT value FROM json_each(?))"
_LIKE: Final = """
SELECT word, names FROM word WHERE id IN (SELECT rowid FROM spellings WHERE spellings MATCH ? ORDER BY rank LIMIT ?)
"""


def known(db: apsw.Connection, wanted: Iterable[str]) -> dict[str, int]:
    """Those of the words that the catalogue has, with the number of names they are in."""
    return dict(db.execute(_KNOWN, (json.dumps(list(wanted)),)))


def terms_for(db: apsw.Connection, asked: Sequence[str]) -> dict[str, int]:
    """The words to look for in the place of those that were asked for, with the number of names they are in.

    Words of the catalogue are taken as they are. For other words, those most like them are taken, and the words that
    result if a space was missing or one too many.
    """
    pairs = ["".join(pair) for pair in pairwise(asked)]
    there = known(db, [*asked, *pairs])
    terms = {word: there[word] for word in asked if word in there}
    terms |= {pair: there[pair] for pair in pairs if pair in there}
    for word in dict.fromkeys(asked):
        if word not in there:
            likest = _spellings(db, word)
            if not likest and _SHORTEST_SPLIT <= len(word) <= _LONGEST_SPLIT:
                likest = _parts(db, word)
            terms |= likest
    return terms


def _spellings(db: apsw.Connection, word: str) -> dict[str, int]:
    """The likest words: one letter wrong in a short word, three in a long one.

    An error spoils one part of a word and leaves the others as they are, so that words with a part in common are looked
    at first; only if none of these is alike, those that have any three letters in common.
    """
    if len(word) < SHORTEST_SPELLING - 1:
        return {}
    edged = f"{EDGE}{word}{EDGE}"
    triples = [edged[start : start + _TRIPLE] for start in range(len(edged) - _TRIPLE + 1)]
    for pieces in (_pieces(edged), triples):
        if pieces and (found := _alike(db, word, pieces)):
            return found
    return {}


def _pieces(edged: str) -> list[str]:
    """A word in two parts, or a long one in three; none if they were too short to be looked for."""
    count = 3 if len(edged) >= 3 * _TRIPLE else 2
    bounds = [len(edged) * number // count for number in range(count + 1)]
    pieces = [edged[start:stop] for start, stop in pairwise(bounds)]
    return pieces if min(map(len, pieces)) >= _TRIPLE else []


def _alike(db: apsw.Connection, word: str, pieces: Sequence[str]) -> dict[str, int]:
    query = " OR ".join(f'"{piece}"' for piece in pieces)
    most = 1 if len(word) <= _SHORT else 2 if len(word) <= _MIDDLING else 3
    found = [
        (distance, -names, other)
        for other, names in db.execute(_LIKE, (query, _LOOKED_AT))
        if (distance := OSA.distance(word, other, score_cutoff=most)) <= most
    ]
    return {other: -names for _, names, other in sorted(found)[:MOST_SPELLINGS]}


def _parts(db: apsw.Connection, word: str) -> dict[str, int]:
    """The words that a text without spaces is made of: "therussiahouse"."""
    pieces = {
        word[start:stop]
        for start in range(len(word))
        for stop in range(start + _SHORTEST_PART, min(len(word), start + 20) + 1)
    }
    return {part: names for part, names in _best_split(word, known(db, pieces)).items() if len(part) > _SHORTEST_PART}


def _best_split(word: str, there: Mapping[str, int]) -> dict[str, int]:
    """Split a text into known words, as few and as long as possible; letters between them may be left over."""
    best: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    for stop in range(1, len(word) + 1):
        options = [best[stop - 1]]
        for start in range(max(0, stop - 20), stop - _SHORTEST_PART + 1):
            part = word[start:stop]
            if part in there:
                options.append((best[start][0] + len(part) ** 2 - 3, (*best[start][1], part)))
        best.append(max(options))
    return {part: there[part] for part in best[-1][1]}
