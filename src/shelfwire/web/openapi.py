"""The OpenAPI 3.1 document of the HTTP routes, made from the table of routes and the types that they name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_args, get_origin

import msgspec

from shelfwire.errors import Code, ErrorCode
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import PluginError
from shelfwire.protocol.json_schema import DESCRIPTION, branches, components, message_components
from shelfwire.protocol.messages import TYPES, VERSION, Envelope, JobError
from shelfwire.web import access
from shelfwire.web.intakes import FORM_TYPE
from shelfwire.web.responses import PROBLEM_TYPE, REQUEST_ID, X_ERROR_CODE, Problem
from shelfwire.web.route import ALWAYS, CACHING, Content, Header, Route
from shelfwire.web.schemas import ItemError, ResultItem

ABOUT: Final = """\
Start long jobs, look at them, control them, read their results. Whoever creates a job is answered with its token, which
everything else about the job asks for. Live progress comes over the progress socket, which `/schema/asyncapi.json`
describes, or as server-sent events."""
SCHEMAS: Final = "#/components/schemas/{name}"
SECURITY_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "The job's token."},
    "tokenInQuery": {
        "type": "apiKey",
        "name": "token",
        "in": "query",
        "description": "The job's token in the URL, for browsers, whose EventSource cannot send headers.",
    },
    "apiKey": {
        "type": "apiKey",
        "name": access.API_KEY,
        "in": "header",
        "description": "Asked for where the server has API keys.",
    },
}
HEADERS: Final = (
    Header(
        name=REQUEST_ID, description="Names the request in the server's log; as it came, if it came.", required=True
    ),
    Header(name=X_ERROR_CODE, description="The code of the problem.", required=True),
    Header(name=CACHING.name, description=CACHING.description, required=True),
    Header(name="WWW-Authenticate", description="How to authenticate, and what was wrong (RFC 6750).", required=True),
    Header(
        name="Retry-After",
        description="Seconds to wait before another try.",
        schema={"type": "integer", "minimum": 0},
        required=True,
    ),
)
OF_STATUS: Final[Mapping[int, Sequence[str]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
"""The headers of a refusal beside those that every refusal has."""

Json = dict[str, Any]


def openapi(routes: Iterable[Route], pipelines: Mapping[str, Pipeline], root: str = "/") -> Json:
    """Make the document, as JSON values.

    Args:
        routes: all routes.
        pipelines: the pipelines that jobs can be made for, by name.
        root: where the routes are mounted on their server.
    """
    documented = [route for route in routes if route.documented]
    paths: dict[str, Json] = {}
    schemas: Json = {}
    for route in documented:
        pipeline = pipelines.get(route.pipeline or "")
        options, used = _fields(pipeline.options if pipeline else None)
        query, used_by_query = _fields(route.query)
        schemas |= used | used_by_query
        item = paths.setdefault(_camel(route.path), {})
        item[route.method.lower()] = _operation(route, query, options)
    document: Json = _plain(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "shelfwire",
                "version": VERSION,
                "description": ABOUT,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": root}],
            "paths": paths,
            "components": {
                "schemas": schemas | _schemas(documented, list(pipelines.values())),
                "securitySchemes": SECURITY_SCHEMES,
                "headers": {header.name: _header(header) for header in HEADERS},
            },
        }
    )
    return document


def check_names(routes: Iterable[Route], pipelines: Iterable[Pipeline]) -> None:
    """Check that all types can be described, and that no two of them have one name in the document.

    Raises:
        PluginError: one cannot be, or two have one name, be they of plug-ins or of the engine.
    """
    documented = [route for route in routes if route.documented]
    contents = [route.body.content for route in documented if route.body is not None]
    contents += [answer.content for route in documented for answer in route.answers.values()]
    # Parameters, options and failures are described field by field, so their own names are nowhere.
    flat = [kind for route in documented if (kind := route.query) is not None]
    flat += [kind for pipeline in pipelines for kind in (pipeline.options, pipeline.failure) if kind is not None]
    fields = [field.type for kind in flat for field in msgspec.structs.fields(kind)]
    kinds = [*_types(contents), *(pipeline.result for pipeline in pipelines), *fields, Envelope, *TYPES.values()]
    try:
        _, schemas = msgspec.json.schema_components([*kinds, Problem, ItemError], ref_template=SCHEMAS)
    except (TypeError, NameError) as error:
        reason = str(error).splitlines()[-1]
        raise PluginError(
            f"A route names a type that JSON cannot express: {reason}. Use types that msgspec knows"
        ) from None
    owners: dict[str, str] = {}
    for name, schema in schemas.items():
        title = re.sub(r"\W+", "", schema["title"])
        if title in owners:
            raise PluginError(f"The types {owners[title]} and {name} have one name in /schema/openapi.json. Rename one")
        owners[title] = name


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: without tuples and the like."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _operation(route: Route, query: Json, options: Json) -> Json:
    operation = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "parameters": [*_parameters(route), *_query(query), *_query(options)],
        "responses": {str(status): answer for status, answer in sorted(_responses(route).items())},
        "security": list(route.security),
    }
    if route.body is not None:
        content = _content(route.body.content)
        if options and FORM_TYPE in content:
            form = content[FORM_TYPE]["schema"]
            content[FORM_TYPE] = {"schema": form | {"properties": {**form["properties"], **options}}}
        operation["requestBody"] = {"content": content, "required": route.body.required}
    return {name: value for name, value in operation.items() if value != []}


def _parameters(route: Route) -> list[Json]:
    in_path = [
        {"name": _camel(name), "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in route.path_parameters.items()
    ]
    return in_path + [{"name": header.name, "in": "header", **_header(header)} for header in route.headers]


def _query(fields: Json) -> list[Json]:
    return [
        {
            "name": name,
            "in": "query",
            "required": "default" not in schema,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in fields.items()
    ]


def _responses(route: Route) -> dict[int, Json]:
    answers = {
        status: {
            "description": answer.description or HTTPStatus(status).description,
            "headers": {header.name: _header(header) for header in answer.headers} | _shared_headers(REQUEST_ID),
            **({"content": _content(answer.content)} if answer.content else {}),
        }
        for status, answer in route.answers.items()
    }
    by_status: dict[int, list[ErrorCode]] = {}
    for code in (*route.refusals, *ALWAYS):
        by_status.setdefault(code.entry.status, []).append(code)
    refusals = {
        status: {
            "description": " ".join(f"`{code}`: {code.entry.message}." for code in codes),
            "headers": _shared_headers(REQUEST_ID, X_ERROR_CODE, CACHING.name, *OF_STATUS.get(status, ())),
            "content": _content({PROBLEM_TYPE: Problem}),
        }
        for status, codes in by_status.items()
    }
    return answers | refusals


def _shared_headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(header: Header) -> Json:
    return {"description": header.description, "required": header.required, "schema": header.schema}


def _content(content: Content) -> Json:
    return {media_type: {"schema": _schema_of(kind)} for media_type, kind in content.items()}


def _schema_of(kind: Any) -> Json:
    return dict(kind) if isinstance(kind, Mapping) else {"$ref": _ref(kind)}


def _ref(kind: Any) -> str:
    return SCHEMAS.format(name=_name(kind))


def _name(kind: Any) -> str:
    """Return the name of a type's schema in the document: `Success[State]` becomes `SuccessState`."""
    return "".join(part.__name__ for part in (get_origin(kind) or kind, *get_args(kind)))


def _camel(text: str) -> str:
    """Return a path or a name of a path parameter with its names as they are written in JSON."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), text.replace(":path}", "}"))


def _fields(kind: type[msgspec.Struct] | None, *, take_null: bool = True) -> tuple[Json, Json]:
    """Return the schemas of a struct's fields, by name, and the schemas that these refer to."""
    if kind is None:
        return {}, {}
    parts = _components([kind], take_null=take_null)
    own = parts.pop(_name(kind))
    return own.get("properties", {}), parts


def _schemas(routes: Sequence[Route], pipelines: Sequence[Pipeline]) -> Json:
    bodies = [route.body.content for route in routes if route.body is not None]
    answers = [answer.content for route in routes for answer in route.answers.values()]
    schemas = (
        _components(_types(bodies), take_null=True)
        | message_components(SCHEMAS)
        | _components([*_types(answers), Problem, ItemError])
    )
    result, used = _result(pipelines)
    members, used_by_members = _error_members(pipelines)
    schemas[ResultItem.__name__]["properties"]["result"] |= result
    schemas[ItemError.__name__]["properties"] |= members
    for kind in (Problem, ItemError, JobError):
        code = schemas[kind.__name__]["properties"]["code"]
        code["anyOf"] = [{"$ref": _ref(ErrorCode)}, {"type": code.pop("type")}]
    message = {"description": DESCRIPTION, "oneOf": branches(SCHEMAS)}
    return (
        used
        | used_by_members
        | schemas
        | {
            "Message": message,
            ErrorCode.__name__: _error_codes(routes, pipelines),
        }
    )


def _error_codes(routes: Iterable[Route], pipelines: Iterable[Pipeline]) -> Json:
    """Return the schema of the known error codes, with what a client does and shows where it meets one."""
    tables: dict[type[ErrorCode], None] = dict.fromkeys(
        [
            Code,
            *(type(code) for route in routes for code in route.refusals),
            *(pipeline.codes for pipeline in pipelines if pipeline.codes is not None),
        ]
    )
    return {
        "type": "string",
        "description": "The error codes that are known. Others may come, from later versions and from pipelines.",
        "oneOf": [
            {
                "const": str(code),
                "description": f"{code.entry.message}.",
                "x-retryable": code.entry.retryable,
                "x-user-message": code.entry.user_message,
            }
            for table in tables
            for code in table
        ],
    }


def _result(pipelines: Iterable[Pipeline]) -> tuple[Json, Json]:
    """Return the schema of what any of the pipelines makes of an item, and the schemas that it refers to."""
    kinds = dict.fromkeys(pipeline.result for pipeline in pipelines)
    made = [msgspec.json.schema_components([kind], ref_template=SCHEMAS)[0][0] for kind in kinds]
    used = _components([kind for kind in kinds if kind is not Any])
    return ({"anyOf": made} if made else {}), used


def _error_members(pipelines: Iterable[Pipeline]) -> tuple[Json, Json]:
    """Return the members that the pipelines add to the error of an item, and the schemas that these refer to."""
    members: Json = {}
    used: Json = {}
    for kind in dict.fromkeys(pipeline.failure for pipeline in pipelines):
        own, parts = _fields(kind, take_null=False)
        members |= own
        used |= parts
    return members, used


def _types(contents: Iterable[Content]) -> list[Any]:
    """Return the types among some contents, each once."""
    kinds = (kind for content in contents for kind in content.values() if not isinstance(kind, Mapping))
    return list(dict.fromkeys(kinds))


def _components(kinds: Iterable[Any], *, take_null: bool = False) -> Json:
    made = components(kinds, SCHEMAS, take_null=take_null)
    return {re.sub(r"\W+", "", schema["title"]): schema for schema in made.values()}
