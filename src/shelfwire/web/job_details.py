"""What only operators see of a job beside its state: its tokens without their values, its followers, its inputs."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.protocol.messages import Count, Millis
from shelfwire.protocol.tokens import Scope
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, Route
from shelfwire.web.visitors import visitor_of


class TokenSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token, without its value, which nobody but its holder knows."""

    scopes: Annotated[list[Scope], Meta(description="What it allows.")]
    expires_at: Annotated[Millis, Meta(description="When it ends, in milliseconds since the epoch.")]


class InputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An input that is kept."""

    name: Annotated[str, Meta(description="Its name.")]
    size: Annotated[Count, Meta(description="Bytes.")]


class JobDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What only operators see of a job."""

    tokens: Annotated[list[TokenSummary], Meta(description="Its owner's valid tokens, those that last longest first.")]
    followers: Annotated[dict[str, Count], Meta(description="Its followers on this node, by transport.")]
    inputs: Annotated[list[InputSummary], Meta(description="Its inputs, by name.")]


async def job_details(request: Request, context: Context) -> Response:
    """Say who may do what with a job, who follows it and what it was given, for operators."""
    async with operator_of(request, context, Role.READ, "details"):
        state = (await visitor_of(request, context, Scope.WATCH).get()).state
        tokens = await context.operator.tokens(state.id)
        inputs = await context.operator.inputs(state.id)
    summaries = [
        TokenSummary(
            scopes=sorted(one.scopes),
            expires_at=state.expires_at if one.expires_at is None else min(one.expires_at, state.expires_at),
        )
        for one in tokens
    ]
    content = JobDetails(
        tokens=sorted(summaries, key=lambda one: -one.expires_at),
        followers=dict(context.service.followers_of(state.id)),
        inputs=[InputSummary(name=one.name, size=one.size) for one in inputs],
    )
    return await compressed(request, success_response(content, context.service.now()))


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/jobs/{job_id}",
        handler=job_details,
        answers={200: Answer(content={JSON_TYPE: Success[JobDetails]}, headers=[CACHING])},
        security=OPERATOR,
        path_parameters={"job_id": "The job."},
        refusals=OPERATORS,
    ),
)
