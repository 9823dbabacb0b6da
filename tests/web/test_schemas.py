"""The server serves the documents that describe it, and they are whole."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from shelfwire.app import Shelfwire
from shelfwire.books.codes import BookCode
from shelfwire.errors import Code
from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.json_schema import message_schema
from shelfwire.settings import Settings
from tests.live import MakeServer

OPENAPI = Shelfwire().openapi()
SCHEMAS: dict[str, Any] = OPENAPI["components"]["schemas"]
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for path in OPENAPI["paths"].values() for operation in path.values()
}


def references(node: Any) -> set[str]:
    match node:
        case {"$ref": str(reference)}:
            return {reference}
        case dict():
            return {found for value in node.values() for found in references(value)}
        case list():
            return {found for value in node for found in references(value)}
        case _:
            return set()


async def test_each_document_is_served_to_anybody(make_server: MakeServer) -> None:
    async with make_server() as server:
        for name, content in {"openapi": OPENAPI, "asyncapi": asyncapi(), "messages": message_schema()}.items():
            response = await server.http.get(f"/schema/{name}.json")
            assert (response.status_code, response.json()) == (200, content)
            assert response.headers["content-type"].endswith("json")


async def test_the_document_of_a_mounted_server_says_where_it_is(tmp_path: Path) -> None:
    app = Shelfwire(Settings(data=tmp_path))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/books", "path": scope["path"].removeprefix("/books")}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(mounted), base_url="http://x") as http:
        response = await http.get("/books/schema/openapi.json")
    assert response.json()["servers"] == [{"url": "/books"}]


def test_the_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(OPENAPI).validate()


def test_every_route_is_in_it_and_may_be_refused() -> None:
    documented = [route for route in Shelfwire().routes if route.documented]
    assert list(OPERATIONS) == [route.operation_id for route in documented]
    for name, operation in OPERATIONS.items():
        assert {"400", "500", "503"} <= set(operation["responses"]), name
        assert operation["summary"].endswith("."), name


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    targets = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in OPENAPI["components"][kind]}
    assert references(OPENAPI) == targets


def test_every_member_says_what_it_means() -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, about in schema.get("properties", {}).items()
        if "description" not in about and not name.endswith("Message")
    ]
    assert silent == []


def test_a_member_that_is_left_out_while_unset_is_never_null_and_one_that_is_always_there_may_be() -> None:
    state = SCHEMAS["State"]
    assert state["properties"]["currentTitle"]["type"] == "string"
    assert "currentTitle" not in state["required"]
    assert {"type": "null"} in SCHEMAS["ResultPage"]["properties"]["next"]["anyOf"]


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        ("import_csv", {Code.UNAUTHORIZED, Code.RATE_LIMITED, Code.FILE_TOO_LARGE, Code.IDEMPOTENCY_MISMATCH}),
        ("create_job", {Code.NOT_FOUND, Code.UNSUPPORTED_MEDIA}),
        ("job_state", {Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN, Code.OVERLOADED}),
        ("cancel", {Code.JOB_STATE}),
    ],
)
def test_a_refusal_is_told_by_its_status_with_all_its_codes(operation: str, codes: set[Code]) -> None:
    responses = OPERATIONS[operation]["responses"]
    for code in codes:
        assert f"`{code}`: " in responses[str(code.entry.status)]["description"]


async def test_options_names_every_method_of_an_address(make_server: MakeServer) -> None:
    async with make_server() as server:
        answers = {
            path: await server.http.options(path)
            for path in ("/api/jobs/x", "/api/jobs/x/token", "/api/jobs/x/results")
        }
    assert {path: allowed(answer) for path, answer in answers.items()} == {
        "/api/jobs/x": {"DELETE", "GET", "OPTIONS"},
        "/api/jobs/x/token": {"DELETE", "OPTIONS", "POST"},
        "/api/jobs/x/results": {"GET", "OPTIONS"},
    }


def allowed(answer: httpx2.Response) -> set[str]:
    return set(answer.headers["allow"].split(", "))


async def test_an_empty_id_in_a_form_is_refused_rather_than_passed_over(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.post(
            "/api/import/csv-gemini", data={"jobId": ""}, files={"file": ("a.csv", b"Title\nEmma\n")}
        )
    assert (response.status_code, "leave it out" in response.json()["detail"]) == (400, True)


def test_every_error_code_says_whether_to_try_again_and_what_to_show() -> None:
    codes = {about["const"]: about for about in SCHEMAS["ErrorCode"]["oneOf"]}
    assert set(codes) == {str(code) for code in (*Code, *BookCode)}
    for code in (*Code, *BookCode):
        assert codes[code]["x-retryable"] is code.entry.retryable
        assert codes[code]["x-user-message"] == code.entry.user_message
    for name in ("Problem", "ItemError", "JobError"):
        known, others = SCHEMAS[name]["properties"]["code"]["anyOf"]
        assert known == {"$ref": "#/components/schemas/ErrorCode"}
        assert others == {"type": "string"}, "clients must take codes that they do not know"
