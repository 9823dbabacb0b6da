"""Doubtful books of a scan are gone through in the terminal, and each answer is kept at once."""

import json
from pathlib import Path

import pytest
from PIL import Image

from shelfwire.books.cli.review import decide, doubtful, review
from shelfwire.books.cli.truth import keep
from shelfwire.client import Client
from shelfwire.client.handle import JobHandle
from tests.books.ai_scan.scripted import photo
from tests.books.ai_scan.test_pipeline import BATCH, DUNE, EMMA, images, made, scanning
from tests.cli.conftest import Shelfwire

ITEM = {
    "index": 2,
    "ok": True,
    "result": {
        "books": [
            {"title": "Sure", "authors": [], "confidence": 0.97, "review": True, "text": "SURE"},
            {"title": "Duen", "authors": ["F. H."], "confidence": 0.6, "review": True, "text": "DUEN | F. H."},
            {"title": "Known", "authors": [], "confidence": 0.3, "review": False, "text": "KNOWN"},
        ]
    },
}


class Typist:
    """Types one line after the other, and remembers what was shown."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[str] = []

    async def __call__(self, shown: str) -> str | None:
        self.shown.append(shown)
        return self.lines.pop(0) if self.lines else None


async def test_only_what_is_in_doubt_is_asked_about() -> None:
    (book,) = doubtful(ITEM)
    assert (book.index, book.book, book.title) == (2, 1, "Duen")
    assert list(doubtful({"index": 0, "ok": False})) == []


async def test_a_book_is_right_or_another_or_none() -> None:
    (book,) = doubtful(ITEM)
    assert await decide(book, Typist("")) == {"book": 1, "title": "Duen", "authors": ["F. H."]}
    mended = Typist("t", "Dune", "?", "a", "Frank Herbert; Brian Herbert", "")
    assert await decide(book, mended) == {"book": 1, "title": "Dune", "authors": ["Frank Herbert", "Brian Herbert"]}
    assert "Dune by Frank Herbert, Brian Herbert" in mended.shown[-1]
    assert await decide(book, Typist("t", " ", "")) == {"book": 1, "title": "Duen", "authors": ["F. H."]}
    assert await decide(book, Typist("x")) == {"book": 1, "struck": True}
    assert await decide(book, Typist("t", "Dune", "q")) is None
    assert await decide(book, Typist()) is None


async def test_each_answer_is_kept_when_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with scanning(tmp_path) as server, Client(server.url) as client:
        job = await made(server, BATCH, files=images(photo(DUNE, EMMA), photo(DUNE)))
        await server.ended(job)
        handle = JobHandle(job["jobId"], job["token"])
        await review(client, handle, Typist("t", "Dune", "", "x", "q"))
        kept = await client.corrections(handle)
        titles = [
            book["title"] async for item in client.results(handle, corrected=True) for book in item["result"]["books"]
        ]
        table = b"".join([part async for part in client.export(handle, corrected=True)]).decode()
    assert "Looked at 2 of 3" in capsys.readouterr().out
    assert kept == [
        {"index": 0, "book": 0, "title": "Dune", "authors": ["Author 30"]},
        {"index": 0, "book": 1, "struck": True},
    ]
    assert titles == ["Dune", "The Title of Book 10 20"]
    assert "0,,true,Dune,,,Author 30," in table


async def test_a_photo_is_looked_at_when_the_books_that_were_missed_are_named_too(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server, Client(server.url) as client:
        job = await made(server, BATCH, files=images(photo(DUNE, EMMA), photo(DUNE)))
        await server.ended(job)
        handle = JobHandle(job["jobId"], job["token"])
        answers = Typist("", "x", "Persuasion", "Jane Austen", "", "q")
        assert await review(client, handle, answers, missed=True) == [0], "the second was stopped at"
        corrected = [item async for item in client.results(handle, corrected=True)]
    books = [(book["title"], book["authors"]) for book in corrected[0]["result"]["books"]]
    assert books[1:] == [("Persuasion", ["Jane Austen"])]


def test_photos_are_kept_with_their_books_as_the_fit_of_the_reader_reads_them(tmp_path: Path) -> None:
    shelf, folder = tmp_path / "shelf.png", tmp_path / "truth"
    shelf.write_bytes(photo(DUNE))
    books = [{"title": "Dune", "authors": ["Frank Herbert", "Brian Herbert"]}, {"title": "Emma", "authors": []}]
    (kept,) = keep([shelf], [{"index": 0, "result": {"books": books}}], folder)
    assert keep([shelf], [{"index": 0, "result": {"books": books[:1]}}], folder) == [kept], "and replaces itself"
    assert sorted(folder.iterdir()) == [kept, kept.with_suffix(".json")]
    assert json.loads(kept.with_suffix(".json").read_text(encoding="utf-8")) == {
        "books": [{"title": "Dune", "author": "Frank Herbert, Brian Herbert"}]
    }
    with Image.open(kept) as image:
        assert (image.format, image.size, len(image.getexif())) == ("JPEG", (64, 64), 0)


def test_a_truth_needs_a_person_and_a_folder(shelfwire: Shelfwire, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf.png"
    shelf.write_bytes(photo(DUNE))
    unasked = shelfwire("scan", str(shelf), "--truth", str(tmp_path))
    assert (unasked.returncode, "Add --review" in unasked.stderr) == (2, True)
    nowhere = shelfwire("scan", str(shelf), "--review", "--truth", str(shelf))
    assert (nowhere.returncode, "Name a folder" in nowhere.stderr) == (2, True)


def test_a_review_is_for_people(shelfwire: Shelfwire, tmp_path: Path) -> None:
    (tmp_path / "shelf.png").write_bytes(photo(DUNE))
    done = shelfwire("scan", str(tmp_path / "shelf.png"), "--review", "--json")
    assert done.returncode == 2
    assert "--review asks in the terminal" in done.stderr
