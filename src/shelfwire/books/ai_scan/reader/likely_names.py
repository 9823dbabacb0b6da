"""How much a text looks like a person's name, given what is known of its words."""

import re
from typing import Final

from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.splitting import AND, APART, BY, INITIALS, TITLES
from shelfwire.books.ai_scan.reader.vocabulary import LITTLE, PARTICLES
from shelfwire.books.bibliography.text import words as words_of

_LONGEST: Final = 5
"""Words of one name, without particles."""
_COMMON: Final = 4.3
"""A word from this frequency on is an everyday one (see `Lexicon.frequency`)."""
_SHORTEST: Final = 3
"""Letters of the shortest unknown word that may be a family name on its own."""
_NONE, _EVERYDAY = -0.6, -0.7


def name_likeness(text: str, lexicon: Lexicon) -> float:
    """How much a text looks like the name of a person, or of several: below 0 not at all, up to 1.

    Its parts were set by hand on ten photos; `splitting.namelike` does the same with short lists.
    """
    text = TITLES.sub(" ", BY.sub(" ", text.strip()))
    several = [part for part in AND.split(text) if words_of(part)]
    if len(several) > 1:
        return min(1.0, min(name_likeness(part, lexicon) for part in several) + (0.35 if APART.search(text) else 0.15))
    words = [word for word in words_of(text) if word not in PARTICLES or len(word) == 1]
    if not words or len(words) > _LONGEST or any(character.isdigit() for word in words for character in word):
        return _NONE
    if any(word in LITTLE for word in words if len(word) > 1):
        return _EVERYDAY
    score = 0.15 if len(words) in {2, 3} else 0.0
    score += 0.45 if INITIALS.search(text) else 0.0
    score += _given(words, lexicon) + _family(words[-1], lexicon)
    common = sum(lexicon.frequency(word) >= _COMMON and not lexicon.is_name(word) for word in words)
    score -= 0.3 * common / len(words) + (0.4 if _mixed(text) else 0.0)
    return max(_EVERYDAY, min(1.0, score))


def _given(words: list[str], lexicon: Lexicon) -> float:
    if lexicon.is_given(words[0]):
        return 0.45 if len(words) > 1 else 0.2
    return 0.15 if any(lexicon.is_given(word) for word in words[1:]) else 0.0


def _family(word: str, lexicon: Lexicon) -> float:
    if lexicon.is_family(word, _COMMON):
        return 0.25
    return 0.12 if not lexicon.frequency(word) and len(word) > _SHORTEST else 0.0


def _mixed(text: str) -> bool:
    """Whether some words begin with a capital and others do not."""
    words = [word for word in re.findall(r"[^\W\d_]{2,}", text) if word.lower() not in PARTICLES]
    return len({word[0].islower() for word in words}) > 1
