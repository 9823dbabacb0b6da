"""The routes that tell where a job stands and what came of it, and whether the server lives."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import Committed
from shelfwire.protocol.tokens import Scope
from shelfwire.web import csv_export
from shelfwire.web.connection_limit import ConnectionLimit
from shelfwire.web.credentials import bearer
from shelfwire.web.csv_export import CSV_TYPE, NDJSON_TYPE
from shelfwire.web.follower_log import watched
from shelfwire.web.openapi_annotations import (
    ETAG,
    JSON_TYPE,
    LINES,
    LINK,
    OWNER,
    TABLE,
    TOKEN,
    operation,
    reference,
    refusals,
)
from shelfwire.web.responses import Success, success
from shelfwire.web.schemas import Health, ResultPage, State, page_of, state_of

MAX_INDEX: Final = 2**31
"""No job has so many items; a number beyond 64 bits would be the store's to refuse."""
MAX_SEQ: Final = 2**53 - 1
"""What every client's numbers can hold exactly."""
MAX_WAIT: Final = 30

HttpRequest = Request[Any, Any, Any]


@get(
    "/api/jobs/{job_id:str}",
    security=TOKEN,
    responses=refusals(*OWNER, Code.OVERLOADED),
    response_headers=[ETAG],
)
async def job_state(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    room: NamedDependency[ConnectionLimit],
    after: Annotated[
        int, QueryParameter(ge=0, le=MAX_SEQ, description="The `seq` that is known already; 0 for none.")
    ] = 0,
    wait: Annotated[
        float, QueryParameter(ge=0, le=MAX_WAIT, description="Seconds to wait for something newer than `after`.")
    ] = 0,
) -> Response[Success[State]]:
    """Return a job's state: now, or with `after` and `wait` once it is newer, has ended or so many seconds are over."""
    token = bearer(request.headers)
    if after == 0 or wait == 0:
        grant = await service.authorize(job_id, token, Scope.WATCH)
        committed = await service.get(grant.job_id)
    else:
        with room.enter():
            async with service.follow_with(token, job_id, after) as follower:
                with watched(follower, request.receive):
                    committed = await service.wait(follower, after, wait)
    return state_answer(committed, service.now())


@get(
    "/api/jobs/{job_id:str}/results",
    security=TOKEN,
    responses=refusals(*OWNER),
    response_headers=[LINK],
    operation_class=operation(
        answers={JSON_TYPE: reference(Success[ResultPage]), NDJSON_TYPE: LINES, CSV_TYPE: TABLE},
    ),
)
async def results(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    columns: NamedDependency[Mapping[str, Sequence[str]]],
    cursor: Annotated[
        int, QueryParameter(ge=-1, le=MAX_INDEX, description="`next` of the page before; -1 for the first page.")
    ] = -1,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Items at most.")] = 100,
    status: Annotated[
        Literal["ok", "failed", "all"], QueryParameter(description="Only items that were done, or that failed.")
    ] = "all",
) -> Response[Any]:
    """Return a page of a job's results, in the order of the input, as JSON, NDJSON or CSV."""
    grant = await service.authorize(job_id, bearer(request.headers), Scope.RESULTS)
    ok = None if status == "all" else status == "ok"
    found = await service.results(grant.job_id, after=cursor, limit=limit, ok=ok)
    page = page_of(found)
    headers = _next_link(limit, status, page)
    match request.accept.best_match([MediaType.JSON, NDJSON_TYPE, CSV_TYPE], MediaType.JSON):
        case csv_export.CSV_TYPE:
            text = csv_export.csv_of(page.items, columns.get(found.pipeline, ()))
            return Response(text, media_type=f"{CSV_TYPE}; header=present", headers=headers)
        case csv_export.NDJSON_TYPE:
            return Response(csv_export.ndjson_of(page.items), media_type=NDJSON_TYPE, headers=headers)
        case _:
            return Response(success(page, service.now()), headers=headers)


@get("/health/live", responses=refusals())
async def live() -> Health:
    """Say that the process answers."""
    return Health(status="ok")


@get("/health/ready", responses=refusals())
async def ready(service: NamedDependency[JobService]) -> Health:
    """Say that jobs can be taken and run."""
    if not await service.ready():
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
    return Health(status="ok")


def state_answer(committed: Committed, now: int) -> Response[Success[State]]:
    """A job's state, with its revision as the entity tag."""
    return Response(success(state_of(committed), now), headers={"ETag": f'"{committed.state.seq}"'})


def _next_link(limit: int, status: str, page: ResultPage) -> dict[str, str]:
    if page.next is None:
        return {}
    query = {"cursor": page.next, "limit": limit} | ({} if status == "all" else {"status": status})
    return {"Link": f'<?{urlencode(query)}>; rel="next"'}
