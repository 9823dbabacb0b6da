"""All HTTP routes, and of these the ones that describe the others."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, route
from litestar.handlers import HTTPRouteHandler

from shelfwire.plugins import installed
from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.json_schema import message_schema
from shelfwire.web import control, creating, events, reading
from shelfwire.web.openapi import openapi
from shelfwire.web.openapi_annotations import DOCUMENT, JSON_TYPE, SCHEMA_TYPE, operation, refusals
from shelfwire.web.root_path import root_of


def document(root: str = "/") -> dict[str, Any]:
    """The OpenAPI document of all routes.

    Args:
        root: where they are mounted on their server.
    """
    return openapi([*ROUTES, *(route for plugin in installed() for route in plugin.routes())], root)


# Made in a thread: the first one takes a quarter of a second, in which sockets must be answered.
@lru_cache(maxsize=8)
def _encoded(make: Callable[..., dict[str, Any]], *arguments: str) -> bytes:
    return msgspec.json.encode(make(*arguments))


@get(
    "/schema/openapi.json",
    media_type=JSON_TYPE,
    sync_to_thread=True,
    responses=refusals(),
    operation_class=operation(answers={JSON_TYPE: DOCUMENT}),
)
def openapi_json(request: Request[Any, Any, Any]) -> bytes:
    """Describe the HTTP routes, as OpenAPI 3.1."""
    return _encoded(document, root_of(request.scope) or "/")


@get(
    "/schema/asyncapi.json",
    media_type=JSON_TYPE,
    sync_to_thread=True,
    responses=refusals(),
    operation_class=operation(answers={JSON_TYPE: DOCUMENT}),
)
def asyncapi_json(request: Request[Any, Any, Any]) -> bytes:
    """Describe the progress socket, as AsyncAPI 3.0."""
    return _encoded(asyncapi, root_of(request.scope))


@get(
    "/schema/messages.json",
    media_type=SCHEMA_TYPE,
    sync_to_thread=True,
    responses=refusals(),
    operation_class=operation(answers={SCHEMA_TYPE: DOCUMENT}),
)
def messages_json() -> bytes:
    """Describe the messages, as JSON Schema 2020-12."""
    return _encoded(message_schema)


ROUTES: Final[Sequence[HTTPRouteHandler]] = (
    creating.import_csv,
    creating.create_job,
    creating.retry,
    reading.job_state,
    reading.results,
    events.events,
    control.cancel,
    control.pause,
    control.resume,
    control.delete_job,
    control.new_token,
    control.revoke_token,
    reading.live,
    reading.ready,
    openapi_json,
    asyncapi_json,
    messages_json,
)
"""Every HTTP route that is documented."""


def allowing(routes: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """What answers OPTIONS where several handlers share a path; register it before them.

    Litestar's own answer names the methods of the one that was registered first.
    """
    methods: dict[str, set[str]] = defaultdict(set)
    for handler in routes:
        for path in handler.paths:
            methods[path] |= handler.http_methods
    return [_options(path, sorted(own)) for path, own in methods.items() if len(own) > 1]


def _options(path: str, methods: Sequence[str]) -> HTTPRouteHandler:
    @route(path, http_method="OPTIONS", status_code=204, include_in_schema=False, sync_to_thread=False)
    def options() -> Response[None]:
        return Response(None, headers={"Allow": ", ".join([*methods, "OPTIONS"])})

    return options
