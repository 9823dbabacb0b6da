"""Books that are imported or scanned, and looked up in the same job: in a local catalogue, without any network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.books.ai_scan.confirming import LocalBooks
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.catalogue.build import build
from shelfwire.books.csv_import.catalogue_source import find_books
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.server.serving import serving
from tests.books.ai_scan.scan_server import AnyReader
from tests.books.ai_scan.scripted import COMMAND, photo
from tests.books.applications import application, settings_with
from tests.live import Server

KNOWN = """\
Title,Author,ISBN,Publisher,Year
Emma,Jane Austen,9780141439587,Penguin,2003
The Title of Book 10 20,Author 30,9780441172719,Ace,1990
The Titel of Book 11 21,Author 31,,Ace,1991
The Title of Book 12 22,Somebody Else,,Ace,1992
"""
LIST = b"Title,Author,ISBN\nEmma,Jane Austen,\nA Book That Nobody Knows,Nobody,\n,,\nEmma,Jane Austen,\n"
IMPORT, SCAN = "/api/import/csv-gemini", "/api/scan-bookshelf"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@asynccontextmanager
async def knowing(folder: Path, **options: Any) -> AsyncIterator[Server]:
    (folder / "known.csv").write_text(KNOWN)
    build([folder / "known.csv"], folder / "books.sqlite3", find_books=find_books)
    known = {"catalogue": folder / "books.sqlite3", "providers": ("catalogue",), "create_limit": 0}
    settings = settings_with(data=folder / "data", port=0, **{**known, **options})
    app, shared = application(settings)
    scan: Pipeline = AiScan(AnyReader(ImageWorkerProcess(COMMAND)), LocalBooks(shared), shared)
    app._pipelines["ai_scan"] = scan
    async with serving(app, settings) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        yield Server(url, app, http)


async def done(server: Server, path: str, **sent: Any) -> dict[str, Any]:
    answer = await server.http.post(path, **sent)
    assert answer.status_code == 202, answer.text
    return await server.ended(answer.json()["data"])


async def test_an_import_that_is_to_be_enriched_is_one_job_and_what_nobody_knows_is_imported_all_the_same(
    tmp_path: Path,
) -> None:
    async with knowing(tmp_path) as server:
        state = await done(server, f"{IMPORT}?enrich=true", files={"file": ("books.csv", LIST)})
    emma, unknown = state["results"]["books"]
    assert (emma["title"], emma["row"], emma["enriched"]["isbn13"]) == ("Emma", 2, "9780141439587")
    assert emma["enriched"]["sources"]["publisher"] == "catalogue"
    assert unknown["enrichmentError"]["code"] == "E_ENRICHMENT_FAILED"
    assert (state["totalCount"], state["successCount"]) == (state["processedCount"], 2)
    assert "Imported 2 books" in state["summary"]
    assert "1 of 2 books enriched" in state["summary"]


async def test_an_import_that_is_not_to_be_enriched_asks_nobody(tmp_path: Path) -> None:
    async with knowing(tmp_path) as server:
        for path in (IMPORT, f"{IMPORT}?enrich=false"):
            state = await done(server, path, files={"file": ("books.csv", LIST)})
            assert "enriched" not in str(state)


async def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with knowing(tmp_path) as server:
        answer = await server.http.post(f"{IMPORT}?enrich=maybe", files={"file": ("books.csv", LIST)})
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID_REQUEST")


async def test_the_same_list_with_another_option_is_another_request(tmp_path: Path) -> None:
    async with knowing(tmp_path) as server:
        sent: dict[str, Any] = {"files": {"file": ("books.csv", LIST)}, "headers": {"Idempotency-Key": "k"}}
        answers = [await server.http.post(f"{IMPORT}{query}", **sent) for query in ("", "?enrich=true")]
    assert [answer.status_code for answer in answers] == [202, 422]


async def test_a_spine_is_confirmed_only_if_title_and_author_are_those_of_a_book_that_exists(tmp_path: Path) -> None:
    sure, misread, other = (10, 20, 30), (11, 21, 31), (12, 22, 32)
    async with knowing(tmp_path) as server:
        state = await done(server, SCAN, content=photo(sure, misread, other))
    known, near, foreign = state["results"]["books"]
    assert (known["review"], known["isbn13"]) == (False, "9780441172719")
    assert near["title"] in {"The Title of Book 11 21", "The Titel of Book 11 21"}
    assert (foreign["review"], foreign["title"]) == (True, "The Title of Book 12 22"), "its author is somebody else"


async def test_a_scan_that_is_to_be_enriched_has_the_data_of_what_it_found(tmp_path: Path) -> None:
    async with knowing(tmp_path) as server:
        state = await done(server, f"{SCAN}?enrich=true", content=photo((10, 20, 30), (99, 99, 99)))
    known, unknown = state["results"]["books"]
    assert (known["review"], known["enriched"]["publisher"]) == (False, "Ace")
    assert (unknown["review"], unknown["enrichmentError"]["code"]) == (True, "E_ENRICHMENT_FAILED")
    assert "1 of 2 books enriched" in state["summary"]


async def test_a_catalogue_that_is_damaged_leaves_its_books_to_a_person_and_ends_no_job(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text(KNOWN)
    build([tmp_path / "known.csv"], tmp_path / "damaged.sqlite3", find_books=find_books)
    whole = (tmp_path / "damaged.sqlite3").read_bytes()
    (tmp_path / "damaged.sqlite3").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    async with knowing(tmp_path, catalogue=tmp_path / "damaged.sqlite3") as server:
        state = await done(server, SCAN, content=photo((10, 20, 30)))
        books = {"books": [{"title": "Emma", "author": "Jane Austen"}]}
        looked_up = await done(server, "/api/enrichment/batch", json=books)
    assert state["status"] == "complete", state
    assert state["results"]["books"]
    assert all(book["review"] for book in state["results"]["books"])
    (error,) = looked_up["results"]["errors"]
    assert error["code"] == "E_PROVIDER_UNAVAILABLE"


async def test_other_volumes_are_neither_found_nor_confirmed_nor_taken_for_repetitions(tmp_path: Path) -> None:
    (tmp_path / "volumes.csv").write_text("Title,Author\nHenry V,William Shakespeare\nComplete Works III,Ann Other\n")
    build([tmp_path / "volumes.csv"], tmp_path / "volumes.sqlite3", find_books=find_books)
    asked = [("Henry IV", "Shakespeare"), ("Complete Works II", "Ann Other"), ("Henry the Fifth", "Shakespeare")]
    rows = "".join(f"{title},{author}\n" for title, author in (*asked, ("Henry V", "Shakespeare")))
    async with knowing(tmp_path, catalogue=tmp_path / "volumes.sqlite3") as server:
        listed = [{"title": title, "author": author} for title, author in asked]
        enriched = await done(server, "/api/enrichment/batch", json={"books": listed})
        imported = await done(server, IMPORT, files={"file": ("books.csv", f"Title,Author\n{rows}".encode())})
    assert [book["title"] for book in enriched["results"]["books"]] == ["Henry V"]
    assert [error["code"] for error in enriched["results"]["errors"]] == ["E_ENRICHMENT_FAILED"] * 2
    shown = [[one["title"] for one in error["candidates"]] for error in enriched["results"]["errors"]]
    assert shown == [["Henry V"], ["Complete Works III"]], "a person may still choose"
    assert (imported["successCount"], imported["failureCount"]) == (4, 0)
