import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from shelfwire.books.csv_import.duplicates import SeenBooks, settled
from shelfwire.books.csv_import.imported_book import ImportedBook, Read
from shelfwire.books.csv_import.problems import RepeatedBook

DUNE = "9780441013593"
EMMA = "9780141439587"


def book(row: int, title: str, *authors: str, **members: Any) -> ImportedBook:
    return ImportedBook(row=row, title=title, authors=authors, **members)


def repeats(*books: ImportedBook) -> dict[int, int]:
    seen = SeenBooks()
    found = {}
    for each in books:
        try:
            seen.admit(each)
        except RepeatedBook as repeated:
            found[repeated.row] = repeated.earlier_row
    return found


def decided(*books: ImportedBook) -> Mapping[int, ImportedBook | RepeatedBook]:
    *_, verdicts = settled(iter(books))
    return verdicts


def test_the_same_isbn_and_title_is_the_same_book() -> None:
    assert repeats(book(2, "Dune", isbn13=DUNE), book(3, "DUNE!", "Frank Herbert", isbn13=DUNE)) == {}
    assert repeats(book(2, "Emma", isbn13=EMMA), book(3, "Emma: A Novel", isbn13=EMMA)) == {3: 2}
    assert repeats(book(2, "Emma", isbn13=EMMA), book(3, EMMA, isbn13=EMMA)) == {3: 2}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Fellowship of the Ring", "The Two Towers"),
        ("Collected Works: Volume 1", "Collected Works: Volume 2"),
        ("Tides, Band 1", "Tides, Band 2"),
        ("Dune", "Der Wüstenplanet"),
    ],
)
def test_volumes_under_the_isbn_of_their_set_are_all_kept_and_say_so(one: str, other: str) -> None:
    verdicts = decided(book(2, one, isbn13=DUNE), book(3, other, isbn13=DUNE))
    kept = verdicts[3]
    assert isinstance(kept, ImportedBook)
    assert kept.warnings == ("Row 2 has the same ISBN with another title; both were kept.",)


def test_the_same_title_and_authors_are_the_same_book_whatever_the_spelling() -> None:
    first = book(2, "Emma", "Jane Austen", isbn13=EMMA)
    assert repeats(first, book(3, "EMMA!", "JANEAUSTEN")) == {3: 2}
    assert repeats(book(2, "Emma", "Jane Austen"), book(3, "emma", "Jane  Austen")) == {3: 2}


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"isbn13": EMMA}, {"isbn13": DUNE}),
        ({"isbn_as_given": "123"}, {"isbn_as_given": "124"}),
        ({"volume": "1"}, {"volume": "2"}),
        ({"series": "Tides #1"}, {"series": "Tides #2"}),
        ({"edition": "1st"}, {"edition": "2nd"}),
        ({"format": "Paperback"}, {"format": "ebook"}),
        ({"year": 1990}, {"year": 2018}),
        ({"language": "en"}, {"language": "de"}),
        ({"identifiers": {"goodreads": "1"}}, {"identifiers": {"goodreads": "2"}}),
    ],
)
def test_books_of_one_name_that_anything_tells_apart_are_two(here: dict[str, Any], there: dict[str, Any]) -> None:
    one, other = book(2, "Emma", "Jane Austen", **here), book(3, "Emma", "Jane Austen", **there)
    assert repeats(one, other) == {}
    assert decided(one, other) == {2: one, 3: other}


def test_what_only_one_row_says_tells_nothing_apart() -> None:
    first = book(2, "Emma", "Jane Austen")
    verdicts = decided(first, book(3, "Emma", "Jane Austen", isbn13=EMMA, year=1815))
    assert isinstance(verdicts[3], RepeatedBook)
    more = verdicts[2]
    assert isinstance(more, ImportedBook)
    assert (more.isbn13, more.year) == (EMMA, 1815)
    assert more.warnings == ("Row 3 is the same book; what it says more went here.",)


def test_the_same_edition_read_again_adds_its_dates_to_the_first() -> None:
    once, again = Read(finished="2015-01-20"), Read(started="2020-04-01", finished="2020-05-02")
    verdicts = decided(
        book(2, "Emma", "Jane Austen", reads=(once,), dates_read=("2015-01-20",), date_read="2015-01-20", rating=4),
        book(5, "Emma", "Jane Austen", reads=(again,), dates_read=("2020-05-02",), date_read="2020-05-02", rating=5),
    )
    first, second = verdicts[2], verdicts[5]
    assert isinstance(first, ImportedBook)
    assert first.dates_read == ("2015-01-20", "2020-05-02")
    assert (first.date_started, first.date_read, first.rating) == ("2020-04-01", "2020-05-02", 5)
    assert [read.rating for read in first.reads] == [4, 5]
    assert first.warnings == ("Row 5 is the same book; its dates (2020-05-02) went here.",)
    assert str(second) == (
        "The same book as row 2. Its dates (2020-05-02) went to that row. To import both, choose to keep "
        "duplicates (--duplicates keep)."
    )


def test_another_review_of_the_same_book_is_never_lost() -> None:
    one, other = book(2, "Emma", review="Good."), book(3, "Emma", review="Bad.")
    kept = decided(one, other)[3]
    assert isinstance(kept, ImportedBook)
    assert kept.warnings == ("Row 2 seems to have the same book with another review; both were kept.",)
    assert repeats(one, other) == {}


def test_the_same_title_by_another_author_or_none_is_another_book() -> None:
    assert repeats(book(2, "Emma", "Jane Austen"), book(3, "Emma", "Kaoru Mori"), book(4, "Emma")) == {}
    assert repeats(book(2, "Emma"), book(3, "Emma")) == {3: 2}


def test_title_and_author_do_not_run_together() -> None:
    assert repeats(book(2, "It", "Self"), book(3, "Its", "Elf")) == {}


def test_titles_of_nothing_but_punctuation_differ() -> None:
    assert repeats(book(2, "???", "A"), book(3, "!!!", "A"), book(4, "???", "A")) == {4: 2}


def test_a_repetition_is_no_book_that_others_could_repeat() -> None:
    assert repeats(book(2, "Emma", "A"), book(3, "Emma", "A"), book(4, "emma", "a")) == {3: 2, 4: 2}


def test_the_earliest_of_two_repeated_rows_is_named() -> None:
    assert repeats(book(2, "A", isbn13=DUNE), book(3, "A", "B"), book(4, "A", "B", isbn13=DUNE)) == {}
    assert repeats(book(2, "B", isbn13=DUNE), book(3, "B", "X"), book(4, "B", isbn13=DUNE)) == {4: 2}


def test_the_message_names_the_earlier_row_and_says_what_to_do() -> None:
    seen = SeenBooks()
    seen.admit(book(12, "Emma"))
    with pytest.raises(RepeatedBook, match=r"^The same book as row 12\. .* To import both, choose to keep duplicates"):
        seen.admit(book(20, "Emma"))


def test_every_process_remembers_a_book_under_the_same_number() -> None:
    script = (
        "from shelfwire.books.csv_import.imported_book import ImportedBook\n"
        "from shelfwire.books.csv_import.duplicates import SeenBooks\n"
        "seen = SeenBooks()\n"
        "seen.admit(ImportedBook(title='Emma', authors=('Jane Austen',), row=2)); print(sorted(seen._books))"
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
