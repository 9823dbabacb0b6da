"""What a build makes of lines and records that are not as most are."""

from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import Catalogue
from shelfwire.books.catalogue.dumps import rows_of_block

from .conftest import Of, built
from .dumps import AUSTEN, EMMA, PENGUIN, author, edition, line, work, write


def test_bad_lines_are_counted_and_named_and_harm_nobody(tmp_path: Path) -> None:
    dump = write(
        tmp_path / "dump.txt",
        PENGUIN,
        "/type/edition\t/books/OL2M\t1\t2024\t{not JSON\n",
        "/type/edition\t/books/OL3M\n",
        "\n",
        "/type/edition\t/books/1984\t1\t2024\t{}\n",
        "what is this?\ta\tb\tc\td\n",
        line("redirect", "/books/OL4M", location="/books/OL1M"),
        line("edition", "/books/OL5M"),
        line("edition", "/books/OL6M", title=["a", "list"], authors="nobody", works={}, isbn_13="x", covers=7),
        line("edition", "/books/OL7M", title="Odd", description=[], languages=["/languages/eng"], works=[{"key": 1}]),
        AUSTEN,
    )
    result = built(tmp_path / "books", dump)
    assert (result.lines, result.books) == (11, 2)
    (spoiled,) = result.spoiled
    assert (spoiled.path, spoiled.bad) == (dump, 4)
    assert [number for number, _ in spoiled.first_bad] == [2, 3, 5, 6]
    assert [why.split(":")[0] for _, why in spoiled.first_bad] == [
        "is not JSON",
        "has too few columns",
        "has a key that is none",
        "does not begin with a type",
    ]


def test_a_member_of_any_form_is_left_out_and_the_others_are_kept(of: Of) -> None:
    odd = {
        "title": "Emma",
        "isbn_13": ["9780141439587", None, 7],
        "publishers": [None, " Penguin   Classics "],
        "publish_date": ["2003"],
        "number_of_pages": "474",
        "languages": ["/languages/eng"],
        "covers": [None, -1, True, 5],
        "subjects": {"a": 1},
        "description": {"value": " A comedy. "},
        "identifiers": {"goodreads": 6969, "amazon": ["B0"]},
        "lccn": [],
        "oclc_numbers": [1, "2"],
        "works": "/works/OL66513W",
    }
    catalogue = of(author(21594, " Jane  Austen "), EMMA, line("edition", "/books/OL1M", **odd))
    assert catalogue.by_isbn(["9780141439587"])["9780141439587"] == BookRecord(
        title="Emma",
        authors=("Jane Austen",),
        isbn13s=("9780141439587",),
        publisher="Penguin Classics",
        pages=474,
        language="eng",
        subjects=("Matchmaking",),
        description="A comedy.",
        cover_url="https://covers.openlibrary.org/b/id/5-L.jpg",
        identifiers={"openlibrary": "OL1M", "asin": "B0", "oclc": "2", "openlibraryWork": "OL66513W"},
    )


def test_a_member_that_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    text = edition(1, "Emma", publishers=["?"], subjects=["#"], publish_date="1815", isbn_13=["9780141439587"])
    dump = tmp_path / "odd.txt"
    dump.write_bytes(text.encode().replace(b"?", b"\xff").replace(b'["#"]', b"[" * 500 + b"]" * 500))
    built(tmp_path / "odd", dump)
    with Catalogue(tmp_path / "odd") as catalogue:
        entry = catalogue.by_isbn(["9780141439587"])["9780141439587"]
    assert (entry.publisher, entry.subjects, entry.published) == (None, (), "1815")


@pytest.mark.parametrize("nested", ["[" * 900 + "]" * 900, '{"a":' * 900 + "0" + "}" * 900])
def test_however_many_brackets_a_record_has_in_brackets_whoever_asks_is_answered(tmp_path: Path, nested: str) -> None:
    text = edition(1, "Emma", publishers=["Penguin"], subjects=["#"], isbn_13=["9780141439587"])
    built(tmp_path / "books", write(tmp_path / "dump.txt", text.replace('["#"]', nested)))

    def ask(catalogue: Catalogue, calls: int) -> BookRecord:
        return ask(catalogue, calls - 1) if calls else catalogue.by_isbn(["9780141439587"])["9780141439587"]

    with Catalogue(tmp_path / "books") as catalogue:
        entry = ask(catalogue, 300)
    assert (entry.publisher, entry.subjects) == ("Penguin", ())


def test_of_a_record_of_any_size_a_bounded_one_is_kept(tmp_path: Path) -> None:
    long: dict[str, Any] = {
        "subtitle": "s" * 9_000,
        "description": "d " * 99_000,
        "subjects": [f"{n} " * 99 for n in range(999)],
    }
    dump = write(
        tmp_path / "dump.txt",
        edition(1, "E" * 9_000, of=1, publish_date="1" * 9_000, isbn_13=["9780141439587"] * 500, **long),
        work(1, "W" * 9_000, [1] * 5_000, **long),
        author(1, "A" * 9_000),
    )
    built(tmp_path / "books", dump)
    assert (tmp_path / "books").stat().st_size < 200_000
    with Catalogue(tmp_path / "books") as catalogue:
        entry = catalogue.by_isbn(["9780141439587"])["9780141439587"]
    assert (entry.title, entry.subtitle, entry.work_title) == ("E" * 1_000, "s" * 200, "W" * 1_000)
    assert (entry.description, len(entry.subjects), entry.subjects[0]) == (
        ("d " * 1_000).strip(),
        12,
        ("0 " * 99).strip(),
    )
    assert (entry.published, entry.authors, entry.isbn13s) == ("1" * 200, ("A" * 200,), ("9780141439587",))


def test_of_very_many_bad_lines_the_first_are_named(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", PENGUIN, *["rubbish\n"] * 500)
    (spoiled,) = built(tmp_path / "books", dump, batch=7).spoiled
    assert (spoiled.bad, len(spoiled.first_bad)) == (500, 20)


def test_of_a_block_of_rubbish_no_more_is_kept_than_will_be_told() -> None:
    rows = rows_of_block(1, b"x\n" * 90_000, "is longer than 9 bytes")
    assert len(rows.bad) + rows.more_bad == 90_001
    assert [number for number, _ in rows.bad] == [*range(1, 21), 90_001]


def test_a_line_without_end_costs_that_line_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwire.books.catalogue.sources.MOST_LINE_BYTES", 1000)
    dump = write(tmp_path / "dump.txt", AUSTEN, f"{'x' * 5500}\n", PENGUIN, "y" * 1000)
    result = built(tmp_path / "books", dump, batch=1)
    (spoiled,) = result.spoiled
    assert (result.books, result.lines, spoiled.bad) == (1, 4, 2)
    assert spoiled.first_bad[0] == (2, "is longer than 1,000 bytes")
