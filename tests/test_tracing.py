import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shelfwire.books.codes import BookCode
from tests.live import MakeServer, bearer

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """The process's provider can be set once only; whoever else runs in it is traced too, which changes nothing."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


async def test_an_attempt_at_a_job_is_a_span_with_the_jobs_id(
    make_server: MakeServer, spans: InMemorySpanExporter
) -> None:
    async with make_server() as server:
        job = await server.submit()
        await server.ended(job)
        failed = await server.submit(b"Title\n")
        await server.ended(failed)
    good, bad = named(spans, "attempt csv_import")
    expected = {"shelfwire.job.id": job["jobId"], "shelfwire.pipeline": "csv_import", "shelfwire.attempt": 1}
    assert attributes(good) == expected
    assert good.status.status_code is trace.StatusCode.UNSET
    assert attributes(bad)["error.type"] == BookCode.CSV_NO_BOOKS
    assert bad.status.status_code is trace.StatusCode.ERROR


async def test_a_request_is_a_span_by_its_route_in_its_callers_trace(
    make_server: MakeServer, spans: InMemorySpanExporter
) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        url = f"{job['links']['self']}?token={job['token']}"
        await server.http.get(url, headers={**bearer(job["token"]), "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    (span,) = named(spans, "GET /api/jobs/{job_id}")
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "/api/jobs/{job_id}",
        "http.response.status_code": 200,
        "url.path": f"/api/jobs/{job['jobId']}",
    }
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.kind is trace.SpanKind.SERVER
    assert job["token"] not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_a_request_without_a_route_is_a_span_too(make_server: MakeServer, spans: InMemorySpanExporter) -> None:
    async with make_server() as server:
        await server.http.get("/nowhere")
    (span,) = named(spans, "GET")
    assert attributes(span)["http.response.status_code"] == 404


def test_without_opentelemetry_nothing_is_traced_and_nothing_breaks() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from shelfwire import tracing\n"
        "from shelfwire.app import Shelfwire\n"
        "application, pipelines = object(), {}\n"
        "assert tracing.traced_application(application) is application\n"
        "assert tracing.traced_pipelines(pipelines) is pipelines\n"
        "Shelfwire()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")
