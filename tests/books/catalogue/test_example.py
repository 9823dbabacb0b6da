"""The catalogue that comes with the examples builds, is sound, and knows the old books of the export."""

import csv
from pathlib import Path

import pytest

from shelfwire.books.bibliography.isbn import parse_isbn
from shelfwire.books.catalogue import Catalogue

from .conftest import built

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LIST = EXAMPLES / "catalogue.csv"
LAST_YEAR = 1928


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    out = tmp_path_factory.mktemp("example") / "books"
    result = built(out, LIST)
    assert (result.books, result.spoiled) == (len(rows(LIST)), [])
    return Catalogue(out)


def test_every_book_of_it_is_old_and_found_by_title_and_author_and_isbn(catalogue: Catalogue) -> None:
    for row in rows(LIST):
        assert int(row["First Published"]) <= LAST_YEAR
        found = catalogue.search(row["Title"], row["Author"] or None)
        assert found[0].book.title == row["Title"]
        assert found[0].is_sure is bool(row["Author"])
        if row["ISBN13"]:
            assert parse_isbn(row["ISBN13"]) is not None
            assert catalogue.by_isbn([row["ISBN13"]])[row["ISBN13"]].title == row["Title"]


def test_it_knows_the_old_books_of_the_example_export(catalogue: Catalogue) -> None:
    old = [
        row
        for row in rows(EXAMPLES / "goodreads_export.csv")
        if row["Original Publication Year"] and int(row["Original Publication Year"]) <= LAST_YEAR
    ]
    assert len(old) > 25
    for row in old:
        found = catalogue.search(row["Title"].split(" (")[0], row["Author"])
        assert found, row["Title"]
        assert found[0].is_sure, (row["Title"], found[0])
        isbn = row["ISBN13"].strip('="')
        assert not isbn or catalogue.by_isbn([isbn])
