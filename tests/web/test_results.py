"""Pages of results: as JSON, as lines, and as a table for a spreadsheet."""

import csv
import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from shelfwire.jobs.job import Job
from shelfwire.jobs.page_size import MAX_PAGE_BYTES
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.web import large_answers
from tests.live import MakeServer, Server, live_server, until

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


MARK = "\ufeff"


async def original(server: Server, job: dict[str, Any], **query: Any) -> str:
    answer = await server.ask("GET", job, "/results", params={"original": "true", **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith(MARK)
    return answer.text.removeprefix(MARK)


async def test_a_failed_row_has_its_number_in_the_table(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(BOOKS)
        await server.ended(job)
        rows = await table(server, job, status="failed")
    assert [row["row"] for row in rows] == ["6"]


async def test_failed_rows_come_as_they_stood_in_the_file_with_the_reason(make_server: MakeServer) -> None:
    file = (
        b"My books\n\nTitle;Writer;Price\nEmma;Jane Austen;3,50\n;Nobody;=1+1\nEMMA;jane austen;4\n"
        b'"Never closed;Ann;1\n'
    )
    async with make_server() as server:
        job = await server.submit(file)
        await server.ended(job)
        text = await original(server, job, limit=1)
        assert text == await original(server, job, status="failed")
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["reason (shelfwire)", "Title", "Writer", "Price"]
    assert [row[1:] for row in rows] == [
        ["", "Nobody", "'=1+1"],
        ["EMMA", "jane austen", "4"],
        ['"Never closed', "Ann", "1"],
    ]
    assert rows[0][0].startswith("Row 5 has neither a title nor an ISBN")
    assert rows[1][0].startswith("The same book as row 4.")


async def test_corrected_rows_are_imported_and_what_fails_again_has_one_reason(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(b"Dune,Frank Herbert,9780441013593\n,Jane Austen,\n,Emily Bronte,\n", "no header.csv")
        await server.ended(job)
        corrected = (await original(server, job)).replace(",,Jane Austen", ",Emma,Jane Austen")
        again = await server.submit((MARK + corrected).encode())
        assert (await server.ended(again))["summary"] == "Imported 1 book; 1 row was not imported"
        books = await table(server, again, status="ok")
        rest = list(csv.reader(io.StringIO(await original(server, again))))
    assert [(book["title"], book["authors"]) for book in books] == [("Emma", "Jane Austen")]
    assert rest[0] == ["reason (shelfwire)", "title", "author", "isbn"]
    assert rest[1][1:] == ["", "Emily Bronte", ""]


async def test_all_failed_rows_come_however_many_pages_they_are(make_server: MakeServer) -> None:
    rows = "".join(f",Nobody {number}\n" for number in range(2500))
    async with make_server() as server:
        job = await server.submit(f"Title,Author\n{rows}".encode())
        await server.ended(job)
        found = list(csv.reader(io.StringIO(await original(server, job))))
    assert [row[2] for row in found[1:]] == [f"Nobody {number}" for number in range(2500)]


async def test_what_has_no_original_rows_says_so(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        await server.ended(job)
        done = await server.ask("GET", job, "/results", params={"original": "true", "status": "ok"})
        found = await server.http.post("/api/enrichment/batch", json={"books": [{"title": "Emma"}]})
        lookup = found.json()["data"]
        other = await server.ask("GET", lookup, "/results", params={"original": "true"})
    assert (done.status_code, done.json()["code"]) == (400, "E_INVALID_REQUEST")
    assert (other.status_code, other.json()["detail"]) == (
        400,
        "The input of a job of batch_enrichment is no table, so that it has no original rows",
    )


async def test_our_own_table_comes_back_as_the_same_books(make_server: MakeServer) -> None:
    columns = (
        "Book Id,Title,Author,Additional Authors,ISBN13,My Rating,Exclusive Shelf,Bookshelves,My Review,Private Notes"
    )
    rows = (
        (
            '7,=Dune,"Martin King, Jr.",Bob and Ann,9780441013593,4,read,"sci-fi, a;b",'
            '"<b>one</b><br/>two &amp;lt; 3",-note'
        ),
        "8,,,,,3,read,,,",
        "9,'-x,@home,,,0,my shelf,,,",
        "9,'-x,@home,,,0,my shelf,,,",
    )
    export = "\n".join([columns, *rows]).encode()
    async with make_server() as server:
        first = await server.submit(export)
        await server.ended(first)
        answer = await server.ask("GET", first, "/results", headers={"Accept": "text/csv"})
        again = await server.submit(answer.content)
        state = await server.ended(again)
        pages = [(await server.ask("GET", job, "/results")).json()["data"]["items"] for job in (first, again)]
    assert (state["successCount"], state["failureCount"]) == (3, 0)
    one, other = ([the_book(item["result"]) for item in page if item["ok"]] for page in pages)
    assert one == other
    assert one[0]["title"] == "=Dune"
    assert one[0]["review"] == "one\ntwo &lt; 3"
    assert one[0]["identifiers"] == {"goodreads": "7"}


def the_book(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what it says of the file, and of the row that it had there."""
    return {name: value for name, value in result.items() if name not in {"row", "plan", "warnings"}}


LARGE, ITEM_BYTES = 37, 255 * 1024


class Large(Pipeline):
    """Records items that are nearly as large as they may be; one would be above the limit of a page as text."""

    name = "csv_import"

    async def run(self, job: Job) -> str:
        await job.start(total=LARGE)
        for index in range(LARGE):
            job.record(index, {"text": "é" * (ITEM_BYTES // 2)})
        return "Done"


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/csv"])
async def test_a_page_of_large_items_stops_early_and_the_next_goes_on_there(tmp_path: Path, accept: str) -> None:
    sizes, counts, query = list[int](), list[int](), {"limit": "1000"}
    async with live_server(tmp_path, pipelines=[Large()]) as server:
        job = await server.submit()
        await server.ended(job)
        while True:
            page = await server.ask("GET", job, "/results", params=query, headers={"Accept": accept})
            assert page.status_code == 200
            sizes.append(len(page.content))
            counts.append(page.text.count("é" * 1000 + '"'))
            if "next" not in page.links:
                break
            query = {"limit": "1000", "cursor": page.links["next"]["url"].partition("cursor=")[2].partition("&")[0]}
        full = await server.ask("GET", job, "/results", params={"limit": str(counts[0])})
        assert full.json()["data"]["next"] == str(counts[0] - 1)
    assert max(sizes) < MAX_PAGE_BYTES + ITEM_BYTES
    assert (sum(counts), len(counts)) == (LARGE, 3), "each once, and no empty page at the end"


@pytest.mark.parametrize("limit", ["MAX_WAITING_BYTES", "MAX_WAITING_OF_JOB"])
async def test_pages_that_wait_for_slow_readers_are_bounded_and_the_next_reader_is_asked_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(large_answers, limit, MAX_PAGE_BYTES)
    async with live_server(tmp_path, pipelines=[Large()]) as server:
        job, other = await server.submit(), await server.submit()
        await server.ended(job)
        await server.ended(other)
        answers = server.app._context.large_answers
        request = f"GET /api/jobs/{job['jobId']}/results?limit=1000 HTTP/1.1\r\nHost: localhost\r\n"
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            deaf.sendall(f"{request}Authorization: Bearer {job['token']}\r\n\r\n".encode())
            await until(lambda: answers.waiting.total() > 0)
            refused = await server.ask("GET", job, "/results", headers={"Accept-Encoding": "identity"})
            assert (refused.status_code, refused.headers["x-error-code"]) == (503, "E_OVERLOADED")
            assert int(refused.headers["retry-after"]) > 0
            of_another = await server.ask("GET", other, "/results", headers={"Accept-Encoding": "identity"})
            assert of_another.status_code == (503 if limit == "MAX_WAITING_BYTES" else 200)
        await until(lambda: not answers.waiting)
        assert (await server.ask("GET", job, "/results")).status_code == 200
