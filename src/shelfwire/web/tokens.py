"""The routes of a job's tokens."""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.tokens import Scope
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, Answer, Context, RequestBody, job_route
from shelfwire.web.schemas import NewToken, new_token_of
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import visitor_of

MAX_BODY: Final = 4096
MAX_SECONDS: Final = 10 * 365 * 86400


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request for a new token; without scopes it replaces the one that the request is authorized with."""

    scopes: Annotated[
        Annotated[list[Scope], msgspec.Meta(min_length=1)] | None,
        msgspec.Meta(description="The scopes of the token; none that the caller's token lacks."),
    ] = None
    expires_in: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)] | None,
        msgspec.Meta(description="Seconds for which it is valid."),
    ] = None


async def new_token(request: Request, context: Context) -> Response:
    """Issue one more token. Without scopes it replaces the caller's, which stays valid for 60 s."""
    visitor = visitor_of(request, context, Scope.CONTROL)
    owner = await visitor.authorize(Scope.CONTROL)
    body = await Body(request, Pace.of(context.settings)).read(MAX_BODY)
    wanted: TokenRequest = parsed(body or b"{}", TokenRequest)
    async with visitor.acting("token") as entry:
        token = await context.service.derive_token(
            owner,
            scopes=None if wanted.scopes is None else frozenset(wanted.scopes),
            ttl=None if wanted.expires_in is None else wanted.expires_in * 1000,
            audit=entry,
        )
    return success_response(new_token_of(token), context.service.now())


async def revoke_token(request: Request, context: Context) -> Response:
    """Revoke the token that the request is authorized with; followers that attached with it are dismissed."""
    visitor = visitor_of(request, context, Scope.CONTROL)
    if visitor.operator is not None:
        raise ShelfwireError(Code.FORBIDDEN, "An API key is no token of the job, and cannot be revoked here")
    await context.service.revoke(await visitor.authorize(Scope.CONTROL))
    return Response(status_code=204)


ROUTES: Final = (
    job_route(
        "POST",
        "/token",
        new_token,
        {200: Answer(content={JSON_TYPE: Success[NewToken]}, headers=[CACHING])},
        body=RequestBody(content={JSON_TYPE: TokenRequest}, required=False),
        refusals=[Code.JOB_STATE, Code.FILE_TOO_LARGE],
    ),
    job_route("DELETE", "/token", revoke_token, {204: Answer()}, by_operators=False),
)
