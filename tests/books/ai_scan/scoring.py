"""How well the books that were found agree with those that are there, as tolerant as a person would be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from anyascii import anyascii
from rapidfuzz import fuzz

SAME_TITLE = 80
SAME_NAME = 85


@dataclass(frozen=True)
class Book:
    """A book: its title and its authors as one text, empty if there is none."""

    title: str
    authors: str = ""


@dataclass(frozen=True)
class Score:
    """How many books there are, were found, and so on.

    Attributes:
        books: how many there are.
        recalled: how many of these were found; of two copies one is enough.
        found: how many were found, true or not.
        false: how many of the found are none of the books.
        named: how many found books have a printed author.
        authors: for how many of these the last name was found.
        confused: books that were missed, whose title was taken for an author.
        pairs: for each book, the index of what was found for it, or None.
    """

    books: int
    recalled: int
    found: int
    false: int
    named: int
    authors: int
    confused: int
    pairs: tuple[int | None, ...] = ()

    def __add__(self, other: Self) -> Self:
        """Add up two photos."""
        return type(self)(
            self.books + other.books,
            self.recalled + other.recalled,
            self.found + other.found,
            self.false + other.false,
            self.named + other.named,
            self.authors + other.authors,
            self.confused + other.confused,
        )

    @property
    def recall(self) -> float:
        """Share of the books that were found."""
        return self.recalled / max(1, self.books)

    @property
    def precision(self) -> float:
        """Share of what was found that is true."""
        return (self.found - self.false) / max(1, self.found)

    @property
    def naming(self) -> float:
        """Share of the books that were found, whose author was as well."""
        return self.authors / max(1, self.named)


def folded(text: str) -> str:
    """Letters and digits in lower case, in words."""
    return " ".join(re.findall(r"[a-z0-9]+", anyascii(text).lower()))


def likeness(found: str, true: str) -> float:
    """How alike two titles are, 0 to 100; a subtitle more or less does not count."""
    one, other = folded(found), folded(true)
    if not one or not other:
        return 0.0
    alike = max(fuzz.ratio(one, other), fuzz.ratio(one.replace(" ", ""), other.replace(" ", "")))
    if min(len(one), len(other)) >= 5:
        alike = max(alike, fuzz.ratio(one[: len(other)], other))
        if len(one) >= len(other) / 2 and len(other) >= len(one) / 2:
            alike = max(alike, fuzz.token_set_ratio(one, other))
    return alike


def scored(found: Sequence[Book], true: Sequence[Book]) -> Score:
    """Pair what was found with what is there, the most alike first."""
    candidates = sorted(
        (
            (likeness(one.title, other.title), index, place)
            for index, one in enumerate(found)
            for place, other in enumerate(true)
        ),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for alike, index, place in candidates:
        if alike >= SAME_TITLE and place not in pairs and index not in pairs.values():
            pairs[place] = index
    titles = {folded(true[place].title) for place in pairs}
    recalled = sum(folded(book.title) in titles for book in true)
    named = [place for place in pairs if true[place].authors]
    missed = [book for place, book in enumerate(true) if place not in pairs and book.authors]
    return Score(
        books=len(true),
        recalled=recalled,
        found=len(found),
        false=len(found) - len(pairs),
        named=len(named),
        authors=sum(_agree(found[pairs[place]].authors, true[place].authors) for place in named),
        confused=sum(
            any(fuzz.ratio(folded(one.authors), folded(book.title)) >= 85 for one in found) for book in missed
        ),
        pairs=tuple(pairs.get(place) for place in range(len(true))),
    )


def _agree(found: str, true: str) -> bool:
    """Tell whether the last name of the true authors stands among the found ones."""
    return bool(folded(found)) and fuzz.partial_ratio(folded(true).split()[-1], folded(found)) >= SAME_NAME
