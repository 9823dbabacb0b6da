from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.batch_enrichment.request import AskedBook, books_of
from shelfwire.books.batch_enrichment.request_limits import MOST_BOOKS
from shelfwire.errors import Code, ErrorCode, ShelfwireError

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.just("books"), inner, max_size=5),
)


def sent(*books: Any, **more: Any) -> bytes:
    return msgspec.json.encode({"books": books, **more})


def refused(content: bytes) -> ShelfwireError:
    with pytest.raises(ShelfwireError) as raised:
        books_of(content)
    assert raised.value.code is Code.INVALID_REQUEST
    return raised.value


def test_a_book_needs_only_a_title() -> None:
    assert books_of(sent({"title": " Dune \n Messiah "})) == [AskedBook("Dune Messiah")]


def test_an_isbn_may_have_ten_or_thirteen_digits_with_hyphens_or_without() -> None:
    isbns = ["978-0-441-17271-9", "9780441172719", "0441172717", "0-441-17271-7"]
    books = books_of(sent(*({"title": "Dune", "author": "Frank Herbert", "isbn": isbn} for isbn in isbns)))
    assert books == [AskedBook("Dune", "Frank Herbert", "9780441172719")] * 4


def test_a_mistyped_isbn_does_not_refuse_its_book_but_is_told_of() -> None:
    (book,) = books_of(sent({"title": "Dune", "isbn": "9780441172710"}))
    assert book.isbn13 is None
    assert "check digit" in (book.warning or "")


def test_null_and_blank_mean_that_nothing_is_given_and_unknown_members_are_passed_over() -> None:
    book = {"title": "Dune", "author": None, "isbn": " ", "shelf": 3}
    assert books_of(sent(book, jobId="a-job")) == [AskedBook("Dune")]


@pytest.mark.parametrize(
    ("book", "field"),
    [
        ({}, "title"),
        ({"title": " "}, "title"),
        ({"title": None}, "title"),
        ({"title": 1984}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": "Dune", "author": "x" * 301}, "author"),
        ({"title": "Dune", "author": ["Frank Herbert"]}, "author"),
        ({"title": "Dune", "isbn": "x" * 18}, "isbn"),
        ({"title": "Dune", "isbn": 9780441172719}, "isbn"),
    ],
)
def test_a_bad_book_is_named_by_its_index_and_field(book: dict[str, Any], field: str) -> None:
    error = refused(sent({"title": "Emma"}, book))
    assert error.details == {"index": 1, "field": field}
    assert f"books[1].{field}" in error.message
    assert f"The {field} of book 2" in error.user_message


def test_the_bounds_themselves_are_allowed() -> None:
    books = books_of(sent(*[{"title": "x" * 500, "author": "y" * 300, "isbn": "978-0-441-17271-9"}] * MOST_BOOKS))
    assert len(books) == MOST_BOOKS


def test_one_book_more_than_the_limit_is_refused_with_what_to_do() -> None:
    error = refused(sent(*[{"title": "Dune"}] * (MOST_BOOKS + 1)))
    assert "1,001" in error.message
    assert "Send 1,000 at most" in error.user_message


def test_what_is_no_object_is_named_by_its_index() -> None:
    assert refused(sent({"title": "Emma"}, "Dune")).details == {"index": 1}


@pytest.mark.parametrize(
    "content", [b"", b"Title\nEmma\n", b"\xff\xfe{}", b"[]", b"{}", b'{"books": {}}', sent(), b"[" * 9999]
)
def test_what_is_no_list_of_books_is_refused(content: bytes) -> None:
    assert refused(content).user_message


@given(JSON)
def test_whatever_json_is_sent_it_is_read_or_refused(content: Any) -> None:
    code: ErrorCode | None = None
    books: list[AskedBook] = []
    try:
        books = books_of(msgspec.json.encode(content))
    except ShelfwireError as error:
        code = error.code
    assert (code is Code.INVALID_REQUEST) != bool(books)
    assert all(book.title for book in books)
