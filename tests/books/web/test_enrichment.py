"""Lists of books to enrich, over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.live import MakeServer, Server

BATCH = "/api/enrichment/batch"
NOBODY: dict[str, Any] = {"providers": ("catalogue",)}
"""Nobody is asked: there is no catalogue."""


async def post(server: Server, books: Any, path: str = BATCH, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    return await server.http.post(path, json={"books": books, **more}, headers=headers)


async def test_the_caller_is_told_how_many_books_there_are(make_server: MakeServer) -> None:
    async with make_server(**NOBODY) as server:
        response = await post(server, [{"title": "Emma"}, {"title": "Dune", "isbn": "9780441172719"}])
        created = response.json()["data"]
        state = await server.ended(created)
    assert response.status_code == 202
    assert response.headers["location"] == f"/api/jobs/{created['jobId']}"
    assert (created["success"], created["totalCount"], state["totalCount"]) == (True, 2, 2)
    assert {error["code"] for error in state["results"]["errors"]} == {"E_PROVIDER_UNAVAILABLE"}


async def test_a_list_may_have_1000_books_at_the_bounds_of_what_each_may_be(make_server: MakeServer) -> None:
    book = {"title": "ü" * 500, "author": "ü" * 300, "isbn": "978-0-441-17271-9"}
    async with make_server(**NOBODY) as server:
        response = await post(server, [book] * 1000)
    assert (response.status_code, response.json()["data"]["totalCount"]) == (202, 1000)


async def test_an_id_of_the_callers_own_choice_is_taken(make_server: MakeServer) -> None:
    own = "7b0c6f0e-3c39-4a57-a7b1-6bd8b7e4f0a1"
    async with make_server(**NOBODY) as server:
        first = await post(server, [{"title": "Emma"}], jobId=own)
        second = await post(server, [{"title": "Emma"}], jobId=own)
    assert first.json()["data"]["jobId"] == own
    assert (second.status_code, second.json()["code"]) == (409, "E_JOB_EXISTS")


@pytest.mark.parametrize("path", [BATCH, "/api/pipelines/batch_enrichment/jobs"])
async def test_a_bad_book_is_refused_at_the_door_and_named_by_its_index_and_field(
    make_server: MakeServer, path: str
) -> None:
    async with make_server(**NOBODY) as server:
        response = await post(server, [{"title": "Emma"}, {"title": "x" * 501}], path)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (400, "E_INVALID_REQUEST")
    assert problem["details"] == {"index": 1, "field": "title"}
    assert "books[1].title has 501 characters" in problem["detail"]


@pytest.mark.parametrize("books", [[], None, "Emma", [{"title": "Emma"}] * 1001])
async def test_what_is_no_list_of_1_to_1000_books_is_refused(make_server: MakeServer, books: Any) -> None:
    async with make_server(**NOBODY) as server:
        response = await post(server, books)
    assert (response.status_code, response.json()["code"]) == (400, "E_INVALID_REQUEST")


async def test_a_form_is_refused_with_what_to_send_instead(make_server: MakeServer) -> None:
    async with make_server(**NOBODY) as server:
        response = await server.http.post(BATCH, files={"file": ("books.csv", b"Title\nEmma\n")})
    assert (response.status_code, response.json()["code"]) == (415, "E_UNSUPPORTED_MEDIA")
    assert "application/json" in response.json()["detail"]


async def test_the_same_request_again_with_its_key_is_the_same_job(make_server: MakeServer) -> None:
    key = {"Idempotency-Key": "an-unguessable-key"}
    async with make_server(**NOBODY) as server:
        first, second = [await post(server, [{"title": "Emma"}], headers=key) for _ in range(2)]
        other = await post(server, [{"title": "Dune"}], headers=key)
    assert first.json()["data"]["jobId"] == second.json()["data"]["jobId"]
    assert second.json()["data"]["totalCount"] == 1
    assert other.json()["code"] == "E_IDEMPOTENCY_MISMATCH"
