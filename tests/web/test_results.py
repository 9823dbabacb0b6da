"""Pages of results: as JSON, as lines, and as a table for a spreadsheet."""

import csv
import io
import json
from typing import Any

import pytest

from tests.live import MakeServer, Server

BOOKS = (
    b"Title,Author,My Rating\n"
    b'"=HYPERLINK(""http://evil"")",+Mallory,5\n'
    b"Emma,Jane Austen,4\n"
    b",,\n"
    b"-1,@someone,3\n"
    b",Nobody,\n"
)


async def table(server: Server, job: dict[str, Any], **query: Any) -> list[dict[str, str]]:
    answer = await server.ask("GET", job, "/results", params=query, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_table_is_safe_to_open_in_a_spreadsheet(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        await server.ended(job)
        rows = await table(server, job)
    cells = [cell for row in rows for cell in row.values()]
    assert '\'=HYPERLINK("http://evil")' in cells
    assert not [cell for cell in cells if cell[:1] in {"=", "@", "\t", "\r"}]
    assert [cell for cell in cells if cell[:1] in {"+", "-"}] == ["-1"], "a number is no formula"


async def test_a_table_has_a_column_for_each_member_of_a_book_and_says_why_rows_failed(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        await server.ended(job)
        rows = await table(server, job)
    emma = next(row for row in rows if row["title"] == "Emma")
    assert (emma["ok"], emma["authors"], emma["rating"], emma["code"]) == ("true", "Jane Austen", "4.0", "")
    failed = [row for row in rows if row["ok"] == "false"]
    assert {row["code"] for row in failed} == {"E_ROW_INVALID"}
    assert all(row["userMessage"] for row in failed)


async def test_pages_of_a_table_have_the_same_columns_and_point_to_the_next(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        await server.ended(job)
        answer = await server.ask("GET", job, "/results", params={"limit": 2}, headers={"Accept": "text/csv"})
        assert answer.headers["link"] == '<?cursor=1&limit=2>; rel="next"'
        rest = await server.ask("GET", job, "/results", params={"cursor": 1}, headers={"Accept": "text/csv"})
        assert "link" not in rest.headers
    assert answer.text.splitlines()[0] == rest.text.splitlines()[0]
    assert len(answer.text.splitlines()) == 3


async def test_lines_are_the_items_of_the_page(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        await server.ended(job)
        lines = await server.ask("GET", job, "/results", headers={"Accept": "application/x-ndjson"})
        page = await server.ask("GET", job, "/results", headers={"Accept": "application/json"})
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()] == page.json()["data"]["items"]


@pytest.mark.parametrize("accept", ["*/*", "", "image/png", "application/json;q=0.9, text/csv;q=0.1"])
async def test_whoever_asks_for_nothing_else_gets_json(make_server: MakeServer, accept: str) -> None:
    async with make_server() as server:
        job = await server.submit()
        await server.ended(job)
        page = await server.ask("GET", job, "/results", headers={"Accept": accept})
    assert page.json()["data"]["total"] == 1


async def test_only_the_failed_are_told_where_that_was_asked(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        state = await server.ended(job)
        rows = await table(server, job, status="failed")
    assert len(rows) == state["failureCount"]
    assert {row["ok"] for row in rows} == {"false"}
