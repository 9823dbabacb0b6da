"""HTTP routes as data: the router and the OpenAPI document are made from them. Plug-ins use the same class."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp

from shelfwire.errors import Code, ErrorCode
from shelfwire.jobs.callbacks import CallbackRules
from shelfwire.jobs.figures import Recorder
from shelfwire.jobs.operator import Operator
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.service import JobService
from shelfwire.metrics import Metrics
from shelfwire.settings import Settings
from shelfwire.web.access import Access
from shelfwire.web.connection_limit import ConnectionLimit
from shelfwire.web.large_answers import LargeAnswers

Schema = Mapping[str, Any]
"""A JSON schema."""
Content = Mapping[str, Any]
"""Bodies by media type: each a type that msgspec makes a schema of, or a `Schema`."""
Security = Sequence[Mapping[str, Sequence[str]]]
"""The ways to be authorized, any of which is enough: requirements of OpenAPI."""

TOKEN: Final[Security] = ({"token": ()},)
TOKEN_OR_QUERY: Final[Security] = ({"token": ()}, {"tokenInQuery": ()})
API_KEY: Final[Security] = ({"apiKey": ()}, {})

OPERATOR: Final[Security] = ({"apiKey": ()},)

TEXT: Final[Schema] = {"type": "string"}
ALWAYS: Final = (Code.INVALID_REQUEST, Code.MISDIRECTED, Code.INTERNAL, Code.STORAGE_UNAVAILABLE)
"""The codes that any request may be refused with."""
OPERATORS: Final = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND)
"""The codes that a request with an operator's key may be refused with."""
OWNER: Final = (Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN)
"""The codes that a request with a job's token may be refused with."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """A header of a request or of an answer.

    Attributes:
        name: the name.
        description: a sentence.
        schema: the JSON schema of its value.
        required: whether it is always there.
    """

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: TEXT)
    required: bool = False


CACHING: Final = Header(name="Cache-Control", description="Whether the answer may be kept.", required=True)


@dataclass(frozen=True, kw_only=True)
class RequestBody:
    """The body of a request.

    Attributes:
        content: its types.
        required: whether there must be one.
    """

    content: Content
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response other than a refusal.

    Attributes:
        content: its types; none where it has no body.
        headers: its headers beside those of every answer.
        description: a sentence; the meaning of the status unless given.
    """

    content: Content = field(default_factory=dict)
    headers: Sequence[Header] = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The application as a handler of requests sees it.

    Attributes:
        running: returns the engine while the application runs, and raises RuntimeError otherwise.
        operating: likewise the interface to operators.
        recording: likewise the figures over time.
        settings: the server's settings.
        access: the API keys and limits of callers.
        connections: counts and limits the followers of this server.
        metrics: the figures for Prometheus.
        pipelines: the pipelines that jobs can be made for, by name.
        routes: all routes.
        callbacks: which addresses may be called when a job ends.
        exports: by pipeline and format, the function of a plug-in that writes results; see `Plugin.exports`.
        large_answers: bounds what pages of results take of the memory.
    """

    running: Callable[[], JobService]
    operating: Callable[[], Operator]
    recording: Callable[[], Recorder]
    settings: Settings
    access: Access
    connections: ConnectionLimit
    metrics: Metrics
    pipelines: Mapping[str, Pipeline]
    routes: Sequence["Route"]
    callbacks: CallbackRules
    exports: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    large_answers: LargeAnswers = field(default_factory=LargeAnswers)

    @property
    def service(self) -> JobService:
        """The engine.

        Raises:
            RuntimeError: the application does not run.
        """
        return self.running()

    @property
    def operator(self) -> Operator:
        """What operators do.

        Raises:
            RuntimeError: the application does not run.
        """
        return self.operating()

    @property
    def recorder(self) -> Recorder:
        """The figures over time.

        Raises:
            RuntimeError: the application does not run.
        """
        return self.recording()


Handler = Callable[[Request, Context], Awaitable[ASGIApp]]
"""Returns what answers a request: one of Starlette's responses, or any ASGI application.

A `ShelfwireError` that it raises is answered as a problem document.
"""


@dataclass(frozen=True, kw_only=True)
class Route:
    """What answers one method of one path, and its description.

    Attributes:
        method: the HTTP method.
        path: the path relative to the mount point; `{name}` is a path parameter, `{name:path}` one with slashes in it.
        handler: makes the answer.
        answers: the responses other than refusals, by status.
        operation_id: names the operation for programs; the name of the handler unless given.
        summary: a sentence; the first line of the handler's docstring unless given.
        security: the ways to be authorized; empty for a public route.
        path_parameters: a sentence about each segment that varies, by its name.
        query: the query parameters, as a struct: see `parameters.query_of`.
        headers: the headers that it reads, beside those that authorize.
        body: the body that it reads.
        pipeline: the pipeline that it makes jobs for; the options of that one are parameters, too.
        refusals: the codes that it may refuse a request with, beside those that every route may.
        documented: whether it is in the OpenAPI document.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    answers: Mapping[int, Answer]
    operation_id: str = ""
    summary: str = ""
    security: Security = ()
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: type[msgspec.Struct] | None = None
    headers: Sequence[Header] = ()
    body: RequestBody | None = None
    pipeline: str | None = None
    refusals: Sequence[ErrorCode] = ()
    documented: bool = True

    def __post_init__(self) -> None:
        """Take from the handler what is not given."""
        if not self.operation_id:
            object.__setattr__(self, "operation_id", getattr(self.handler, "__name__", ""))
        if not self.summary:
            object.__setattr__(self, "summary", (self.handler.__doc__ or "").partition("\n")[0])


def job_route(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    below: str,
    handler: Handler,
    answers: Mapping[int, Answer],
    *,
    refusals: Sequence[ErrorCode] = (),
    security: Security = TOKEN,
    path_parameters: Mapping[str, str] = MappingProxyType({}),
    by_operators: bool = True,
    **more: Any,
) -> Route:
    """Describe a route of one job, `/api/jobs/{job_id}` and what is below it, which the job's token authorizes.

    Args:
        method: see `Route`.
        below: the path below the job's.
        handler: see `Route`.
        answers: see `Route`.
        refusals: the codes beside those of `OWNER`.
        security: see `Route`.
        path_parameters: those beside the job.
        by_operators: whether an operator's API key authorizes it, too; see `visitors.visitor_of`.
        **more: see `Route`.
    """
    return Route(
        method=method,
        path=f"/api/jobs/{{job_id}}{below}",
        handler=handler,
        answers=answers,
        security=(*security, *OPERATOR) if by_operators else security,
        path_parameters={"job_id": "The job.", **path_parameters},
        refusals=(*OWNER, *((Code.NOT_FOUND,) if by_operators else ()), *refusals),
        **more,
    )
