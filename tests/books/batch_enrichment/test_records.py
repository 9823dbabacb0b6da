from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.batch_enrichment import google_books
from shelfwire.books.batch_enrichment import open_library_records as open_library
from shelfwire.books.bibliography import cleaning, languages
from shelfwire.books.bibliography import open_library as ol
from shelfwire.books.bibliography.people import natural_order
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
    sample: dict[str, Any] = {**edition(DUNE)["details"], **work(DUNE), **volume(DUNE)["volumeInfo"]}
    told = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(sample, JSON)) | JSON)
    full = {**sample, **told} if isinstance(told, dict) else told
    for one in (told, full, {"volumeInfo": full}, {"details": full}, {**work(DUNE), "editions": {"docs": [full]}}):
        record = read(one)
        if record is not None:
            assert record.title
            assert record.cover_url is None or record.cover_url.startswith("https://")


@given(st.dictionaries(st.sampled_from(["title", "authors", "subjects", "description", "covers", "key"]), JSON))
def test_whatever_a_work_tells_a_record_is_filled_with_what_can_be_read(told: dict[str, Any]) -> None:
    record = BookRecord(title="Dune", authors=("Frank Herbert",))
    filled = open_library.filled_from_work(record, told)
    assert (filled.title, filled.authors) == (record.title, record.authors)
    assert all(key.startswith("OL") for key in open_library.author_keys(told))


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
        ("1998 printing, c1966", "1998"),
        ("1998, c1966", "1998"),
        ("2001, ©2000", "2001"),
        ("1965, 1970 printing", "1965"),
        ("20030501", "2003-05-01"),
        (20030501, "2003-05-01"),
        ("200305", "2003-05"),
        ("19990000", "1999"),
        ("19991350", "1999"),
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


@pytest.mark.parametrize(
    ("given_pages", "pages"),
    [
        (412, 412),
        ("412", 412),
        (412.0, 412),
        ("xii, 491 p. :", 491),
        ("2 v. (1200 pages)", 1200),
        ("p. cm.", None),
        ("1 v. (unpaged) :", None),
        (412.5, None),
        (0, None),
        (-1, None),
        (True, None),
    ],
)
def test_a_number_of_pages_is_a_number_that_books_have(given_pages: Any, pages: int | None) -> None:
    assert cleaning.pages(given_pages) == pages


@pytest.mark.parametrize("unsafe", ["\x00", "\x1b", "\x9b", "\u202e"])
def test_texts_hold_nothing_that_moves_a_cursor_or_turns_a_line_around(unsafe: str) -> None:
    assert cleaning.text(f"Du{unsafe}ne") == cleaning.description(f"Du{unsafe}ne") == "Du ne"


@pytest.mark.parametrize("number", [True, 0, -1, 10**400, "-1", "seven", "", None])
def test_a_cover_without_a_number_that_covers_have_is_none(number: Any) -> None:
    assert ol.cover_url(number) is None


@pytest.mark.parametrize(
    ("numbers", "isbns"),
    [
        (["0819130834\t0819130842"], ("9780819130839", "9780819130846")),
        (["978-0-7653-9116-2 (hardcover)"], ("9780765391162",)),
        (["9780765391162; 978-0-7653-9117-9"], ("9780765391162", "9780765391179")),
        ("0 441 47812 3", ("9780441478125",)),
        ([9780441478125, None, "9780441478126", "0441478123"], ("9780441478125",)),
        (["97804414781250441478123"], ()),
        ({"isbn": "9780441478125"}, ()),
    ],
)
def test_a_field_may_hold_several_numbers(numbers: Any, isbns: tuple[str, ...]) -> None:
    assert cleaning.isbns(numbers) == isbns


@pytest.mark.parametrize(
    ("name", "natural"),
    [
        ("Le Guin, Ursula K.", "Ursula K. Le Guin"),
        ("Perez, Louis A., Jr", "Louis A. Perez Jr"),
        ("Oakes, James.", "James Oakes"),
        ("Saint-Exupéry, Antoine de", "Antoine de Saint-Exupéry"),
        ("Orwell, George, 1903-1950", "George Orwell"),
        ("Sammy Davis, Jr.", "Sammy Davis Jr."),
        ("Random House, Inc.", "Random House, Inc."),
        ("University of California, Berkeley", "University of California, Berkeley"),
        ("Orwell Conference (1983 University of Antwerp)", "Orwell Conference (1983 University of Antwerp)"),
        ("Westbury (Wiltshire, England). Council", "Westbury (Wiltshire, England). Council"),
        ("Smith, Jones, Brown, White", "Smith, Jones, Brown, White"),
        ("Ursula K. Le Guin", "Ursula K. Le Guin"),
        (",", ""),
    ],
)
def test_people_are_named_given_name_first_and_organisations_as_they_are(name: str, natural: str) -> None:
    assert natural_order(name) == natural


def test_a_person_who_is_named_in_both_orders_is_one() -> None:
    assert cleaning.people(["Oakes, James.", "James Oakes", None, ","]) == ("James Oakes",)


@given(st.text())
def test_whatever_a_name_is_its_order_is_found_or_left(name: str) -> None:
    assert set(natural_order(name)) <= {*name, " ", ","}
