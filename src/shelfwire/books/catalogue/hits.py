"""Answers of the catalogue, and how sure it is that a book is the one asked for. Pure."""

from typing import Final

import msgspec

from shelfwire.books.bibliography.matching import AUTHOR_MATCHES, TITLE_MATCHES
from shelfwire.books.bibliography.records import BookRecord

SURE: Final = 0.8
"""From this score on title and author both match."""
UNSURE: Final = 0.75
"""The best score of a book whose title and author do not both match."""
_TITLE_SHARE: Final = 0.6
"""Weight of the title in a score; the rest is the author's."""


class CatalogueHit(msgspec.Struct, frozen=True):
    """An answer of the catalogue.

    Attributes:
        book: the book.
        score: how well it fits, from 0 to 1. From `SURE` on title and author both match but for misreadings; an answer
            to a title alone never gets there, because many books share a title. Below, what fits better has the higher
            score, and a person should look.
    """

    book: BookRecord
    score: float

    @property
    def is_sure(self) -> bool:
        """Whether title and author both match."""
        return self.score >= SURE


def score(title: float, author: float | None) -> float:
    """One figure of two likenesses from 0 to 1.

    It is `SURE` or more only if both match, grows with each, and is 1 only for the very same.

    Args:
        title: of the titles.
        author: of the authors; None if none was asked for.
    """
    if author is None:
        return UNSURE * title
    whole = _TITLE_SHARE * title + (1 - _TITLE_SHARE) * author
    if title < TITLE_MATCHES or author < AUTHOR_MATCHES:
        return UNSURE * whole
    least = _TITLE_SHARE * TITLE_MATCHES + (1 - _TITLE_SHARE) * AUTHOR_MATCHES
    return SURE + (1 - SURE) * (whole - least) / (1 - least)
