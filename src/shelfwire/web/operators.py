"""Authorization of operators, and of their refusals a note in the audit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.access import Caller
from shelfwire.web.keys import Role
from shelfwire.web.route import Context
from shelfwire.web.visitors import name_of

UNKNOWN = "(unknown)"
"""The name in the audit of a key that is none."""


@asynccontextmanager
async def operator_of(request: Request, context: Context, role: Role, action: str) -> AsyncIterator[Caller]:
    """Yield the operator who makes a request.

    Args:
        request: the request.
        context: the application.
        role: what it needs.
        action: what it is about, for the audit.

    Raises:
        ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN`, `E_NOT_FOUND`; see `Access.operator`.
    """
    try:
        caller = context.access.operator(request, role)
    except ShelfwireError as error:
        if error.code in {Code.UNAUTHORIZED, Code.FORBIDDEN} and not context.access.refusals.admit("all"):
            known = context.access.known(request)
            name = UNKNOWN if known is None else name_of(known)
            await context.operator.note(name, action, str(error.code))
        raise
    yield caller
