"""What a person corrects of the books in a job's results."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shelfwire.jobs.store import Item

MAX_BOOKS: Final = 100_000
MAX_AUTHORS: Final = 50
MAX_CORNERS: Final = 100
Text = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\S")]
Coordinate = Annotated[int, Meta(ge=0, le=100_000)]


class BookCorrection(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True
):
    """A correction of one book."""

    book: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_BOOKS,
            description="The book's place among those of the item, from 0; a place behind them adds a book.",
        ),
    ]
    title: Annotated[Text | None, Meta(description="The right title.")] = None
    authors: Annotated[
        Annotated[tuple[Text, ...], Meta(max_length=MAX_AUTHORS)] | None, Meta(description="The right authors.")
    ] = None
    struck: Annotated[bool, Meta(description="Whether there is no such book.")] = False
    polygon: Annotated[
        Annotated[tuple[tuple[Coordinate, Coordinate], ...], Meta(max_length=MAX_CORNERS)] | None,
        Meta(description="Of a book that is added to a photo, its outline there."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what says nothing, or two things."""
        says = [self.title, self.authors, self.polygon] != [None, None, None]
        if says == self.struck:
            raise ValueError("give either struck, or a title, authors or both")


def with_corrections(
    item: Item, corrections: Sequence[BookCorrection], decode: Callable[[msgspec.Raw], Any]
) -> Item | None:
    """Return an item that is one book, with the title and the authors as they were corrected; None if it was struck.

    Args:
        item: the item; one that failed stays as it is.
        corrections: what was corrected of it.
        decode: reads its book: a struct with `title` and `authors`.
    """
    if struck(corrections):
        return None
    if not item.ok:
        return item
    book = decode(item.body)
    title, authors = title_and_authors(corrections, 0, book.title, book.authors)
    body = msgspec.json.encode(msgspec.structs.replace(book, title=title, authors=authors))
    return msgspec.structs.replace(item, title=title, body=msgspec.Raw(body))


def struck(corrections: Sequence[BookCorrection], book: int = 0) -> bool:
    """Whether a book was struck out."""
    return any(one.struck for one in corrections if one.book == book)


def title_and_authors(
    corrections: Sequence[BookCorrection], book: int, title: str, authors: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the title and the authors of a book as they were corrected; of several corrections the last counts."""
    for one in corrections:
        if one.book == book:
            title = title if one.title is None else one.title
            authors = authors if one.authors is None else one.authors
    return title, authors
