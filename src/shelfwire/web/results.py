"""The route of a job's results, as JSON, as lines or as a table."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.page_size import MAX_PAGE_BYTES
from shelfwire.jobs.pipeline import OriginalTable, Pipeline, columns_of
from shelfwire.jobs.service import JobService, Page
from shelfwire.jobs.store import Item
from shelfwire.protocol.tokens import Scope
from shelfwire.web.accept import best_of
from shelfwire.web.compression import compressed, in_thread
from shelfwire.web.csv_export import CSV_TYPE, NDJSON_TYPE, csv_of, ndjson_of, original_header, original_rows
from shelfwire.web.downloads import OWN_TYPES, Wanted, download, export_of
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import CACHE_CONTROL, JSON_TYPE, NO_STORE, Success, success_response
from shelfwire.web.route import CACHING, Answer, Context, Header, job_route
from shelfwire.web.schemas import ResultPage, item_of, page_of
from shelfwire.web.visitors import visitor_of

MAX_INDEX: Final = 2**31
"""No job has more items; a number beyond 64 bits would be refused by the store."""
MAX_LIMIT: Final = 1000
HTML_TYPE: Final = "text/html"


class ResultQuery(msgspec.Struct, frozen=True):
    """The query of a page of results."""

    cursor: Annotated[
        int, msgspec.Meta(ge=-1, le=MAX_INDEX, description="`next` of the page before; -1 for the first page.")
    ] = -1
    limit: Annotated[
        int, msgspec.Meta(ge=1, le=MAX_LIMIT, description="Items at most; a page of large ones has fewer.")
    ] = 100
    status: Annotated[
        Literal["ok", "failed", "all"], msgspec.Meta(description="Only items that were done, or that failed.")
    ] = "all"
    original: Annotated[
        bool,
        msgspec.Meta(
            description="The failed items alone, all of them, as they stood in the table that was sent: CSV with its "
            "columns and one for the reason, to be corrected and sent again. `cursor` and `limit` have no effect."
        ),
    ] = False

    format: Annotated[
        str | None,
        msgspec.Meta(
            description="`csv`, `ndjson` or `json`, whatever `Accept` says; or what the job's plug-in has beside them, "
            "such as `goodreads`, which is always one file."
        ),
    ] = None
    file: Annotated[
        Literal[0, 1],
        msgspec.Meta(
            description="1 for all that is recorded, as one file to be saved, whatever `cursor` and `limit` say."
        ),
    ] = 0
    corrected: Annotated[Literal[0, 1], msgspec.Meta(description="1 for all as a person has corrected it.")] = 0


async def results(request: Request, context: Context) -> ASGIApp:
    """Return a page of a job's results, in the order of the input, as JSON, NDJSON or CSV."""
    query = query_of(request, ResultQuery)
    service = context.service
    visitor = visitor_of(request, context, Scope.RESULTS)
    grant = await visitor.authorize(Scope.RESULTS)
    await visitor.note_read("results")
    ok = None if query.status == "all" else query.status == "ok"
    if query.original:
        original = await _original(service, grant.job_id, query)
        return context.large_answers.counted(original, MAX_PAGE_BYTES, grant.job_id)
    if query.file or query.format not in {None, *OWN_TYPES}:
        state = (await service.get(grant.job_id)).state
        form = query.format or _accepted(request)
        export = None if form in OWN_TYPES else export_of(context.exports, state.pipeline, form)
        wanted = Wanted(form, ok, bool(query.corrected))
        whole = download(service, state, wanted, context.pipelines.get(state.pipeline), export)
        return context.large_answers.counted(whole, MAX_PAGE_BYTES, grant.job_id)
    async with context.large_answers.making:
        found = await service.results(
            grant.job_id, after=query.cursor, limit=query.limit, ok=ok, corrected=bool(query.corrected)
        )
        answer = await _page(request, context, query, found)
    return context.large_answers.in_parts(answer, grant.job_id)


async def _page(request: Request, context: Context, query: ResultQuery, found: Page) -> Response:
    page = page_of(found)
    headers = {CACHE_CONTROL: NO_STORE, "Vary": "Accept", **_next_link(query, page)}
    match query.format or _accepted(request):
        case "csv":
            pipeline = context.pipelines.get(found.pipeline)
            # In a thread: a thousand rows take some tens of milliseconds.
            text = await in_thread(partial(_table, found.items, pipeline))
            answer = Response(text, headers=headers, media_type=f"{CSV_TYPE}; header=present")
        case "ndjson":
            answer = Response(ndjson_of(page.items), headers=headers, media_type=NDJSON_TYPE)
        case _:
            answer = success_response(page, context.service.now(), headers=headers)
    return await compressed(request, answer)


def _accepted(request: Request) -> str:
    names = {JSON_TYPE: "json", NDJSON_TYPE: "ndjson", CSV_TYPE: "csv"}
    return names[best_of(request.headers.get("accept", ""), list(names))]


def _table(items: Sequence[Item], pipeline: Pipeline | None) -> str:
    if pipeline is None:
        return csv_of(map(item_of, items), ())
    return csv_of(map(item_of, pipeline.lines(items)), columns_of(pipeline))


async def _original(service: JobService, job_id: str, query: ResultQuery) -> Response:
    if query.status == "ok":
        raise ShelfwireError(Code.INVALID_REQUEST, "original rows are those of failed items: leave status=ok out")
    table = await service.original(job_id)
    parts = _original_parts(service, job_id, table)
    return StreamingResponse(parts, headers={CACHE_CONTROL: NO_STORE}, media_type=f"{CSV_TYPE}; header=present")


async def _original_parts(service: JobService, job_id: str, table: OriginalTable) -> AsyncIterator[str]:
    yield original_header(table)
    cursor: int | None = -1
    after = None
    while cursor is not None and cursor != after:
        after = cursor
        page = await service.results(job_id, after=after, limit=MAX_LIMIT, ok=False)
        if page.items:
            yield await in_thread(partial(original_rows, table, page.items))
        cursor = page.next


def _next_link(query: ResultQuery, page: ResultPage) -> dict[str, str]:
    if page.next is None:
        return {}
    parameters: dict[str, str | int] = {"cursor": page.next, "limit": query.limit}
    if query.status != "all":
        parameters["status"] = query.status
    if query.format is not None:
        parameters["format"] = query.format
    if query.corrected:
        parameters["corrected"] = 1
    return {"Link": f'<?{urlencode(parameters)}>; rel="next"'}


_LINES: Final = {"type": "string", "description": "The items of the page, each a line of JSON as in `items`."}
_TABLE: Final = {
    "type": "string",
    "description": "The items of the page as a table with a header, safe to open in a spreadsheet.",
}
_PAGE: Final = {"type": "string", "description": "The items as a page for people, with `format=html`."}
_DISPOSITION: Final = Header(name="Content-Disposition", description="The name of a file that is to be saved.")
_LINK: Final = Header(name="Link", description='The next page, with `rel="next"`.')

ROUTES: Final = (
    job_route(
        "GET",
        "/results",
        results,
        {
            200: Answer(
                content={JSON_TYPE: Success[ResultPage], NDJSON_TYPE: _LINES, CSV_TYPE: _TABLE, HTML_TYPE: _PAGE},
                headers=[_LINK, _DISPOSITION, CACHING],
            )
        },
        query=ResultQuery,
        refusals=[Code.OVERLOADED],
    ),
)
