"""A build whose files other processes read, while it writes."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from shelfwire.books.catalogue import CatalogueError
from shelfwire.books.catalogue.build import Progress
from shelfwire.books.catalogue.processes import processes, understood
from shelfwire.books.catalogue.rows import no_rows
from shelfwire.books.catalogue.sources import Chunk

from .conftest import answers, built, library
from .dumps import write

BOOKS, LISTED = 300, 50
BATCH = 2
KILL = """
import os, signal, sys
from pathlib import Path
from shelfwire.books.catalogue.build import build
from shelfwire.books.csv_import.catalogue_source import find_books

def report(progress):
    if progress.done:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    out, *files = map(Path, sys.argv[1:])
    build(files, out, find_books=find_books, report=report, batch=2, small=0)
"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A library, with a bad row in its list too."""
    return library(tmp_path, BOOKS, LISTED, ",nobody\n", authors=[5])


def test_what_other_processes_read_comes_to_the_same(tmp_path: Path, files: list[Path]) -> None:
    alone = built(tmp_path / "alone", *files)
    assert built(tmp_path / "together", *files, batch=BATCH, small=0) == alone
    assert [file.first_bad for file in alone.spoiled] == [
        [(31, "has too few columns: 1 instead of 5")],
        [(52, "has neither a title nor an ISBN. Add one and import the file again.")],
    ]
    assert answers(tmp_path / "together", BOOKS, LISTED) == answers(tmp_path / "alone", BOOKS, LISTED)


def test_a_build_whose_processes_are_ended_says_so_and_goes_on_when_it_is_started_again(
    tmp_path: Path, files: list[Path]
) -> None:
    def end_them(progress: Progress) -> None:
        if progress.done:
            for process in psutil.Process().children():
                with suppress(psutil.Error):  # it has ended meanwhile
                    if "spawn_main" in " ".join(process.cmdline()):
                        process.kill()

    with pytest.raises(CatalogueError, match=r"A process that reads the files was ended.*Start the build again"):
        built(tmp_path / "books", *files, batch=BATCH, small=0, report=end_them)
    result = built(tmp_path / "books", *files, batch=BATCH)
    assert result == built(tmp_path / "whole", *files)._replace(is_continued=True)
    assert answers(tmp_path / "books", BOOKS, LISTED) == answers(tmp_path / "whole", BOOKS, LISTED)


def test_the_processes_of_a_killed_build_end_with_it(tmp_path: Path, files: list[Path]) -> None:
    script = write(tmp_path / "kill.py", KILL)
    words = [sys.executable, str(script), str(tmp_path / "books"), *map(str, files)]
    # They have its output too, so that this would not return before they have ended.
    killed = subprocess.run(words, env=os.environ, check=False, capture_output=True, timeout=60)  # noqa: S603 - our own
    assert (killed.returncode, b"Traceback" in killed.stderr) == (-signal.SIGKILL, False), killed.stderr
    result = built(tmp_path / "books", *files, batch=BATCH)
    assert result == built(tmp_path / "whole", *files)._replace(is_continued=True)


def test_processes_survive_an_interruption_before_they_can_ignore_it() -> None:
    chunk = Chunk(1, 1, 1, no_rows)

    def chunks() -> Iterator[Chunk]:
        yield chunk
        for process in psutil.Process().children():
            if "spawn_main" in " ".join(process.cmdline()):
                process.send_signal(signal.SIGINT)

    with processes() as pool:
        assert list(understood(chunks(), pool)) == [(chunk, no_rows())]


@pytest.mark.parametrize("error", [OSError(errno.ENOSYS, "Function not implemented"), ImportError("no semaphores")])
def test_where_processes_cannot_share_semaphores_one_reads_all(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refused)
    result = built(tmp_path / "books", *files, batch=BATCH, small=0)
    monkeypatch.undo()
    assert result == built(tmp_path / "whole", *files)
