"""The OpenAPI 3.1 document of the HTTP routes, made by Litestar from the handlers, and put right where it errs."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, OpenAPIHeader, OpenAPIType, Schema, SecurityScheme, Server

from shelfwire.books.web.enrichment import SentBooks
from shelfwire.books.web.scanning import SentPhotos
from shelfwire.protocol.json_schema import DESCRIPTION, branches, components, message_components
from shelfwire.protocol.messages import VERSION
from shelfwire.web.access import API_KEY
from shelfwire.web.control import TokenWish
from shelfwire.web.openapi_annotations import schema_name
from shelfwire.web.responses import REQUEST_ID, Problem, Success
from shelfwire.web.schemas import CreatedJob, Health, NewToken, ResultPage, State

ABOUT: Final = """\
Start long jobs, look at them, control them, read their results. Whoever creates a job is answered with its token, which
everything else about the job asks for. Live progress comes over the progress socket, which `/schema/asyncapi.json`
describes, or as server-sent events."""
SCHEMAS: Final = "#/components/schemas/{name}"
ANSWERS: Final = (
    Success[CreatedJob],
    Success[State],
    Success[ResultPage],
    Success[NewToken],
    Health,
    Problem,
)
"""Every struct that an answer is made of."""
BODIES: Final = (TokenWish, SentPhotos, SentBooks)
"""Every struct that a body is read into."""
SECURITY_SCHEMES: Final = {
    "token": SecurityScheme(type="http", scheme="bearer", description="The job's token."),
    "tokenInQuery": SecurityScheme(
        type="apiKey",
        name="token",
        security_scheme_in="query",
        description="The job's token in the URL, for browsers, whose EventSource cannot send headers.",
    ),
    "apiKey": SecurityScheme(
        type="apiKey", name=API_KEY, security_scheme_in="header", description="Asked for where the server has API keys."
    ),
}
_TEXT: Final = Schema(type=OpenAPIType.STRING)
HEADERS: Final = {
    REQUEST_ID: OpenAPIHeader(
        schema=_TEXT, required=True, description="Names the request in the server's log; as it came, if it came."
    ),
    "WWW-Authenticate": OpenAPIHeader(schema=_TEXT, required=True, description="What is to be shown."),
    "Retry-After": OpenAPIHeader(
        schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
        required=True,
        description="Seconds to wait before another try.",
    ),
}
OF_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
"""The headers of a refusal beside the request's id."""
PATH_PARAMETERS: Final[Mapping[str, dict[str, str]]] = {
    "job_id": {"name": "jobId", "description": "The job."},
    "pipeline": {"description": "The name of a pipeline that the server has."},
}
_UNSAID: Final = frozenset({"deprecated", "allowEmptyValue", "allowReserved"})
"""What is false unless it is said."""


def openapi(routes: Iterable[HTTPRouteHandler], root: str) -> dict[str, Any]:
    """The document, as JSON values.

    Args:
        routes: all handlers.
        root: where they are mounted on their server.
    """
    config = OpenAPIConfig(
        title="shelfwire",
        version=VERSION,
        description=ABOUT,
        license=License(name="MIT", identifier="MIT"),
        servers=[Server(url=root)],
        components=Components(security_schemes=dict(SECURITY_SCHEMES), headers=dict(HEADERS)),
        operation_id_creator=lambda handler, *_: handler.handler_name,
        use_handler_docstrings=True,
        path="/unserved",
        render_plugins=[JsonRenderPlugin()],
    )
    handlers = list(routes)
    injected = {
        name: _stand_in()
        for handler in handlers
        for name, parameter in handler.parsed_fn_signature.parameters.items()
        if parameter.is_di_field
    }
    # An application of its own: the one that serves has its own way to say that there is no such route.
    app = Litestar(handlers, dependencies=injected, openapi_config=config, logging_config=None)
    return _tidied(app.openapi_schema.to_schema())


def _stand_in() -> Provide:
    return Provide(lambda: None, sync_to_thread=False)


def _tidied(document: dict[str, Any]) -> dict[str, Any]:
    made = document["components"]["schemas"]
    names = {name: schema_name(schema["title"]) for name, schema in made.items()}
    # Our own schemas of the structs know that a member which is left out is not null, and what each member means.
    own = components(ANSWERS, SCHEMAS) | message_components(SCHEMAS) | components(BODIES, SCHEMAS, take_null=True)
    document["components"]["schemas"] = {schema_name(schema["title"]): schema for schema in own.values()} | {
        "Message": {"description": DESCRIPTION, "oneOf": branches(SCHEMAS)}
    }
    paths = document["paths"] = {path.replace("{job_id}", "{jobId}"): item for path, item in document["paths"].items()}
    for operations in paths.values():
        for operation in operations.values():
            _tidy_operation(operation)
    tidied: dict[str, Any] = _plain(document, names)
    return tidied


def _tidy_operation(operation: dict[str, Any]) -> None:
    operation["summary"] = operation.pop("description")
    for parameter in operation.get("parameters", ()):
        parameter["schema"].pop("description", None)
        if parameter["in"] == "path":
            parameter.update(PATH_PARAMETERS[parameter["name"]])
    for status, response in operation["responses"].items():
        named = (REQUEST_ID, *OF_STATUS.get(status, ()))
        shared = {name: {"$ref": f"#/components/headers/{name}"} for name in named}
        response["headers"] = response.get("headers", {}) | shared
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _plain(node: Any, names: Mapping[str, str]) -> Any:
    """The document with its schemas under their short names, whole numbers whole, and without what goes unsaid."""
    match node:
        case {"$ref": str(target)}:
            start, _, name = target.rpartition("/")
            short = names.get(name, schema_name(name)) if start.endswith("/schemas") else name
            return node | {"$ref": f"{start}/{short}"}
        case dict():
            said = {key: value for key, value in node.items() if key not in _UNSAID or value}
            return {key: _plain(value, names) for key, value in said.items()}
        case list():
            return [_plain(value, names) for value in node]
        case float() if node.is_integer():
            return int(node)
        case _:
            return node
