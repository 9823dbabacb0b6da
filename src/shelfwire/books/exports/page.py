"""Books as one web page that needs nothing else: for reading, printing and keeping."""

from collections.abc import AsyncIterator
from html import escape
from typing import Any, Final

from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.exports.exported_books import Items, books_in
from shelfwire.safe_text import safe

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Books</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8885; padding: .4rem .6rem; text-align: left; vertical-align: top; }
td:nth-child(-n+4) { overflow-wrap: anywhere; }
th, td:nth-child(n+5) { white-space: nowrap; }
th { position: sticky; top: 0; background: Canvas; }
small { opacity: .75; }
pre { font: inherit; margin: .3rem 0; white-space: pre-wrap; }
</style>
</head>
<body>
<h1>Books</h1>
<table>
<thead><tr><th>Title</th><th>Author</th><th>Edition</th><th>Shelf</th><th>Rating</th><th>Read</th></tr></thead>
<tbody>
"""
_STARS: Final = 5


async def page(items: Items) -> AsyncIterator[bytes]:
    """Write a page with all books in a table, and below it the rows that failed. All texts are escaped."""
    failed: list[str] = []
    count = 0
    yield _HEAD.encode()
    async for book in books_in(_noting(items, failed)):
        count += 1
        yield _row(book).encode("utf-8", "replace")
    yield f"</tbody>\n</table>\n<p>{count:,} {'book' if count == 1 else 'books'}</p>\n".encode()
    if failed:
        yield f"<h2>Not among them</h2>\n<ul>\n{''.join(failed)}</ul>\n".encode("utf-8", "replace")
    yield b"</body>\n</html>\n"


async def _noting(items: Items, failed: list[str]) -> AsyncIterator[dict[str, Any]]:
    async for item in items:
        if not item["ok"]:
            title = f"<b>{_text(item['title'])}</b>: " if item.get("title") else ""
            failed.append(f"<li>{title}{_text(item['error']['userMessage'])}</li>\n")
        yield item


def _row(book: ImportedBook) -> str:
    title = f"<b>{_text(book.title)}</b>"
    if book.subtitle:
        title += f"<br><small>{_text(book.subtitle)}</small>"
    if book.series:
        title += f"<br><small>{_text(book.series)}</small>"
    for name, text in (("Review", book.review), ("Notes", book.notes)):
        if text:
            title += f"<details><summary>{name}</summary><pre>{_text(text)}</pre></details>"
    pages = None if book.pages is None else f"{book.pages} pages"
    edition = (book.publisher, book.year or book.original_year, book.format, pages, book.isbn13 or book.isbn_as_given)
    shelves = (book.shelf, *book.tags)
    cells = (
        title,
        _lines(book.authors),
        _lines(edition),
        _lines(shelves),
        _stars(book.rating),
        _lines((book.date_read,)),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _lines(values: tuple[object, ...]) -> str:
    return "<br>".join(_text(str(value)) for value in values if value)


def _stars(rating: float | None) -> str:
    return "" if rating is None else f'<span title="{rating:g} of {_STARS}">{"★" * int(rating)} {rating:g}</span>'


def _text(text: str) -> str:
    return escape(safe(text))
