"""Builds a catalogue: reads the files, joins what belongs together, makes it findable, and only then puts it in place.

Each step is a series of transactions that also say how far it is, so that a build which was interrupted, however hard,
goes on there. Memory is bounded by the size of a batch.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from shelfwire.books.catalogue.database import STAGE, UNFINISHED, is_catalogue
from shelfwire.books.catalogue.indexing import Indexer
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.catalogue.processes import processes, understood
from shelfwire.books.catalogue.sources import FindBooks, InputFile
from shelfwire.books.catalogue.stage import Stage, delete

BATCH: Final = 5_000
NAMES_BATCH: Final = 20
"""Names in a transaction for each line in one: every transaction leaves a part of the index to be merged."""
SMALL: Final = 8 * 1024 * 1024
"""Bytes that are read before other processes would have begun."""


class Step(StrEnum):
    """The steps of a build."""

    READ = "Reading"
    JOIN = "Joining"
    INDEX = "Indexing"


class Progress(NamedTuple):
    """How far a step is.

    Attributes:
        step: which.
        done: so much of `total`: bytes of all files while reading, then tables, then names and words.
        total: see `done`.
        doing: the file that is being read, or nothing.
    """

    step: Step
    done: int
    total: int
    doing: str = ""


class FileRead(NamedTuple):
    """The outcome for one input file.

    Attributes:
        path: the file.
        lines: how many it has.
        bad: how many of them could not be read.
        first_bad: the first of those: their numbers, and what is wrong with each.
    """

    path: Path
    lines: int
    bad: int
    first_bad: list[tuple[int, str]]


class Built(NamedTuple):
    """The outcome of a build.

    Attributes:
        books: editions, and works that have none under their title.
        isbns: different ones.
        names: different titles with their authors.
        lines: lines and rows that were read.
        spoiled: the files that had bad ones.
        is_continued: whether an earlier build had begun it.
    """

    books: int
    isbns: int
    names: int
    lines: int
    spoiled: list[FileRead]
    is_continued: bool


def build(
    files: Sequence[Path],
    out: Path,
    *,
    find_books: FindBooks,
    report: Callable[[Progress], None] = lambda _: None,
    batch: int = BATCH,
    small: int = SMALL,
) -> Built:
    """Build a catalogue.

    What it puts beside `out` meanwhile is deleted at its end. If it is interrupted, that stays, and a build of the same
    files goes on from there. A catalogue that is there already is served until it is replaced, whole, at the end.

    Args:
        files: dumps of Open Library and lists of books, in any order; of a record that is in two, the last counts.
        out: the catalogue's file.
        find_books: see there.
        report: receives the progress after every batch; an exception that it raises ends the build.
        batch: lines or rows of files in a transaction.
        small: bytes up to which files are read by this process alone. Other processes import the script that calls
            this, as `multiprocessing` has it, which must therefore have its `if __name__ == "__main__":`.

    Raises:
        CatalogueError: a file cannot be used or has changed meanwhile, `out` is there and no catalogue, another build
            of the same catalogue is running, or the disk is full.
    """
    beside = {end: out.with_name(out.name + end) for end in (STAGE, UNFINISHED)}
    made_of = [_identity(path) for path in files]
    if not files:
        raise CatalogueError("There is nothing to build a catalogue of. Name a dump of Open Library, or a CSV file")
    if out.is_dir() or not out.parent.is_dir():
        raise CatalogueError(f"{out} cannot be written: name a file in a folder that is there")
    _check_replaceable(out, files)
    for path in files:
        with InputFile(path, find_books):
            """Refuse a useless file before hours of work, not after."""
    with _writing(out, beside, made_of) as stage:
        if not all(stage.progress(number).done for number in range(len(files))):
            # It is begun when all is read; what is there is of another build, or not even that.
            delete(beside[UNFINISHED])
        read = _read(files, stage, find_books, report, batch, small)
        if [_identity(path) for path in files] != made_of:
            raise CatalogueError("A file has changed while it was read. Start the build again when all are whole")
        with contextlib.closing(Indexer(stage, beside[UNFINISHED], NAMES_BATCH * batch)) as indexer:
            for done, total in indexer.join():
                report(Progress(Step.JOIN, done, total))
            for done, total in indexer.index():
                report(Progress(Step.INDEX, done, total))
            books, isbns, names = indexer.finish()
        beside[UNFINISHED].replace(out)
        _sync(out.parent)
        delete(beside[STAGE])
    lines = sum(file.lines for file in read)
    return Built(books, isbns, names, lines, [file for file in read if file.bad], stage.is_continued)


class _NoBooksError(CatalogueError):
    """A file holds no books, so that nothing will ever come of these files."""


@contextlib.contextmanager
def _writing(out: Path, beside: Mapping[str, Path], made_of: Sequence[str]) -> Iterator[Stage]:
    """Open the stage, and tell what keeps it or the catalogue from being written."""
    stage = Stage(beside[STAGE], made_of)
    try:
        yield stage
    except _NoBooksError:
        delete(beside[STAGE])
        raise
    except BrokenExecutor:
        raise CatalogueError(
            "A process that reads the files was ended, perhaps for want of memory. Start the build again: it goes on "
            "there"
        ) from None
    except (apsw.CorruptError, apsw.NotADBError):
        for path in beside.values():
            delete(path)
        raise CatalogueError(
            f"What a build had left beside {out} was damaged and is deleted. Start the build again: it begins anew"
        ) from None
    except apsw.Error as error:
        raise CatalogueError(
            f"{out} cannot be written: {error}. Make room on the disk, and start the build again: it goes on there"
        ) from None
    finally:
        stage.close()


def _check_replaceable(out: Path, files: Sequence[Path]) -> None:
    """Refuse to replace what is no catalogue: a slip in the command shall not cost anybody their list of books."""
    if not out.exists():
        return
    if not out.is_file():
        raise CatalogueError(f"{out} is no ordinary file, so it is not replaced. Name another file to make: --out FILE")
    if out.stat().st_size == 0:
        return
    if any(out.samefile(path) for path in files):
        raise CatalogueError(f"{out} is what the catalogue is to be built of. Name another file to make: --out FILE")
    if not is_catalogue(out):
        raise CatalogueError(
            f"{out} is there already and no catalogue, so it is not replaced. Name another file to make: --out FILE"
        )


def _read(
    files: Sequence[Path],
    stage: Stage,
    find_books: FindBooks,
    report: Callable[[Progress], None],
    batch: int,
    small: int,
) -> list[FileRead]:
    sizes = [path.stat().st_size for path in files]
    before, total = 0, sum(sizes)
    read = []
    with contextlib.nullcontext() if total <= small else processes() as pool:
        for number, (path, size) in enumerate(zip(files, sizes, strict=True)):
            reading = stage.progress(number)
            if not reading.done:
                report(Progress(Step.READ, before, total, path.name))
                with (
                    InputFile(path, find_books) as source,
                    contextlib.closing(source.chunks(number, reading.lines, reading.after, batch)) as chunks,
                ):
                    for chunk, rows in understood(chunks, pool):
                        stage.put(number, rows, lines=chunk.lines, after=chunk.after, is_last=chunk.is_last)
                        report(Progress(Step.READ, before + min(chunk.bytes_read, size), total, path.name))
            before += size
            read.append(_file_read(path, number, stage))
    return read


def _file_read(path: Path, number: int, stage: Stage) -> FileRead:
    reading, first_bad = stage.progress(number), stage.bad_lines(number)
    if not reading.kept:
        why = "".join(f"Line {line} {why}. " for line, why in first_bad[:1])
        raise _NoBooksError(f"{path} holds no books. {why}Check that it is the right file")
    return FileRead(path, reading.lines, reading.bad, first_bad)


def _identity(path: Path) -> str:
    """Path, size and times of a file: another file of the same name differs in one of them."""
    try:
        status = path.stat()
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    if not stat.S_ISREG(status.st_mode):
        raise CatalogueError(f"{path} is no ordinary file. Save it as one first")
    return f"{path.resolve().as_uri()} {status.st_size} {status.st_mtime_ns}"


def _sync(folder: Path) -> None:
    """Have the disk know the new name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
