"""Catalogues whose bytes have changed on the disk: never an answer without a reason, never a traceback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shelfwire.books.catalogue import Catalogue, CatalogueError

from .conftest import built
from .dumps import edition, work, write


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"[", b"{"),
        (b"[", b"\x9d"),
        (b"Emma", b"Em\xff\xff"),
        (b",[97", b",{97"),
        (b",[97", b", 897"),
        (b",0,0", b"   ]"),
    ],
)
def test_a_book_that_is_damaged_is_told_by_whatever_question_comes_upon_it(
    tmp_path: Path, was: bytes, becomes: bytes
) -> None:
    out, kept = tmp_path / "books", b'["Emma",null,[9780141439587],0,0,0,0,0,0,0,0,0,0]'
    built(out, write(tmp_path / "dump.txt", edition(1, "Emma", isbn_13=["9780141439587"])))
    whole = out.read_bytes()
    assert whole.count(kept) == 1
    out.write_bytes(whole.replace(kept, kept.replace(was, becomes, 1)))
    with Catalogue(out) as catalogue:
        for ask in (
            lambda: catalogue.by_isbn(["9780141439587"]),
            lambda: catalogue.search("Emma"),
            lambda: catalogue.find("Emma"),
            lambda: catalogue.recognise(["EMMA"]),
        ):
            with pytest.raises(CatalogueError, match=r"books is damaged: .* Build it again"):
                ask()


def test_a_catalogue_that_has_lost_a_book_says_that_it_is_damaged(tmp_path: Path) -> None:
    out = tmp_path / "books"
    built(out, write(tmp_path / "dump.txt", edition(1, "Emma"), work(1, "Dune")))
    with closing(sqlite3.connect(out)) as db, db:
        db.executescript("DELETE FROM book; DELETE FROM work")
    with Catalogue(out) as catalogue:
        for title in ("Emma", "Dune"):
            with pytest.raises(CatalogueError, match=r"is damaged: book -?1 is missing\. Build it again"):
                catalogue.search(title)


@pytest.mark.parametrize("becomes", [b"CREATE TABLX book", b"CREATE \xff\xff\xff\xff\xff book"])
def test_a_catalogue_whose_tables_cannot_be_told_is_none(tmp_path: Path, becomes: bytes) -> None:
    out = tmp_path / "books"
    built(out, write(tmp_path / "dump.txt", edition(1, "Emma")))
    out.write_bytes(out.read_bytes().replace(b"CREATE TABLE book", becomes))
    with pytest.raises(CatalogueError, match="books is not a catalogue"):
        Catalogue(out)
