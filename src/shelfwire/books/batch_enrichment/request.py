"""The list of books as it was sent, checked: the one input of the pipeline."""

from typing import Any

import msgspec

from shelfwire.books.batch_enrichment.request_limits import (
    MOST_AUTHOR_CHARS,
    MOST_BOOKS,
    MOST_ISBN_CHARS,
    MOST_TITLE_CHARS,
)
from shelfwire.books.bibliography.isbn import parse_isbn, why_not_isbn
from shelfwire.errors import Code, ShelfwireError


class AskedBook(msgspec.Struct, frozen=True, gc=False):
    """A book to look up.

    Attributes:
        title: as given, without space around it.
        author: likewise; None if there is none.
        isbn13: the given ISBN as valid ISBN-13 without hyphens; None if there is none.
        warning: the reason why the given ISBN is none, for a person.
    """

    title: str
    author: str | None = None
    isbn13: str | None = None
    warning: str | None = None


def books_of(content: bytes) -> list[AskedBook]:
    """Read a list of books as JSON; see `checked_books`."""
    try:
        sent = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _refused("The request is not JSON", "Send the books as JSON.") from None
    return checked_books(sent)


def checked_books(sent: Any) -> list[AskedBook]:
    """Read `{"books": [{"title", "author"?, "isbn"?}]}`; members that are not known are ignored.

    An ISBN with a wrong check digit does not refuse its book, which is looked up by its title then.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no such list; the message and `details` name the index and the field.
    """
    books = sent.get("books") if isinstance(sent, dict) else None
    if not isinstance(books, list) or not books:
        raise _refused(
            "The request has no list of books: it is to be an object whose member books is a list, not empty",
            "There are no books in the request. Add one at least.",
        )
    if len(books) > MOST_BOOKS:
        raise _refused(
            f"The list has {len(books):,} books where {MOST_BOOKS:,} are allowed",
            f"These are {len(books):,} books. Send {MOST_BOOKS:,} at most, and the rest by another request.",
            {"count": len(books), "limit": MOST_BOOKS},
        )
    return [asked_book(index, book) for index, book in enumerate(books)]


def asked_book(index: int, book: Any) -> AskedBook:
    """Check one book of a list. Errors as `checked_books`."""
    if not isinstance(book, dict):
        raise _bad(index, None, 'is no object, such as {"title": "Emma"}')
    title = _text(index, book, "title", MOST_TITLE_CHARS)
    if title is None:
        raise _bad(index, "title", "is missing or empty")
    author = _text(index, book, "author", MOST_AUTHOR_CHARS)
    given = _text(index, book, "isbn", MOST_ISBN_CHARS)
    if given is None:
        return AskedBook(title, author)
    isbn = parse_isbn(given)
    return AskedBook(title, author, isbn.isbn13) if isbn else AskedBook(title, author, warning=why_not_isbn(given))


def _text(index: int, book: dict[str, Any], field: str, most: int) -> str | None:
    text = book.get(field)
    if text is None:
        return None
    if not isinstance(text, str):
        raise _bad(index, field, "is no text")
    if len(text) > most:
        raise _bad(index, field, f"has {len(text):,} characters where {most:,} are allowed")
    return " ".join(text.split()) or None


def _bad(index: int, field: str | None, what: str) -> ShelfwireError:
    named = f"The {field} of book {index + 1}" if field else f"Book {index + 1}"
    path = f"books[{index}]" + (f".{field}" if field else "")
    details = {"index": index} | ({"field": field} if field else {})
    return _refused(f"{path} {what}", f"{named} {what}. Correct it and send the list again.", details)


def _refused(message: str, user_message: str, details: dict[str, Any] | None = None) -> ShelfwireError:
    return ShelfwireError(Code.INVALID_REQUEST, message, user_message=user_message, details=details)
