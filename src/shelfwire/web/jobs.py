"""The routes of jobs: create, look, control, retry, delete."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.service import JobService, Mending
from shelfwire.jobs.store import Committed
from shelfwire.protocol.state import State, state_of
from shelfwire.protocol.tokens import Scope
from shelfwire.web.compression import ETAG, compressed, matching_tag
from shelfwire.web.creation import (
    CREATED,
    IDEMPOTENCY_KEY,
    created_response,
    creation_route,
    idempotency_of,
)
from shelfwire.web.follower_log import watched
from shelfwire.web.intakes import FORM_TYPE, FormIntake, JsonIntake
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import CACHE_CONTROL, JSON_TYPE, NO_STORE, REVALIDATE, Success, success_response
from shelfwire.web.root_path import root_of
from shelfwire.web.route import CACHING, Answer, Context, Header, RequestBody, job_route
from shelfwire.web.schemas import created_of
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import Visitor, visitor_of

MAX_SEQ: Final = 2**53 - 1
"""The greatest number that every client can hold exactly."""
MAX_WAIT: Final = 30
MAX_MENDED: Final = 1000
"""Items that a retry takes mended."""
MAX_RETRY_BYTES: Final = 1024 * 1024
NOT_MODIFIED: Final = 304

Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class StateQuery(msgspec.Struct, frozen=True):
    """The query of a job's state."""

    after: Annotated[Seq, msgspec.Meta(description="The `seq` that is known already; 0 for none.")] = 0
    wait: Annotated[
        float, msgspec.Meta(ge=0, le=MAX_WAIT, description="Seconds to wait for something newer than `after`.")
    ] = 0


async def job_state(request: Request, context: Context) -> Response:
    """Return a job's state: now, or with `after` and `wait` once it is newer, has ended or `wait` seconds are over.

    With `If-None-Match`, the state that is known already is not sent again.
    """
    query = query_of(request, StateQuery)
    visitor = visitor_of(request, context, Scope.WATCH)
    service = context.service
    if query.after == 0 or query.wait == 0:
        committed = await visitor.get()
    else:
        with context.connections.enter():
            async with visitor.follow(query.after) as follower:
                with watched(follower, request.receive):
                    committed = await service.wait(follower, query.after, query.wait)
    position = await service.queue_position(committed.state)
    tag = matching_tag(request.headers.get("if-none-match", ""), _tag(committed, position))
    if tag is not None:
        return await compressed(request, Response(None, NOT_MODIFIED, {ETAG: tag, CACHE_CONTROL: _keeping(visitor)}))
    return await compressed(request, _state_response(request, committed, service.now(), visitor, position))


async def cancel(request: Request, context: Context) -> Response:
    """Ask for a job to stop for good. A running one is `canceling` until its worker confirms."""
    return await _control(request, context, JobService.cancel)


async def pause(request: Request, context: Context) -> Response:
    """Ask for a job to wait until it is resumed. A running one is `running` until its worker confirms."""
    return await _control(request, context, JobService.pause)


async def resume(request: Request, context: Context) -> Response:
    """Let a paused job go on."""
    return await _control(request, context, JobService.resume)


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is mended for a retry."""

    items: Annotated[
        list[dict[str, Any]],
        msgspec.Meta(
            max_length=MAX_MENDED,
            description="The items: each its `index` in the job that is retried, and members that its pipeline takes.",
            extra_json_schema={"items": {"type": "object", "required": ["index"]}},
        ),
    ] = []
    only: Annotated[
        Literal["given"] | None,
        msgspec.Meta(description="Whether these items alone are done; without it all that was left undone."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse to do nothing."""
        if self.only is not None and not self.items:
            raise ValueError("only needs items")

    def mending(self) -> Mending | None:
        """Return what is mended, by index; None if nothing is.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: an index is missing, or comes twice.
        """
        mended: dict[int, Any] = {}
        for place, item in enumerate(self.items):
            index = item.pop("index", None)
            if not isinstance(index, int) or isinstance(index, bool) or index in mended:
                raise ShelfwireError(
                    Code.INVALID_REQUEST, f"items[{place}].index must be a whole number that no other item has"
                )
            mended[index] = item
        return Mending(mended, alone=self.only is not None) if mended else None


async def retry(request: Request, context: Context) -> Response:
    """Start a new job over the failed and unrecorded items of an ended one, some of which may have been mended."""
    visitor = visitor_of(request, context, Scope.CONTROL)
    owner = await visitor.authorize(Scope.CONTROL)
    source = owner.job_id
    # The job's token is what tells its owner from others, so idempotency keys are the job's own.
    caller = (visitor.operator or await context.access.admit_retry(request))._replace(key=source)
    body = await Body(request, Pace.of(context.settings)).read(MAX_RETRY_BYTES)
    wanted: RetryRequest | None = parsed(body, RetryRequest) if body else None
    same = ["retry", source] if wanted is None else ["retry", source, wanted]
    idempotency = idempotency_of(request, caller, same)
    mending = None if wanted is None else wanted.mending()
    async with visitor.acting("retry") as entry:
        token = await context.service.retry(source, owner, idempotency, entry, mending)
    return created_response(context, created_of(token, root_of(request.scope), retry_of=source))


async def delete_job(request: Request, context: Context) -> Response:
    """End a job if it has not ended, and erase all that is its own."""
    visitor = visitor_of(request, context, Scope.CONTROL)
    owner = await visitor.authorize(Scope.CONTROL)
    async with visitor.acting("delete") as entry:
        await context.service.delete(owner.job_id, entry)
    return Response(status_code=204)


async def _control(
    request: Request, context: Context, action: Callable[[JobService, str, AuditEntry | None], Awaitable[Committed]]
) -> Response:
    visitor = visitor_of(request, context, Scope.CONTROL)
    owner = await visitor.authorize(Scope.CONTROL)
    service = context.service
    async with visitor.acting(action.__name__) as entry:
        committed = await action(service, owner.job_id, entry)
    return _state_response(request, committed, service.now(), visitor)


def _keeping(visitor: Visitor) -> str:
    """How an answer may be kept: an operator sees the jobs of others."""
    return REVALIDATE if visitor.operator is None else NO_STORE


def _state_response(
    request: Request, committed: Committed, now: int, visitor: Visitor, position: int | None = None
) -> Response:
    headers = {ETAG: _tag(committed, position), CACHE_CONTROL: _keeping(visitor)}
    state = state_of(committed.state, committed.terminal, root_of(request.scope), queue_position=position)
    return success_response(state, now, headers=headers)


def _tag(committed: Committed, position: int | None) -> str:
    seq = committed.state.seq
    return f'"{seq}"' if position is None else f'"{seq}.{position}"'


_ETAG: Final = Header(
    name=ETAG,
    description="The job's `seq`, of one that waits with its place in the queue; weak where the answer is compressed.",
    required=True,
)
_IF_NONE_MATCH: Final = Header(name="If-None-Match", description="The `ETag` of the state that is known already.")
_STATE: Final = {200: Answer(content={JSON_TYPE: Success[State]}, headers=[_ETAG, CACHING])}
_UNCHANGED: Final = {304: Answer(headers=[_ETAG, CACHING], description="The state is the one that is known already.")}
_GONE: Final = {204: Answer()}
_CONFLICT: Final = [Code.JOB_STATE]

ROUTES: Final = (
    creation_route(
        "/api/pipelines/{pipeline}/jobs",
        None,
        {FORM_TYPE: FormIntake(), JSON_TYPE: JsonIntake()},
        operation_id="create_job",
        summary="Start a job of any pipeline: each field of a form is an input of its name, a JSON body the input "
        "`request`; the pipeline's options are form fields or query parameters.",
    ),
    job_route(
        "GET",
        "",
        job_state,
        _STATE | _UNCHANGED,
        query=StateQuery,
        headers=[_IF_NONE_MATCH],
        refusals=[Code.OVERLOADED],
    ),
    job_route("DELETE", "", delete_job, _GONE),
    job_route("POST", "/cancel", cancel, _STATE, refusals=_CONFLICT),
    job_route("POST", "/pause", pause, _STATE, refusals=_CONFLICT),
    job_route("POST", "/resume", resume, _STATE, refusals=_CONFLICT),
    job_route(
        "POST",
        "/retry",
        retry,
        CREATED,
        headers=[IDEMPOTENCY_KEY],
        body=RequestBody(content={JSON_TYPE: RetryRequest}, required=False),
        refusals=[
            Code.JOB_STATE,
            Code.ITEM_UNKNOWN,
            Code.IDEMPOTENCY_MISMATCH,
            Code.RATE_LIMITED,
            Code.FILE_TOO_LARGE,
        ],
    ),
)
