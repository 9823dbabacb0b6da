from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.batch_enrichment import google_books
from shelfwire.books.batch_enrichment import open_library_records as open_library
from shelfwire.books.bibliography import cleaning, languages
from shelfwire.books.bibliography import open_library as ol
from shelfwire.books.bibliography.records import BookRecord
from tests.books.fake_services import Book, edition, volume, work

DUNE = Book(7, "Dune", "Frank Herbert", "9780441172719", 1965, 412)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
READERS = (open_library.record_of_book, open_library.record_of_work, google_books.record_of_volume)


def test_open_library_tells_an_edition() -> None:
    assert open_library.record_of_book(edition(DUNE)) == BookRecord(
        title="Dune",
        authors=("Frank Herbert",),
        isbn13s=("9780441172719",),
        publisher="Harbour Press",
        published="1965-08",
        pages=412,
        language="en",
        subjects=("Fiction",),
        cover_url="https://covers.openlibrary.org/b/id/8-L.jpg",
        identifiers={"openlibrary": "OL7M", "openlibraryWork": "OL7W", "goodreads": "234225"},
    )


def test_open_library_finds_a_work_and_its_best_edition() -> None:
    found = open_library.record_of_work(work(DUNE))
    assert found is not None
    assert (found.title, found.isbn13s, found.language, found.is_edition) == ("Dune", ("9780441172719",), "en", True)
    assert found.identifiers == {"openlibrary": "OL7M", "openlibraryWork": "OL7W"}
    assert found.cover_url == "https://covers.openlibrary.org/b/id/8-L.jpg"


def test_a_work_without_an_edition_is_no_edition_and_has_no_single_language() -> None:
    found = open_library.record_of_work({**work(DUNE), "editions": {"docs": []}})
    assert found is not None
    assert not found.is_edition
    assert (found.language, found.published, len(found.isbn13s)) == (None, "1965", 2)


def test_google_books_tells_a_volume_with_a_plain_description_and_a_safe_cover() -> None:
    assert google_books.record_of_volume(volume(DUNE)) == BookRecord(
        title="Dune",
        authors=("Frank Herbert",),
        isbn13s=("9780441172719",),
        publisher="Harbour Press Ltd",
        published="1965-08-01",
        pages=412,
        language="en",
        subjects=("Fiction",),
        description="A novel about number 7.",
        cover_url="https://books.google.com/books/content?id=google7&zoom=1",
        identifiers={"google": "google7"},
    )


@pytest.mark.parametrize("read", READERS)
@given(st.data())
def test_whatever_a_service_tells_it_is_read_or_passed_over(
    read: Callable[[Any], BookRecord | None], data: st.DataObject
) -> None:
    sample: dict[str, Any] = {**edition(DUNE), **work(DUNE), **volume(DUNE)["volumeInfo"]}
    told = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(sample, JSON)) | JSON)
    for one in (told, {"volumeInfo": told}, {**sample, **told} if isinstance(told, dict) else told):
        record = read(one)
        if record is not None:
            assert record.title
            assert record.cover_url is None or record.cover_url.startswith("https://")


@pytest.mark.parametrize(
    ("given_date", "date"),
    [
        ("1965", "1965"),
        (1965, "1965"),
        ("1965-08", "1965-08"),
        ("1965-08-01", "1965-08-01"),
        ("August 1965", "1965-08"),
        ("Aug 01, 1965", "1965-08-01"),
        ("1 August 1965", "1965-08-01"),
        ("c1965", "1965"),
        ("[1965?]", "1965"),
        ("Fall 1965", "1965"),
        ("1965 or 1966", None),
        ("n.d.", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_kept_as_far_as_it_is_known(given_date: Any, date: str | None) -> None:
    assert cleaning.date(given_date) == date


@pytest.mark.parametrize(
    ("link", "safe"),
    [
        ("http://books.google.com/a?b=c&d", "https://books.google.com/a?b=c&d"),
        ("http://books.google.com:80/a", "https://books.google.com/a"),
        ("https://covers.openlibrary.org/b/id/1-L.jpg", "https://covers.openlibrary.org/b/id/1-L.jpg"),
        ("//books.google.com/a", "https://books.google.com/a"),
        ("ftp://books.google.com/a", None),
        ("javascript:alert(1)", None),
        ("https://user:secret@books.google.com/", None),
        ("https://", None),
        ("https://books.google.com/\x00a", None),
        ("http://[", None),
        (f"https://books.google.com/{'a' * 2000}", None),
        ("a cover", None),
        (7, None),
    ],
)
def test_a_cover_has_a_link_with_https_or_none(link: Any, safe: str | None) -> None:
    assert cleaning.https(link) == safe


@pytest.mark.parametrize(
    ("given_language", "code"),
    [
        ("eng", "en"),
        ("en", "en"),
        ("en-GB", "en"),
        ("/languages/ger", "de"),
        ("grc", "grc"),
        ("und", None),
        ("<script>", None),
        ("English, as far as I know", None),
        ("", None),
        (None, None),
    ],
)
def test_a_language_is_told_by_its_short_code_where_it_has_one(given_language: Any, code: str | None) -> None:
    assert languages.language_of(given_language) == code


@pytest.mark.parametrize(("given_pages", "pages"), [(412, 412), ("412", 412), (0, None), (-1, None), (True, None)])
def test_a_number_of_pages_is_a_number_that_books_have(given_pages: Any, pages: int | None) -> None:
    assert cleaning.pages(given_pages) == pages


@pytest.mark.parametrize("unsafe", ["\x00", "\x1b", "\x9b", "\u202e"])
def test_texts_hold_nothing_that_moves_a_cursor_or_turns_a_line_around(unsafe: str) -> None:
    assert cleaning.text(f"Du{unsafe}ne") == cleaning.description(f"Du{unsafe}ne") == "Du ne"


@pytest.mark.parametrize("number", [True, 0, -1, 10**400, "-1", "seven", "", None])
def test_a_cover_without_a_number_that_covers_have_is_none(number: Any) -> None:
    assert ol.cover_url(number) is None
