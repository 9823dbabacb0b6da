"""The routes of the documents that describe the server to programs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.json_schema import message_schema
from shelfwire.web.compression import compressed
from shelfwire.web.openapi import openapi
from shelfwire.web.responses import JSON_TYPE
from shelfwire.web.root_path import root_of
from shelfwire.web.route import Answer, Context, Route

SCHEMA_TYPE: Final = "application/schema+json"


async def openapi_json(request: Request, context: Context) -> Response:
    """Describe the HTTP routes, as OpenAPI 3.1."""
    return await _document(
        request, JSON_TYPE, lambda: openapi(context.routes, context.pipelines, root_of(request.scope) or "/")
    )


async def asyncapi_json(request: Request, context: Context) -> Response:
    """Describe the progress socket, as AsyncAPI 3.0."""
    del context
    return await _document(request, JSON_TYPE, lambda: asyncapi(root_of(request.scope)))


async def messages_json(request: Request, context: Context) -> Response:
    """Describe the messages, as JSON Schema 2020-12."""
    del context
    return await _document(request, SCHEMA_TYPE, message_schema)


async def _document(request: Request, media_type: str, make: Callable[[], Mapping[str, Any]]) -> Response:
    # In a thread: it takes up to ten milliseconds, in which sockets must be answered.
    content = await asyncio.to_thread(lambda: msgspec.json.encode(make()))
    return await compressed(request, Response(content, media_type=media_type))


def _route(path: str, handler: Any, media_type: str) -> Route:
    return Route(
        method="GET", path=path, handler=handler, answers={200: Answer(content={media_type: {"type": "object"}})}
    )


ROUTES: Final = (
    _route("/schema/openapi.json", openapi_json, JSON_TYPE),
    _route("/schema/asyncapi.json", asyncapi_json, JSON_TYPE),
    _route("/schema/messages.json", messages_json, SCHEMA_TYPE),
)
