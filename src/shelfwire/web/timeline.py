"""The route of what happened to a job, beside its progress."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.jobs.operator_store import AuditEntry, AuditFilter
from shelfwire.protocol.job import EventKind, JobEvent, JobState
from shelfwire.protocol.messages import Count, Millis
from shelfwire.protocol.tokens import Scope
from shelfwire.web.compression import compressed
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, Answer, Context, job_route
from shelfwire.web.visitors import visitor_of

MAX_ACTS: Final = 100
"""Acts of operators that are shown, the newest."""
OK: Final = "ok"


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that happened to a job."""

    at: Annotated[Millis, Meta(description="When, in milliseconds since the epoch.")]
    kind: Annotated[
        str,
        Meta(
            description="What: one of "
            + ", ".join(f"`{kind}`" for kind in EventKind)
            + "; or, for operators, what one of them did, as in the audit."
        ),
    ]
    attempt: Annotated[Count | None, Meta(description="The attempt that it happened to, from 1.")] = None
    node: Annotated[str | None, Meta(description="What the worker elsewhere that claimed it calls itself.")] = None
    by: Annotated[str | None, Meta(description="The name of the operator's key; for operators alone.")] = None
    code: Annotated[str | None, Meta(description="Why it failed, or why the operator was refused.")] = None


class Timeline(msgspec.Struct, frozen=True):
    """What happened to a job."""

    events: Annotated[list[TimelineEvent], Meta(description="The oldest first; of many the newest 50.")]


async def timeline(request: Request, context: Context) -> Response:
    """Return what happened to a job, beside its progress; for operators with what they did to it."""
    visitor = visitor_of(request, context, Scope.WATCH)
    state = (await visitor.get()).state
    events = [_event(event) for event in _history(state)]
    if visitor.operator is not None:
        acts = await context.operator.audit(AuditFilter(job_id=state.id, since=state.created_at), MAX_ACTS)
        events = sorted([*events, *map(_act, acts)], key=lambda event: event.at)
    return await compressed(request, success_response(Timeline(events), context.service.now()))


def _history(state: JobState) -> list[JobEvent]:
    """What is known of a job; of one from an older version its beginning and its end."""
    events = [JobEvent(state.created_at, EventKind.CREATED), *state.history]
    if state.ended_at is not None and events[-1].kind != state.status:
        events.append(JobEvent(state.ended_at, EventKind(state.status), state.attempt))
    return events


def _event(event: JobEvent) -> TimelineEvent:
    return TimelineEvent(
        at=event.at, kind=event.kind, attempt=event.attempt or None, node=event.worker, code=event.code
    )


def _act(entry: AuditEntry) -> TimelineEvent:
    code = None if entry.outcome == OK else entry.outcome
    return TimelineEvent(at=entry.at, kind=entry.action, by=entry.key, code=code)


ROUTE: Final = job_route(
    "GET", "/timeline", timeline, {200: Answer(content={JSON_TYPE: Success[Timeline]}, headers=[CACHING])}
)
