"""The local catalogue: how fast it is built, and how fast and how rightly it answers.

The books are made up. Peers: the works alone put into one table by plain `sqlite3`; a dictionary in memory for ISBNs;
and, for titles, `rapidfuzz.process.extract` over every title with its author, which looks at all of them.
"""

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from bench.made_books import Made, World
from rapidfuzz import fuzz, process

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import Catalogue
from shelfwire.books.catalogue.packing import pack

T = TypeVar("T")
BOOKS: Final = 300_000
BUILD_SECONDS: Final = 10
BUILDS: Final = 3
ASKED: Final = 1_000
PEER_ASKED: Final = 20


def timed(ask: Callable[..., T], questions: Iterable[tuple[Any, ...]]) -> tuple[list[float], list[T]]:
    """Ask one question after the other; seconds for each, and the answers."""
    seconds, answers = [], []
    for question in questions:
        began = time.perf_counter()
        answers.append(ask(*question))
        seconds.append(time.perf_counter() - began)
    return seconds, answers


def is_it(found: BookRecord, book: Made) -> bool:
    """Whether an answer is the book, or another of the same title and author."""
    return (found.title, found.authors) == (book.title, (book.author,))


def _processor_seconds() -> float:
    """Of the processes that this one has started, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report_build(folder: Path, world: World, books: int) -> Path:
    """Build the catalogue, and put down the same entries without any way to find them."""
    dumps, out = world.write(folder), folder / "books.sqlite3"
    # As on anybody's machine, Python keeps the bytecode of what it has started once.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, env=kept)
    command = [sys.executable, "-m", "shelfwire", "catalogue", "build"]
    run([*command, "--help"])
    seconds, cpu = [], []
    for _ in range(BUILDS):
        began, before = time.perf_counter(), _processor_seconds()
        run([*command, *map(str, dumps), "--out", str(out)])
        seconds.append(time.perf_counter() - began)
        cpu.append(_processor_seconds() - before)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    with Catalogue(out) as catalogue:
        names = catalogue.counts()["names"]
    packed = (pack(BookRecord(title=book.title, authors=(book.author,))) for book in world.books)
    entries = list(enumerate(packed))
    began = time.perf_counter()
    peer = sqlite3.connect(folder / "peer.sqlite3")
    peer.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, entry BLOB)")
    peer.executemany("INSERT INTO book VALUES (?, ?)", entries)
    peer.commit()
    peer.close()
    limit = BUILD_SECONDS * books / BOOKS
    rig.report(
        f"Build of {books:,} editions, {len(world.books):,} works and their authors, from gzip",
        [
            rig.Line(f"build, the whole command, median of {BUILDS}, s", rig.median(seconds), limit, seconds),
            rig.Line("processor time of it, s", rig.median(cpu), spread=cpu),
            rig.Line("peer: works alone into one table by plain sqlite3, s", time.perf_counter() - began),
            rig.Line("dumps, MB", sum(path.stat().st_size for path in dumps) / rig.MEGABYTE),
            rig.Line("catalogue, MB", out.stat().st_size / rig.MEGABYTE),
            rig.Line("titles with their authors", names),
            rig.Line("memory of the build, MB", memory / rig.MEGABYTE, 300),
        ],
    )
    return out


def report_isbns(catalogue: Catalogue, world: World) -> None:
    """Ask for ISBNs, one at a time."""
    books = world.dice.choices(world.books, k=20 * ASKED)
    seconds, answers = timed(catalogue.by_isbn, (([book.isbn],) for book in books))
    right = sum(book.isbn in answer for book, answer in zip(books, answers, strict=True))
    memory = {book.isbn: book for book in world.books}
    peer, _ = timed(memory.get, ((book.isbn,) for book in books))
    rig.report(
        f"An ISBN, {len(books):,} times",
        [
            rig.Line("microseconds, median", rig.median(seconds) * 1e6, 50),
            rig.Line("microseconds, 99 of 100", rig.percentile(seconds, 99) * 1e6),
            rig.Line("peer: a dictionary of all books in memory, median", rig.median(peer) * 1e6),
            rig.Line("found, %", 100 * right / len(books), 100, at_least=True),
        ],
    )


def report_titles(catalogue: Catalogue, world: World, asked: int) -> None:
    """Ask for misspelt titles, with and without author."""
    books = world.dice.sample(world.books, asked)
    typed = [(world.misspelt(book.title, 2), world.misspelt(book.author, 1)) for book in books]
    with_author, found = timed(catalogue.search, typed)
    alone, found_alone = timed(catalogue.search, ((title,) for title, _ in typed))
    firsts = [(book, answer[0]) for book, answer in zip(books, found, strict=True) if answer]
    right = sum(is_it(one.book, book) for book, one in firsts)
    wrong_sure = sum(one.is_sure and not is_it(one.book, book) for book, one in firsts)
    same = sum(answer[0].book.title == book.title for book, answer in zip(books, found_alone, strict=True) if answer)
    whole = [f"{book.title} {book.author}" for book in world.books]
    few = [" ".join(one) for one in typed[:PEER_ASKED]]
    by_all = partial(process.extract, choices=whole, scorer=fuzz.ratio, limit=1)
    peer, hits = timed(by_all, ((one,) for one in few))
    peer_right = sum(hit[0][0] == f"{book.title} {book.author}" for book, hit in zip(books, hits, strict=False))
    rig.report(
        f"A title with two typing errors, {asked:,} times",
        [
            rig.Line("with author, one error in it: ms, median", rig.median(with_author) * 1e3, 20),
            rig.Line("with author: ms, 95 of 100", rig.percentile(with_author, 95) * 1e3),
            rig.Line("with author: the right book first, %", 100 * right / asked, 93, at_least=True),
            rig.Line("with author: said to be sure, and wrong, %", 100 * wrong_sure / asked, 0.5),
            rig.Line("title alone: ms, median", rig.median(alone) * 1e3, 20),
            rig.Line("title alone: ms, 95 of 100", rig.percentile(alone, 95) * 1e3),
            rig.Line("title alone: the right title first, %", 100 * same / asked),
            rig.Line(f"peer: rapidfuzz over all books, {len(few)} times: ms, median", rig.median(peer) * 1e3),
            rig.Line("peer: the right book first, %", 100 * peer_right / len(few)),
        ],
    )


def report_spines(catalogue: Catalogue, world: World, strangers: World, asked: int) -> None:
    """Show spines as an engine reads them: of books that are there, and of books that are not."""
    books, others = world.dice.sample(world.books, asked), strangers.dice.sample(strangers.books, asked)
    known = {(book.title, book.author) for book in world.books}
    others = [book for book in others if (book.title, book.author) not in known]
    seconds, found = timed(catalogue.recognise, ((world.spine(book),) for book in books))
    _, mistaken = timed(catalogue.recognise, ((world.spine(book),) for book in others))
    answers = [(book, one) for book, one in zip(books, found, strict=True) if one]
    right = sum(is_it(one.book, book) for book, one in answers)
    sure = sum(one.is_sure and is_it(one.book, book) for book, one in answers)
    wrong = sum(one.is_sure and not is_it(one.book, book) for book, one in answers)
    fooled = sum(one.is_sure for one in mistaken if one)
    rig.report(
        f"A spine as an engine reads it, {asked:,} times",
        [
            rig.Line("ms, median", rig.median(seconds) * 1e3, 50),
            rig.Line("ms, 95 of 100", rig.percentile(seconds, 95) * 1e3),
            rig.Line("the right book, %", 100 * right / asked),
            rig.Line("the right book, and sure of it, %", 100 * sure / asked),
            rig.Line("sure, and wrong, %", 100 * wrong / asked, 0.5),
            rig.Line("sure of a book that is not in the catalogue, %", 100 * fooled / max(1, len(others)), 0.5),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="30,000 books instead of 300,000, and 200 questions")
    quick = parser.parse_args().quick
    books, asked = (BOOKS // 10, 200) if quick else (BOOKS, ASKED)
    rig.machine()
    world, strangers = World(books, seed=1), World(max(books // 20, 2 * asked), seed=2)
    with rig.scratch() as folder, Catalogue(report_build(folder, world, books)) as catalogue:
        report_isbns(catalogue, world)
        report_titles(catalogue, world, asked)
        report_spines(catalogue, world, strangers, asked)


if __name__ == "__main__":
    main()
