"""The books in the results of a job of any of the three pipelines, in one form."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from shelfwire.books.ai_scan.scan_result import PhotoResult, ScannedBook
from shelfwire.books.ai_scan.scanned_books import merged
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.bibliography.isbn import isbn10_of
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.values import parse_year

Items = AsyncIterator[dict[str, Any]]
"""The items of the results, as `Client.results` yields them."""


async def books_in(items: Items) -> AsyncIterator[ImportedBook]:
    """Iterate over the books of the items that were done, in their order; a book on several photos comes once."""
    scanned: list[ScannedBook] = []
    async for item in items:
        result = item.get("result")
        if not item["ok"] or not isinstance(result, dict):
            continue
        if "bookCount" in result:
            scanned += msgspec.convert(result, PhotoResult).books
        elif "match" in result:
            yield _of_lookup(msgspec.convert(result, EnrichedBook))
        else:
            yield _completed(msgspec.convert(result, ImportedBook))
    for place, book in enumerate(merged(scanned), 1):
        found = ImportedBook(
            title=book.title,
            authors=book.authors,
            row=place,
            isbn13=book.isbn13,
            isbn10=isbn10_of(book.isbn13) if book.isbn13 else None,
            enriched=book.enriched,
        )
        yield _completed(found)


def _of_lookup(found: EnrichedBook) -> ImportedBook:
    return ImportedBook(
        title=found.title,
        authors=found.authors,
        row=found.index + 1,
        isbn13=found.isbn13,
        isbn10=found.isbn10,
        subtitle=found.subtitle,
        publisher=found.publisher,
        year=parse_year(found.published_date or ""),
        pages=found.pages,
        language=found.language,
        tags=found.subjects,
        identifiers=found.identifiers,
    )


def _completed(book: ImportedBook) -> ImportedBook:
    """Fill in what providers know of a book and its row does not say."""
    if book.enriched is None:
        return book
    known = _of_lookup(book.enriched)
    if book.isbn13 and known.isbn13 != book.isbn13:
        # Pages and publisher would be those of another edition.
        return book
    names = ("isbn13", "isbn10", "subtitle", "publisher", "year", "pages", "language")
    wanting = {name: value for name in names if getattr(book, name) is None and (value := getattr(known, name))}
    return msgspec.structs.replace(book, identifiers={**known.identifiers, **book.identifiers}, **wanting)
