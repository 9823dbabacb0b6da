"""Results as one file to be saved."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shelfwire.errors import Code
from shelfwire.web import downloads
from tests.live import MakeServer, Server, next_of

HOSTILE = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']
LIST = "Title,Author\n" + "".join(f'"{title.replace(chr(34), chr(34) * 2)}",Jane Austen\n' for title in HOSTILE)
LIST += ",nobody\n" + "".join(f"Book {number},Jane Austen\n" for number in range(30))


@pytest.fixture
async def server(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(downloads, "PAGE_ITEMS", 7)
    async with make_server() as server:
        yield server


async def saved(server: Server, job: dict[str, Any], form: str, **query: Any) -> Any:
    answer = await server.ask("GET", job, "/results", params={"format": form, "file": "1", **query})
    assert answer.status_code == 200, answer.text
    return answer


async def test_all_pages_are_one_file_in_each_format(server: Server) -> None:
    job = await server.submit(LIST.encode(), "My Library \u00e9.csv")
    await server.ended(job)
    pages = (await server.ask("GET", job, "/results", params={"limit": 1000})).json()["data"]["items"]
    table = await saved(server, job, "csv")
    lines = await saved(server, job, "ndjson")
    array = await saved(server, job, "json")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [int(row["index"]) for row in rows] == list(range(37))
    assert [json.loads(line) for line in lines.text.splitlines()] == array.json() == pages
    assert table.headers["content-disposition"] == (
        "attachment; filename=\"My Library _-books.csv\"; filename*=UTF-8''My%20Library%20%C3%A9-books.csv"
    )
    assert table.headers["cache-control"] == "no-store"
    failed = await saved(server, job, "json", status="failed")
    assert [item["index"] for item in failed.json()] == [6]
    assert (await saved(server, job, "json", status="ok")).json() == [item for item in pages if item["ok"]]


async def test_a_job_without_items_is_an_empty_file(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        array, table = (await saved(server, job, "json")).text, (await saved(server, job, "csv")).text
        server.gate.steps.put_nowait(3)
        async with server.socket(job) as socket:
            while (await next_of(socket, "job_progress")).payload.processed_count < 3:  # type: ignore[union-attr]
                pass
        so_far = (await saved(server, job, "json")).json()
    assert (array, table.count("\n")) == ("[]\n", 1)
    assert [item["index"] for item in so_far] == [0, 1, 2]


@pytest.mark.parametrize("form", ["goodreads", "storygraph", "bookwyrm"])
async def test_tables_for_other_sites_hold_no_formula(server: Server, form: str) -> None:
    job = await server.submit(LIST.encode())
    await server.ended(job)
    answer = await server.ask("GET", job, "/results", params={"format": form})
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="books-{form}.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    titles = [row.get("Title") or row["title"] for row in rows]
    assert len(rows) == 36
    assert titles[:4] == [f"'{title}" for title in HOSTILE[:4]]
    assert not any(cell[:1] in tuple("=+@") for row in rows for cell in row.values() if cell)


async def test_a_page_of_hostile_titles_has_no_element_of_theirs_and_does_nothing_where_it_came_from(
    server: Server,
) -> None:
    job = await server.submit(LIST.encode())
    await server.ended(job)
    answer = await saved(server, job, "html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


async def test_hostile_cells_are_no_formulas_in_our_own_table(server: Server) -> None:
    job = await server.submit(LIST.encode())
    await server.ended(job)
    rows = list(csv.DictReader(io.StringIO((await saved(server, job, "csv")).text)))
    assert [row["title"] for row in rows[:4]] == [f"'{title}" for title in HOSTILE[:4]]


async def test_a_format_that_is_not_known_names_those_that_are(server: Server) -> None:
    job = await server.submit(LIST.encode())
    await server.ended(job)
    answer = await server.ask("GET", job, "/results", params={"format": "xml"})
    assert answer.json()["code"] == Code.INVALID_REQUEST
    assert answer.json()["detail"].endswith("csv, ndjson, json, goodreads, storygraph, bookwyrm, html")


async def test_a_page_may_ask_for_its_format_by_name_and_its_link_keeps_it(server: Server) -> None:
    job = await server.submit(LIST.encode())
    await server.ended(job)
    query = {"format": "ndjson", "limit": 2, "corrected": "1"}
    answer = await server.ask("GET", job, "/results", params=query, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert "format=ndjson&corrected=1" in answer.headers["link"]
