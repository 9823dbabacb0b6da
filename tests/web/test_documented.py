"""Whatever a program makes of the OpenAPI document is answered as the document says."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from shelfwire.app import Shelfwire
from tests.processes import Process

SECONDS = 60
EXAMPLES = 10
ACCEPTING = [*range(200, 300), 304, 401, 403, 404, 409, 415, 422, 429]
"""What may become of a valid request; 415 where it should be a photo, 422 where its Idempotency-Key was used before."""
CONFIG = {
    "seed": 1,
    "generation": {
        "deterministic": True,
        "max-examples": EXAMPLES,
        "database": "none",
        "allow-extra-parameters": False,  # they are passed over, as everywhere
    },
    "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTING}},
}
INSTALLED_SERVER = Path(__file__).with_name("installed_server.py")
LIBRARY = b"Title,Author\nEmma,Jane Austen\nEmma,Jane Austen\n,\n"
"""One book, one that fails, so that there is something to retry."""

api = schemathesis.openapi.from_dict(Shelfwire().openapi(), config=SchemathesisConfig.from_dict(CONFIG))
Case = schemathesis.Case[Any]


@api.hook
def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """Write whole numbers without a fraction, number the photos, which no schema can ask for, and wait for nothing."""
    if not isinstance(body, dict):
        return body
    if "wait" in body:
        body = body | {"wait": 0}  # nobody makes a job meanwhile
    photos = body.get("images")
    if isinstance(photos, list) and all(isinstance(photo, dict) for photo in photos):
        body = body | {"images": [photo | {"index": place} for place, photo in enumerate(photos)]}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()
    }


@dataclass
class Server:
    """A server in a process of its own, and a job of it that has ended."""

    url: str
    http: httpx2.Client
    ended: dict[str, Any]


def submit(http: httpx2.Client) -> dict[str, Any]:
    response = http.post("/api/import/csv-gemini", files={"file": ("books.csv", LIBRARY)})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()["data"]
    return job


def bearer(job: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {job['token']}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # With a key for a Gemini that nobody is: without one, the server may refuse to always ask it.
    gemini = {"gemini_api_key": "made-up", "gemini_url": "http://127.0.0.1:9"}
    # Nor is anybody asked about the books that a program makes up.
    nobody = dict.fromkeys(["open_library_url", "google_books_url"], "http://127.0.0.1:9")
    data = tmp_path_factory.mktemp("documented")
    flags = {"data": str(data), "port": 0, "create_limit": 0, **gemini, **nobody}
    stdin, alive = os.pipe()
    with (
        os.fdopen(stdin) as nothing,
        os.fdopen(alive, "w"),
        (data / "server.log").open("w") as log,
        Process(
            str(INSTALLED_SERVER), json.dumps(flags), env=os.environ, stdin=nothing.fileno(), stderr=log.fileno()
        ) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx2.Client(base_url=url, timeout=SECONDS) as http:
            ended = submit(http)
            story = http.get(f"/api/jobs/{ended['jobId']}/events", headers=bearer(ended))
            assert "event: job_complete" in story.text
            yield Server(url, http, ended)
        process.terminate()
        process.communicate()


def ask(case: Case, server: Server, job: dict[str, Any]) -> None:
    mine = {"jobId": job["jobId"], "pipeline": "csv_import"}
    case.path_parameters = {name: mine[name] for name in case.path_parameters}
    case.call_and_validate(base_url=server.url, headers=bearer(job), timeout=SECONDS)


@api.include(path_regex="^/api/jobs/").exclude(path_regex="/token$").exclude(method="DELETE").parametrize()
def test_the_owner_of_a_job_that_has_ended_is_answered_as_documented(case: Case, server: Server) -> None:
    ask(case, server, server.ended)


@api.include(path_regex="^/api/(jobs|pipelines)/", method=["POST", "DELETE"]).parametrize()
def test_the_owner_of_a_new_job_is_answered_as_documented(case: Case, server: Server) -> None:
    ask(case, server, submit(server.http))


@api.parametrize()
def test_a_stranger_is_answered_as_documented(case: Case, server: Server) -> None:
    case.call_and_validate(base_url=server.url, timeout=SECONDS)
