"""The routes by which the operator's page is opened: with a key, or with a code in place of one."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code
from shelfwire.protocol.messages import Millis
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, RequestBody, Route
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import name_of

MAX_BODY: Final = 4096


class OperatorSession(msgspec.Struct, frozen=True, kw_only=True):
    """Who the holder of a key is."""

    name: Annotated[str, Meta(description="The name of the key.")]
    role: Annotated[Role, Meta(description="What it may do: `admin`, or `admin:read` for what only reads.")]


class PageCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A code that opens the operator's page on this machine, once."""

    code: Annotated[str, Meta(description="The code, for the fragment of the page's address: `/admin#/code/…`.")]
    expires_at: Annotated[Millis, Meta(description="When it ends, in milliseconds since the epoch.")]


class UsedCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code to be changed into a key."""

    code: Annotated[str, Meta(max_length=200, description="The code.")]


class PageKey(OperatorSession, frozen=True, kw_only=True, rename="camel"):
    """A key for the operator's page on this machine."""

    api_key: Annotated[str, Meta(description="The key.")]
    expires_at: Annotated[
        Millis, Meta(description="When it ends unless the server stops before, in milliseconds since the epoch.")
    ]


async def operator_session(request: Request, context: Context) -> Response:
    """Say whose key it is that the request shows, and what its holder may do."""
    async with operator_of(request, context, Role.READ, "session") as caller:
        return success_response(OperatorSession(name=name_of(caller), role=caller.role), context.service.now())


async def make_page_code(request: Request, context: Context) -> Response:
    """Make a code that opens the operator's page on this machine once, within a minute, with the rights of the key."""
    async with operator_of(request, context, Role.READ, "session"):
        code = context.access.new_code(request)
    return success_response(PageCode(code=code.secret, expires_at=code.expires_at), context.service.now())


async def use_page_code(request: Request, context: Context) -> Response:
    """Change a code into a key for the operator's page."""
    access = context.access
    access.check_page(request)
    wanted: UsedCode = parsed(await Body(request, Pace.of(context.settings)).read(MAX_BODY), UsedCode)
    key, caller = access.use_code(request, wanted.code)
    data = PageKey(name=name_of(caller), role=caller.role, api_key=key.secret, expires_at=key.expires_at)
    return success_response(data, context.service.now())


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/session",
        handler=operator_session,
        answers={200: Answer(content={JSON_TYPE: Success[OperatorSession]}, headers=[CACHING])},
        security=OPERATOR,
        refusals=OPERATORS,
    ),
    Route(
        method="POST",
        path="/api/admin/session",
        handler=make_page_code,
        answers={200: Answer(content={JSON_TYPE: Success[PageCode]}, headers=[CACHING])},
        security=OPERATOR,
        refusals=OPERATORS,
    ),
    Route(
        method="POST",
        path="/api/admin/session/key",
        handler=use_page_code,
        answers={200: Answer(content={JSON_TYPE: Success[PageKey]}, headers=[CACHING])},
        body=RequestBody(content={JSON_TYPE: UsedCode}),
        refusals=(*OPERATORS, Code.FILE_TOO_LARGE),
    ),
)
