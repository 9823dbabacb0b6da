"""The routes for whoever operates the server: whether it lives, whether it can work, and its figures."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.responses import JSON_TYPE, json_response
from shelfwire.web.route import Answer, Context, Route
from shelfwire.web.schemas import Health

_OK: Final = Health(status="ok")


async def live(request: Request, context: Context) -> Response:
    """Say that the process answers."""
    del request, context
    return json_response(_OK)


async def ready(request: Request, context: Context) -> Response:
    """Say that jobs can be taken and run."""
    del request
    if not await context.service.ready():
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
    return json_response(_OK)


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
