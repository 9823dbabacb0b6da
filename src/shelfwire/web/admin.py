"""The routes of operators: many jobs at once, and who did what. Section 10 of the contract."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code
from shelfwire.jobs.listing import JobFilter, Text, Time
from shelfwire.jobs.operator import Bulk, BulkAction, BulkOutcome
from shelfwire.jobs.operator_store import AuditEntry, AuditFilter
from shelfwire.protocol.messages import Count, Millis, Uuid
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.listing import MAX_PAGE, cursor_of, position_of
from shelfwire.web.operators import operator_of
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, RequestBody, Route
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import name_of

MAX_BODY: Final = 16 * 1024


class BulkRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request about many jobs: first without `expect`, to count them; then with the numbers of that answer."""

    action: Annotated[BulkAction, Meta(description="What to do.")]
    filter: Annotated[JobFilter, Meta(description="To which jobs, of those that it can be done to.")]
    as_of: Annotated[Time | None, Meta(description="`asOf` of the count: later jobs are left alone.")] = None
    expect: Annotated[Count | None, Meta(description="`matches` of the count, or `left` of the call before.")] = None
    cursor: Annotated[Text | None, Meta(description="`next` of the call before.")] = None

    def __post_init__(self) -> None:
        """Refuse to act on what was not counted."""
        if self.expect is not None and self.as_of is None:
            raise ValueError("expect needs asOf: count first, without either")
        wanted = self.filter
        for name, text in {"pipeline": wanted.pipeline, "tag": wanted.tag, "q": wanted.q}.items():
            if text is not None and not text.strip():  # such as of a variable that is not set
                raise ValueError(f"filter.{name} is empty: leave it out where it does not matter")


class BulkFailure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that it was not done to."""

    job_id: Annotated[Uuid, Meta(description="The job.")]
    code: Annotated[str, Meta(description="Why.")]


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many jobs match, and what was done to them."""

    matches: Annotated[Count, Meta(description="The jobs that match; 10001 for more than 10000.")]
    as_of: Annotated[Millis, Meta(description="When they were counted first, in milliseconds since the epoch.")]
    done: Annotated[Count | None, Meta(description="The number of those that it was done to by this call.")] = None
    failed: Annotated[list[BulkFailure] | None, Meta(description="The others of this call, 100 at most.")] = None
    left: Annotated[Count | None, Meta(description="Those behind them: `expect` of the next call.")] = None
    next: Annotated[str | None, Meta(description="`cursor` of the next call, if there is to be one.")] = None


class AuditQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The query of the audit."""

    job_id: Annotated[Text | None, Meta(description="About this job.")] = None
    key: Annotated[Text | None, Meta(description="By the key of this name.")] = None
    since: Annotated[Time | None, Meta(description="At this time or later, in ms since the epoch.")] = None
    cursor: Annotated[Time | None, Meta(description="`next` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="Entries at most.")] = 100


class Act(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who did what to which job, and what came of it."""

    at: Annotated[Millis, Meta(description="When, in milliseconds since the epoch.")]
    key: Annotated[str, Meta(description="The name of the API key.")]
    action: Annotated[str, Meta(description="What was done.")]
    outcome: Annotated[str, Meta(description="`ok`, or the code of the refusal.")]
    job_id: Annotated[str | None, Meta(description="The job, if it was about one.")] = None
    details: Annotated[str | None, Meta(description="More about it.")] = None


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit."""

    items: Annotated[list[Act], Meta(description="The newest first.")]
    next: Annotated[str | None, Meta(description="The cursor of the next page; null if this is the last.")]


async def bulk(request: Request, context: Context) -> Response:
    """Count jobs, then do something to them: up to 1,000 a call, the oldest first."""
    async with operator_of(request, context, Role.ADMIN, "bulk") as caller:
        body = await Body(request, Pace.of(context.settings)).read(MAX_BODY)
        wanted: BulkRequest = parsed(body, BulkRequest)
        service = context.service
        as_of = service.now() if wanted.as_of is None else wanted.as_of
        after = None if wanted.cursor is None else position_of(wanted.cursor)
        jobs = Bulk(wanted.action, wanted.filter, as_of, after)
        if wanted.expect is None:
            answer = BulkAnswer(matches=await context.operator.count_bulk(jobs), as_of=as_of)
        else:
            answer = _answer(await context.operator.bulk(jobs, wanted.expect, name_of(caller)), as_of)
    return success_response(answer, service.now())


def _answer(outcome: BulkOutcome, as_of: int) -> BulkAnswer:
    return BulkAnswer(
        matches=outcome.matches,
        as_of=as_of,
        done=outcome.done,
        failed=[BulkFailure(job_id=job_id, code=code) for job_id, code in outcome.failed],
        left=outcome.left,
        next=None if outcome.next is None else cursor_of(outcome.next),
    )


async def audit(request: Request, context: Context) -> Response:
    """List who did what to which job, of the last 30 days."""
    async with operator_of(request, context, Role.READ, "audit"):
        query = query_of(request, AuditQuery)
        wanted = AuditFilter(job_id=query.job_id, key=query.key, since=query.since, before=query.cursor)
        found = await context.operator.audit(wanted, query.limit + 1)
    page = found[: query.limit]
    following = str(page[-1].n) if len(found) > len(page) else None
    answer = AuditPage(items=[_act(entry) for entry in page], next=following)
    return await compressed(request, success_response(answer, context.service.now()))


def _act(entry: AuditEntry) -> Act:
    return Act(
        at=entry.at,
        key=entry.key,
        action=entry.action,
        outcome=entry.outcome,
        job_id=entry.job_id,
        details=entry.details,
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/api/admin/bulk",
        handler=bulk,
        answers={200: Answer(content={JSON_TYPE: Success[BulkAnswer]}, headers=[CACHING])},
        security=OPERATOR,
        body=RequestBody(content={JSON_TYPE: BulkRequest}),
        refusals=(*OPERATORS, Code.MATCHES_CHANGED, Code.FILE_TOO_LARGE),
    ),
    Route(
        method="GET",
        path="/api/admin/audit",
        handler=audit,
        answers={200: Answer(content={JSON_TYPE: Success[AuditPage]}, headers=[CACHING])},
        security=OPERATOR,
        query=AuditQuery,
        refusals=OPERATORS,
    ),
)
