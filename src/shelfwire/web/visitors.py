"""Who asks something of a job: its owner by the job's token, or an operator by an API key."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final

from starlette.requests import Request

from shelfwire.clock import sleep
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Follower
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.store import Committed
from shelfwire.protocol.tokens import Grant, Scope, canonical
from shelfwire.web.access import API_KEY, Caller
from shelfwire.web.credentials import bearer
from shelfwire.web.keys import CHECK_SECONDS, Role
from shelfwire.web.route import Context

ROLES: Final = {Scope.WATCH: Role.READ, Scope.RESULTS: Role.READ, Scope.CONTROL: Role.ADMIN, Scope.REPORT: Role.ADMIN}
"""What an operator needs in place of each scope; of what workers have, inputs alone are for operators."""


class Visitor:
    """Who asks something of a job.

    Args:
        context: the application.
        job_id: the job, as the caller writes it.
        token: the token that it shows.
        operator: the operator; None for an owner.
        is_operator: whether the operator's key is valid now.
    """

    def __init__(
        self,
        context: Context,
        job_id: str,
        token: str | None,
        operator: Caller | None,
        is_operator: Callable[[], bool],
    ) -> None:
        self._service = context.service
        self._context = context
        self.job_id = canonical(job_id)
        self._token = token
        self.operator = operator
        self._is_operator = is_operator

    async def authorize(self, scope: Scope) -> Grant:
        """Return what it may do; that of an operator is of no token.

        Raises:
            ShelfwireError: see `JobService.authorize`; `E_NOT_FOUND`: an operator asks for no job that there is.
        """
        if self.operator is None:
            return await self._service.authorize(self.job_id, self._token, scope)
        await self.get()
        return Grant(digest=b"", job_id=self.job_id)

    async def get(self) -> Committed:
        """Return the job's state.

        Raises:
            ShelfwireError: as `authorize`.
        """
        if self.operator is None:
            return await self._service.get_with(self._token, self.job_id)
        with _known_to_operators(self.job_id):
            return await self._service.get(self.job_id)

    def follow(self, after: int) -> AbstractAsyncContextManager[Follower]:
        """Attach a follower to the job.

        Raises:
            ShelfwireError: on entering, as `authorize`.
        """
        if self.operator is None:
            return self._service.follow_with(self._token, self.job_id, after)
        return self._follow_as_operator(after)

    @asynccontextmanager
    async def _follow_as_operator(self, after: int) -> AsyncIterator[Follower]:
        await self.get()
        async with self._service.follow(self.job_id, after) as follower:
            watching = asyncio.create_task(self._watch_key(follower))
            try:
                yield follower
            finally:
                watching.cancel()

    async def _watch_key(self, follower: Follower) -> None:
        while self._is_operator():
            await sleep(self._service.clock, CHECK_SECONDS)
        follower.dismiss(Dismissal.REVOKED)

    async def note_read(self, action: str) -> None:
        """Add to the audit that an operator reads what the job is about."""
        if self.operator is not None:
            await self._context.operator.note_read(name_of(self.operator), action, self.job_id)

    @asynccontextmanager
    async def acting(self, action: str) -> AsyncIterator[AuditEntry | None]:
        """Yield what is added to the audit with an action of an operator; None for an owner."""
        if self.operator is None:
            yield None
            return
        with _known_to_operators(self.job_id):
            async with self._context.operator.acting(name_of(self.operator), action, self.job_id) as entry:
                yield entry


def name_of(caller: Caller) -> str:
    """Return the name under which a caller is in the audit."""
    return caller.name or "(api_keys)"


def visitor_of(request: Request, context: Context, scope: Scope, token: str | None = None) -> Visitor:
    """Return who makes a request about a job. A token goes before a key.

    Args:
        request: the request.
        context: the application.
        scope: what it is about to do.
        token: the token, where it is not in the header.

    Raises:
        ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN`: the API key allows nothing of the kind.
    """
    token = token or bearer(request.headers)
    operator = None
    if token is None and API_KEY in request.headers:
        operator = context.access.operator_of_job(request, ROLES[scope])
    job_id = request.path_params["job_id"]
    return Visitor(context, job_id, token, operator, lambda: context.access.is_operator(request))


@contextmanager
def _known_to_operators(job_id: str) -> Iterator[None]:
    """Tell operators that there is no such job: to them it is no secret."""
    try:
        yield
    except ShelfwireError as error:
        if error.code != Code.UNAUTHORIZED:
            raise
        raise ShelfwireError(
            Code.NOT_FOUND,
            f"There is no job {job_id[:64]}; it may have been erased",
            user_message="There is no such job. It may have been erased.",
        ) from None
