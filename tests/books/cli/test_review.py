"""Doubtful books of a scan are gone through in the terminal, and each answer is kept at once."""

from pathlib import Path

import pytest

from shelfwire.books.cli.review import decide, doubtful, review
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


def test_a_review_is_for_people(shelfwire: Shelfwire, tmp_path: Path) -> None:
    (tmp_path / "shelf.png").write_bytes(photo(DUNE))
    done = shelfwire("scan", str(tmp_path / "shelf.png"), "--review", "--json")
    assert done.returncode == 2
    assert "--review asks in the terminal" in done.stderr
