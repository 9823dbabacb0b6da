"""The pipeline in a running server, which asks a local server that plays the services."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, Book, Catalogues, Trouble, always, library
from tests.live import Server, bearer, live_server, until

BOOKS = library(30)
NOBODY_WROTE = {"title": "A Book Nobody Wrote", "author": "Nobody"}


@asynccontextmanager
async def running(folder: Path, services: Catalogues, **settings: Any) -> AsyncIterator[Server]:
    async with services.serving(), live_server(folder, **{**services.settings, **settings}) as server:
        yield server


async def submit(server: Server, books: Sequence[Any]) -> dict[str, Any]:
    response = await server.http.post("/api/pipelines/batch_enrichment/jobs", json={"books": books})
    assert response.status_code == 202, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


async def items(server: Server, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    response = await server.ask("GET", job, "/results", params={"limit": 1000, **query})
    found: list[dict[str, Any]] = response.json()["data"]["items"]
    return found


def asked(books: Sequence[Book]) -> list[dict[str, str]]:
    return [book.asked for book in books]


async def test_every_book_is_an_item_found_or_not(tmp_path: Path) -> None:
    async with running(tmp_path, Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})) as server:
        job = await submit(server, [*asked(BOOKS[:3]), NOBODY_WROTE, BOOKS[4].asked])
        state = await server.ended(job)
        results = await items(server, job)
    assert (state["status"], state["totalCount"], state["successCount"], state["failureCount"]) == ("complete", 5, 4, 1)
    assert [item["ok"] for item in results] == [True, True, True, False, True]
    assert [item["title"] for item in results] == [
        *(book.title for book in BOOKS[:3]),
        NOBODY_WROTE["title"],
        BOOKS[4].title,
    ]
    assert results[4]["result"]["index"] == 4
    assert results[4]["result"]["isbn13"] == BOOKS[4].isbn13
    assert results[3]["error"]["code"] == "E_ENRICHMENT_FAILED"
    assert results[3]["error"]["asked"] == NOBODY_WROTE
    assert [book["title"] for book in state["results"]["books"]] == [item["title"] for item in results if item["ok"]]
    assert [error["index"] for error in state["results"]["errors"]] == [3]


async def test_a_retry_is_about_the_books_that_were_not_found(tmp_path: Path) -> None:
    known = {OPEN_LIBRARY: BOOKS[:20], GOOGLE_BOOKS: BOOKS}
    services = Catalogues(known, plan=always(Trouble(status=403, body='{"error": "quota exceeded"}'), GOOGLE_BOOKS))
    async with services.serving():
        async with live_server(tmp_path, **services.settings) as server:
            job = await submit(server, asked(BOOKS))
            state = await server.ended(job)
            failed = await items(server, job, status="failed")
        services.plan = lambda _: None
        # A new process: the provider is not given up any more.
        async with live_server(tmp_path, **services.settings) as server:
            retry = (await server.ask("POST", job, "/retry")).json()["data"]
            again = await server.ended(retry)
            results = await items(server, retry)
    assert (state["successCount"], state["failureCount"]) == (20, 10)
    assert {item["error"]["code"] for item in failed} == {"E_PROVIDER_UNAVAILABLE"}
    assert {tuple(item["error"]["providers"]) for item in failed} == {(GOOGLE_BOOKS,)}
    assert (again["successCount"], again["failureCount"]) == (10, 0)
    assert [item["sourceIndex"] for item in results] == [item["index"] for item in failed]
    assert [item["result"]["index"] for item in results] == list(range(20, 30))


async def test_a_book_that_was_not_found_is_mended_and_found(tmp_path: Path) -> None:
    async with running(tmp_path, Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})) as server:
        job = await submit(server, [BOOKS[0].asked, NOBODY_WROTE])
        await server.ended(job)
        mended = {"items": [{"index": 1, "book": BOOKS[4].asked}], "only": "given"}
        again = (await server.ask("POST", job, "/retry", json=mended)).json()["data"]
        await server.ended(again)
        (found,) = await items(server, again)
        refused = await server.ask("POST", job, "/retry", json={"items": [{"index": 1, "cells": {}}]})
    assert (found["sourceIndex"], found["result"]["isbn13"]) == (1, BOOKS[4].isbn13)
    assert (refused.status_code, refused.json()["code"]) == (400, "E_INVALID_REQUEST")


async def test_two_jobs_with_the_same_books_ask_for_each_once(tmp_path: Path) -> None:
    services = Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})
    async with running(tmp_path, services) as server:
        services.gate.clear()
        jobs = [await submit(server, asked(BOOKS)), await submit(server, asked(BOOKS[::-1]))]
        await until(lambda: len(services.keys(OPEN_LIBRARY, "isbn")) == len(BOOKS))
        services.gate.set()
        states = [await server.ended(job) for job in jobs]
    assert [state["successCount"] for state in states] == [len(BOOKS)] * 2
    assert services.repeated() == {}


async def test_a_job_that_is_canceled_stops_asking_and_keeps_what_it_found(tmp_path: Path) -> None:
    services = Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})
    async with running(tmp_path, services, google_books_rate=1.0) as server:
        job = await submit(server, asked(BOOKS))
        await until(lambda: len(services.keys(GOOGLE_BOOKS, "isbn")) > 0)
        await server.ask("POST", job, "/cancel")
        state = await server.ended(job)
    assert state["status"] == "canceled"
    assert len(services.keys(GOOGLE_BOOKS, "isbn")) < len(BOOKS)


async def test_what_was_looked_up_before_the_server_went_is_not_asked_for_again(tmp_path: Path) -> None:
    services = Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})
    async with services.serving():
        async with live_server(tmp_path, **{**services.settings, "google_books_rate": 10.0}) as server:
            job = await submit(server, asked(BOOKS))
            await until(lambda: len(services.keys(GOOGLE_BOOKS, "isbn")) > 3)
        before = len(services.asks)
        async with live_server(tmp_path, **services.settings) as server:
            state = await server.ended(job)
            results = await items(server, job)
    assert (state["status"], state["successCount"], state["attempt"]) == ("complete", len(BOOKS), 2)
    assert [item["index"] for item in results] == list(range(len(BOOKS)))
    assert sorted(services.keys(OPEN_LIBRARY, "isbn")) == [book.isbn13 for book in BOOKS], "not one of them twice"
    assert len(services.repeated()) <= 3, "only what was under way"
    assert before < len(services.asks)


async def test_a_list_that_came_past_the_door_and_is_none_ends_the_job_with_what_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, Catalogues({})) as server:
        token = await server.app.start("batch_enrichment", {"request": b'{"books": [{"title": "Emma"}, {}]}'})
        state = await server.ended({"jobId": token.job_id, "token": token.token})
    assert state["status"] == "failed"
    assert state["error"]["code"] == "E_INVALID_REQUEST"
    assert "books[1].title" in state["error"]["message"]


async def test_while_a_job_runs_the_newest_book_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path, Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})) as server:
        job = await submit(server, asked(BOOKS[:1]))
        state = await server.ended(job)
        response = await server.http.get(
            f"/api/jobs/{job['jobId']}/results", headers={**bearer(job["token"]), "accept": "text/csv"}
        )
    assert state["currentTitle"] == BOOKS[0].title
    assert response.text.splitlines()[0].startswith("index,")
    assert BOOKS[0].isbn13 in response.text


async def test_a_table_has_the_title_that_was_found_and_of_a_failed_book_the_one_that_was_asked_for(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})) as server:
        typed = BOOKS[0].asked | {"title": BOOKS[0].title.lower()}
        job = await submit(server, [typed, {"title": "unwritten", "author": "Nobody"}])
        await server.ended(job)
        headers = {**bearer(job["token"]), "accept": "text/csv"}
        response = await server.http.get(f"/api/jobs/{job['jobId']}/results", headers=headers)
    assert [row["title"] for row in csv.DictReader(io.StringIO(response.text))] == [BOOKS[0].title, "unwritten"]
