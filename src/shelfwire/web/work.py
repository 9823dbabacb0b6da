"""The routes by which workers outside of the server get their jobs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.remote_claims import Work
from shelfwire.jobs.service import Token
from shelfwire.jobs.starting import MAX_TAGS, TAG_PATTERN
from shelfwire.protocol.messages import Address, Count, Metadata, Millis, Seconds, Uuid
from shelfwire.protocol.reports import DEFAULT_LEASE, Lease, PipelineName, Total, WorkerName, ranges
from shelfwire.protocol.state import State, state_of
from shelfwire.protocol.worker_transitions import RemoteWorker
from shelfwire.safe_text import safe_line
from shelfwire.web.creation import LOCATION, CallbackUrl
from shelfwire.web.credentials import job_id_of
from shelfwire.web.responses import JSON_TYPE, QUIET, Success, success_response
from shelfwire.web.root_path import root_of
from shelfwire.web.route import API_KEY, CACHING, Answer, Context, RequestBody, Route
from shelfwire.web.schemas import CreatedJob, created_of
from shelfwire.web.uploads import Body, Pace, parsed

MAX_BODY: Final = 64 * 1024
MAX_PIPELINES: Final = 100
MAX_WAIT: Final = 30

Range = Annotated[list[int], Meta(min_length=2, max_length=2, description="The first and the last index.")]
Tag = Annotated[str, Meta(pattern=TAG_PATTERN)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    lease_seconds: Lease = None
    worker: WorkerName = None

    def by(self) -> RemoteWorker:
        """Return the worker that asks."""
        name = None if self.worker is None else safe_line(self.worker) or None
        return RemoteWorker(lease=(self.lease_seconds or DEFAULT_LEASE) * 1000, name=name)


class WorkCreation(_Request, frozen=True, kw_only=True):
    """A request for a new job that the caller itself works on."""

    pipeline: PipelineName
    total_count: Total = None
    metadata: Annotated[Metadata | None, Meta(description="What the job works on.")] = None
    job_id: Annotated[Uuid | None, Meta(description="The caller's own choice of the job's id.")] = None
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS, description="By which the job can be found.")] = msgspec.field(
        default_factory=list
    )
    callback_url: CallbackUrl = None


class WorkClaim(_Request, frozen=True, kw_only=True):
    """A request for a job to work on."""

    pipelines: Annotated[
        Annotated[list[PipelineName], Meta(min_length=1, max_length=MAX_PIPELINES)] | None,
        Meta(description="The pipelines of which it may be; they take turns, and so do the callers of each."),
    ] = None
    job_id: Annotated[Uuid | None, Meta(description="That job and no other, in place of `pipelines`.")] = None
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT, description="Seconds to wait for one.")] = 0


class WorkInput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An input of a job. A stranger may have made it."""

    name: Annotated[str, Meta(description="Its name.")]
    size: Annotated[Count, Meta(description="Bytes.")]
    url: Annotated[Address, Meta(description="Where it is.")]


ReportToken = Annotated[
    str, Meta(description="The secret that reports of this attempt, and its inputs, ask for; it is shown only now.")
]
Attempt = Annotated[Count, Meta(description="Number of times a worker has claimed the job.")]
LeaseUntil = Annotated[Millis, Meta(description="When the lease ends, for people; a worker counts from when it asked.")]
LeaseSeconds = Annotated[Seconds, Meta(description="How long the lease is from each renewal.")]
Recorded = Annotated[list[Range], Meta(description="Which indices of the input are recorded already.")]
Selection = Annotated[list[Range] | None, Meta(description="Which indices the job is about; null for all.")]
Inputs = Annotated[list[WorkInput], Meta(description="What the job works on.")]


class ClaimedWork(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that the caller is to work on."""

    state: Annotated[State, Meta(description="The job.")]
    report_token: ReportToken
    attempt: Attempt
    lease_until: LeaseUntil
    lease_seconds: LeaseSeconds
    recorded: Recorded
    selection: Selection
    inputs: Inputs


class CreatedWork(CreatedJob, frozen=True, kw_only=True):
    """A new job that its creator works on."""

    report_token: ReportToken
    attempt: Attempt
    lease_until: LeaseUntil
    lease_seconds: LeaseSeconds
    recorded: Recorded
    selection: Selection
    inputs: Inputs


async def create_work(request: Request, context: Context) -> Response:
    """Create a job that the caller itself works on, and claim it."""
    caller = context.access.admit_worker(request)
    body = await Body(request, Pace.of(context.settings)).read(MAX_BODY)
    wanted: WorkCreation = parsed(body, WorkCreation)
    caller.check_pipeline(wanted.pipeline)
    callback_url = None if wanted.callback_url is None else await context.callbacks.admit(wanted.callback_url)
    job_id = None if wanted.job_id is None else job_id_of(wanted.job_id)
    await context.access.count(caller)
    service = context.service
    made = await service.claims.create(
        wanted.pipeline,
        wanted.by(),
        job_id=job_id,
        total=wanted.total_count,
        metadata=wanted.metadata,
        tags=wanted.tags,
        callback_url=callback_url,
        caller=caller.digest,
    )
    root, grant = root_of(request.scope), made.grant
    created = created_of(Token(grant.job_id, made.token, grant.scopes, grant.expires_at), root)
    data = CreatedWork(**msgspec.structs.asdict(created), **_attempt(made.work, root))
    return success_response(data, service.now(), status=202, headers={"Location": created.links.self})


async def claim_work(request: Request, context: Context) -> Response:
    """Claim the job whose turn it is, or a certain one, and wait for it if there is none."""
    context.access.admit_worker(request)
    wanted: WorkClaim = parsed(await Body(request, Pace.of(context.settings)).read(MAX_BODY), WorkClaim)
    if (wanted.pipelines is None) == (wanted.job_id is None):
        raise ShelfwireError(Code.INVALID_REQUEST, "Give either pipelines or jobId")
    pipelines = list(dict.fromkeys(wanted.pipelines or ()))

    def check(names: Sequence[str]) -> None:
        """Check the caller's key, which may be revoked while it waits."""
        caller = context.access.admit_worker(request)
        for name in names:
            caller.check_pipeline(name)

    check(pipelines)
    service, worker = context.service, wanted.by()
    async with _hang_up(request.receive) as gone:
        if wanted.job_id is not None:
            job_id = job_id_of(wanted.job_id)
            work = await service.claims.claim_job(job_id, worker, wait=wanted.wait, gone=gone, allowed=check)
        else:
            work = await service.claims.claim(pipelines, worker, wait=wanted.wait, gone=gone, allowed=check)
    if work is None:
        request.scope["state"][QUIET] = True
        return Response(status_code=204)
    root = root_of(request.scope)
    data = ClaimedWork(state=state_of(work.claimed.state, None, root), **_attempt(work, root))
    return success_response(data, service.now())


@asynccontextmanager
async def _hang_up(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set when the client hangs up. The request's body has been read."""
    gone = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


def _attempt(work: Work, root: str) -> dict[str, Any]:
    """The members that both have, for a caller whose request came below the path `root`."""
    state, selection = work.claimed.state, work.claimed.selection
    recorded = work.claimed.recorded
    if selection is not None:
        recorded = [selection[place] for place in recorded]
    return {
        "report_token": work.token,
        "attempt": state.attempt,
        "lease_until": work.lease_until,
        "lease_seconds": (state.lease or 0) // 1000,
        "recorded": _lists(recorded),
        "selection": None if selection is None else _lists(selection),
        "inputs": [
            WorkInput(name=one.name, size=one.size, url=f"{root}/api/jobs/{state.id}/inputs/{quote(one.name, safe='')}")
            for one in work.inputs
        ],
    }


def _lists(indices: Any) -> list[list[int]]:
    return [list(pair) for pair in ranges(indices)]


_REFUSALS: Final = (
    Code.UNAUTHORIZED,
    Code.FORBIDDEN,
    Code.FILE_TOO_LARGE,
    Code.PIPELINE_INTERNAL,
)

ROUTES: Final = (
    Route(
        method="POST",
        path="/api/jobs",
        handler=create_work,
        answers={202: Answer(content={JSON_TYPE: Success[CreatedWork]}, headers=[LOCATION, CACHING])},
        security=API_KEY,
        body=RequestBody(content={JSON_TYPE: WorkCreation}),
        refusals=(
            *_REFUSALS,
            *(Code.JOB_EXISTS, Code.RATE_LIMITED, Code.CALLBACK_REFUSED, Code.REPORT_INVALID),
        ),
    ),
    Route(
        method="POST",
        path="/api/work/claim",
        handler=claim_work,
        answers={
            200: Answer(content={JSON_TYPE: Success[ClaimedWork]}, headers=[CACHING]),
            204: Answer(description="There is no job to be had."),
        },
        security=API_KEY,
        body=RequestBody(content={JSON_TYPE: WorkClaim}),
        refusals=(*_REFUSALS, Code.NOT_FOUND, Code.JOB_STATE, Code.OVERLOADED),
    ),
)
