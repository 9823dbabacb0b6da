"""Books as CSV that other sites import: Goodreads, The StoryGraph, BookWyrm.

Sources: the columns are those of the sites' own exports, which they import too. The StoryGraph imports Goodreads's, and
knows quarters of stars. BookWyrm's are listed in its `bookwyrm/views/preferences/export.py`.
"""

import csv
import html
import io
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.exports.exported_books import Items, books_in
from shelfwire.safe_text import safe_cell

_GOODREADS: Final = (
    "Book Id",
    "Title",
    "Author",
    "Author l-f",
    "Additional Authors",
    "ISBN",
    "ISBN13",
    "My Rating",
    "Average Rating",
    "Publisher",
    "Binding",
    "Number of Pages",
    "Year Published",
    "Original Publication Year",
    "Date Read",
    "Date Added",
    "Bookshelves",
    "Bookshelves with positions",
    "Exclusive Shelf",
    "My Review",
    "Spoiler",
    "Private Notes",
    "Read Count",
    "Owned Copies",
)
_BOOKWYRM: Final = (
    "title",
    "author_text",
    "remote_id",
    "openlibrary_key",
    "inventaire_id",
    "librarything_key",
    "goodreads_key",
    "bnf_id",
    "viaf",
    "wikidata",
    "asin",
    "aasin",
    "isfdb",
    "isbn_10",
    "isbn_13",
    "oclc_number",
    "start_date",
    "finish_date",
    "stopped_date",
    "rating",
    "review_name",
    "review_cw",
    "review_content",
    "review_published",
    "shelf",
    "shelf_name",
    "shelf_date",
)
_BOOKWYRM_KEYS: Final = {
    "openlibrary_key": "openlibrary",
    "inventaire_id": "inventaire",
    "librarything_key": "librarything",
    "goodreads_key": "goodreads",
    "bnf_id": "bnf",
    "viaf": "viaf",
    "wikidata": "wikidata",
    "asin": "asin",
    "isfdb": "isfdb",
    "oclc_number": "oclc",
}
_BOOKWYRM_SHELVES: Final = {
    "read": ("read", "Read"),
    "currently-reading": ("reading", "Currently Reading"),
    "to-read": ("to-read", "To Read"),
    "did-not-finish": ("stopped-reading", "Stopped Reading"),
}
_OWNED: Final = "owned"

Cells = Mapping[str, object]


def goodreads(items: Items) -> AsyncIterator[bytes]:
    """Write what Goodreads exports and imports. It knows whole stars alone: halves are rounded up."""
    return _table(_GOODREADS, items, lambda book: _goodreads_cells(book, _whole_stars(book.rating)))


def storygraph(items: Items) -> AsyncIterator[bytes]:
    """Write what The StoryGraph imports: a table as from Goodreads, with parts of stars."""
    return _table(_GOODREADS, items, lambda book: _goodreads_cells(book, book.rating or 0))


def bookwyrm(items: Items) -> AsyncIterator[bytes]:
    """Write what BookWyrm exports and imports."""
    return _table(_BOOKWYRM, items, _bookwyrm_cells)


async def _table(
    columns: tuple[str, ...], items: Items, cells_of: Callable[[ImportedBook], Cells]
) -> AsyncIterator[bytes]:
    yield _line(columns)
    async for book in books_in(items):
        cells = cells_of(book)
        yield _line(cells.get(column) for column in columns)


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow("" if value is None else safe_cell(str(value)) for value in values)
    return text.getvalue().encode("utf-8", "replace")


def _goodreads_cells(book: ImportedBook, rating: float) -> Cells:
    author = book.authors[0] if book.authors else ""
    shelf = book.shelf or ""
    # The shelf of the reading state is exclusive, and stands among the others but for "read".
    shelves = [tag.replace(",", " ") for tag in book.tags] + ([shelf] if shelf not in ("", "read") else [])
    return {
        "Book Id": book.identifiers.get("goodreads"),
        "Title": book.title,
        "Author": author,
        "Author l-f": _last_name_first(author),
        "Additional Authors": ", ".join(book.authors[1:]),
        "ISBN": book.isbn10,
        "ISBN13": book.isbn13,
        "My Rating": f"{rating:g}",
        "Publisher": book.publisher,
        "Binding": book.format,
        "Number of Pages": book.pages,
        "Year Published": book.year,
        "Original Publication Year": book.original_year,
        "Date Read": _with_slashes(book.date_read),
        "Date Added": _with_slashes(book.date_added),
        "Bookshelves": ", ".join(shelves),
        "Exclusive Shelf": shelf,
        "My Review": _as_html(book.review),
        "Private Notes": _as_html(book.notes),
        "Read Count": int(shelf == "read" or book.date_read is not None),
        "Owned Copies": int(_OWNED in (shelf, *book.tags)),
    }


def _bookwyrm_cells(book: ImportedBook) -> Cells:
    shelf, shelf_name = _BOOKWYRM_SHELVES.get(book.shelf or "", (book.shelf, book.shelf))
    ended = "stopped_date" if book.shelf == "did-not-finish" else "finish_date"
    return {
        "title": book.title,
        "author_text": ", ".join(book.authors),
        **{column: book.identifiers.get(system) for column, system in _BOOKWYRM_KEYS.items()},
        "isbn_10": book.isbn10,
        "isbn_13": book.isbn13,
        "start_date": book.date_started,
        ended: book.date_read,
        "rating": None if book.rating is None else f"{book.rating:g}",
        "review_content": _as_html(book.review),
        "shelf": shelf,
        "shelf_name": shelf_name,
        "shelf_date": book.date_added,
    }


def _whole_stars(rating: float | None) -> int:
    return 0 if rating is None else max(1, math.floor(rating + 0.5))


def _last_name_first(author: str) -> str:
    first, space, last = author.rpartition(" ")
    return f"{last}, {first}" if space else author


def _with_slashes(day: str | None) -> str | None:
    return None if day is None else day.replace("-", "/")


def _as_html(text: str | None) -> str | None:
    """A review as the sites keep it, so that a text with "<" in it stays what it is."""
    return None if text is None else html.escape(text, quote=False).replace("\n", "<br/>")
