import os
import subprocess
import sys

import pytest

from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RepeatedBook

DUNE = "9780441013593"
EMMA = "9780141439587"


def book(row: int, title: str, *authors: str, isbn13: str | None = None) -> ImportedBook:
    return ImportedBook(row=row, title=title, authors=authors, isbn13=isbn13)


def repeats(*books: ImportedBook) -> dict[int, int]:
    seen = SeenBooks()
    found = {}
    for each in books:
        try:
            seen.admit(each)
        except RepeatedBook as repeated:
            found[repeated.row] = repeated.earlier_row
    return found


def test_the_same_isbn_is_the_same_book() -> None:
    assert repeats(book(2, "Dune", isbn13=DUNE), book(3, "Der Wüstenplanet", isbn13=DUNE)) == {3: 2}


def test_the_same_title_and_authors_are_the_same_book_whatever_the_spelling_or_isbn() -> None:
    first = book(2, "Emma", "Jane Austen", isbn13=EMMA)
    assert repeats(first, book(3, "EMMA!", "JANEAUSTEN")) == {3: 2}
    assert repeats(first, book(3, "Emma", "Jane Austen", isbn13=DUNE)) == {3: 2}
    assert repeats(book(2, "Emma", "Jane Austen"), book(3, "emma", "Jane  Austen", isbn13=EMMA)) == {3: 2}


def test_the_same_title_by_another_author_or_none_is_another_book() -> None:
    assert repeats(book(2, "Emma", "Jane Austen"), book(3, "Emma", "Kaoru Mori"), book(4, "Emma")) == {}
    assert repeats(book(2, "Emma"), book(3, "Emma")) == {3: 2}


def test_title_and_author_do_not_run_together() -> None:
    assert repeats(book(2, "It", "Self"), book(3, "Its", "Elf")) == {}


def test_titles_of_nothing_but_punctuation_differ() -> None:
    assert repeats(book(2, "???", "A"), book(3, "!!!", "A"), book(4, "???", "A")) == {4: 2}


def test_a_repetition_is_no_book_that_others_could_repeat() -> None:
    assert repeats(
        book(2, "Emma", "Jane Austen"),
        book(3, "Emma", "Jane Austen", isbn13=EMMA),
        book(4, "Another Emma", "Jane Austen", isbn13=EMMA),
    ) == {3: 2}


def test_the_earliest_of_two_repeated_rows_is_named() -> None:
    assert repeats(book(2, "A", isbn13=DUNE), book(3, "B"), book(4, "B", isbn13=DUNE)) == {4: 2}


def test_the_message_names_the_earlier_row() -> None:
    seen = SeenBooks()
    seen.admit(book(12, "Emma"))
    with pytest.raises(RepeatedBook, match=r"^The same book as row 12\.$"):
        seen.admit(book(20, "Emma"))


def test_every_process_remembers_a_book_under_the_same_number() -> None:
    script = (
        "from shelfwire.books.csv_import.imported_book import ImportedBook\n"
        "from shelfwire.books.csv_import.duplicates import SeenBooks\n"
        "seen = SeenBooks()\n"
        "seen.admit(ImportedBook(title='Emma', authors=('Jane Austen',), row=2)); print(sorted(seen._rows))"
    )
    printed = {
        subprocess.run(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(printed) == 1
