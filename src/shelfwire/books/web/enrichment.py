"""The route that takes lists of books to enrich."""

from typing import Annotated, Final

import msgspec

from shelfwire.books.batch_enrichment.request_limits import (
    MOST_AUTHOR_CHARS,
    MOST_BOOKS,
    MOST_ISBN_CHARS,
    MOST_TITLE_CHARS,
)
from shelfwire.web.creation import JSON_TYPE, CallbackUrl, JobId, JsonIntake, creation_route


class SentBook(msgspec.Struct, frozen=True):
    """A book to enrich."""

    title: Annotated[
        str, msgspec.Meta(min_length=1, max_length=MOST_TITLE_CHARS, pattern=r"\S", description="The title.")
    ]
    author: Annotated[
        Annotated[str, msgspec.Meta(max_length=MOST_AUTHOR_CHARS)] | None, msgspec.Meta(description="The author.")
    ] = None
    isbn: Annotated[
        Annotated[str, msgspec.Meta(max_length=MOST_ISBN_CHARS)] | None,
        msgspec.Meta(
            description="Its ISBN, with hyphens or without; one that is not valid is a warning in the result, and "
            "refuses nothing."
        ),
    ] = None


class SentBooks(msgspec.Struct, frozen=True, rename="camel"):
    """A list of books to enrich."""

    books: Annotated[list[SentBook], msgspec.Meta(min_length=1, max_length=MOST_BOOKS, description="The books.")]
    job_id: JobId = None
    callback_url: CallbackUrl = None


ROUTE: Final = creation_route(
    "/api/enrichment/batch",
    "batch_enrichment",
    {JSON_TYPE: JsonIntake(schema=SentBooks)},
    operation_id="enrich_books",
    summary="Find out more about 1 to 1,000 books, sent as JSON.",
)
