"""A build that is interrupted, anywhere, goes on there; and nobody takes half a catalogue for a whole one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import apsw
import pytest

from shelfwire.books.catalogue import Catalogue, CatalogueError
from shelfwire.books.catalogue.build import Built, Progress, Step
from shelfwire.books.catalogue.indexing import attach
from shelfwire.books.catalogue.sources import InputFile
from shelfwire.books.catalogue.stage import connect
from shelfwire.books.csv_import.catalogue_source import find_books

from .conftest import answers, built, library
from .dumps import edition, write

BOOKS, LISTED = 60, 20
BATCH = 7
KILL_SOON = """
import os, signal, sys
from pathlib import Path
from shelfwire.books.catalogue.build import build
from shelfwire.books.csv_import.catalogue_source import find_books

left = int(sys.argv[1])

def report(_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

build([Path(path) for path in sys.argv[3:]], Path(sys.argv[2]), find_books=find_books, report=report, batch=7)
"""

INTERRUPT_A_STATEMENT = """
import signal, sys
from pathlib import Path
from shelfwire.books.catalogue import indexing
from shelfwire.books.catalogue.build import Step, build
from shelfwire.books.csv_import.catalogue_source import find_books

indexing._JOINED["name"] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
signal.signal(signal.SIGALRM, signal.default_int_handler)

def report(progress):
    if progress.step is Step.JOIN:
        signal.setitimer(signal.ITIMER_REAL, 0.2)

try:
    build([Path(path) for path in sys.argv[2:]], Path(sys.argv[1]), find_books=find_books, report=report)
except KeyboardInterrupt:
    print("interrupted")
"""


class PulledPlugError(Exception):
    """What a test stops a build with."""


def plug_after(reports: int) -> Callable[[Progress], None]:
    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        if len(told) == reports:
            raise PulledPlugError

    return report


def plug_at_index(progress: Progress) -> None:
    if progress.step is Step.INDEX:
        raise PulledPlugError


def plug_at_join(progress: Progress) -> None:
    if progress.step is Step.JOIN and progress.done == 1:
        raise PulledPlugError


def attach_small(db: apsw.Connection, path: Path) -> None:
    """Attach a file on a disk that has no room for more than a little."""
    attach(db, path)
    db.execute("PRAGMA out.max_page_count = 17")


@pytest.fixture
def dumps(tmp_path: Path) -> list[Path]:
    return library(tmp_path, BOOKS, LISTED)


@pytest.fixture
def whole(tmp_path: Path, dumps: list[Path]) -> tuple[Built, list[object]]:
    result = built(tmp_path / "whole", *dumps, batch=BATCH)
    return result, answers(tmp_path / "whole", BOOKS, LISTED)


def test_a_build_that_is_interrupted_again_and_again_comes_to_the_same(
    tmp_path: Path, dumps: list[Path], whole: tuple[Built, list[object]]
) -> None:
    out, stops, steps = tmp_path / "books", 0, set()
    for _ in range(100):
        told: list[Progress] = []

        def report(progress: Progress, told: list[Progress] = told) -> None:
            told.append(progress)
            if len(told) == 2:
                raise PulledPlugError

        try:
            result = built(out, *dumps, batch=BATCH, report=report)
            break
        except PulledPlugError:
            stops += 1
            steps.add(told[-1].step)
            assert not out.exists()
    else:
        pytest.fail("it comes no further")
    assert steps == {Step.READ, Step.JOIN, Step.INDEX}
    assert stops > 10
    assert result == whole[0]._replace(is_continued=True)
    assert answers(out, BOOKS, LISTED) == whole[1]


def test_what_has_been_read_is_not_read_again(
    tmp_path: Path, dumps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PulledPlugError):
        built(tmp_path / "books", *dumps, batch=BATCH, report=plug_after(8))
    begun: list[tuple[str, int]] = []
    chunks = InputFile.chunks

    def watched(self: InputFile, file: int, lines: int, after: int, size: int) -> object:
        begun.append((self.path.name, lines))
        return chunks(self, file, lines, after, size)

    monkeypatch.setattr(InputFile, "chunks", watched)
    assert built(tmp_path / "books", *dumps, batch=BATCH).is_continued
    with InputFile(dumps[0], find_books) as source:
        read = list(islice(chunks(source, 0, 0, 0, BATCH), 7))
    assert begun[0] == ("editions.txt.gz", read[-1].lines)
    assert begun[1:] == [("works.txt", 0), ("list.csv", 0), ("authors.txt.gz", 0)]


@pytest.mark.parametrize("reports", [4, 30, 35])
def test_a_killed_build_goes_on(
    tmp_path: Path, dumps: list[Path], whole: tuple[Built, list[object]], reports: int
) -> None:
    out = tmp_path / "books"
    words = [sys.executable, "-c", KILL_SOON, str(reports), str(out), *map(str, dumps)]
    killed = subprocess.run(words, env=os.environ, check=False, capture_output=True, timeout=60)  # noqa: S603 - our own
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(CatalogueError, match=r"books is not finished\. Start its build again with the same arguments"):
        Catalogue(out)
    result = built(out, *dumps, batch=BATCH)
    assert result == whole[0]._replace(is_continued=True)
    assert answers(out, BOOKS, LISTED) == whole[1]
    assert list(tmp_path.glob("books*")) == [out]


def test_a_statement_that_takes_long_can_be_interrupted(tmp_path: Path, dumps: list[Path]) -> None:
    words = [sys.executable, "-c", INTERRUPT_A_STATEMENT, str(tmp_path / "books"), *map(str, dumps)]
    ended = subprocess.run(words, env=os.environ, check=False, capture_output=True, timeout=60)  # noqa: S603 - our own
    assert ended.stdout == b"interrupted\n", ended.stderr
    assert built(tmp_path / "books", *dumps).is_continued


def test_an_interruption_that_python_hides_in_an_error_of_its_own_is_one(
    tmp_path: Path, dumps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        hidden = SystemError("returned a result with an exception set")
        hidden.__cause__ = KeyboardInterrupt()
        raise SystemError("returned a result with an exception set") from hidden

    monkeypatch.setattr(InputFile, "_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path / "books", *dumps)


def test_files_that_have_changed_meanwhile_are_read_from_their_beginning(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", *(edition(n, f"Old {n}") for n in range(1, 50)))
    with pytest.raises(PulledPlugError):
        built(tmp_path / "books", dump, batch=BATCH, report=plug_after(10))
    write(dump, *(edition(n, f"New {n}") for n in range(1, 9)))
    result = built(tmp_path / "books", dump, batch=BATCH)
    assert (result.is_continued, result.books) == (False, 8)
    with Catalogue(tmp_path / "books") as catalogue:
        assert [found.book.title for found in catalogue.search("Old 3")] == []


def test_a_finished_catalogue_is_served_until_the_next_one_is_finished(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.txt", edition(1, "Old")), write(tmp_path / "new.txt", edition(1, "New"))
    out = tmp_path / "books"
    built(out, old)
    with Catalogue(out) as before:
        with pytest.raises(PulledPlugError):
            built(out, new, report=plug_after(3))
        with Catalogue(out) as meanwhile:
            assert meanwhile.search("Old")
        built(out, new)
        assert before.search("Old")
        assert not before.search("New")
    with Catalogue(out) as after:
        assert after.search("New")


def test_an_unfinished_file_is_no_catalogue_whatever_it_is_called(tmp_path: Path, dumps: list[Path]) -> None:
    with pytest.raises(PulledPlugError):
        built(tmp_path / "books", *dumps, batch=BATCH, report=plug_at_index)
    for end in (".part", ".stage"):
        with pytest.raises(CatalogueError, match=r"is a catalogue that is not finished\. Start its build again"):
            Catalogue(tmp_path / f"books{end}")
    (tmp_path / "books.part").rename(tmp_path / "books")
    with pytest.raises(CatalogueError, match=r"is not a catalogue\. Make one"):
        Catalogue(tmp_path / "books")


def test_two_builds_of_one_catalogue_do_not_mix(tmp_path: Path, dumps: list[Path]) -> None:
    refused: list[str] = []

    def build_again(_: Progress) -> None:
        if not refused:
            with pytest.raises(CatalogueError) as error:
                built(tmp_path / "books", *dumps)
            refused.append(str(error.value))

    assert built(tmp_path / "books", *dumps, report=build_again).books
    assert refused == [
        f"Another process is building {tmp_path / 'books'}. Wait for it, or name another file: --out",
    ]


def test_a_build_that_begins_as_another_ends_has_a_file_of_its_own(
    tmp_path: Path, dumps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tmp_path / "books.stage"

    def connect_late(path: Path) -> apsw.Connection:
        """Open the stage of a build that deletes it before this one can claim it."""
        monkeypatch.undo()
        db = connect(path)
        db.execute("CREATE TABLE theirs (a)")
        path.unlink()
        return db

    seen: list[bool] = []
    monkeypatch.setattr("shelfwire.books.catalogue.stage.connect", connect_late)
    assert not built(tmp_path / "books", *dumps, report=lambda _: seen.append(stage.exists())).is_continued
    assert seen
    assert all(seen)


def test_what_lies_in_the_way_and_is_no_build_is_replaced(tmp_path: Path, dumps: list[Path]) -> None:
    for end in (".part", ".stage"):
        (tmp_path / f"books{end}").write_bytes(b"something else " * 999)
    assert built(tmp_path / "books", *dumps).is_continued is False
    assert answers(tmp_path / "books", BOOKS, LISTED)


def test_a_full_disk_is_told_and_the_build_goes_on_when_there_is_room(
    tmp_path: Path, dumps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwire.books.catalogue.indexing.attach", attach_small)
    with pytest.raises(CatalogueError, match=r"cannot be written: database or disk is full\. Make room .* it goes on"):
        built(tmp_path / "books", *dumps, batch=BATCH)
    monkeypatch.undo()
    assert built(tmp_path / "books", *dumps, batch=BATCH).is_continued


def test_nothing_of_another_build_is_gone_on_with_where_a_build_was_killed_as_it_began(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.txt", edition(1, "Old")), write(tmp_path / "new.txt", edition(1, "New"))
    out = tmp_path / "books"
    with pytest.raises(PulledPlugError):
        built(out, old, report=plug_at_index)
    left = (tmp_path / "books.part").read_bytes()
    with pytest.raises(PulledPlugError):
        built(out, new, report=plug_after(1))
    (tmp_path / "books.part").write_bytes(left)
    assert built(out, new).is_continued
    with Catalogue(out) as catalogue:
        assert [found.book.title for found in catalogue.search("New")] == ["New"]


@pytest.mark.parametrize("end", [".part", ".stage"])
def test_what_a_build_has_left_and_is_damaged_is_deleted_so_that_it_begins_anew(
    tmp_path: Path, dumps: list[Path], end: str
) -> None:
    with pytest.raises(PulledPlugError):
        built(tmp_path / "books", *dumps, batch=BATCH, report=plug_at_join)
    left = tmp_path / f"books{end}"
    data = left.read_bytes()
    left.write_bytes(data[: 2 * 4096] + b"\xff" * (len(data) - 2 * 4096) if end == ".stage" else b"\xff" * len(data))
    with pytest.raises(CatalogueError, match=r"left beside .*books was damaged and is deleted\. Start the build again"):
        built(tmp_path / "books", *dumps, batch=BATCH)
    assert built(tmp_path / "books", *dumps, batch=BATCH).is_continued is False
    assert answers(tmp_path / "books", BOOKS, LISTED)


def test_a_file_that_changes_while_it_is_read_makes_no_catalogue(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", *(edition(n, f"Book {n}") for n in range(1, 50)))

    def write_more(progress: Progress) -> None:
        if progress.step is Step.READ and progress.done == progress.total:
            write(dump, *(edition(n, f"Book {n}") for n in range(1, 60)))

    with pytest.raises(CatalogueError, match=r"A file has changed while it was read\. Start the build again"):
        built(tmp_path / "books", dump, report=write_more)
    assert not (tmp_path / "books").exists()
    result = built(tmp_path / "books", dump)
    assert (result.is_continued, result.books) == (False, 59)


def test_what_is_sorted_on_the_disk_is_sorted_beside_the_catalogue(tmp_path: Path, dumps: list[Path]) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    built(folder / "books", *dumps)
    assert apsw.Connection(":memory:").execute("PRAGMA temp_store_directory").fetchall() == [(str(folder),)]
