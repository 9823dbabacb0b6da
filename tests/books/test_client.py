"""The books' client: a method for each way to start one of their jobs, and nothing of a server behind it."""

import inspect
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.client import CREATION_PATHS, BlockingBooksClient, BooksClient
from shelfwire.client import JobHandle, Upload
from shelfwire.client.testing import FakeServer, InstantClock

BOOKS = Path("books.csv")
PHOTO = Upload("shelf.jpg", b"...")


def fake() -> FakeServer:
    return FakeServer(creation_paths=CREATION_PATHS)


def sent(server: FakeServer) -> list[tuple[Any, ...]]:
    """What each request asked for, besides its headers."""
    return [(one.path, list(one.files), one.fields, one.params, one.json) for one in server.requests]


async def test_every_method_creates_a_job_of_its_pipeline() -> None:
    server = fake()
    async with BooksClient(http=server, clock=InstantClock()) as client:
        started = [
            await client.import_csv(BOOKS),
            await client.scan([PHOTO]),
            await client.scan([PHOTO, "more.png"]),
            await client.enrich([{"title": "Emma"}]),
        ]
    pipelines = [server.jobs[job.job_id].state.pipeline for job in started]
    assert pipelines == ["csv_import", "ai_scan", "ai_scan", "batch_enrichment"]
    assert sent(server) == [
        ("/api/import/csv-gemini", [("file", BOOKS)], {}, {}, None),
        ("/api/scan-bookshelf", [("image", PHOTO)], {}, {}, None),
        ("/api/scan-bookshelf/batch", [("images", PHOTO), ("images", Path("more.png"))], {}, {}, None),
        ("/api/enrichment/batch", [], {}, {}, {"books": [{"title": "Emma"}]}),
    ]


async def test_what_may_be_chosen_goes_out_with_the_files() -> None:
    server = fake()
    mine = [str(uuid.uuid4()) for _ in range(3)]
    async with BooksClient(http=server, clock=InstantClock()) as client:
        await client.import_csv(str(BOOKS), gemini="never", enrich=True, job_id=mine[0])
        await client.scan([PHOTO], enrich=True, job_id=mine[1])
        await client.enrich([], job_id=mine[2])
    assert sent(server) == [
        (
            "/api/import/csv-gemini",
            [("file", BOOKS)],
            {"gemini": "never", "jobId": mine[0]},
            {"enrich": "true"},
            None,
        ),
        ("/api/scan-bookshelf", [("image", PHOTO)], {"jobId": mine[1]}, {"enrich": "true"}, None),
        ("/api/enrichment/batch", [], {}, {}, {"books": [], "jobId": mine[2]}),
    ]
    assert list(server.jobs) == mine


async def test_the_same_key_means_the_same_job_for_every_method() -> None:
    server = fake()
    async with BooksClient(http=server, clock=InstantClock()) as client:
        for key in ("one", "one", "two"):
            await client.import_csv(BOOKS, idempotency_key=key)
            await client.scan([PHOTO], idempotency_key=f"{key} scan".replace(" ", "-"))
            await client.enrich([], idempotency_key=f"{key}-enrich")
    assert len(server.jobs) == 6


def test_a_script_has_the_same_methods() -> None:
    server = fake()
    with BlockingBooksClient(http=server, clock=InstantClock()) as client:
        jobs: list[JobHandle] = [
            client.import_csv(BOOKS),
            client.scan([PHOTO]),
            client.enrich([{"title": "Emma"}]),
            client.start("csv_import", file=BOOKS),
        ]
        assert client.state(jobs[0])["pipeline"] == "csv_import"
    assert [server.jobs[job.job_id].state.pipeline for job in jobs] == [
        "csv_import",
        "ai_scan",
        "batch_enrichment",
        "csv_import",
    ]


def test_a_script_has_every_method() -> None:
    methods = {name for name, _ in inspect.getmembers(BooksClient, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"aclose"} <= set(dir(BlockingBooksClient))
    assert inspect.getdoc(BlockingBooksClient.scan) == inspect.getdoc(BooksClient.scan)


@pytest.mark.parametrize(
    "module", ["shelfwire.client", "shelfwire.client.blocking", "shelfwire.client.testing", "shelfwire.books.client"]
)
def test_a_client_loads_nothing_of_a_server(module: str) -> None:
    servers = {"litestar", "starlette", "uvicorn", "sqlalchemy", "alembic", "structlog", "prometheus_client"}
    engine = {f"shelfwire.{part}" for part in ("app", "cli", "jobs.service", "jobs.job", "server", "stores", "web")}
    if "books" not in module:  # a plug-in's package declares settings, and limits that nodes share
        engine |= {"shelfwire.jobs", "shelfwire.plugins", "shelfwire.settings"}
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert module in loaded
    assert {name for name in loaded if name in servers | engine} == set()
    books = {name for name in loaded if name.startswith("shelfwire.books")}
    assert books <= {f"shelfwire.books{part}" for part in ("", ".client", ".codes", ".settings") if "books" in module}
