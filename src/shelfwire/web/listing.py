"""The list of jobs for operators, and what it shows of each."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import JobFilter, OfPipeline, Position, Searched, Since, Until, WithTag
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import Count, Millis
from shelfwire.protocol.state import State, state_of
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.root_path import root_of
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, Route

MAX_PAGE: Final = 200


class FilterQuery(msgspec.Struct, frozen=True):
    """What jobs are found by, in a query."""

    status: Annotated[str, Meta(description="Any of these: several with commas, or given several times.")] = ""
    pipeline: OfPipeline = None
    tag: WithTag = None
    since: Since = None
    until: Until = None
    q: Searched = None


class JobsQuery(FilterQuery, frozen=True):
    """The query of the list of jobs."""

    sort: Annotated[Literal["-created", "created"], Meta(description="The newest first, or the oldest.")] = "-created"
    cursor: Annotated[str | None, Meta(description="`next` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="Jobs at most.")] = 100
    counts: Annotated[Literal[0, 1], Meta(description="1 to count all that match, too.")] = 0


class JobSummary(State, frozen=True, kw_only=True):
    """The state of a job without its results, with what only operators see."""

    created_at: Annotated[Millis, Meta(description="When it was made, in milliseconds since the epoch.")]
    file_name: Annotated[str | None, Meta(description="The name of its file.")] = None
    worker: Annotated[str | None, Meta(description="What the worker that holds it calls itself.")] = None
    tags: Annotated[list[str] | None, Meta(description="Its tags.")] = None


class JobList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of jobs."""

    items: Annotated[list[JobSummary], Meta(description="The jobs; may be few although there is a next page.")]
    next: Annotated[str | None, Meta(description="The cursor of the next page; null if this is the last.")]
    counts: Annotated[
        dict[str, Count] | None,
        Meta(description="How many match, by status; 10001 for more than 10000. Only with `counts=1`."),
    ] = None


async def list_jobs(request: Request, context: Context) -> Response:
    """List the jobs of all callers, for operators."""
    async with operator_of(request, context, Role.READ, "list"):
        query = query_of(request, JobsQuery)
        wanted = filter_of(request, query)
        after = None if query.cursor is None else position_of(query.cursor)
        operator = context.operator
        page = await operator.jobs(wanted, after=after, limit=query.limit, oldest_first=query.sort == "created")
        counts = await operator.counts(wanted) if query.counts else None
    root = root_of(request.scope)
    content = JobList(
        items=[summary_of(state, root) for state in page.states],
        next=None if page.next is None else cursor_of(page.next),
        counts=None if counts is None else {str(status): number for status, number in counts.items()},
    )
    return await compressed(request, success_response(content, context.service.now()))


def filter_of(request: Request, query: FilterQuery) -> JobFilter:
    """Return what a query asks for.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: there is no such status.
    """
    statuses = [part for text in request.query_params.getlist("status") for part in text.split(",") if part]
    given = {"pipeline": query.pipeline, "tag": query.tag, "since": query.since, "until": query.until, "q": query.q}
    try:
        return msgspec.convert({"status": statuses, **given}, JobFilter)
    except msgspec.ValidationError as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"status is not valid: {error}") from None


def summary_of(row: JobState, root: str) -> JobSummary:
    """Return what the list shows of a job."""
    state = msgspec.structs.replace(state_of(row, None, root), current_item=None)
    return JobSummary(
        **msgspec.structs.asdict(state),
        created_at=row.created_at,
        file_name=None if row.metadata is None else row.metadata.file_name,
        worker=row.worker,
        tags=list(row.tags) or None,
    )


def cursor_of(position: Position) -> str:
    """Write a position as a cursor."""
    return urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def position_of(cursor: str) -> Position:
    """Read a cursor.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is none of ours.
    """
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Position)
    except (ValueError, msgspec.MsgspecError):
        raise ShelfwireError(Code.INVALID_REQUEST, "cursor is none that this server has given out") from None


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/jobs",
        handler=list_jobs,
        answers={200: Answer(content={JSON_TYPE: Success[JobList]}, headers=[CACHING])},
        security=OPERATOR,
        query=JobsQuery,
        refusals=OPERATORS,
    ),
)
