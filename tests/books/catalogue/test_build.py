"""What a build makes of its files, and what it does when they are not as they should be."""

import gzip
import io
import os
import sqlite3
from pathlib import Path

import pytest

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import Catalogue, CatalogueError
from shelfwire.books.catalogue.build import Progress, Step
from shelfwire.books.csv_import.catalogue_source import find_books

from .conftest import Of, built
from .dumps import AUSTEN, EMMA, PENGUIN, author, edition, work, write


def test_an_edition_has_what_it_says_and_what_only_its_work_and_author_say(of: Of) -> None:
    catalogue = of(AUSTEN, EMMA, PENGUIN)
    assert catalogue.by_isbn(["0-14-143958-0"]) == {
        "9780141439587": BookRecord(
            title="Emma",
            authors=("Jane Austen",),
            isbn13s=("9780141439587",),
            publisher="Penguin Classics",
            published="May 6, 2003",
            pages=474,
            language="eng",
            subjects=("Matchmaking",),
            description="A comedy of manners.",
            cover_url="https://covers.openlibrary.org/b/id/9278312-L.jpg",
            identifiers={"openlibrary": "OL7353617M", "goodreads": "6969", "openlibraryWork": "OL66513W"},
        )
    }


def test_the_order_of_works_editions_and_authors_does_not_matter(tmp_path: Path) -> None:
    files = {"a": AUSTEN, "w": EMMA, "e": PENGUIN}
    answers = []
    for order in ("awe", "eaw", "wea"):
        parts = [write(tmp_path / f"{order}-{name}.txt.gz", files[name]) for name in order]
        built(tmp_path / order, *parts, batch=1)
        with Catalogue(tmp_path / order) as catalogue:
            answers.append(catalogue.by_isbn(["9780141439587"]))
    assert answers[0]["9780141439587"].authors == ("Jane Austen",)
    assert answers[0] == answers[1] == answers[2]


def test_an_edition_whose_work_and_author_never_come_is_kept_without_them(of: Of) -> None:
    catalogue = of(edition(1, "Emma", of=5, authors=[7], isbn_13=["9780141439587"]))
    entry = catalogue.by_isbn(["9780141439587"])["9780141439587"]
    assert (entry.title, entry.authors, entry.work_title) == ("Emma", (), None)
    assert [found.book for found in catalogue.search("Emma")] == [entry]


def test_the_authors_of_an_edition_are_taken_where_the_work_names_none(of: Of) -> None:
    catalogue = of(AUSTEN, work(5, "Emma"), edition(1, "Emma", of=5, authors=[21594]))
    assert catalogue.search("Emma")[0].book.authors == ("Jane Austen",)


def test_an_edition_in_another_language_knows_the_title_of_its_work_and_both_are_found(of: Of) -> None:
    catalogue = of(
        author(1, "Leo Tolstoy"), work(2, "Война и мир", [1]), edition(3, "War and Peace", of=2, isbn_10=["0140447938"])
    )
    (english,) = catalogue.search("War and Peace", "Tolstoy")
    (russian,) = catalogue.search("Война и мир", "Tolstoy")
    assert (english.book.work_title, english.book.isbn13s) == ("Война и мир", ("9780140447934",))
    assert (russian.book.title, russian.book.identifiers) == ("Война и мир", {"openlibraryWork": "OL2W"})


def test_many_editions_of_one_book_are_one_answer_and_the_one_that_says_most(of: Of) -> None:
    bare = [edition(number, "EMMA", of=66513) for number in range(1, 30)]
    catalogue = of(AUSTEN, EMMA, *bare, PENGUIN, edition(99999999, "Emma.", of=66513))
    (found,) = catalogue.search("Emma", "Jane Austen")
    assert found.book.publisher == "Penguin Classics"
    assert found.score == 1


def test_of_two_editions_with_one_isbn_the_one_that_says_more_has_it(of: Of) -> None:
    less = edition(1, "Emma, cheaply", isbn_13=["9780141439587"])
    least = edition(99999999, "Emma, badly", isbn_13=["9780141439587"])
    catalogue = of(AUSTEN, less, EMMA, PENGUIN, least)
    assert catalogue.by_isbn(["9780141439587"])["9780141439587"].title == "Emma"


def test_of_a_record_that_is_in_two_files_the_later_file_counts(tmp_path: Path) -> None:
    old = write(tmp_path / "old.txt", edition(1, "Ema", isbn_13=["9780141439587"]))
    new = write(tmp_path / "new.txt", edition(1, "Emma", isbn_13=["9780141439587"]))
    assert built(tmp_path / "books", old, new).books == 1
    with Catalogue(tmp_path / "books") as catalogue:
        assert catalogue.by_isbn(["9780141439587"])["9780141439587"].title == "Emma"


def test_an_isbn_that_the_later_file_has_taken_back_is_not_known(tmp_path: Path) -> None:
    old = write(tmp_path / "old.txt", edition(1, "Emma", isbn_13=["9780141439587", "9780140447934"]))
    new = write(tmp_path / "new.txt", edition(1, "Emma", isbn_13=["9780140447934"]))
    built(tmp_path / "books", old, new)
    with Catalogue(tmp_path / "books") as catalogue:
        assert list(catalogue.by_isbn(["9780141439587", "9780140447934"])) == ["9780140447934"]


def test_a_book_of_several_authors_names_them_in_order_and_is_found_by_any(of: Of) -> None:
    marx, engels = author(9, "Karl Marx"), author(3, "Friedrich Engels")
    manifesto = work(1, "The Communist Manifesto", [9, 3])
    catalogue = of(
        engels,
        manifesto,
        edition(7, "The Communist Manifesto", of=1, isbn_13=["9780141439587", "9780140447934"]),
        edition(8, "The Holy Family", authors=[9, 3, 12345]),
        marx,
    )
    both = ("Karl Marx", "Friedrich Engels")
    assert {book.authors for book in catalogue.by_isbn(["9780141439587", "9780140447934"]).values()} == {both}
    for title, person in (("Communist Manifesto", "Engels"), ("Communist Manifesto", "Marx"), ("Holy Family", "Marx")):
        (found, *others) = catalogue.search(title, person)
        assert (found.book.authors, found.is_sure, others) == (both, True, [])


def test_a_title_is_one_answer_though_the_author_is_in_the_dump_twice(of: Of) -> None:
    catalogue = of(
        author(1, "J. R. R. Tolkien"),
        author(2, "JRR Tolkien"),
        work(1, "The Hobbit", [1]),
        work(2, "The Hobbit", [2]),
        edition(1, "The Hobbit", of=1),
        edition(2, "The Hob bit", of=2, publishers=["Allen & Unwin"]),
    )
    (found,) = catalogue.search("The Hobbit", "Tolkien")
    assert found.book.publisher == "Allen & Unwin"


def test_a_gzip_that_was_not_downloaded_to_its_end_is_told_and_makes_no_catalogue(tmp_path: Path) -> None:
    lines = [edition(number, f"Book {number}", subtitle=str(number**9)) for number in range(1, 5000)]
    whole = write(tmp_path / "whole.txt.gz", *lines).read_bytes()
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(
        CatalogueError, match=r"cut\.txt\.gz is damaged, or was not downloaded to its end .*Get it again"
    ):
        built(tmp_path / "books", cut)
    assert not (tmp_path / "books").exists()


def test_a_gzip_that_is_damaged_at_its_beginning_is_told_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.txt.gz"
    broken.write_bytes(gzip.compress(EMMA.encode())[:12] + b"\xff" * 40)
    with pytest.raises(CatalogueError, match=r"broken\.txt\.gz is damaged"):
        built(tmp_path / "books", broken)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"%PDF-1.7 ...", "is neither a dump of Open Library nor a list of books.*PDF"),
        (b"<!doctype html><p>Not found", "is neither a dump.*web page"),
        (b"Once upon a time\nthere was a file\n", "is neither a dump.*must be called Title"),
        (gzip.compress(b"Once upon a time\n", mtime=0), "is neither a dump.*must be called Title"),
        (b"\x00\x01\x02\x03" * 999, "is neither a dump"),
        (b"/type/edition\t/books/OL2M\t1\t2024\t{not JSON\n", r"holds no books. Line 1 is not JSON"),
        (b"/type/edition\t/books/OL2M\t1\t2024\t" + b'{"a":' * 9999, r"holds no books. Line 1 is not JSON"),
    ],
)
def test_a_file_that_is_neither_dump_nor_list_is_a_clear_error(tmp_path: Path, data: bytes, words: str) -> None:
    good, other = write(tmp_path / "good.txt", EMMA), tmp_path / "other"
    other.write_bytes(data)
    with pytest.raises(CatalogueError, match=rf"other {words}"):
        built(tmp_path / "books", good, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.txt", "other"]


def test_files_and_places_that_are_not_there_are_told_before_anything_is_read(tmp_path: Path) -> None:
    good = write(tmp_path / "good.txt", EMMA)
    with pytest.raises(CatalogueError, match=r"gone\.txt cannot be read: No such file"):
        built(tmp_path / "books", good, tmp_path / "gone.txt")
    with pytest.raises(CatalogueError, match="is no ordinary file"):
        built(tmp_path / "books", tmp_path)
    with pytest.raises(CatalogueError, match="name a file in a folder that is there"):
        built(tmp_path / "nowhere" / "books", good)
    with pytest.raises(CatalogueError, match="name a file in a folder that is there"):
        built(tmp_path, good)
    with pytest.raises(CatalogueError, match="nothing to build"):
        built(tmp_path / "books")


def test_progress_goes_through_all_bytes_then_all_tables_then_all_names(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", *(edition(number, f"Book {number}") for number in range(1, 101)))
    packed = write(tmp_path / "more.txt.gz", *(edition(number, f"Book {number}") for number in range(101, 201)))
    told: list[Progress] = []
    built(tmp_path / "books", dump, packed, report=told.append, batch=10)
    size = dump.stat().st_size + packed.stat().st_size
    for step, total in ((Step.READ, size), (Step.JOIN, 5), (Step.INDEX, 400)):
        series = [progress for progress in told if progress.step is step]
        assert {progress.total for progress in series} == {total}
        assert [progress.done for progress in series] == sorted(progress.done for progress in series)
        assert series[-1].done == total
    assert list(dict.fromkeys(progress.step for progress in told)) == [Step.READ, Step.JOIN, Step.INDEX]


def test_a_book_list_is_as_good_as_a_dump(tmp_path: Path) -> None:
    books = tmp_path / "books.csv"
    books.write_bytes(
        "\ufeffsep=;\r\nTitel;Autor;ISBN;Verlag;Erscheinungsjahr;Sprache\r\n"
        "Die Verwandlung;Kafka, Franz;9783150099001;Reclam;1995;de\r\n"
        '"Das Schloß";"Franz Kafka";;;;\r\n;;;;;\r\n;niemand;;;;\r\n'.encode("utf-8")
    )
    result = built(tmp_path / "catalogue", books)
    assert result.books == 2
    assert [(number, why) for number, why in result.spoiled[0].first_bad] == [
        (5, "has neither a title nor an ISBN. Add one and import the file again.")
    ]
    with Catalogue(tmp_path / "catalogue") as catalogue:
        (found,) = catalogue.search("Die Verwandlung", "Franz Kafka")
        assert found.book == BookRecord(
            title="Die Verwandlung",
            authors=("Franz Kafka",),
            isbn13s=("9783150099001",),
            publisher="Reclam",
            published="1995",
            language="de",
        )
        assert catalogue.search("das schloss kafka")
        assert catalogue.search("Das Schloss", "Kafka")[0].is_sure


def test_what_is_personal_in_an_export_stays_out_of_a_catalogue(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(
        "Title,Author,My Rating,Exclusive Shelf,Bookshelves,My Review,Private Notes\n"
        "Emma,Jane Austen,5,read,secret-shelf,my-review,my-note\n"
    )
    built(tmp_path / "catalogue", export)
    data = (tmp_path / "catalogue").read_bytes()
    assert b"Jane Austen" in data
    assert [word for word in (b"secret-shelf", b"my-review", b"my-note") if word in data] == []


def test_the_finished_file_is_sound_and_alone(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", AUSTEN, EMMA, PENGUIN)
    built(tmp_path / "books", dump)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["books", "dump.txt"]
    db = sqlite3.connect(tmp_path / "books")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()


def test_a_file_that_is_no_catalogue_is_never_replaced(tmp_path: Path) -> None:
    books, notes = tmp_path / "books.csv", tmp_path / "notes.txt"
    books.write_text("Title,Author\nEmma,Jane Austen\n")
    notes.write_text("Buy bread")
    with pytest.raises(CatalogueError, match=r"books\.csv is what the catalogue is to be built of\. Name another"):
        built(books, books)
    with pytest.raises(CatalogueError, match=r"notes\.txt is there already and no catalogue"):
        built(notes, books)
    assert (books.read_text()[:5], notes.read_text()) == ("Title", "Buy bread")
    assert sorted(tmp_path.iterdir()) == [books, notes]


def test_what_is_no_ordinary_file_is_never_replaced(tmp_path: Path) -> None:
    books, pipe = write(tmp_path / "books.txt", EMMA), tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CatalogueError, match=r"pipe is no ordinary file, so it is not replaced\. Name another"):
        built(pipe, books)
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [books, pipe]


@pytest.mark.parametrize("name", [b"a b?x#%41&'c", b"caf\xe9"])
def test_files_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("such a name cannot be here")
    books = write(folder / f"{os.fsdecode(name)}.txt", AUSTEN, EMMA)
    built(folder / os.fsdecode(name), books)
    assert sorted(folder.iterdir()) == sorted([books, folder / os.fsdecode(name)])
    with Catalogue(folder / os.fsdecode(name)) as catalogue:
        assert catalogue.search("Emma", "Jane Austen")[0].is_sure


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    books, too_long = write(tmp_path / "books.txt", EMMA), tmp_path / ("b" * 250)
    with pytest.raises(CatalogueError, match=r"bbb\.stage cannot be written: unable to open database file"):
        built(too_long, books)


def test_of_a_row_without_end_only_the_beginning_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwire.books.csv_import.catalogue_source.MAX_LINE", 3_000, raising=False)
    data = b"Title,Author\r\nEmma,Jane Austen\r\n" + b"x" * 900_000 + b",nobody\r\nDune,Frank Herbert"
    rows = list(find_books(data[:60]).rows(io.BytesIO(data)))
    assert rows == [(2, ["Emma", "Jane Austen"]), (3, ["x" * 3_000]), (4, ["Dune", "Frank Herbert"])]
