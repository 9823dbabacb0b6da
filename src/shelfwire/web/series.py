"""How long things took over time, for charts."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.jobs.figures import EVERY_SECONDS, SELDOM, Quantiles
from shelfwire.protocol.messages import Count, Millis
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.overview import WINDOWS
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, Route

STEPS: Final = {"15m": EVERY_SECONDS, "6h": EVERY_SECONDS * SELDOM, "7d": 3600.0}
"""Seconds of the steps of each of `WINDOWS`."""

Values = Sequence[float | None]


class SeriesQuery(msgspec.Struct, frozen=True):
    """The query of the series."""

    window: Annotated[Literal["15m", "6h", "7d"], Meta(description="How far back: steps of 10 s, 5 min or 1 h.")] = (
        "15m"
    )


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of a duration in each step, to 22 %."""

    count: Annotated[Sequence[Count], Meta(description="How often it was measured.")]
    p50: Annotated[Values, Meta(description="Seconds that half of them took at most; null where there were none.")]
    p99: Annotated[Values, Meta(description="Seconds that 99 of 100 took at most; null where there were none.")]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took over time, since the process began at most."""

    window: Annotated[str, Meta(description="How far back.")]
    at: Annotated[Sequence[Millis], Meta(description="When each step ended, in milliseconds since the epoch.")]
    series: Annotated[dict[str, Measured], Meta(description="Durations, by what they are of.")]


async def series(request: Request, context: Context) -> Response:
    """Say how long things took over time, for operators: the wait in the queue, jobs, commits, and news of them."""
    async with operator_of(request, context, Role.READ, "series"):
        window = query_of(request, SeriesQuery).window
        steps = context.recorder.series(WINDOWS[window], STEPS[window])
    content = Series(
        window=window,
        at=[at for at, _ in steps],
        series={name: _measured([by_name[name] for _, by_name in steps]) for name in context.metrics.snapshot()},
    )
    return await compressed(request, success_response(content, context.service.now()))


def _measured(found: Sequence[Quantiles]) -> Measured:
    return Measured(count=[one.number for one in found], p50=[one.p50 for one in found], p99=[one.p99 for one in found])


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/series",
        handler=series,
        answers={200: Answer(content={JSON_TYPE: Success[Series]}, headers=[CACHING])},
        security=OPERATOR,
        query=SeriesQuery,
        refusals=OPERATORS,
    ),
)
