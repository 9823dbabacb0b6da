"""Rows whose cells have left their columns."""

import pytest

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RowProblem

HEADER = "Title,Author,ISBN,Year,Rating,Shelf,Notes\n"
GOOD = "The Glass Ferry,Ilse Marsh,9780441013593,1999,5,read,\nNorth Wind,Ana Le Roux,9780141439587,2001,4,read,\n"


def last(row: str) -> ImportedBook:
    file = BookFile((HEADER + GOOD + row + "\n").encode())
    return [file.book(raw) for raw in file.rows()][-1]


@pytest.mark.parametrize(
    "row",
    [
        "Wind, Sand and Snow,Anna Orr,9780451524935,1961,3,read,",
        "Wind, Sand and Snow,Anna Orr,9780451524935,1961,3,read",
        '"Wind, Sand and Snow,Anna Orr,9780451524935,1961,3,read,"',
        '"""Wind, Sand and Snow"",Anna Orr,9780451524935,1961,3,read,"',
        '"""Wind, Sand and Snow"",Anna Orr,9780451524935,1961,3,read",,,,,,',
    ],
)
def test_a_row_is_put_in_order_by_what_its_columns_hold_elsewhere_and_says_so(row: str) -> None:
    book = last(row)
    assert (book.title, book.authors, book.isbn13) == ("Wind, Sand and Snow", ("Anna Orr",), "9780451524935")
    assert (book.year, book.rating, book.shelf) == (1961, 3, "read")
    assert book.warnings


def test_a_cell_that_is_missing_within_a_row_is_found() -> None:
    book = last("Grey Days,Anna Orr,1961,3,read,good")
    assert (book.year, book.rating, book.shelf, book.notes) == (1961, 3, "read", "good")
    assert book.warnings == ('The row has 6 cells instead of 7; that of "ISBN" seems to be missing. Check it.',)


def test_a_row_that_fits_in_no_order_fails_with_what_to_do() -> None:
    with pytest.raises(RowProblem, match=r"The cells of row 4 do not fit their columns") as refused:
        last("read,2020-12-24,none of it,great,9780141439587,1999,7")
    assert "Put texts that have commas in quotation marks" in str(refused.value)


@pytest.mark.parametrize(
    "row", ["Grey Days,Anna Orr,,,,,", "Grey Days,Anna Orr", "Grey Days,Anna Orr,,1961,,to-read,a, b"]
)
def test_what_is_in_its_place_stays_there(row: str) -> None:
    book = last(row)
    assert (book.title, book.authors) == ("Grey Days", ("Anna Orr",))
