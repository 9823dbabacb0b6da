from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.catalogue import Catalogue
from shelfwire.books.catalogue.build import Built, build
from shelfwire.books.csv_import.catalogue_source import find_books

from .dumps import author, edition, work, write

Of = Callable[..., Catalogue]


def built(out: Path, *files: Path, **more: Any) -> Built:
    return build(files, out, find_books=find_books, **more)


def library(folder: Path, books: int, listed: int, *rows: str, authors: Sequence[int] = ()) -> list[Path]:
    """Dumps in an order in which nothing is there when it is needed, one with a bad line; and a list.

    Args:
        folder: where they are written.
        books: editions; there are nine more works.
        listed: books in the list.
        rows: more rows of it.
        authors: of every work, after its own.
    """
    editions = [edition(n, f"Book {n}", of=n, isbn_10=[f"{n:09}"]) for n in range(1, books + 1)]
    works = [work(n, f"Book {n}", [1 + n % 5, *authors]) for n in range(1, books + 10)]
    return [
        write(folder / "editions.txt.gz", *editions[:30], "rubbish\n", *editions[30:]),
        write(folder / "works.txt", *works),
        write(folder / "list.csv", "Title,Author\n", *(f"Listed {n},Somebody Else\n" for n in range(listed)), *rows),
        write(folder / "authors.txt.gz", *(author(n, f"Author {n}") for n in range(1, 6))),
    ]


def answers(path: Path, books: int, listed: int) -> list[object]:
    """What a catalogue of such a library says of each of its books."""
    with Catalogue(path) as catalogue:
        titles = [*(f"Book {n}" for n in range(1, books + 10)), *(f"Listed {n}" for n in range(listed))]
        return [catalogue.counts(), *(catalogue.search(title, limit=1)[0] for title in titles)]


@pytest.fixture
def of(tmp_path: Path) -> Iterator[Of]:
    """Makes a catalogue of lines of dumps, and opens it."""
    with ExitStack() as stack:

        def opened(*lines: str) -> Catalogue:
            out = tmp_path / "books.sqlite3"
            built(out, write(tmp_path / "dump.txt", *lines))
            return stack.enter_context(Catalogue(out))

        yield opened
