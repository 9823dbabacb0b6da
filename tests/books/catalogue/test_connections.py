"""Connections that are taken, given back and closed at the worst moments, and the file replaced meanwhile."""

import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from shelfwire.books.catalogue import CatalogueError, connections
from shelfwire.books.catalogue.connections import Connections
from shelfwire.books.catalogue.database import connect_to_read

from .conftest import built
from .dumps import edition, write


def test_a_connection_that_comes_back_at_the_moment_of_closing_is_closed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path / "books", write(tmp_path / "dump.txt", edition(1, "Emma")))

    class Late(queue.SimpleQueue[apsw.Connection]):
        def put(self, item: apsw.Connection, *_: object) -> None:
            if taken:
                opened.close()
            super().put(item)

    taken: list[apsw.Connection] = []
    monkeypatch.setattr(queue, "SimpleQueue", Late)
    opened = Connections(tmp_path / "books")
    taken.append(opened.take())
    opened.give_back(taken[0])
    with pytest.raises(apsw.ConnectionClosedError):
        taken[0].execute("SELECT 1")
    with pytest.raises(CatalogueError, match="has been closed"):
        opened.take()


def test_a_file_that_is_replaced_while_it_is_opened_is_not_mixed_with_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        built(tmp_path / name, write(tmp_path / "dump.txt", edition(1, name)))

    def replaced(path: Path) -> apsw.Connection:
        db = connect_to_read(path)
        with suppress(FileNotFoundError):
            (tmp_path / "new").replace(path)
        return db

    monkeypatch.setattr(connections, "connect_to_read", replaced)
    opened = Connections(tmp_path / "old")
    first = opened.take()
    with ThreadPoolExecutor(1) as other:
        second = other.submit(opened.take)
        opened.give_back(first)
        assert second.result() is first
