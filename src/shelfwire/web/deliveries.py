"""The operator's routes for what is to be told when jobs end."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.outbox import Delivery, DeliveryStatus, place_of, split_place
from shelfwire.protocol.messages import Count, Millis, Uuid
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import API_KEY, CACHING, Answer, Context, Route
from shelfwire.web.visitors import name_of

MAX_PAGE: Final = 200


class WebhookQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a list of webhooks."""

    status: Annotated[DeliveryStatus | None, Meta(description="Only those; all unless given.")] = None
    cursor: Annotated[str | None, Meta(description="`next` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="The most on one page.")] = 100


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A call that is made when a job has ended."""

    id: Annotated[str, Meta(description="Its `webhook-id`: the job's id and `seq`, the same for every try.")]
    job_id: Annotated[Uuid, Meta(description="The job, which may have been erased.")]
    url: Annotated[str, Meta(description="Where it goes.")]
    status: Annotated[DeliveryStatus, Meta(description="How far it is.")]
    tries: Annotated[Count, Meta(description="Number of tries that have ended.")]
    made_at: Annotated[Millis, Meta(description="When the job ended.")]
    due_at: Annotated[Millis | None, Meta(description="When the next try is due, if it is waiting.")] = None
    ended_at: Annotated[Millis | None, Meta(description="When it was done or given up.")] = None
    last_error: Annotated[str | None, Meta(description="Why the last try failed.")] = None


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some webhooks, the newest first."""

    items: Annotated[list[Webhook], Meta(description="The page.")]
    next: Annotated[str | None, Meta(description="The cursor of the next page; null on the last.")]


async def list_webhooks(request: Request, context: Context) -> Response:
    """List the webhooks that are waiting, done or given up, the newest first."""
    async with operator_of(request, context, Role.READ, "webhooks"):
        query = query_of(request, WebhookQuery)
    try:
        if query.cursor is not None:
            split_place(query.cursor)
    except ValueError as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"cursor: {error}") from None
    found = await context.service.outbox.list(query.status, after=query.cursor, limit=query.limit + 1)
    page = found[: query.limit]
    following = place_of(page[-1]) if len(found) > query.limit else None
    answer = WebhookPage(items=list(map(_webhook, page)), next=following)
    return await compressed(request, success_response(answer, context.service.now()))


async def retry_webhook(request: Request, context: Context) -> Response:
    """Try a webhook again at once that is waiting or was given up, and for a day if need be; one that is done stays."""
    service = context.service
    async with operator_of(request, context, Role.ADMIN, "webhook") as caller:
        found = await service.outbox.retry(request.path_params["webhook_id"], service.now())
        if found is None:
            raise ShelfwireError(Code.NOT_FOUND, "There is no webhook of this id")
        await context.operator.note(name_of(caller), "webhook", "ok", found.id)
    return success_response(_webhook(found), service.now())


def _webhook(delivery: Delivery) -> Webhook:
    return Webhook(
        id=delivery.id,
        job_id=delivery.job_id,
        url=delivery.url or "",
        status=delivery.status,
        tries=delivery.tries,
        made_at=delivery.made_at,
        due_at=delivery.due_at if delivery.status is DeliveryStatus.WAITING else None,
        ended_at=delivery.ended_at,
        last_error=delivery.last_error,
    )


_REFUSALS: Final = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND)

ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/webhooks",
        handler=list_webhooks,
        answers={200: Answer(content={JSON_TYPE: Success[WebhookPage]}, headers=[CACHING])},
        security=API_KEY,
        query=WebhookQuery,
        refusals=_REFUSALS,
    ),
    Route(
        method="POST",
        path="/api/admin/webhooks/{webhook_id}/retry",
        handler=retry_webhook,
        answers={200: Answer(content={JSON_TYPE: Success[Webhook]}, headers=[CACHING])},
        security=API_KEY,
        path_parameters={"webhook_id": "The id of the webhook."},
        refusals=_REFUSALS,
    ),
)
