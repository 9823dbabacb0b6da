"""A book as a person writes it in place of an item that failed."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.batch_enrichment.request_limits import MOST_AUTHOR_CHARS, MOST_ISBN_CHARS, MOST_TITLE_CHARS


class MendedBook(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A book in place of an item."""

    title: Annotated[str, Meta(min_length=1, max_length=MOST_TITLE_CHARS, pattern=r"\S", description="The title.")]
    author: Annotated[
        Annotated[str, Meta(max_length=MOST_AUTHOR_CHARS)] | None,
        Meta(description="The author; several are separated by semicolons."),
    ] = None
    isbn: Annotated[Annotated[str, Meta(max_length=MOST_ISBN_CHARS)] | None, Meta(description="Its ISBN.")] = None


def mendable(asked: AskedBook) -> MendedBook:
    """Return what was looked up, in the form in which a person changes it."""
    return MendedBook(title=asked.title, author=asked.author, isbn=asked.isbn13)
