"""A list of books to look up, from a file as people have it: CSV from anywhere, or JSON."""

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from shelfwire.books.batch_enrichment.request_limits import (
    MOST_AUTHOR_CHARS,
    MOST_BOOKS,
    MOST_ISBN_CHARS,
    MOST_TITLE_CHARS,
)
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.problems import RowProblem, UnreadableCsv
from shelfwire.books.csv_import.unpacking import opened
from shelfwire.cli.errors import CommandError
from shelfwire.cli.job_session import warn

FORM: Final = '[{"title": "Emma", "author": "Jane Austen", "isbn": "…"}, …]'


def books_in(path: Path) -> list[dict[str, Any]]:
    """Read the books of a file; a row without a book is reported and left out.

    Raises:
        CommandError: it cannot be read, or has no books, or too many.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    books = _of_json(path, data) if path.suffix.lower() == ".json" else _of_csv(path, data)
    if not books:
        raise CommandError(f"{path} has no books in it. Check that it is the right file")
    if len(books) > MOST_BOOKS:
        raise CommandError(f"{path} has {len(books):,} books: {MOST_BOOKS:,} at most are looked up in one go. Split it")
    return books


def _of_json(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}. It is to hold a list such as {FORM}") from None
    books = content.get("books") if isinstance(content, dict) else content
    if not isinstance(books, list):
        raise CommandError(f"{path} holds no list of books. Write it like this: {FORM}")
    return books


def _of_csv(path: Path, data: bytes) -> list[dict[str, Any]]:
    books = []
    try:
        file = BookFile(asyncio.run(opened(data)).data)
    except UnreadableCsv as error:
        raise CommandError(f"{path}: {error}") from None
    for row in file.rows():
        try:
            book = file.book(row)
        except RowProblem as problem:
            warn(f"{path.name}: {problem}")
            continue
        isbn = book.isbn13 or book.isbn_as_given or ""
        known = {
            "title": book.title[:MOST_TITLE_CHARS],
            "author": book.authors[0][:MOST_AUTHOR_CHARS] if book.authors else None,
            "isbn": isbn if len(isbn) <= MOST_ISBN_CHARS else None,
        }
        books.append({name: value for name, value in known.items() if value})
    return books
