"""What is known of single words: which are names, and how common each is in the languages of a photo."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from anyascii import anyascii
from spellchecker import SpellChecker

from shelfwire.books.ai_scan.reader.vocabulary import FAMILY, GIVEN_ANYWHERE
from shelfwire.books.bibliography.given_names import GIVEN

_LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl", "pt")
_LEAST: Final = 3.0
"""Rarer words are as good as unknown: lists of words hold many misspelt ones among them."""
_EVERYDAY: Final = 4.2
"""A word from this frequency on shows the language of a text."""
_OTHER_NAME: Final = 4.6
"""A more common word is no given name, although it is one somewhere."""


@lru_cache(maxsize=len(_LANGUAGES))
def _frequencies(language: str) -> dict[str, float]:
    """The words of a language as folded text, each with log10 of its occurrences in a milliard, from `_LEAST` on."""
    counts = SpellChecker(language=language).word_frequency.dictionary
    least = sum(counts.values()) * 10 ** (_LEAST - 9)
    found: dict[str, float] = {}
    for word, count in counts.items():
        folded = anyascii(word).lower()
        if count > least and folded.isalpha():
            found[folded] = max(found.get(folded, 0.0), _LEAST + math.log10(count / least))
    return found


class Lexicon:
    """What is known of words, as folded text, in English and in the language of a photo.

    Args:
        words: those of the photo: its language is the one that knows most of them.
    """

    def __init__(self, words: Iterable[str]) -> None:
        words = [word for word in words if len(word) > 2]  # noqa: PLR2004
        main = max(_LANGUAGES, key=lambda language: _everyday(words, language)) if words else "en"
        self._languages: Sequence[dict[str, float]] = [_frequencies(language) for language in {"en": 0, main: 0}]

    def frequency(self, word: str) -> float:
        """Log10 of how often a word stands among a milliard; 0 for a rare or unknown one."""
        return max(language.get(word, 0.0) for language in self._languages)

    def is_given(self, word: str) -> bool:
        """Whether a word is a person's given name rather than anything else."""
        return word in GIVEN or (word in GIVEN_ANYWHERE and self.frequency(word) < _OTHER_NAME)

    def is_family(self, word: str, below: float) -> bool:
        """Whether a word is a family name somewhere, and less common than `below`."""
        return word in FAMILY and self.frequency(word) < below

    def is_name(self, word: str) -> bool:
        """Whether a word is anybody's name, common or not."""
        return word in GIVEN_ANYWHERE or word in FAMILY


def _everyday(words: Sequence[str], language: str) -> int:
    known = _frequencies(language)
    return sum(known.get(word, 0.0) > _EVERYDAY for word in words)
