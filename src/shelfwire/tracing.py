"""Spans for OpenTelemetry, where its API is installed: the extra `shelfwire[otel]`.

There is no switch of our own. The API does nothing until somebody gives it a provider: an application that mounts us,
or `opentelemetry-instrument shelfwire serve` with the standard `OTEL_…` variables. Attributes are ids and names; no
span holds a query, a token, an exception's text or anybody's data.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline

try:
    from opentelemetry import propagate, trace
except ImportError:
    installed = False
else:
    installed = True

NAME = "shelfwire"
FIRST_SERVER_ERROR = 500


def is_traced() -> bool:
    """Whether somebody has given OpenTelemetry a provider, so that requests have spans."""
    return installed and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def traced_pipelines(pipelines: Mapping[str, Pipeline]) -> Mapping[str, Pipeline]:
    """Put a span around each attempt of these pipelines; without OpenTelemetry they stay as they are."""
    if not installed:
        return pipelines
    return {name: _TracedPipeline(pipeline) for name, pipeline in pipelines.items()}


def traced_application(application: ASGIApp) -> ASGIApp:
    """Put a span around each HTTP request; without OpenTelemetry the application stays as it is."""
    return _TracedApplication(application) if installed else application


class _TracedPipeline(Pipeline):
    def __init__(self, pipeline: Pipeline) -> None:
        self.name = pipeline.name
        self.options = pipeline.options
        self._pipeline = pipeline
        self._tracer = trace.get_tracer(NAME)

    async def run(self, job: Job) -> str:
        attributes: dict[str, str | int] = {
            "shelfwire.job.id": job.id,
            "shelfwire.pipeline": self.name,
            "shelfwire.attempt": job.attempt,
        }
        with self._tracer.start_as_current_span(
            f"attempt {self.name}", attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                return await self._pipeline.run(job)
            except Exception as error:
                kind = str(error.code) if isinstance(error, ShelfwireError) else type(error).__name__
                span.set_attribute("error.type", kind)
                span.set_status(trace.StatusCode.ERROR)
                raise


class _TracedApplication:
    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._tracer = trace.get_tracer(NAME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        method = str(scope["method"])
        caller = propagate.extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        attributes = {"http.request.method": method, "url.path": scope["path"]}
        with self._tracer.start_as_current_span(
            method,
            context=caller,
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def sending(event: Message) -> None:
                if event["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", event["status"])
                    if event["status"] >= FIRST_SERVER_ERROR:
                        span.set_status(trace.StatusCode.ERROR)
                await send(event)

            await self._application(scope, receive, sending)
            route = scope.get("path_template")
            if route:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
