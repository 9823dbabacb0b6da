import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from shelfwire.books.batch_enrichment.answer_cache import MIN_FREE_BYTES, AnswerCache
from shelfwire.testing import FakeClock


async def test_a_kept_answer_is_there_until_it_expires_and_in_the_next_process(tmp_path: Path) -> None:
    path, clock = tmp_path / "cache" / "answers.db", FakeClock()
    async with AnswerCache(path, clock) as cache:
        await cache.put("dune", {"title": "Dune", "authors": ["Frank Herbert"]}, 60)
        assert await cache.get("emma") is None
    async with AnswerCache(path, clock) as cache:
        clock.advance(59)
        assert await cache.get("dune") == {"title": "Dune", "authors": ["Frank Herbert"]}
        clock.advance(1)
        assert await cache.get("dune") is None


async def test_a_newer_answer_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    async with AnswerCache(tmp_path / "answers.db", FakeClock()) as cache:
        await cache.put("dune", [1], 60)
        await cache.put("dune", [2], 60)
        assert await cache.get("dune") == [2]


async def test_many_tasks_may_use_it_at_once(tmp_path: Path) -> None:
    async with AnswerCache(tmp_path / "answers.db", FakeClock()) as cache:
        await asyncio.gather(*(cache.put(str(number), number, 60) for number in range(200)))
        assert await asyncio.gather(*(cache.get(str(number)) for number in range(200))) == list(range(200))


async def test_the_file_stays_within_its_size_and_the_answers_that_expire_first_make_room(tmp_path: Path) -> None:
    path, most = tmp_path / "answers.db", 256 * 1024
    async with AnswerCache(path, FakeClock(), most) as cache:
        for number in range(200):
            await cache.put(str(number), "x" * 5000, 60 + number)
        assert await cache.get("199") == "x" * 5000
        assert await cache.get("0") is None
    assert path.stat().st_size <= most


async def test_an_answer_larger_than_the_file_may_be_is_not_kept_and_harms_no_other(tmp_path: Path) -> None:
    async with AnswerCache(tmp_path / "answers.db", FakeClock(), 256 * 1024) as cache:
        for number in range(20):
            await cache.put(str(number), number, 60 + number)
        await cache.put("endless", "x" * 10**6, 60)
        assert await cache.get("endless") is None
        assert await cache.get("19") == 19


async def test_expired_answers_are_removed_when_the_file_is_opened(tmp_path: Path) -> None:
    path, clock = tmp_path / "answers.db", FakeClock()
    async with AnswerCache(path, clock) as cache:
        await cache.put("dune", 1, 60)
        await cache.put("emma", 2, 600)
    clock.advance(60)
    async with AnswerCache(path, clock) as cache:
        assert await cache.get("emma") == 2
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT key FROM answers").fetchall() == [("emma",)]


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_file_has_no_answers_and_says_so_once(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(damage)
    async with AnswerCache(path, FakeClock()) as cache:
        for _ in range(2):
            await cache.put("dune", 1, 60)
            assert await cache.get("dune") is None
    assert capsys.readouterr().out.count("the cache of book data cannot be used") == 1


async def test_a_folder_that_cannot_be_made_has_no_answers(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    async with AnswerCache(tmp_path / "cache" / "answers.db", FakeClock()) as cache:
        await cache.put("dune", 1, 60)
        assert await cache.get("dune") is None


async def test_answers_are_kept_only_while_the_disk_has_room_for_other_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AnswerCache(tmp_path / "cache", FakeClock()) as cache:
        await cache.put("early", {"title": "Emma"}, 60)
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=MIN_FREE_BYTES - 1))
        await cache.put("late", {"title": "Emma"}, 60)
        assert (await cache.get("early"), await cache.get("late")) == ({"title": "Emma"}, None)
