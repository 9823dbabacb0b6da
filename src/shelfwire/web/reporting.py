"""The routes of an attempt whose worker is outside of the server: inputs, what it keeps, its log, its reports."""

import hashlib
import re
from typing import Annotated, Final
from urllib.parse import unquote

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.page_size import may_be_cut
from shelfwire.protocol.reports import MAX_REPORT_BYTES, Report, ReportAnswer
from shelfwire.protocol.tokens import Grant, Scope
from shelfwire.web.compression import ETAG, compressed, in_thread, matching_tag
from shelfwire.web.credentials import bearer
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import CACHE_CONTROL, JSON_TYPE, NO_STORE, QUIET, Success, success_response
from shelfwire.web.results import MAX_INDEX, MAX_LIMIT
from shelfwire.web.route import CACHING, Answer, Context, Header, RequestBody, job_route
from shelfwire.web.schemas import ResultPage, item_of
from shelfwire.web.uploads import Body, Pace
from shelfwire.web.visitors import visitor_of

MAX_KEPT_BYTES: Final = 1024 * 1024
MAX_KEPT_NAME: Final = 200
BYTES_TYPE: Final = "application/octet-stream"
RANGE_TYPE: Final = "bytes"
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_NAMED: Final = re.compile(rb"/api/jobs/[^/?]+/(?:inputs|kept)/([^?]+)")
NOT_MODIFIED: Final = 304
PARTIAL: Final = 206
UNSATISFIABLE: Final = 416


class LogQuery(msgspec.Struct, frozen=True):
    """The query of a page of the log."""

    after: Annotated[
        int, Meta(ge=-1, le=MAX_INDEX, description="`next` of the page before; -1 for the first page.")
    ] = -1
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Items at most.")] = 100


async def read_input(request: Request, context: Context) -> Response:
    """Return the bytes of an input, or a range of them. A stranger may have made it: treat it as hostile."""
    visitor = visitor_of(request, context, Scope.REPORT)
    by_operator = visitor.operator is not None
    grant = await visitor.authorize(Scope.REPORT) if by_operator else await _attempt_of(request, context)
    name = _name(request)
    data = await context.service.remote.files.read_input(grant, name)
    await visitor.note_read("input")
    tag = f'"{(await in_thread(lambda: hashlib.sha256(data).hexdigest()))[:32]}"'
    headers = {ETAG: tag, CACHE_CONTROL: NO_STORE, "Accept-Ranges": RANGE_TYPE, "X-Content-Type-Options": "nosniff"}
    if matching_tag(request.headers.get("if-none-match", ""), tag) is not None:
        return Response(None, NOT_MODIFIED, headers)
    wanted = _RANGE.fullmatch(request.headers.get("range", ""))
    if wanted is None or not any(wanted.groups()) or request.headers.get("if-range", tag) != tag:
        return Response(data, headers=headers, media_type=BYTES_TYPE)
    first, end = _range(wanted[1], wanted[2], len(data))
    if first >= end:
        return Response(None, UNSATISFIABLE, {**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
    return Response(data[first:end], PARTIAL, headers, media_type=BYTES_TYPE)


def _range(first: str, last: str, size: int) -> tuple[int, int]:
    """The first byte, and the one behind the last, of a range as HTTP writes it; nothing if it is not there."""
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    return int(first), min(size, int(last) + 1) if last else size


async def read_kept(request: Request, context: Context) -> Response:
    """Return what this attempt or an earlier one kept under a name."""
    grant = await _attempt_of(request, context)
    data = await context.service.remote.files.kept(grant, _name(request))
    return Response(data, headers={CACHE_CONTROL: NO_STORE, "X-Content-Type-Options": "nosniff"}, media_type=BYTES_TYPE)


async def keep(request: Request, context: Context) -> Response:
    """Keep data that a later attempt must not fetch again, such as a paid answer."""
    grant = await _attempt_of(request, context)
    name = _name(request)
    if len(name) > MAX_KEPT_NAME or not name.isprintable():
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"The name of what is kept has up to {MAX_KEPT_NAME} printable characters"
        )
    data = await Body(request, Pace.of(context.settings)).read(MAX_KEPT_BYTES)
    await context.service.remote.files.keep(grant, name, data)
    return Response(status_code=204)


async def read_log(request: Request, context: Context) -> Response:
    """Return a page of what is recorded of the job so far, gaps included."""
    query = query_of(request, LogQuery)
    grant = await _attempt_of(request, context)
    items, total = await context.service.remote.files.log(grant, after=query.after, limit=query.limit)
    following = str(items[-1].index) if len(items) == query.limit or may_be_cut(items) else None
    page = ResultPage(items=[item_of(item) for item in items], next=following, total=total)
    return await compressed(request, success_response(page, context.service.now()))


async def report(request: Request, context: Context) -> Response:
    """Record items, report progress, end the attempt, or only renew its lease; answered once that is durable."""
    request.scope["state"][QUIET] = True  # there are hundreds a second
    body = await Body(request, Pace.of(context.settings)).read(MAX_REPORT_BYTES)
    service = context.service
    began = service.clock.monotonic()
    answer = await service.remote.report(request.path_params["job_id"], bearer(request.headers), body)
    context.metrics.reported(service.clock.monotonic() - began)
    return success_response(answer, service.now())


async def _attempt_of(request: Request, context: Context) -> Grant:
    return await context.service.remote.files.authorize(request.path_params["job_id"], bearer(request.headers))


def _name(request: Request) -> str:
    """The name at the end of a path, in which a slash may be encoded and several may follow one another."""
    found = _NAMED.search(request.scope.get("raw_path") or b"")
    if found is None:
        return str(request.path_params["name"])
    return unquote(found[1].decode("latin-1"), errors="replace")


_NAMED_BY: Final = {"name": "Its name; a slash in it may be encoded."}
_BYTES: Final = {BYTES_TYPE: {"type": "string", "format": "binary"}}
_TAG: Final = Header(name=ETAG, description="Is the same for the same bytes.", required=True)
_PART: Final = Header(name="Content-Range", description="Which bytes these are, and of how many.", required=True)

ROUTES: Final = (
    job_route(
        "GET",
        "/inputs/{name:path}",
        read_input,
        {
            200: Answer(content=_BYTES, headers=[_TAG, CACHING]),
            206: Answer(content=_BYTES, headers=[_TAG, _PART, CACHING]),
            304: Answer(headers=[_TAG, CACHING]),
            416: Answer(headers=[_TAG, _PART, CACHING]),
        },
        path_parameters=_NAMED_BY,
        headers=[
            Header(name="Range", description="One range of bytes."),
            Header(name="If-Range", description="The `ETag` of what the range is of."),
            Header(name="If-None-Match", description="The `ETag` of what is known already."),
        ],
    ),
    job_route(
        "GET",
        "/kept/{name:path}",
        read_kept,
        {200: Answer(content=_BYTES, headers=[CACHING])},
        path_parameters=_NAMED_BY,
        refusals=[Code.NOT_FOUND],
        by_operators=False,
    ),
    job_route(
        "PUT",
        "/kept/{name:path}",
        keep,
        {204: Answer()},
        path_parameters=_NAMED_BY,
        body=RequestBody(content=_BYTES),
        refusals=[Code.LEASE_LOST, Code.FILE_TOO_LARGE],
        by_operators=False,
    ),
    job_route(
        "GET",
        "/log",
        read_log,
        {200: Answer(content={JSON_TYPE: Success[ResultPage]}, headers=[CACHING])},
        query=LogQuery,
        by_operators=False,
    ),
    job_route(
        "POST",
        "/report",
        report,
        {200: Answer(content={JSON_TYPE: Success[ReportAnswer]}, headers=[CACHING])},
        body=RequestBody(content={JSON_TYPE: Report}),
        refusals=[
            *(Code.LEASE_LOST, Code.REPORT_NUMBER, Code.ITEM_UNKNOWN, Code.REPORT_INVALID, Code.FILE_TOO_LARGE),
        ],
        by_operators=False,
    ),
)
