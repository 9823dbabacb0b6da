"""What happens on a server as events, for operators: how it stands, and how jobs go on that they look at."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import count
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import MAX_COUNT, JobFilter, Time
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import Count, Uuid
from shelfwire.protocol.tokens import canonical
from shelfwire.web.events import EVENTS_TYPE, PADDING, begin, chunk
from shelfwire.web.keys import Role
from shelfwire.web.listing import MAX_PAGE, FilterQuery, JobSummary, filter_of, summary_of
from shelfwire.web.operators import operator_of
from shelfwire.web.overview import overview_of
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import JSON_TYPE
from shelfwire.web.root_path import root_of
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, Route, Schema

EVERY_SECONDS: Final = 1.0
"""How often there may be news of jobs."""
SELDOM: Final = 2
"""Of so many times, how the server stands is said once."""
OVERVIEW: Final = "overview"
JOBS: Final = "jobs"


class OperatorEventsQuery(FilterQuery, frozen=True):
    """The query of the events: which jobs they are about beside how the server stands."""

    jobs: Annotated[
        str, Meta(description="Ids of jobs, with commas, 200 at most: how they go on is sent as events named `jobs`.")
    ] = ""
    newer: Annotated[
        Time | None,
        Meta(
            description="`newer` is the number of jobs that match and were made after this time, in ms since the epoch."
        ),
    ] = None


class JobNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has changed of the jobs that an operator looks at, since the event before."""

    items: Annotated[list[JobSummary], Meta(description="The jobs that have changed; in the first event all of them.")]
    gone: Annotated[list[Uuid], Meta(description="The jobs that have been erased.")]
    newer: Annotated[
        Count | None, Meta(description="How many newer jobs match; 10001 for more than 10000. Only with `newer`.")
    ] = None


async def operator_events(request: Request, context: Context) -> ASGIApp:
    """Say every two seconds how the server stands, and every second what has changed of some jobs, as events."""
    async with operator_of(request, context, Role.READ, OVERVIEW):
        query = query_of(request, OperatorEventsQuery)
        looked_at = _LookedAt(
            context,
            root_of(request.scope),
            _ids(query.jobs),
            None if query.newer is None else (filter_of(request, query), query.newer),
        )
        return _Stream(context, looked_at, lambda: context.access.is_operator(request))


def _ids(text: str) -> Sequence[str]:
    ids = list(dict.fromkeys(canonical(part) for part in text.split(",") if part and "\0" not in part))
    if len(ids) > MAX_PAGE:
        raise ShelfwireError(Code.INVALID_REQUEST, f"jobs names {len(ids)} jobs; {MAX_PAGE} are allowed")
    return ids


class _LookedAt:
    """The jobs that one operator looks at.

    Args:
        context: the application.
        root: see `links_of`.
        ids: the jobs.
        newer: what newer jobs are found by, and the time after which they are new; None if they are not counted.
    """

    def __init__(self, context: Context, root: str, ids: Iterable[str], newer: tuple[JobFilter, int] | None) -> None:
        self._context = context
        self._root = root
        self._shown = dict.fromkeys(ids, -1)
        self._newer = newer
        self._counted: int | None = None

    async def news(self) -> JobNews | None:
        """Return what has changed since the last call; None if nothing has. Jobs that have ended never change again."""
        ids = list(self._shown)
        found = await asyncio.gather(*map(self._state, ids))
        items, gone = list[JobSummary](), list[str]()
        for job_id, state in zip(ids, found, strict=True):
            if state is None:
                gone.append(job_id)
            elif state.seq != self._shown[job_id]:
                items.append(summary_of(state, self._root))
                self._shown[job_id] = state.seq
            if state is None or state.ended:
                del self._shown[job_id]
        before, self._counted = self._counted, await self._count()
        if not items and not gone and self._counted == before:
            return None
        return JobNews(items=items, gone=gone, newer=self._counted)

    async def _state(self, job_id: str) -> JobState | None:
        try:
            return (await self._context.service.get(job_id)).state
        except ShelfwireError as error:
            if error.code != Code.UNAUTHORIZED:
                raise
            return None

    async def _count(self) -> int | None:
        if self._newer is None:
            return None
        wanted, at = self._newer
        counts = await self._context.operator.counts(
            msgspec.structs.replace(wanted, since=max(at + 1, wanted.since or 0))
        )
        return min(sum(counts.values()), MAX_COUNT + 1)


class _Stream:
    """The answer to one operator, for as long as the key is valid, counted by the limit of followers."""

    def __init__(self, context: Context, looked_at: _LookedAt, is_operator: Callable[[], bool]) -> None:
        self._is_operator = is_operator
        self._context = context
        self._looked_at = looked_at

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        with self._context.connections.enter():
            await begin(send)
            await chunk(send, PADDING)
            gone = asyncio.create_task(_hung_up(receive))
            left = asyncio.create_task(self._context.operator.leaving.wait())
            try:
                for turn in count():
                    if gone.done() or left.done() or not self._is_operator():
                        break
                    async for event in self._events(overview=turn % SELDOM == 0):
                        await chunk(send, event)
                    await asyncio.wait({gone, left}, timeout=EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                left.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, *, overview: bool) -> AsyncIterator[bytes]:
        if overview:
            yield _event(OVERVIEW, await overview_of(self._context))
        news = await self._looked_at.news()
        if news is not None:
            yield _event(JOBS, news)


def _event(name: str, data: msgspec.Struct) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _described(name: str, description: str, schema: Schema) -> Schema:
    return {
        "type": "object",
        "description": "One event.",
        "required": ["event", "data"],
        "properties": {
            "event": {"const": name},
            "data": {
                "type": "string",
                "description": description,
                "contentMediaType": JSON_TYPE,
                "contentSchema": schema,
            },
        },
    }


_SCHEMAS: Final = "#/components/schemas/{name}"
_NEWS: Final[Schema] = {
    "type": "object",
    "required": ["items", "gone"],
    "properties": {
        "items": {"type": "array", "items": {"$ref": _SCHEMAS.format(name="JobSummary")}},
        "gone": {"type": "array", "items": {"type": "string"}},
        "newer": {"type": "integer"},
    },
}
_EVENT: Final[Schema] = {
    "description": "One event.",
    "oneOf": [
        _described(OVERVIEW, "How the server stands.", {"$ref": _SCHEMAS.format(name="Overview")}),
        _described(JOBS, "What has changed of the jobs that were named.", _NEWS),
    ],
}

ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/events",
        handler=operator_events,
        answers={200: Answer(content={EVENTS_TYPE: _EVENT}, headers=[CACHING])},
        security=OPERATOR,
        query=OperatorEventsQuery,
        refusals=OPERATORS,
    ),
)
