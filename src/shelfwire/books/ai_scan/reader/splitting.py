"""Title and authors of a spine, from its lines of text."""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anyascii import anyascii

from shelfwire.books.ai_scan.reader.engine import Word
from shelfwire.books.ai_scan.reader.vocabulary import LITTLE, NOISE, PARTICLES
from shelfwire.books.bibliography.given_names import GIVEN
from shelfwire.books.bibliography.publishers import is_publisher
from shelfwire.books.bibliography.text import words as words_of

_NAMED: Final = 0.35
"""The likeness from which on a text counts as a name."""


_LONGEST_NAME: Final = 5
"""Words of one name, without particles."""
EDGES: Final = " .,;:|-\N{EN DASH}\N{EM DASH}·•"
_PARTED: Final = 0.5
"""The value from which on a line counts as a name and a title."""
_WIDER: Final = 1.3
"""A gap between a single word and a title is this much wider than the others."""
_JOINING: Final = frozenset({"and", "of", "or"})
"""No title and no name begins with these."""
_ARTICLES: Final = frozenset({"a", "an", "the"})
_SAME_HEIGHT: Final = 1.15
_NAME_HEIGHT: Final = 2.5
"""An unknown name is at most this multiple of the title's height: what is higher is the title itself."""
_DEEP: Final = 1.2
"""How much higher a line is with letters that have descenders."""
_FEW: Final = 2
TITLES: Final = re.compile(r"(?i)\b(ph\.? ?d|m\.? ?d|jr|sr|colonel|dr|sir)\b\.?")
AND: Final = re.compile(r"[,/&·•|+]|\b(?:[Aa]nd|AND|[Uu]nd|UND|et|ET)\b")
APART: Final = re.compile(r"[/·•|]")
ON: Final = re.compile(r"(?i)(?:and|of|for|with) ")
"""A title goes on with one of these."""
INITIALS: Final = re.compile(r"(?:^|\s)[^\W\d_]\. ?[^\W\d_]|\.[^\W\d_]\b")
BY: Final = re.compile(r"^(?:written |illustrated |edited |translated )?by\b", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """Text set in one way: a word, a line, or lines of one kind above each other.

    Attributes:
        text: the text.
        left, right, top, bottom: its box, in the frame in which it reads from left to right, downwards.
        height: of its letters, in pixels.
        score: the recogniser's confidence, 0 to 1.
        crossing: whether it is set across the spine.
        lines: the number of its lines.
    """

    text: str
    left: float
    right: float
    top: float
    bottom: float
    height: float
    score: float
    crossing: bool = False
    lines: int = 1

    @property
    def size(self) -> float:
        """The height of its capitals: descenders, which add to `height`, are taken off."""
        return self.height / (_DEEP if re.search(r"[gjpqy]", self.text) else 1)

    @property
    def weight(self) -> float:
        """How prominent it is."""
        return self.size * math.sqrt(min(30, letters(self.text)))


def letters(text: str) -> int:
    """The number of letters."""
    return sum(character.isalpha() for character in text)


def is_noise(text: str) -> bool:
    """Whether a text is praise, an edition, a price or no words at all."""
    words = words_of(text)
    if re.search(r"isbn|\$|£|€|\b\d+(st|nd|rd|th)\b", text.lower()):
        return True
    if words and all(word in LITTLE for word in words):
        return False
    return all(word in NOISE or word in LITTLE or word.isdigit() or len(word) == 1 for word in words)


def namelike(text: str) -> float:
    """How much a text looks like the name of a person, or of several: below 0 not at all, up to 1."""
    text = TITLES.sub(" ", BY.sub(" ", text.strip()))
    several = [part for part in AND.split(text) if words_of(part)]
    if len(several) > 1:
        single = len(several) > _FEW and all(len(words_of(part)) == 1 for part in several)
        strong = 0.4 if APART.search(text) else _NAMED if single else 0.1
        return min(1.0, min(namelike(part) for part in several) + strong)
    words = [word for word in words_of(text) if word not in PARTICLES or len(word) == 1]
    if not words or len(words) > _LONGEST_NAME or any(word.isdigit() for word in words):
        return -0.5
    if any(word in LITTLE for word in words if len(word) > 1):
        return -0.6
    score = 0.15 if len(words) in {2, 3} else 0.0
    if INITIALS.search(text):
        score += 0.45
    if words[0] in GIVEN or _runs_together(words[0]):
        score += 0.45 if len(words) > 1 else 0.3
    elif any(word in GIVEN for word in words[1:]):
        score += 0.15
    raw = [word for word in re.findall(r"[^\W\d_]{2,}", anyascii(text)) if word.lower() not in PARTICLES]
    if len({word[0].islower() for word in raw}) > 1:
        score -= 0.4
    return min(1.0, score)


def _runs_together(word: str) -> bool:
    """Whether a word is two given names that were read as one."""
    return any(word[:index] in GIVEN and word[index:] in GIVEN for index in range(3, len(word) - 2))


def spaced(text: str, words: Sequence[Word]) -> tuple[str, list[Word]]:
    """Reconcile the words found by their gaps with the spaces that were read.

    Widely set letters look like words of their own; a name read as one word is split after its given name.
    """
    if " " not in text and len(words) > 1 and words_of(words[0].text) and words_of(words[0].text)[0] in GIVEN:
        text = f"{words[0].text} {text[len(words[0].text) :]}"
    joined: list[Word] = []
    rest = list(words)
    for token in text.split():
        taken = [rest.pop(0)] if rest else []
        while rest and len("".join(word.text for word in taken)) < len(token):
            taken.append(rest.pop(0))
        if taken:
            joined.append(Word(token, taken[0].start, taken[-1].end))
    return text, joined


def listed(text: str) -> str:
    """Put commas between three or more words that can only be last names below each other."""
    words = text.split()
    if len(words) <= _FEW or not all(word.isalpha() and word[0].isupper() for word in words):
        return text
    if any(word in LITTLE or word in GIVEN or word in NOISE for word in words_of(text)):
        return text
    return ", ".join(words)


def is_name(text: str) -> bool:
    """Whether a text is likely a name."""
    return namelike(text) >= _NAMED


def split(pieces: Sequence[Piece]) -> tuple[str, tuple[str, ...]]:
    """Find title and authors among the pieces of a spine, which are in reading order."""
    pieces = meaningful(pieces)
    if not pieces:
        return "", ()
    author = _author(pieces)
    title = _title([piece for piece in pieces if piece is not author])
    return title, names_of(author.text) if author else ()


def meaningful(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces without publishers, praise, editions and prices."""
    return [piece for piece in pieces if not is_publisher(piece.text) and not is_noise(piece.text)]


def _author(pieces: Sequence[Piece]) -> Piece | None:
    """The piece that names the authors: one that looks like a name, or else a short one beside a longer title."""
    if len(pieces) < 2:  # noqa: PLR2004
        return None
    tall = max(piece.size for piece in pieces)

    def likely(piece: Piece) -> float:
        title = max((other for other in pieces if other is not piece), key=lambda other: other.weight)
        return (
            namelike(piece.text)
            - 0.7 * max(-0.2, namelike(title.text))
            - 0.2 * piece.size / tall
            + 0.5 * bool(BY.search(piece.text))
        )

    named = [piece for piece in pieces if is_name(piece.text) or BY.search(piece.text)]
    if named:
        return max(named, key=likely)
    return max((piece for piece in pieces if _could_name(piece, pieces)), key=_standing(pieces), default=None)


def _could_name(piece: Piece, pieces: Sequence[Piece]) -> bool:
    """Whether a piece may be an unknown name: a word or two beside more words, or larger ones."""
    if namelike(piece.text) < 0 or letters(piece.text) < 3:  # noqa: PLR2004
        return False
    title = max((other for other in pieces if other is not piece), key=lambda other: other.weight)
    count, others = len(words_of(piece.text)), len(words_of(title.text))
    if count == 1:
        return piece.size < title.size * _NAME_HEIGHT if others > 1 else piece.weight < title.weight
    return piece.weight < title.weight and (piece.size < title.size or others > count)


def _standing(pieces: Sequence[Piece]) -> Callable[[Piece], float]:
    """How likely an unknown name is the author: well read, large, and not at the end, where publishers are."""
    tall = max(piece.size for piece in pieces)
    biggest = max(piece.weight for piece in pieces)

    def value(piece: Piece) -> float:
        end = piece is pieces[-1] and not piece.crossing
        single = len(words_of(piece.text)) == 1
        size = min(1, piece.size / tall)
        main = piece.weight == biggest
        alike = any(other is not piece and _alike(piece, other) for other in pieces)
        return piece.score + 0.3 * size + 0.2 * single + 0.1 * (piece.crossing - end - alike) - 0.2 * main

    return value


def _alike(one: Piece, other: Piece) -> bool:
    """Whether two pieces have letters of about the same height."""
    return max(one.size, other.size) < _SAME_HEIGHT * min(one.size, other.size)


def _title(pieces: Sequence[Piece]) -> str:
    """Join the pieces of a title, without what is set much smaller."""
    main = max(
        pieces,
        key=lambda piece: piece.weight * (1 - 0.3 * max(0, namelike(piece.text))) * (0.6 if piece.crossing else 1),
    )
    kept = [piece for piece in pieces if piece is main or _goes_on(piece, main)]
    first, last = pieces.index(kept[0]), pieces.index(kept[-1])
    between = [piece for piece in pieces[first : last + 1] if piece in kept or _joins(piece, kept, main)]
    return " ".join(piece.text for piece in between).strip(EDGES)


def _goes_on(piece: Piece, main: Piece) -> bool:
    """Whether a piece is about as large as the main one of the title, or has no meaning by itself."""
    if piece.crossing != main.crossing:
        return False
    if ON.match(piece.text) and piece.left >= main.left:
        return True
    return piece.size >= 0.62 * main.size or set(words_of(piece.text)) <= LITTLE


def _joins(piece: Piece, kept: Sequence[Piece], main: Piece) -> bool:
    """Whether a smaller piece is within a line of larger ones."""
    if piece.crossing != main.crossing:
        return False
    before = [piece.left - other.right for other in kept if other.right < piece.right]
    after = [other.left - piece.right for other in kept if other.left > piece.left]
    return bool(before and after) and min(map(abs, before)) < main.size and min(map(abs, after)) < main.size


def names_of(text: str) -> tuple[str, ...]:
    """The names in a line that may have several."""
    text = re.sub(r"(?i)^\W*(written |illustrated |edited )?by\b", "", text)
    text = re.sub(r"(?i),?\s*\b(ph\.? ?d|m\.? ?d|jr|sr)\b\.?", "", text)
    found = re.split(r"[,/&·•|+]|\band\b|\bAND\b|\bund\b|\bUND\b|\bwith\b|\bWITH\b", text)
    return tuple(name.strip(" .,;:-") for name in found if letters(name) > 1)


def split_line(piece: Piece, words: Sequence[Word]) -> list[Piece]:
    """Split a line that holds a name and a title, by its words, how they are set, and the gaps between them."""
    if is_name(piece.text) or ":" in piece.text:
        return [piece]
    best, where = 0.0, 0
    gaps = [after.start - before.end for before, after in itertools.pairwise(words)]
    for index in range(1, len(words)):
        parts = [" ".join(word.text for word in part) for part in (words[:index], words[index:])]
        others = sorted(gaps[: index - 1] + gaps[index:]) or [0.5 / max(1, letters(piece.text))]
        wider = gaps[index - 1] / max(others[len(others) // 2], 0.01)
        value = _parting(parts, wider)
        if value > best:
            best, where = value, index
    if best < _PARTED:
        return [piece]
    length = piece.right - piece.left
    return [
        replace(
            piece,
            text=" ".join(word.text for word in part),
            left=piece.left + length * part[0].start,
            right=piece.left + length * part[-1].end,
        )
        for part in (words[:where], words[where:])
    ]


def _parting(parts: Sequence[str], wider: float) -> float:
    """How likely two parts of a line are a name and a title, with a gap `wider` times as wide as others between."""
    values = [namelike(part) for part in parts]
    words = [words_of(part) for part in parts]
    if not all(words):
        return -1.0
    name = 0 if values[0] >= values[1] else 1
    title = words[1 - name]
    value = values[name] - 0.5 * values[1 - name] + max(-0.1, min(0.4, 0.2 * (wider - 1)))
    if name == 1 and title[-1] in LITTLE:
        value -= 0.5
    if name == 0 and title[0] in _ARTICLES and len(title) > 1:
        value += 0.35
    if title[0] in _JOINING or words[1][0] in _JOINING:
        value -= 0.5
    if {_case(part) for part in parts} == {"upper", "mixed"}:
        value += 0.35
    if len(words[name]) == 1 and words[name][0] not in GIVEN:
        value -= 0.3 if len(title) == 1 or wider < _WIDER else 0.0
    return value


def _case(text: str) -> str:
    """How a text is set: all words in capitals, none of them, or some."""
    words = [word for word in re.findall(r"[^\W\d_]{2,}", text) if word.lower() not in LITTLE]
    capitals = sum(word.isupper() for word in words)
    return "none" if not words else "upper" if capitals == len(words) else "mixed" if not capitals else "some"
