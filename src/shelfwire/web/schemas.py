"""The documents that describe the server, made from its types: what they hold, and where they are served."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Litestar, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import License

from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.messages import VERSION
from shelfwire.protocol.schema import message_schema
from shelfwire.web import control, creating, events, reading

ABOUT: Final = """\
Start long jobs, look at them, read their results. Creating a job answers with its token, which everything else about
the job asks for. Live progress comes over the progress socket, which `/schema/asyncapi.json` describes."""


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the HTTP routes, as JSON values."""
    # An application of its own: the one that serves has its own way to say that there is no such route.
    unused = {
        name: Provide(lambda: None, sync_to_thread=False)
        for handler in ROUTES
        for name, parameter in handler.parsed_fn_signature.parameters.items()
        if parameter.is_di_field
    }
    config = OpenAPIConfig(
        title="shelfwire",
        version=VERSION,
        description=ABOUT,
        license=License(name="MIT", identifier="MIT"),
        use_handler_docstrings=True,
        path="/unserved",
        render_plugins=[JsonRenderPlugin()],
    )
    app = Litestar(ROUTES, dependencies=unused, openapi_config=config, logging_config=None)
    return app.openapi_schema.to_schema()


@cache
def _encoded(make: Callable[[], dict[str, Any]]) -> bytes:
    return msgspec.json.encode(make())


@get("/schema/openapi.json", media_type="application/json", sync_to_thread=False)
def openapi_json() -> bytes:
    """Describe the HTTP routes, as OpenAPI 3.1."""
    return _encoded(openapi)


@get("/schema/asyncapi.json", media_type="application/json", sync_to_thread=False)
def asyncapi_json() -> bytes:
    """Describe the progress socket, as AsyncAPI 3.0."""
    return _encoded(asyncapi)


@get("/schema/messages.json", media_type="application/schema+json", sync_to_thread=False)
def messages_json() -> bytes:
    """Describe the messages, as JSON Schema 2020-12."""
    return _encoded(message_schema)


ROUTES: Final[Sequence[HTTPRouteHandler]] = (
    creating.import_csv,
    creating.create_job,
    creating.retry,
    reading.job_state,
    reading.results,
    reading.live,
    reading.ready,
    events.events,
    control.cancel,
    control.pause,
    control.resume,
    control.delete_job,
    control.new_token,
    control.revoke_token,
    openapi_json,
    asyncapi_json,
    messages_json,
)
"""Every HTTP route."""
