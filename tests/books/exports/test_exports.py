"""Results as other sites import them, and as a page."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.ai_scan.scan_result import PhotoResult, ScannedBook
from shelfwire.books.batch_enrichment.matching import Way
from shelfwire.books.batch_enrichment.merging import EnrichedBook, MatchInfo
from shelfwire.books.bibliography.isbn import isbn10_of
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.values import known_shelf
from shelfwire.books.exports.page import page
from shelfwire.books.exports.sites import bookwyrm, goodreads, storygraph

Write = Callable[[AsyncIterator[dict[str, Any]]], AsyncIterator[bytes]]
DUNE = ImportedBook(
    title="Dune",
    authors=("Frank Herbert", "Ann Other"),
    row=2,
    isbn13="9780441013593",
    isbn10="0441013597",
    publisher="Ace",
    year=2005,
    original_year=1965,
    pages=412,
    format="Paperback",
    shelf="did-not-finish",
    tags=("sci-fi", "owned"),
    rating=4.5,
    date_started="2020-01-01",
    date_read="2020-02-03",
    date_added="2019-12-31",
    review='Sand & "spice" <3\nMore',
    notes="lent",
    identifiers={"goodreads": "44767458", "openlibrary": "OL1M"},
)


def item(result: msgspec.Struct, index: int = 0) -> dict[str, Any]:
    return {"index": index, "ok": True, "result": msgspec.to_builtins(result)}


def failed(title: str, reason: str) -> dict[str, Any]:
    return {"index": 9, "ok": False, "title": title, "error": {"code": "E", "userMessage": reason}}


async def written(write: Write, *items: dict[str, Any]) -> str:
    async def given_items() -> AsyncIterator[dict[str, Any]]:
        for one in items:
            yield one

    return b"".join([part async for part in write(given_items())]).decode()


async def rows(write: Write, *items: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(await written(write, *items))))


def imported(text: str) -> list[ImportedBook]:
    file = BookFile(text.encode())
    return [file.book(row) for row in file.rows()]


async def test_goodreads_gets_its_own_columns_and_whole_stars() -> None:
    [row] = await rows(goodreads, item(DUNE), failed("Emma", "no"))
    assert len(row) == 24
    assert {name: cell for name, cell in row.items() if cell} == {
        "Book Id": "44767458",
        "Title": "Dune",
        "Author": "Frank Herbert",
        "Author l-f": "Herbert, Frank",
        "Additional Authors": "Ann Other",
        "ISBN": "0441013597",
        "ISBN13": "9780441013593",
        "My Rating": "5",
        "Publisher": "Ace",
        "Binding": "Paperback",
        "Number of Pages": "412",
        "Year Published": "2005",
        "Original Publication Year": "1965",
        "Date Read": "2020/02/03",
        "Date Added": "2019/12/31",
        "Bookshelves": "sci-fi, owned, did-not-finish",
        "Exclusive Shelf": "did-not-finish",
        "My Review": 'Sand &amp; "spice" &lt;3<br/>More',
        "Private Notes": "lent",
        "Read Count": "1",
        "Owned Copies": "1",
    }


async def test_the_storygraph_gets_a_goodreads_table_with_parts_of_stars() -> None:
    [row] = await rows(storygraph, item(DUNE))
    assert (row["My Rating"], row["Exclusive Shelf"]) == ("4.5", "did-not-finish")
    assert imported(await written(storygraph, item(DUNE)))[0].rating == 4.5


@pytest.mark.parametrize(
    ("shelf", "known", "name"),
    [
        ("read", "read", "Read"),
        ("currently-reading", "reading", "Currently Reading"),
        ("did-not-finish", "stopped-reading", "Stopped Reading"),
        ("Cookery", "Cookery", "Cookery"),
    ],
)
async def test_bookwyrm_gets_its_own_columns_and_names_of_shelves(shelf: str, known: str, name: str) -> None:
    book = msgspec.structs.replace(DUNE, shelf=shelf)
    [row] = await rows(bookwyrm, item(book))
    assert (row["shelf"], row["shelf_name"], row["openlibrary_key"]) == (known, name, "OL1M")
    assert (row["author_text"], row["rating"], row["start_date"]) == ("Frank Herbert, Ann Other", "4.5", "2020-01-01")
    assert row["stopped_date" if shelf == "did-not-finish" else "finish_date"] == "2020-02-03"
    [back] = imported(await written(bookwyrm, item(book)))
    assert (back.title, back.authors, back.isbn13, back.shelf) == (book.title, book.authors, book.isbn13, shelf)
    assert back.identifiers == book.identifiers


async def test_books_of_a_scan_come_once_with_what_was_found_out_about_them() -> None:
    match = MatchInfo(by=Way.TITLE, score=1.0, provider="catalogue")
    known = EnrichedBook(
        index=0,
        title="Dune",
        authors=(),
        match=match,
        isbn13="9780441013593",
        publisher="Ace",
        published_date="2005-08",
    )
    photos = [
        PhotoResult(
            books=(
                ScannedBook(
                    title="Dune",
                    authors=("Frank Herbert",),
                    confidence=0.9,
                    review=False,
                    photo=photo,
                    polygon=(),
                    text="DUNE",
                    enriched=known,
                ),
            ),
            book_count=1,
            reader="offline",
            width=1,
            height=1,
        )
        for photo in range(2)
    ]
    [row] = await rows(goodreads, *(item(photo, index) for index, photo in enumerate(photos)))
    assert (row["Title"], row["ISBN13"], row["Publisher"], row["Year Published"]) == (
        "Dune",
        "9780441013593",
        "Ace",
        "2005",
    )


async def test_books_of_a_lookup_come_as_they_were_found() -> None:
    match = MatchInfo(by=Way.ISBN, score=1.0, provider="catalogue")
    found = EnrichedBook(
        index=0, title="Dune", authors=("Frank Herbert",), match=match, pages=412, subjects=("Deserts",)
    )
    [row] = await rows(goodreads, item(found))
    assert (row["Title"], row["Number of Pages"], row["Bookshelves"]) == ("Dune", "412", "Deserts")


async def test_what_is_known_of_another_edition_is_not_mixed_in() -> None:
    match = MatchInfo(by=Way.TITLE, score=1.0, provider="catalogue")
    other = EnrichedBook(index=0, title="Dune", authors=(), match=match, isbn13="9780340960196", pages=608)
    [row] = await rows(goodreads, item(msgspec.structs.replace(DUNE, pages=None, enriched=other)))
    assert row["Number of Pages"] == ""


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\u202e"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_a_page_needs_nothing_else_and_shows_hostile_texts_as_texts() -> None:
    names = [field for field, value in msgspec.structs.asdict(DUNE).items() if isinstance(value, str)]
    evil = msgspec.structs.replace(DUNE, **dict.fromkeys(names, HOSTILE), authors=(HOSTILE,), tags=(HOSTILE,))
    text = await written(page, item(evil), failed(HOSTILE, HOSTILE), item(DUNE))
    tags = _Tags()
    tags.feed(text)
    assert tags.seen.isdisjoint({"script", "img", "link", "iframe", "a"})
    assert tags.attributes <= {"lang", "charset", "name", "content", "http-equiv", "title"}
    assert "http:" not in text
    assert "https:" not in text
    assert not {"\x00", "\u202e"} & set(text)
    shown = "".join(tags.texts)
    assert shown.count("<script>alert(1)</script>") == len(names) + 4 - 3, (
        "dates started and added, and ISBN-10, are not shown"
    )
    assert "2 books" in shown


NAMES = st.from_regex(r"[A-Z][a-zéøл]{2,8} [A-Z][a-zéøл]{2,8}", fullmatch=True)
TEXTS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=40).map(
    lambda text: " ".join(text.split())
)
TITLES = TEXTS.filter(lambda text: text and not text.startswith('="'))
WORDS = st.from_regex(r"[a-z]{3,9}", fullmatch=True).filter(lambda word: known_shelf(word) is None)
ISBNS = st.integers(0, 999_999_999).map(lambda number: _isbn13(f"978{number:09}"))
DAYS = st.dates(date(1000, 1, 1), date(2100, 1, 1)).map(date.isoformat)
FORMULAS = st.sampled_from(["=SUM(A1)", "'=x", "''@x", "-1", "- a", "+ b", '"quoted", he said', "'tis", "'"])
MARKUP = st.sampled_from(["1 < 2 > 1", "<b>bold</b>", "&amp;", "&lt;p&gt;", "<br>", "a & b"])
LONG = st.lists(TITLES | MARKUP | FORMULAS, min_size=1, max_size=3).map("\n".join)


def _isbn13(digits: str) -> str:
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-weighted % 10}"


@st.composite
def _books(draw: st.DrawFn) -> ImportedBook:
    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    isbn = maybe(ISBNS)
    return ImportedBook(
        title=draw(TITLES | MARKUP | FORMULAS),
        authors=tuple(draw(st.lists(NAMES, max_size=3, unique=True))),
        row=0,
        isbn13=isbn,
        isbn10=isbn10_of(isbn) if isbn else None,
        publisher=maybe(WORDS),
        year=maybe(st.integers(1000, 2100)),
        original_year=maybe(st.integers(1000, 2100)),
        pages=maybe(st.integers(1, 9999)),
        format=maybe(WORDS),
        shelf=draw(st.sampled_from(["read", "to-read", "currently-reading", "did-not-finish", "paused", "my own"])),
        tags=tuple(draw(st.lists(WORDS, max_size=3, unique=True))),
        rating=maybe(st.integers(1, 5).map(float)),
        date_read=maybe(DAYS),
        date_added=maybe(DAYS),
        review=maybe(LONG),
        notes=maybe(LONG),
        identifiers=draw(st.sampled_from([{}, {"goodreads": "7"}])),
    )


@given(books=st.lists(_books(), min_size=1, max_size=4))
async def test_books_go_to_a_goodreads_table_and_come_back_the_same(books: Sequence[ImportedBook]) -> None:
    text = await written(goodreads, *(item(book) for book in books))
    # A title that ends like "(Dune, #1)" names its series, and a date is that of a read.
    without = {"row": 0, "series": None, "reads": (), "dates_read": ()}
    assert [msgspec.structs.replace(book, **without) for book in imported(text)] == list(books)
