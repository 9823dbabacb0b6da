"""The route that takes lists of books to enrich."""

from typing import Annotated, Final

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from shelfwire.books.batch_enrichment.limits import (
    MOST_AUTHOR_CHARS,
    MOST_BOOKS,
    MOST_ISBN_CHARS,
    MOST_TITLE_CHARS,
)
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService
from shelfwire.protocol.messages import Uuid
from shelfwire.settings import Settings
from shelfwire.web.access import Access
from shelfwire.web.creating import HttpRequest, content_type, create, json_of
from shelfwire.web.openapi_annotations import (
    API_KEY,
    CREATING,
    IDEMPOTENCY_KEY,
    JSON_TYPE,
    LOCATION,
    operation,
    reference,
    refusals,
)
from shelfwire.web.responses import Success
from shelfwire.web.schemas import CreatedJob

ENRICHMENT: Final = "batch_enrichment"


class SentBook(msgspec.Struct, frozen=True):
    """A book to enrich.

    Attributes:
        title: the title.
        author: who wrote it.
        isbn: its ISBN, with hyphens or without; one that is none is told of in the result, and refuses nothing.
    """

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_TITLE_CHARS, pattern=r"\S")]
    author: Annotated[str, msgspec.Meta(max_length=MOST_AUTHOR_CHARS)] | None = None
    isbn: Annotated[str, msgspec.Meta(max_length=MOST_ISBN_CHARS)] | None = None


class SentBooks(msgspec.Struct, frozen=True, rename="camel"):
    """A list of books to enrich.

    Attributes:
        books: the books.
        job_id: the caller's own choice of the job's id.
    """

    books: Annotated[list[SentBook], msgspec.Meta(min_length=1, max_length=MOST_BOOKS)]
    job_id: Uuid | None = None


@post(
    "/api/enrichment/batch",
    status_code=202,
    request_max_body_size=None,
    security=API_KEY,
    responses=refusals(*CREATING, Code.NOT_FOUND),
    response_headers=[LOCATION],
    operation_class=operation(body={JSON_TYPE: reference(SentBooks)}, headers=[IDEMPOTENCY_KEY]),
)
async def enrich_books(
    request: HttpRequest,
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Find out more about 1 to 1,000 books, sent as JSON."""
    caller = access.admit_creation(request)
    service.check_pipeline(ENRICHMENT)
    if (kind := content_type(request)) != JSON_TYPE:
        raise ShelfwireError(Code.UNSUPPORTED_MEDIA, f"Content-Type is {kind or 'missing'}; send {JSON_TYPE}")
    async with service.upload() as upload:
        sent = await json_of(request, service, settings, upload, ENRICHMENT)
        return await create(request, service, caller, upload, ENRICHMENT, sent)
