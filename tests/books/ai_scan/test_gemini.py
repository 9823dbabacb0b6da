"""Photos that Gemini reads, on a local server that plays it and fails in all its ways."""

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from PIL import Image

from shelfwire.books.ai_scan.photo_readers import FallbackReader, OfflineReader, PhotoReading
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.server.serving import serving
from shelfwire.settings import Secret
from tests.books import fake_gemini as gemini
from tests.books.ai_scan.scan_server import AnyReader
from tests.books.ai_scan.scripted import COMMAND, photo
from tests.books.ai_scan.test_pipeline import BATCH, DUNE, EMMA, ONE, images, made
from tests.books.applications import application, settings_with
from tests.books.fake_gemini import KEY, fake_gemini
from tests.live import Server

SEEN = [
    {"title": "Dune", "author": "Frank Herbert", "confidence": 0.97, "box": [0, 0, 1000, 500]},
    {"title": "Emma", "author": None, "confidence": 0.6, "box": None},
]
FAST: dict[str, Any] = {"gemini_rate": 6000}


class NotInstalled(OfflineReader):
    """As on a machine without the extra."""

    def ready(self) -> None:
        """It never can."""
        raise ShelfwireError(BookCode.SCAN_UNAVAILABLE)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@asynccontextmanager
async def scanning(
    folder: Path, url: str, offline: OfflineReader | None = None, **options: Any
) -> AsyncIterator[Server]:
    options = {**FAST, "gemini_api_key": Secret(KEY), "gemini_url": url, **options}
    settings = settings_with(data=folder / "data", port=0, create_limit=0, **options)
    app, shared = application(settings)
    offline = offline or AnyReader(ImageWorkerProcess(COMMAND))
    app._pipelines["ai_scan"] = AiScan(FallbackReader(shared, offline, ImageWorkerProcess(COMMAND)))
    async with serving(app, settings) as at, httpx2.AsyncClient(base_url=at, timeout=60) as http:
        yield Server(at, app, http)


async def test_gemini_reads_a_photo_and_places_are_in_the_pixels_of_the_photo_that_was_sent(tmp_path: Path) -> None:
    large = io.BytesIO()
    Image.new("RGB", (6200, 3000), DUNE).save(large, "JPEG", comment=b"my comment")
    with fake_gemini(usual=gemini.says(SEEN)) as played:
        async with scanning(tmp_path, played.url) as server:
            state = await server.ended(await made(server, ONE, content=large.getvalue()))
    dune, emma = state["results"]["books"]
    assert (dune["title"], dune["authors"], dune["confidence"], dune["review"]) == (
        "Dune",
        ["Frank Herbert"],
        0.97,
        True,
    )
    assert dune["polygon"] == [[0, 0], [3100, 0], [3100, 3000], [0, 3000]]
    assert (emma["authors"], emma["polygon"]) == ([], [])
    [shown] = state["results"]["photos"]
    assert (shown["reader"], shown["width"], shown["height"], shown["tokens"]) == ("gemini", 6200, 3000, 305)
    assert state["summary"] == "Found 2 books on 1 photo; 2 to be looked at; Gemini used 305 tokens"
    [call] = played.calls
    sent = Image.open(io.BytesIO(base64.b64decode(call.body["contents"][0]["parts"][0]["inlineData"]["data"])))
    assert (sent.format, sent.size) == ("JPEG", (3072, 1486))
    assert "comment" not in sent.info


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (gemini.BAD_KEY, "E_GEMINI_REJECTED"),
        (gemini.blocked(), "E_GEMINI_REJECTED"),
        (gemini.says('[{"title": "Du', finish="MAX_TOKENS"), "E_GEMINI_BAD_OUTPUT"),
        (gemini.says("no JSON at all"), "E_GEMINI_BAD_OUTPUT"),
    ],
)
async def test_when_gemini_fails_this_machine_reads_and_the_summary_says_so(
    tmp_path: Path, reply: gemini.Reply, code: str
) -> None:
    with fake_gemini(usual=reply) as played:
        async with scanning(tmp_path, played.url) as server:
            state = await server.ended(await made(server, ONE, content=photo(DUNE)))
    assert [book["title"] for book in state["results"]["books"]] == ["The Title of Book 10 20"]
    [shown] = state["results"]["photos"]
    assert (shown["reader"], shown["insteadOf"]) == ("offline", code)
    assert "Gemini was not available: the offline reader has read 1 photo" in state["summary"]


async def test_where_the_settings_forbid_it_the_photo_fails_with_geminis_reason(tmp_path: Path) -> None:
    with fake_gemini(usual=gemini.blocked()) as played:
        async with scanning(tmp_path, played.url, gemini_required=True) as server:
            state = await server.ended(await made(server, ONE, content=photo(DUNE)))
    [error] = state["results"]["errors"]
    assert (error["code"], error["retryable"]) == ("E_GEMINI_REJECTED", False)
    assert KEY not in str(state)


async def test_without_the_extra_gemini_alone_is_enough_and_its_failure_is_the_photos(tmp_path: Path) -> None:
    with fake_gemini(gemini.says(SEEN), gemini.blocked()) as played:
        async with scanning(tmp_path, played.url, NotInstalled()) as server:
            good = await server.ended(await made(server, ONE, content=photo(DUNE)))
            bad = await server.ended(await made(server, ONE, content=photo(EMMA)))
    assert good["successCount"] == 1
    assert bad["results"]["errors"][0]["code"] == "E_GEMINI_REJECTED"


async def test_what_is_no_photo_is_never_sent_to_gemini(tmp_path: Path) -> None:
    with fake_gemini(usual=gemini.says(SEEN)) as played:
        async with scanning(tmp_path, played.url) as server:
            state = await server.ended(await made(server, BATCH, files=images(photo(DUNE)[:50], b"<svg/>")))
    assert [error["code"] for error in state["results"]["errors"]] == ["E_IMAGE_UNREADABLE"] * 2
    assert played.calls == []


async def test_a_photo_without_books_is_a_failed_item(tmp_path: Path) -> None:
    with fake_gemini(usual=gemini.says([])) as played:
        async with scanning(tmp_path, played.url) as server:
            state = await server.ended(await made(server, ONE, content=photo(DUNE)))
    assert state["results"]["errors"][0]["code"] == "E_NO_BOOKS_FOUND"


async def test_two_photos_of_different_volumes_give_two_books_and_of_one_volume_one(tmp_path: Path) -> None:
    seen = [
        ["Henry IV", "Complete Works II", "Henry VI, Part 1"],
        ["Henry V", "Complete Works III", "Henry VI Part One"],
    ]
    replies = [
        gemini.says(
            [{"title": title, "author": "William Shakespeare", "confidence": 0.9, "box": None} for title in one]
        )
        for one in seen
    ]
    with fake_gemini(*replies) as played:
        async with scanning(tmp_path, played.url) as server:
            state = await server.ended(await made(server, BATCH, files=images(photo(DUNE), photo(EMMA))))
    found = {book["title"]: len(book["places"]) for book in state["results"]["books"]}
    again = found.pop("Henry VI, Part 1", 0) + found.pop("Henry VI Part One", 0)
    assert found == {"Henry IV": 1, "Henry V": 1, "Complete Works II": 1, "Complete Works III": 1}
    assert again == 2, "one book in two places"


@pytest.mark.parametrize("code", [code for code in BookCode if "GEMINI" in code])
def test_a_kept_reading_is_read_again_whatever_gemini_failed_with(code: BookCode) -> None:
    reading = PhotoReading(books=[], width=1, height=1, reader="offline", instead_of=code)
    assert msgspec.json.decode(msgspec.json.encode(reading), type=PhotoReading) == reading
