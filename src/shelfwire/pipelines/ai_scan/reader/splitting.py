"""Title and authors of a spine, from its lines of text."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from anyascii import anyascii
from rapidfuzz import fuzz

from shelfwire.pipelines.ai_scan.reader.vocabulary import COMPANY, GIVEN, LITTLE, NOISE, PARTICLES, PUBLISHERS

_NAMED: Final = 0.35
"""From here on text is taken for somebody's name."""


_LONGEST_NAME: Final = 5
"""Words of one name, without particles."""
_EDGES: Final = " .,;:|-\N{EN DASH}\N{EM DASH}·•"
_BY: Final = re.compile(r"^(?:written |illustrated |edited |translated )?by\b", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """Text set in one way: a word, a line, or lines of one kind above each other.

    Attributes:
        text: what it says.
        left, right, top, bottom: where it is, in the frame in which it reads from left to right, downwards.
        height: of its letters, in pixels.
        score: how sure the recogniser is, 0 to 1.
        crossing: whether it is set across the spine.
    """

    text: str
    left: float
    right: float
    top: float
    bottom: float
    height: float
    score: float
    crossing: bool = False

    @property
    def weight(self) -> float:
        """How much it catches the eye."""
        return self.height * math.sqrt(min(30, letters(self.text)))


def folded(text: str) -> list[str]:
    """Words of a text in lower case, without marks."""
    return re.findall(r"[a-z0-9]+", anyascii(text).lower().replace("'", ""))


def letters(text: str) -> int:
    """How many letters there are."""
    return sum(character.isalpha() for character in text)


def is_publisher(text: str) -> bool:
    """Tell whether a text is a publisher's name or that of a series, misread a little perhaps."""
    words = folded(text)
    name = "".join(word for word in words if word not in COMPANY) or "".join(words)
    if not name or name in PUBLISHERS or "".join(words) in PUBLISHERS:
        return bool(name)
    return len(name) >= 5 and any(fuzz.ratio(name, other) >= 84 for other in PUBLISHERS if len(other) >= 5)  # noqa: PLR2004


def is_noise(text: str) -> bool:
    """Tell whether a text is praise, an edition, a price or no words at all."""
    words = folded(text)
    if re.search(r"isbn|\$|£|€|\b\d+(st|nd|rd|th)\b", text.lower()):
        return True
    return all(word in NOISE or word.isdigit() or len(word) == 1 for word in words)


def namelike(text: str) -> float:
    """How much a text looks like the name of somebody, or the names of several: below 0 not at all, up to 1."""
    text = re.sub(
        r"(?i)^(written |illustrated |edited |translated )?by\b|\b(ph\.? ?d|m\.? ?d|jr|sr|colonel|dr|sir)\b\.?",
        " ",
        text,
    )
    several = [part for part in re.split(r"[,/&·•|+]|\band\b|\bAND\b|\bund\b|\bUND\b", text) if folded(part)]
    if len(several) > 1:
        return min(1.0, min(namelike(part) for part in several) + (0.4 if len(several) > 2 else 0.1))  # noqa: PLR2004
    words = [word for word in folded(text) if word not in PARTICLES or len(word) == 1]
    if not words or len(words) > _LONGEST_NAME or any(word.isdigit() for word in words):
        return -0.5
    score = 0.15 if len(words) in {2, 3} else 0.0
    if any(word in LITTLE for word in words if len(word) > 1):
        return -0.6
    if re.search(r"(?:^|\s)[^\W\d_]\. ?[^\W\d_]|[^\W\d_]\.[^\W\d_]\.", text):
        score += 0.45
    if words[0] in GIVEN:
        score += 0.45 if len(words) > 1 else 0.3
    elif any(word in GIVEN for word in words[1:]):
        score += 0.15
    raw = re.findall(r"[^\W\d_][\w']*", anyascii(text))
    if any(word[0].islower() for word in raw if word.lower() not in PARTICLES):
        score -= 0.4
    return min(1.0, score)


def is_name(text: str) -> bool:
    """Tell whether a text is likely somebody's name."""
    return namelike(text) >= _NAMED


def split(pieces: Sequence[Piece]) -> tuple[str, tuple[str, ...]]:
    """Tell title and authors from the pieces of one spine, in reading order."""
    pieces = [piece for piece in pieces if not is_publisher(piece.text) and not is_noise(piece.text)] or [
        piece
        for piece in pieces
        if not is_publisher(piece.text) and letters(piece.text) > 3  # noqa: PLR2004
    ]
    if not pieces:
        return "", ()
    author = _author(pieces)
    rest = [piece for piece in pieces if piece is not author]
    title = _title(rest)
    return title, names_of(author.text) if author else ()


def _author(pieces: Sequence[Piece]) -> Piece | None:
    if len(pieces) < 2:  # noqa: PLR2004
        return None
    biggest = max(piece.weight for piece in pieces)
    named = any(namelike(piece.text) >= _NAMED for piece in pieces)

    def likely(piece: Piece) -> float:
        rest = [other for other in pieces if other is not piece]
        title = max(rest, key=lambda other: other.weight)
        single = not named and len(folded(piece.text)) == 1 and len(folded(title.text)) > 1
        return (
            namelike(piece.text)
            - 0.7 * max(-0.2, namelike(title.text))
            + 0.5 * bool(_BY.search(piece.text))
            - 0.15 * piece.weight / biggest
            + 0.2 * single
            + 0.1 * piece.crossing
        )

    best = max(pieces, key=likely)
    return best if likely(best) > 0.0 or namelike(best.text) >= _NAMED else None


def _title(pieces: Sequence[Piece]) -> str:
    """Join the pieces of a title, without what is set much smaller."""
    main = max(
        pieces,
        key=lambda piece: piece.weight * (1 - 0.3 * max(0, namelike(piece.text))) * (0.6 if piece.crossing else 1),
    )
    kept = [piece for piece in pieces if piece is main or _goes_on(piece, main)]
    first, last = pieces.index(kept[0]), pieces.index(kept[-1])
    between = [piece for piece in pieces[first : last + 1] if piece in kept or _joins(piece, kept, main)]
    return " ".join(piece.text for piece in between).strip(_EDGES)


def _goes_on(piece: Piece, main: Piece) -> bool:
    """Tell whether a piece is set as large as the main one of the title, or says nothing by itself."""
    if piece.crossing != main.crossing:
        return False
    return piece.height >= 0.62 * main.height or set(folded(piece.text)) <= LITTLE


def _joins(piece: Piece, kept: Sequence[Piece], main: Piece) -> bool:
    """Tell whether a smaller piece stands within a line of larger ones."""
    if piece.crossing != main.crossing:
        return False
    before = [piece.left - other.right for other in kept if other.right < piece.right]
    after = [other.left - piece.right for other in kept if other.left > piece.left]
    return bool(before and after) and min(map(abs, before)) < main.height and min(map(abs, after)) < main.height


def names_of(text: str) -> tuple[str, ...]:
    """Single names of a line that may name several."""
    text = re.sub(r"(?i)^\W*(written |illustrated |edited )?by\b", "", text)
    text = re.sub(r"(?i),?\s*\b(ph\.? ?d|m\.? ?d|jr|sr)\b\.?", "", text)
    found = re.split(r"[,/&·•|+]|\band\b|\bAND\b|\bund\b|\bUND\b|\bwith\b|\bWITH\b", text)
    return tuple(name.strip(" .,;:-") for name in found if letters(name) > 1)


def split_line(piece: Piece, words: Sequence[tuple[str, float, float]]) -> list[Piece]:
    """Part a line that holds a name and a title, by what it says, how it is set, and the gaps between its words.

    Args:
        piece: the line.
        words: its words, each with where it begins and ends along the line, 0 to 1.
    """
    if is_name(piece.text):
        return [piece]
    best, where = 0.0, 0
    gaps = [after[1] - before[2] for before, after in itertools.pairwise(words)]
    for index in range(1, len(words)):
        parts = [" ".join(word for word, _, _ in part) for part in (words[:index], words[index:])]
        others = sorted(gaps[: index - 1] + gaps[index:]) or [0.5 / max(1, letters(piece.text))]
        wider = gaps[index - 1] / max(others[len(others) // 2], 0.01)
        value = _parting(parts) + max(-0.1, min(0.4, 0.2 * (wider - 1)))
        if value > best:
            best, where = value, index
    if best < 0.5:  # noqa: PLR2004
        return [piece]
    length = piece.right - piece.left
    return [
        replace(
            piece,
            text=" ".join(word for word, _, _ in part),
            left=piece.left + length * part[0][1],
            right=piece.left + length * part[-1][2],
        )
        for part in (words[:where], words[where:])
    ]


def _parting(parts: Sequence[str]) -> float:
    """How much a name and a title stand beside each other."""
    values = [namelike(part) for part in parts]
    counts = [len(folded(part)) for part in parts]
    if not all(counts):
        return -1.0
    name = 0 if values[0] >= values[1] else 1
    title = folded(parts[1 - name])
    value = values[name] - 0.5 * values[1 - name]
    if name == 1 and title[-1] in LITTLE:
        value -= 0.5
    if name == 0 and title[0] in {"a", "an", "the"} and len(title) > 1:
        value += 0.35
    if parts[0].isupper() != parts[1].isupper():
        value += 0.3
    if counts == [1, 1] and folded(parts[name])[0] not in GIVEN:
        value -= 0.3
    return value
