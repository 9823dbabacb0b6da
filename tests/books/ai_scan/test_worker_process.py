"""The process that opens photos: what it does and how it goes wrong, without harm to whoever asked."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import RUNNING_JOB
from tests.books.ai_scan.scripted import BLUE, COMMAND, GREEN, RED, YELLOW, photo
from tests.live import until

DUNE, EMMA = (10, 20, 30), (11, 21, 31)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@asynccontextmanager
async def working(**options: float) -> AsyncIterator[ImageWorkerProcess]:
    worker = ImageWorkerProcess(COMMAND, **options)
    try:
        yield worker
    finally:
        await worker.close()
        gc.collect()  # a transport that was left open says so now


def children() -> list[int]:
    """The processes that open photos; those of other tests may be on their way out."""
    return [child.pid for child in psutil.Process().children() if opens_photos(child)]


def opens_photos(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and COMMAND[-1] in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def ignored(_: str) -> None:
    """Nobody looks."""


async def test_titles_are_told_as_they_are_read_and_then_all_that_was_found() -> None:
    told: list[str] = []
    async with working() as worker:
        books = await worker.books(photo(DUNE, EMMA), told.append)
    assert told == ["The Title of Book 10 20", "The Title of Book 11 21"] == [spine.title for spine in books.books]
    assert books.books[0].authors == ("Author 30",)
    assert (books.width, books.height) == (128, 64)


async def test_one_process_opens_photo_after_photo() -> None:
    async with working() as worker:
        await worker.books(photo(DUNE), ignored)
        first = children()
        await asyncio.gather(*(worker.books(photo(EMMA), ignored) for _ in range(4)))
        assert children() == first
        jpeg = await worker.jpeg(photo(DUNE, kind="WEBP"))
        assert jpeg.data.startswith(b"\xff\xd8\xff")
        assert (jpeg.width, jpeg.height, jpeg.sent_width) == (64, 64, 64)
    assert children() == []


async def test_what_is_no_photo_is_refused_and_the_process_goes_on() -> None:
    async with working() as worker:
        with pytest.raises(ShelfwireError, match="no JPEG") as refused:
            await worker.books(b"<svg/>", ignored)
        assert refused.value.code is BookCode.IMAGE_UNREADABLE
        before = children()
        assert (await worker.books(photo(DUNE), ignored)).books
        assert children() == before


async def test_a_photo_that_breaks_the_process_twice_is_given_up_and_the_next_one_is_read() -> None:
    async with working() as worker:
        with pytest.raises(ShelfwireError, match="died, twice") as refused:
            await worker.books(photo(RED), ignored)
        assert refused.value.code is BookCode.IMAGE_UNREADABLE
        assert (await worker.books(photo(DUNE), ignored)).books


async def test_a_photo_whose_process_is_killed_once_is_read_by_the_next_one() -> None:
    async with working() as worker:
        assert [spine.title for spine in (await worker.books(photo(GREEN), ignored)).books] == [
            "The Title of Book 0 255"
        ]


async def test_a_photo_that_never_comes_to_an_end_is_given_up_and_its_process_ended() -> None:
    async with working(photo_seconds=1.0) as worker:
        with pytest.raises(ShelfwireError, match="longer than 1 s"):
            await worker.books(photo(BLUE), ignored)
        assert children() == []


async def test_a_photo_that_takes_too_much_processor_time_is_given_up_at_once_and_the_next_one_is_read() -> None:
    worker = ImageWorkerProcess((*COMMAND, "1"))
    with pytest.raises(ShelfwireError, match="s of processor time") as refused:
        await worker.books(photo(YELLOW), ignored)
    assert refused.value.code is BookCode.IMAGE_UNREADABLE
    assert children() == []
    assert (await worker.books(photo(DUNE), ignored)).books
    await worker.close()


async def test_jobs_that_share_the_process_have_their_photos_read_in_turn(tmp_path: Path) -> None:
    async def job(worker: ImageWorkerProcess, name: str, red: int, photos: int) -> None:
        RUNNING_JOB.set(name)
        await asyncio.gather(*(worker.books(photo((red, green, 1)), ignored) for green in range(photos)))

    async with working() as worker:
        await asyncio.gather(job(worker, "large", 1, 4), job(worker, "small", 2, 2))
    read = (tmp_path / "read.log").read_text().split()
    assert read == ["1-0-1", "1-1-1", "2-0-1", "1-2-1", "2-1-1", "1-3-1"]


async def test_nobody_goes_on_with_a_photo_that_nobody_waits_for() -> None:
    async with working() as worker:
        told: list[str] = []
        reading = asyncio.create_task(worker.books(photo(DUNE, BLUE), told.append))
        await until(lambda: bool(told))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert children() == []


async def test_a_process_with_nothing_to_do_leaves_and_the_next_photo_starts_another() -> None:
    async with working(idle_seconds=0.0) as worker:
        await worker.books(photo(DUNE), ignored)
        await until(lambda: children() == [])
        assert (await worker.books(photo(EMMA), ignored)).books


async def test_the_process_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a-secret")
    async with working() as worker:
        await worker.books(photo(DUNE), ignored)
        [child] = children()
        assert "a-secret" not in "".join(psutil.Process(child).environ().values())
    assert os.environ["GEMINI_API_KEY"] == "a-secret"
