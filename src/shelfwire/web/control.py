"""The routes by which a job's owner controls it and its tokens."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import Committed
from shelfwire.protocol.tokens import Grant, Scope
from shelfwire.settings import Settings
from shelfwire.web.credentials import bearer
from shelfwire.web.openapi_annotations import ETAG, JSON_TYPE, OWNER, TOKEN, operation, reference, refusals
from shelfwire.web.reading import state_answer
from shelfwire.web.responses import Success, success
from shelfwire.web.schemas import NewToken, State, token_of
from shelfwire.web.uploads import bounded, parsed

MAX_BODY: Final = 4096
MAX_SECONDS: Final = 10 * 365 * 86400

HttpRequest = Request[Any, Any, Any]


class TokenWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a new token shall be; without scopes it replaces the one that it is asked for with.

    Attributes:
        scopes: what it allows; none that the caller's token lacks.
        expires_in: seconds.
    """

    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)] | None = None
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)] | None = None


@post(
    "/api/jobs/{job_id:str}/cancel",
    status_code=200,
    security=TOKEN,
    responses=refusals(*OWNER, Code.JOB_STATE),
    response_headers=[ETAG],
)
async def cancel(
    request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]
) -> Response[Success[State]]:
    """Ask for a job to stop for good. A running one is `canceling` until its worker confirms."""
    return await _control(request, service, job_id, service.cancel)


@post(
    "/api/jobs/{job_id:str}/pause",
    status_code=200,
    security=TOKEN,
    responses=refusals(*OWNER, Code.JOB_STATE),
    response_headers=[ETAG],
)
async def pause(
    request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]
) -> Response[Success[State]]:
    """Ask for a job to wait until it is resumed. A running one is `running` until its worker confirms."""
    return await _control(request, service, job_id, service.pause)


@post(
    "/api/jobs/{job_id:str}/resume",
    status_code=200,
    security=TOKEN,
    responses=refusals(*OWNER, Code.JOB_STATE),
    response_headers=[ETAG],
)
async def resume(
    request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]
) -> Response[Success[State]]:
    """Let a paused job go on."""
    return await _control(request, service, job_id, service.resume)


@delete("/api/jobs/{job_id:str}", security=TOKEN, responses=refusals(*OWNER))
async def delete_job(request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]) -> None:
    """End a job if it has not ended, and erase all that is its own."""
    owner = await _owner(request, service, job_id)
    await service.delete(owner.job_id)


@post(
    "/api/jobs/{job_id:str}/token",
    status_code=200,
    security=TOKEN,
    responses=refusals(*OWNER, Code.JOB_STATE, Code.FILE_TOO_LARGE),
    operation_class=operation(body={JSON_TYPE: reference(TokenWish)}, body_required=False),
)
async def new_token(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
) -> Response[Success[NewToken]]:
    """Hand out one more token. Without scopes it replaces the caller's, which stays valid for 60 s."""
    caller = await _owner(request, service, job_id)
    wish = await _wish(request, settings.upload_timeout)
    token = await service.derive_token(
        caller,
        scopes=None if wish.scopes is None else frozenset(wish.scopes),
        ttl=None if wish.expires_in is None else wish.expires_in * 1000,
    )
    return Response(success(token_of(token), service.now()), headers={"Cache-Control": "no-store"})


@delete("/api/jobs/{job_id:str}/token", security=TOKEN, responses=refusals(*OWNER))
async def revoke_token(request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]) -> None:
    """Make the token this is called with worthless; the followers that it let in are let go."""
    await service.revoke(await _owner(request, service, job_id))


async def _owner(request: HttpRequest, service: JobService, job_id: str) -> Grant:
    return await service.authorize(job_id, bearer(request.headers), Scope.CONTROL)


async def _control(
    request: HttpRequest, service: JobService, job_id: str, request_control: Callable[[str], Awaitable[Committed]]
) -> Response[Success[State]]:
    owner = await _owner(request, service, job_id)
    return state_answer(await request_control(owner.job_id), service.now())


async def _wish(request: HttpRequest, patience: float) -> TokenWish:
    body = bytearray()
    async for chunk in bounded(request.stream(), None, MAX_BODY, patience):
        body += chunk
        if len(body) > MAX_BODY:
            raise ShelfwireError(Code.FILE_TOO_LARGE, f"The body is larger than {MAX_BODY} bytes")
    return parsed(body or b"{}", TokenWish)
