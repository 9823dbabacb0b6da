from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shelfwire.catalogue import Catalogue
from shelfwire.catalogue.build import Built, build
from shelfwire.pipelines.csv_import.entries import find_books

from .dumps import write

Of = Callable[..., Catalogue]


def built(out: Path, *files: Path, **more: Any) -> Built:
    return build(files, out, find_books=find_books, **more)


@pytest.fixture
def of(tmp_path: Path) -> Iterator[Of]:
    """Makes a catalogue of lines of dumps, and opens it."""
    with ExitStack() as stack:

        def opened(*lines: str) -> Catalogue:
            out = tmp_path / "books.sqlite3"
            built(out, write(tmp_path / "dump.txt", *lines))
            return stack.enter_context(Catalogue(out))

        yield opened
