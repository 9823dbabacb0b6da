"""How well a book fits a title and an author that were typed, and how that becomes a score. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from rapidfuzz import fuzz

from shelfwire.books.catalogue.entry import SURE
from shelfwire.books.catalogue.text import SEPARATOR, Name

TITLE_MATCHES: Final = 0.82
AUTHOR_MATCHES: Final = 0.8
"""From these likenesses on it is the same title, or person, misspelt."""
TITLE_SHARE: Final = 0.6
"""What the title is worth of a score; the rest is the author's."""
UNSURE: Final = 0.75
"""The best score of a book whose title and author do not both match."""

_ONLY_MAIN: Final = 0.97
_PART_OF_REST: Final = 0.9
_BEGINNING: Final = 0.8
_LONG_ENOUGH: Final = 6
_OTHER_NUMBER: Final = 0.7
_ONLY_SURNAME: Final = 0.92
_ALIKE: Final = 0.8
_OTHER_PERSON: Final = 0.6
_ALIKE_GIVEN: Final = 0.7
_NUMBER: Final = re.compile(r"\d+")


def score(title: float, author: float | None) -> float:
    """One figure of two likenesses from 0 to 1.

    It is `SURE` or more only if both match, grows with each, and is 1 only for the very same.

    Args:
        title: of the titles.
        author: of the authors; None if none was asked for.
    """
    if author is None:
        return UNSURE * title
    whole = TITLE_SHARE * title + (1 - TITLE_SHARE) * author
    if title < TITLE_MATCHES or author < AUTHOR_MATCHES:
        return UNSURE * whole
    least = TITLE_SHARE * TITLE_MATCHES + (1 - TITLE_SHARE) * AUTHOR_MATCHES
    return SURE + (1 - SURE) * (whole - least) / (1 - least)


def title_likeness(asked: Name, known: Name) -> float:
    """How much two titles are alike, from 0 to 1; spaces do not count, subtitles little, other numbers much."""
    likeness = alike(asked.title, known.title)
    if asked.rest or known.rest:
        whole, known_whole = f"{asked.title} {asked.rest}".strip(), f"{known.title} {known.rest}".strip()
        likeness = max(_ONLY_MAIN * likeness, alike(whole, known_whole))
        # Who asks for "The Two Towers" also means "The Lord of the Rings: The Two Towers".
        if known.rest and not asked.rest:
            likeness = max(likeness, _PART_OF_REST * alike(asked.title, known.rest))
    # A title may be told by its beginning, but "Foundation" is not "Foundation and Empire".
    begun = " ".join(known.title.split()[: len(asked.title.split())])
    if len(begun) >= _LONG_ENOUGH and len(begun) < len(known.title):
        likeness = max(likeness, _BEGINNING * alike(asked.title, begun))
    numbers, others = _NUMBER.findall(asked.title), _NUMBER.findall(known.title)
    return likeness * (_OTHER_NUMBER if numbers != others and (numbers and others) else 1)


def author_likeness(asked: str, known: str) -> float | None:
    """How much the likest two of the people on both sides are alike, from 0 to 1; None where one side names nobody.

    Args:
        asked: authors, with `SEPARATOR` between them.
        known: likewise.
    """
    if not asked or not known:
        return None
    pairs = ((one, other) for one in asked.split(SEPARATOR) for other in known.split(SEPARATOR))
    return max(person_likeness(one.split(), other.split()) for one, other in pairs)


def alike(one: str, other: str) -> float:
    """The likeness of two texts by their letters, in this or another order of the words."""
    joined = fuzz.ratio(one.replace(" ", ""), other.replace(" ", ""))
    return max(joined, 0.95 * fuzz.token_sort_ratio(one, other)) / 100


def person_likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """The likeness of two names: "J. R. R. Tolkien", "John Ronald Reuel Tolkien" and "Tolkien" are one."""
    if not one or not other:
        return 0.0
    whole = alike(" ".join(one), " ".join(other))
    surname = fuzz.ratio(one[-1], other[-1]) / 100
    if surname < _ALIKE:
        return whole
    given, other_given = one[:-1], other[:-1]
    if not given or not other_given:
        return max(whole, _ONLY_SURNAME * surname)
    if _given_agree(given, other_given):
        return max(whole, surname)
    return min(whole, _OTHER_PERSON * surname) if min(len(given[0]), len(other_given[0])) > 1 else whole * surname


def _given_agree(given: Sequence[str], other: Sequence[str]) -> bool:
    """Whether given names can be those of one person: the first ones agree, in full or by their initial."""
    first, other_first = given[0], other[0]
    if 1 in (len(first), len(other_first)):
        return first[0] == other_first[0]
    if first.startswith(other_first) or other_first.startswith(first):
        return True
    return fuzz.ratio(first, other_first) >= 100 * _ALIKE_GIVEN
