"""The routes for whoever operates the server: whether it lives, whether it can work, and its figures."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.responses import JSON_TYPE, json_response
from shelfwire.web.route import Answer, Context, Route
from shelfwire.web.schemas import Health, HealthDetails

_OK: Final = Health(status="ok")


async def live(request: Request, context: Context) -> Response:
    """Say that the process answers."""
    del request, context
    return json_response(_OK)


async def ready(request: Request, context: Context) -> Response:
    """Say that jobs can be taken and run, and how this node stands among others."""
    del request
    readiness = context.service.readiness
    if not readiness.departures():
        await readiness.check()  # where commits fail here, the store says why, and what to do
    if problems := readiness.problems():
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE, f"Not ready: {'; '.join(problems)}")
    condition = readiness.condition
    if condition is None:
        return json_response(_OK)
    return json_response(Health(status="ok", details=HealthDetails(**msgspec.structs.asdict(condition))))


async def metrics(request: Request, context: Context) -> Response:
    """Return the figures in a text format of Prometheus."""
    stats = await context.service.stats()
    body, content_type = context.metrics.render(stats, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})


_HEALTH: Final = {200: Answer(content={JSON_TYPE: Health})}

ROUTES: Final = (
    Route(method="GET", path="/health/live", handler=live, answers=_HEALTH),
    Route(method="GET", path="/health/ready", handler=ready, answers=_HEALTH),
    Route(method="GET", path="/metrics", handler=metrics, answers={200: Answer()}, documented=False),
)
