"""Scans from the request to the results, on a real server and with a real process that reads by colour."""

import asyncio
import base64
import csv
import io
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.app import Shelfwire
from shelfwire.books.ai_scan.confirming import Judged
from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.limits import MAX_PHOTO_BYTES, MAX_PHOTOS
from shelfwire.books.ai_scan.photo_readers import OfflineReader
from shelfwire.books.ai_scan.pipeline import AiScan, Confirmer
from shelfwire.books.ai_scan.scanned_books import Confirmed
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.pipeline import columns_of
from shelfwire.protocol.messages import JobProgress
from shelfwire.server.serving import serving
from shelfwire.settings import Settings
from tests import servers
from tests.books.ai_scan import scan_server
from tests.books.ai_scan.scan_server import AnyReader
from tests.books.ai_scan.scripted import BLUE, COMMAND, RED, WHITE, photo
from tests.live import Server, bearer, next_message, until

ONE, BATCH = "/api/scan-bookshelf", "/api/scan-bookshelf/batch"
DUNE, EMMA, ANON = (10, 20, 30), (11, 21, 31), (12, 22, 0)


class Missing(OfflineReader):
    """As on a machine without the extra."""

    def ready(self) -> None:
        """It never can."""
        raise ShelfwireError(BookCode.SCAN_UNAVAILABLE)


class Shelves:
    """A catalogue that knows one book for sure, and is not sure of another."""

    async def confirm(self, books: Sequence[DetectedBook]) -> Sequence[Judged]:
        known = {
            "The Title of Book 10 20": Confirmed(
                title="Dune", authors=("Frank Herbert",), sure=True, isbn13="9780441172719"
            ),
            "The Title of Book 11 21": Confirmed(title="Emma?", authors=(), sure=False),
        }
        return [Judged(book, known.get(book.title)) for book in books]


@asynccontextmanager
async def scanning(
    folder: Path, catalogue: Confirmer | None = None, reader: OfflineReader | None = None
) -> AsyncIterator[Server]:
    settings = Settings(data=folder / "data", port=0, create_limit=0)
    app = Shelfwire(settings, pipelines=[AiScan(reader or AnyReader(ImageWorkerProcess(COMMAND)), catalogue)])
    async with serving(app, settings) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
        yield Server(url, app, http)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


async def made(server: Server, path: str, **body: Any) -> dict[str, Any]:
    answer = await server.http.post(path, **body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()["data"]
    return job


def images(*photos: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", (f"{place}.jpg", data)) for place, data in enumerate(photos)]


async def test_the_books_on_a_photo_are_found_with_their_places(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, ONE, files={"image": ("shelf.jpg", photo(DUNE, ANON))})
        state = await server.ended(job)
    assert (state["status"], state["totalCount"], state["successCount"]) == ("complete", 1, 1)
    assert state["metadata"]["photoCount"] == 1
    assert state["metadata"]["fileName"] == "shelf.jpg"
    assert state["summary"] == "Found 2 books on 1 photo; 2 to be looked at"
    assert state["results"]["errors"] == []
    assert state["results"]["photos"] == [
        {"index": 0, "title": "Photo 1", "bookCount": 2, "width": 128, "height": 64, "reader": "offline"}
    ]
    dune, anon = state["results"]["books"]
    assert dune == {
        "title": "The Title of Book 10 20",
        "authors": ["Author 30"],
        "confidence": 0.52,
        "review": True,
        "photo": 0,
        "polygon": [[0, 0], [63, 0], [63, 63], [0, 63]],
        "text": "THE TITLE OF BOOK 10 20 | Author 30",
        "places": [{"photo": 0, "polygon": [[0, 0], [63, 0], [63, 63], [0, 63]]}],
    }
    assert anon["authors"] == []


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "image/jpeg"])
async def test_a_photo_may_be_the_body_itself_whatever_it_calls_itself(tmp_path: Path, kind: str) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, ONE, content=photo(DUNE), headers={"Content-Type": kind})
        state = await server.ended(job)
    assert [book["title"] for book in state["results"]["books"]] == ["The Title of Book 10 20"]


async def test_a_batch_reports_a_book_on_two_photos_once_with_both_places(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(photo(DUNE, EMMA), photo(WHITE), photo(EMMA, DUNE, DUNE)))
        assert job["totalPhotos"] == 3
        state = await server.ended(job)
        page = (await server.ask("GET", job, "/results")).json()["data"]
    assert (state["successCount"], state["failureCount"]) == (2, 1)
    assert [(book["title"], [place["photo"] for place in book["places"]]) for book in state["results"]["books"]] == [
        ("The Title of Book 10 20", [0, 2]),
        ("The Title of Book 11 21", [0, 2]),
        ("The Title of Book 10 20", [2]),
    ], "the second copy on one photo is a book of its own"
    [empty] = state["results"]["errors"]
    assert (empty["code"], empty["photo"], empty["retryable"]) == ("E_NO_BOOKS_FOUND", 1, True)
    assert [photo["index"] for photo in state["results"]["photos"]] == [0, 2]
    assert [len(item["result"]["books"]) for item in page["items"] if item["ok"]] == [2, 3]


async def test_photos_in_json_go_by_their_own_index(tmp_path: Path) -> None:
    def sent(index: int, data: bytes) -> dict[str, Any]:
        return {"index": index, "data": base64.b64encode(data).decode()}

    async with scanning(tmp_path) as server:
        body = {"images": [sent(7, photo(EMMA)), sent(2, photo(DUNE))]}
        job = await made(server, BATCH, json=body)
        state = await server.ended(job)
    assert job["totalPhotos"] == 2
    assert [(book["title"][-5:], book["photo"]) for book in state["results"]["books"]] == [("10 20", 0), ("11 21", 1)]


async def test_photos_in_json_may_be_data_urls_and_wrapped_in_lines(tmp_path: Path) -> None:
    wrapped = base64.encodebytes(photo(DUNE)).decode()
    url = f"data:image/png;base64,{base64.b64encode(photo(EMMA)).decode()}"
    async with scanning(tmp_path) as server:
        state = await server.ended(await made(server, BATCH, json={"images": [{"data": wrapped}, {"data": url}]}))
    assert [book["title"][-5:] for book in state["results"]["books"]] == ["10 20", "11 21"]


async def test_a_photo_that_cannot_be_read_is_a_failed_item_and_the_rest_go_on(tmp_path: Path) -> None:
    photos = photo(RED), b"<svg/>", photo(DUNE, kind="WEBP"), photo(EMMA)[:60]
    async with scanning(tmp_path) as server:
        state = await server.ended(await made(server, BATCH, files=images(*photos)))
    assert (state["status"], state["successCount"], state["failureCount"]) == ("complete", 1, 3)
    assert [(error["code"], error["photo"]) for error in state["results"]["errors"]] == [
        ("E_IMAGE_UNREADABLE", 0),
        ("E_IMAGE_UNREADABLE", 1),
        ("E_IMAGE_UNREADABLE", 3),
    ]
    assert state["summary"] == "Found 1 book on 4 photos; 1 to be looked at; 3 photos could not be read"


async def test_what_a_catalogue_knows_for_sure_needs_no_look_and_what_was_read_is_kept(tmp_path: Path) -> None:
    async with scanning(tmp_path, Shelves()) as server:
        state = await server.ended(await made(server, ONE, content=photo(DUNE, EMMA, ANON)))
    dune, emma, anon = state["results"]["books"]
    assert (dune["title"], dune["authors"], dune["isbn13"]) == ("Dune", ["Frank Herbert"], "9780441172719")
    assert dune["readAs"] == {"title": "The Title of Book 10 20", "authors": ["Author 30"]}
    assert (emma["title"], emma["candidate"]["title"]) == ("The Title of Book 11 21", "Emma?")
    assert [book["review"] for book in (dune, emma, anon)] == [False, True, True]
    assert state["summary"] == "Found 3 books on 1 photo; 2 to be looked at"


async def test_the_titles_within_a_photo_are_shown_while_it_is_read(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, ONE, content=photo(DUNE, BLUE))
        async with server.socket(job) as socket, asyncio.timeout(60):
            title, done = None, None
            while title is None:
                message = await next_message(socket)
                if isinstance(message.payload, JobProgress):
                    title, done = message.payload.current_title, message.payload.processed_count
        assert (title, done) == ("The Title of Book 10 20", 0)
        await server.ask("POST", job, "/cancel")
        assert (await server.ended(job))["status"] == "canceled"


async def test_no_finished_photo_is_read_again_after_a_restart(tmp_path: Path) -> None:
    colours = [(100 + place, 1, 1) for place in range(10)]
    stuck = [photo(colour) if place != 5 else photo(colour, BLUE) for place, colour in enumerate(colours)]
    log = tmp_path / "read.log"
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(*stuck))
        async with server.socket(job) as socket, asyncio.timeout(60):
            while True:
                message = await next_message(socket)
                if (
                    isinstance(message.payload, JobProgress)
                    and message.payload.current_title == "The Title of Book 105 1"
                ):
                    break
    before = log.read_text().splitlines()
    # Blue reads as an ordinary book from now on.
    (tmp_path / "calm-255").touch()
    async with scanning(tmp_path) as server:
        state = await server.ended(job)
    after = log.read_text().splitlines()[len(before) :]
    assert (state["successCount"], state["failureCount"]) == (10, 0)
    assert [line for line in before if line in after and line != "0-0-255"] == ["105-1-1"]


async def test_no_finished_photo_is_read_again_after_a_kill(tmp_path: Path) -> None:
    """Ten photos, the server killed within the third, the sixth and the ninth."""
    log = tmp_path / "read.log"
    colours = [(100 + place, 1, 1) for place in range(10)]
    hanging = {2: (0, 0, 253), 5: (0, 0, 254), 8: BLUE}
    photos = [
        photo(colour, hanging[place]) if place in hanging else photo(colour) for place, colour in enumerate(colours)
    ]
    async with servers.Server(tmp_path / "data", script=Path(scan_server.__file__)) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
            answer = await http.post(BATCH, files=images(*photos))
            job = answer.json()["data"]
        for place in (2, 5, 8):
            async with httpx2.AsyncClient(base_url=server.url, headers=bearer(job["token"]), timeout=60) as http:
                state = {"seq": 0, "processedCount": 0}
                while state["processedCount"] < place:
                    newer = {"after": state["seq"], "wait": 4}
                    state = (await http.get(f"/api/jobs/{job['jobId']}", params=newer)).json()["data"]
            await until(lambda place=place: f"{100 + place}-1-1" in log.read_text())  # type: ignore[misc]
            await server.end(signal.SIGKILL)
            (tmp_path / f"calm-{hanging[place][2]}").touch()
            await server.start()
        async with httpx2.AsyncClient(base_url=server.url, headers=bearer(job["token"]), timeout=60) as http:
            story = await http.get(f"/api/jobs/{job['jobId']}/events")
            state = (await http.get(f"/api/jobs/{job['jobId']}")).json()["data"]
    assert "event: job_complete" in story.text
    assert (state["successCount"], state["failureCount"], state["attempt"]) == (10, 0, 4)
    read = log.read_text().splitlines()
    assert {f"{colour[0]}-1-1": read.count(f"{colour[0]}-1-1") for colour in colours} == {
        f"{colour[0]}-1-1": 2 if place in hanging else 1 for place, colour in enumerate(colours)
    }, "only the photo that was under way is read again"


async def test_a_retry_reads_only_the_photos_that_failed(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(photo(DUNE), photo(WHITE), photo(EMMA), photo(WHITE)))
        await server.ended(job)
        again = await server.ask("POST", job, "/retry")
        retry = again.json()["data"]
        state = await server.ended(retry)
    assert (state["totalCount"], state["failureCount"]) == (2, 2)
    assert [error["sourceIndex"] for error in state["results"]["errors"]] == [1, 3]


@pytest.mark.parametrize("body", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7 " + bytes(99)])
async def test_what_is_no_photo_is_refused_at_the_door(tmp_path: Path, body: bytes) -> None:
    async with scanning(tmp_path) as server:
        for sent in ({"files": {"image": ("shelf.jpg", body)}}, {"content": body}):
            answer = await server.http.post(ONE, **sent)
            assert (answer.status_code, answer.json()["code"]) == (415, "E_UNSUPPORTED_MEDIA")
            assert "JPEG, PNG, WebP or HEIC" in answer.json()["userMessage"]


async def test_too_much_is_refused_with_the_limit(tmp_path: Path) -> None:
    large = photo(DUNE) + bytes(MAX_PHOTO_BYTES)
    async with scanning(tmp_path) as server:
        for path, sent in (
            (ONE, {"files": {"image": ("a.png", large)}}),
            (ONE, {"content": large}),
            (BATCH, {"files": images(photo(DUNE), large)}),
        ):
            answer = await server.http.post(path, **sent)
            assert (answer.status_code, answer.json()["code"]) == (413, "E_FILE_TOO_LARGE")
            assert "20 MiB" in answer.json()["userMessage"]
        many = await server.http.post(BATCH, files=images(*[photo(DUNE)] * (MAX_PHOTOS + 1)))
        assert (many.status_code, many.json()["code"]) == (400, "E_INVALID_REQUEST")
        assert "At most 20" in many.json()["userMessage"]
        assert (await server.http.post(BATCH, files=images(*[photo(DUNE)] * MAX_PHOTOS))).status_code == 202


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ([], "images"),
        ([{"data": "AAAA"}] * 21, "images"),
        ([{"data": "no base64!"}], r"images\[0\].data is no base64"),
        ([{"data": "AAAA"}, {"data": "AAA"}], "images[1]"),
        ([{"data": "AAAA", "index": 1}, {"data": "AAAA", "index": 1}], "images[1].index is 1"),
        ([{"data": 7}], "images[0].data"),
    ],
)
async def test_a_batch_in_json_that_makes_no_sense_is_refused_naming_the_photo(
    tmp_path: Path, images: list[Any], why: str
) -> None:
    async with scanning(tmp_path) as server:
        answer = await server.http.post(BATCH, json={"images": images})
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID_REQUEST")
    assert why.replace("\\", "") in json.dumps(answer.json())


@pytest.mark.parametrize(
    "sent", [{"content": b""}, {"files": {"image": ("a.png", b"")}}, {"files": {"file": ("a", b"x")}}]
)
async def test_nothing_is_refused_in_words(tmp_path: Path, sent: Any) -> None:
    async with scanning(tmp_path) as server:
        answer = await server.http.post(ONE, **sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID_REQUEST")


async def test_a_server_that_cannot_read_photos_says_so_at_the_door(tmp_path: Path) -> None:
    async with scanning(tmp_path, reader=Missing()) as server:
        for path in (ONE, BATCH, "/api/pipelines/ai_scan/jobs"):
            answer = await server.http.post(path, files={"image": ("a.png", photo(DUNE))})
            assert (answer.status_code, answer.json()["code"]) == (501, "E_SCAN_UNAVAILABLE")
            assert "shelfwire[scan]" in answer.json()["detail"]


async def test_a_job_made_by_the_route_for_any_pipeline_finds_its_photos(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        path = "/api/pipelines/ai_scan/jobs"
        two = {"photo-0": ("a.png", photo(DUNE)), "photo-1": ("b.png", photo(EMMA))}
        state = await server.ended(await made(server, path, files=two))
        assert (state["successCount"], state["metadata"]["photoCount"]) == (2, 2)
        none = await server.ended(await made(server, path, files={"other": ("a.png", photo(DUNE))}))
    assert (none["status"], none["error"]["code"]) == ("failed", "E_INVALID_REQUEST")
    assert "photo-0" in none["error"]["message"]


async def test_the_same_batch_with_the_same_key_is_one_job(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        sent = [
            await made(server, BATCH, files=images(photo(DUNE)), headers={"Idempotency-Key": "k"}) for _ in range(2)
        ]
        other = await server.http.post(BATCH, files=images(photo(EMMA)), headers={"Idempotency-Key": "k"})
        assert sent[0]["jobId"] == sent[1]["jobId"]
        assert other.status_code == 422
        gone = await server.http.delete(f"/api/jobs/{sent[0]['jobId']}", headers=bearer(sent[0]["token"]))
        assert gone.status_code == 204


def test_the_table_of_a_scan_has_a_column_for_what_a_person_looks_for_in_a_book() -> None:
    assert columns_of(AiScan()) == ("title", "authors", "confidence", "review", "photo", "text", "isbn13")


async def test_the_table_of_a_scan_has_a_line_for_each_book_and_one_for_a_photo_that_failed(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        sent = images(photo(DUNE, ANON), b"\xff\xd8\xff no photo", photo(DUNE))
        job = await made(server, BATCH, files=sent)
        await server.ended(job)
        table = await server.ask("GET", job, "/results", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["index"], row["title"], row["photo"], row["code"]) for row in rows] == [
        ("0", "The Title of Book 10 20", "0", ""),
        ("0", "The Title of Book 12 22", "0", ""),
        ("1", "Photo 2", "1", "E_IMAGE_UNREADABLE"),
    ], "a book on two photos is one line"
