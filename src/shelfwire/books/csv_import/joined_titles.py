"""Titles that share their cell with an author or a number: recognised over a column, then taken apart cell by cell."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from shelfwire.books.bibliography.given_names import GIVEN
from shelfwire.books.bibliography.people import PARTICLES
from shelfwire.books.bibliography.text import words
from shelfwire.books.csv_import.remarks import without_remarks

_NUMBER: Final = r"(?:(?:\(?\d{1,4}[.)]|#\d{1,4}[.:]?|(?:[•*–-]\s+)?\[(?P<done>[ xX])\]|[•*–-])\s+)?"  # noqa: RUF001
_DASH: Final = r"\s+[-\u2010-\u2015]{1,2}\s+"
_NAME: Final = r"(?P<author>[^\s(]+\s+[^\s(].*)"
_BY: Final = r"(?:by|von|par|door|av|af|por|od|przez|napsal)"
_OF: Final = r"(?:de|di|do|da)"

SHAPES: Final = {
    "title_by_author": re.compile(
        rf"{_NUMBER}(?P<title>.*[^\s,])(?:,?\s+{_BY}|,\s+(?:de|di|do|da)):?\s+{_NAME}", re.IGNORECASE
    ),
    "author_dash_title": re.compile(rf"{_NUMBER}(?P<author>.*?[^\s]){_DASH}(?P<title>.+)"),
    "title_dash_author": re.compile(rf"{_NUMBER}(?P<title>.+){_DASH}(?P<author>[^\s].*)"),
    "author_colon_title": re.compile(rf"{_NUMBER}(?P<author>[^:]+):\s+(?P<title>.+)"),
    "title_slash_author": re.compile(rf"{_NUMBER}(?P<title>.+)\s+/\s+(?P<author>[^/]+)"),
    "author_slash_title": re.compile(rf"{_NUMBER}(?P<author>[^/]+)\s+/\s+(?P<title>.+)"),
    "title_bracket_author": re.compile(rf"{_NUMBER}(?P<title>.*[^\s])\s+\((?P<author>[^()]+)\)"),
    "title_comma_author": re.compile(rf"{_NUMBER}(?P<title>.+),\s+(?P<author>[^,]+)"),
    "author_comma_title": re.compile(rf"{_NUMBER}(?P<author>[^,]+),\s+(?P<title>.+)"),
    "numbered_title": re.compile(rf"{_NUMBER[:-1]}(?P<title>.+)"),
}
"""By field, how a title stands with its author, whose name after "by" has two words at least, or with a number.

Before it there may be a number, a bullet, or a box that is ticked for a book that was read.
"""
JOINED: Final = frozenset({*SHAPES, "mixed_title", "remarked_title"})
"""The fields whose titles share their cells with something: of `mixed_title` each has a shape of its own, and a
`remarked_title` has but remarks behind it."""
TITLES: Final = frozenset({"title", "title_with_series", *JOINED})
"""The fields whose cells have titles in them."""
_SEPARATED: Final = frozenset(SHAPES) - {
    "title_by_author",
    "title_comma_author",
    "author_comma_title",
    "numbered_title",
}
_MIXED: Final = (
    "title_dash_author", "author_dash_title", "title_bracket_author", "title_slash_author", "author_slash_title",
    "author_colon_title", "title_comma_author", "author_comma_title",
)  # fmt: skip
"""The shapes that each cell of a list in which they are mixed is tried for, in this order."""
_BETWEEN_NAMES: Final = re.compile(r"\s+(?:&|and|und|et|y|e|og|och|i)\s+|;\s*")
_SEPARATOR: Final = re.compile(rf"{_DASH}|\s/\s|,\s|\s\((?=[^\W\d_a-z][^\d#]*\)$)|\s(?i:{_BY}|{_OF}|van)\s[^\W\d_a-z]")
_FEWEST_MIXED: Final = 3
_FEWEST: Final = 2
_FEWEST_NUMBERED: Final = 3
_HALF: Final = 0.5
_MOST: Final = 0.6
_SOME: Final = 0.3
_NEARLY_ALL: Final = 0.8
_A_NAME: Final = 0.45
_A_WHOLE_NAME: Final = 0.5
_CLEARER: Final = 0.15
_REPEATS: Final = 0.2
_MOST_WORDS: Final = 5
_MOST_BARE_WORDS: Final = 3
_NO_NAMES: Final = frozenset(
    word
    for line in (
        "the a of and in to der die das und ein eine im zum le les la un une et el los las y il lo gli o e en het een",
        "part volume vol book band teil tome",
    )
    for word in line.split()
)
"""Words that titles have in them, and names hardly ever."""
_INITIAL: Final = re.compile(r"^(?:[^\W\d_]\.)+-?(?:[^\W\d_]\.?)?$")


class Joined(NamedTuple):
    """How a column's titles stand with their authors or numbers.

    Attributes:
        field: the shape; None if the cells look as if they had an author, and nothing shows which side it is.
        example: one of the cells.
    """

    field: str | None
    example: str


def joined(cells: Sequence[str]) -> Joined | None:
    """How the cells of a column of titles are to be taken apart; None if they are titles alone."""
    given = cells
    cells = [without_remarks(cell).text for cell in given]
    best, value, unclear = None, 0.0, None
    covered = 0
    for field, shape in SHAPES.items():
        found = [match for cell in cells if (match := shape.fullmatch(cell))]
        share = len(found) / max(1, len(cells))
        if field == "numbered_title":
            continue
        if len(found) < _FEWEST or share <= (_HALF if field == "title_by_author" else _MOST):
            continue
        authors, titles = [match["author"] for match in found], [match["title"] for match in found]
        name, other = _likeness(authors), _likeness(titles)
        is_named = name >= _A_NAME and name >= other + _CLEARER
        if field == "title_by_author" and (is_named or all(" by " in match[0].lower() for match in found)):
            return Joined(field, found[0][0])
        if is_named and share * (1 + name - other) > value:
            best, value = Joined(field, found[0][0]), share * (1 + name - other)
            covered = len(found)
        elif field in _SEPARATED and "dash" in field and len(found) > _FEWEST and share >= _NEARLY_ALL:
            unclear = Joined(None, found[0][0])
    if covered < _NEARLY_ALL * len(cells):
        apart = [cell for cell in cells if taken_apart(cell)]
        fewest, least = (_FEWEST, _SOME) if _numbered(cells) else (_FEWEST_MIXED, _MOST)
        if len(apart) > covered and len(apart) >= max(fewest, least * len(cells)):
            return Joined("mixed_title", apart[0])
    return best or unclear or _numbered(cells) or _remarked(given, cells)


@lru_cache(maxsize=1024)
def taken_apart(cell: str) -> tuple[str, str] | None:
    """The title and the author of a cell, by what its own parts look like; None if none of them looks like a name."""
    if found := SHAPES["title_by_author"].fullmatch(cell):
        return found["title"], found["author"]
    for field in _MIXED:
        for found in filter(None, (SHAPES[field].fullmatch(cell),)):
            name, other = _likeness_of_names(found["author"]), _likeness_of_names(found["title"])
            if name >= _A_NAME and name >= other + _CLEARER:
                return found["title"], found["author"]
    return None


def looks_joined(title: str) -> bool:
    """Whether a text has something between its words that may separate a title from its author."""
    return _SEPARATOR.search(title) is not None


def _likeness_of_names(text: str) -> float:
    names = _BETWEEN_NAMES.split(text)
    return sum(map(_name_likeness, names)) / len(names)


def is_name(text: str) -> bool:
    """Whether a text by itself looks like the whole name of an author."""
    return " " in text and _name_likeness(text) >= _A_WHOLE_NAME


def are_names(cells: Sequence[str], others: Sequence[str]) -> bool:
    """Whether cells look like names of authors, and others clearly less so."""
    if len(cells) < _FEWEST or not others:
        return False
    name, other = _likeness(cells), _likeness(others)
    return name >= _MOST and name >= other + 2 * _CLEARER


def _remarked(given: Sequence[str], bare: Sequence[str]) -> Joined | None:
    remarked = [cell for cell, text in zip(given, bare, strict=True) if cell.rstrip() != text]
    if len(remarked) < _FEWEST_NUMBERED or len(remarked) < _HALF * len(given):
        return None
    return Joined("remarked_title", remarked[0])


def _numbered(cells: Sequence[str]) -> Joined | None:
    shape = SHAPES["numbered_title"]
    numbered = [cell for cell in cells if shape.fullmatch(cell)]
    if len(numbered) < _FEWEST_NUMBERED or len(numbered) < _NEARLY_ALL * len(cells):
        return None
    return Joined("numbered_title", numbered[0])


def _likeness(texts: Sequence[str]) -> float:
    """How much some texts look like names, 0 to 1: by themselves, and because one author writes several books."""
    repeated = 1 - len({text.casefold() for text in texts}) / len(texts)
    return min(1.0, sum(map(_name_likeness, texts)) / len(texts) + _REPEATS * min(1.0, 2 * repeated))


def _name_likeness(text: str) -> float:
    last, comma, first = text.partition(",")
    parts = f"{first} {last}".split() if comma and first.strip() else text.split()
    if not parts or any(character.isdecimal() for character in text) or len(parts) > _MOST_WORDS:
        return 0.0
    folded = [(words(part) or [""])[0] for part in parts]
    if any(word in _NO_NAMES - PARTICLES for word in folded) or folded[0] in _NO_NAMES:
        return 0.0
    if len(parts) == 1:
        return 0.35 if parts[0][:1].isupper() else 0.0
    if folded[0] in GIVEN or (_INITIAL.match(parts[0]) and parts[-1][:1].isupper()):
        return 1.0
    if any(word in GIVEN for word in folded[1:]):
        return 0.7
    capitals = all(part[:1].isupper() or not part[:1].isascii() or word in PARTICLES
                   for part, word in zip(parts, folded, strict=True))  # fmt: skip
    return 0.5 if capitals and len(parts) <= _MOST_BARE_WORDS else 0.1
