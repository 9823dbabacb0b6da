"""The books that were found on photos, as a table shows them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Column
from rich.text import Text

from shelfwire.cli.progress_summary import clean
from shelfwire.plugins import ResultTable


class BookOutline(NamedTuple):
    """Where a book stands: on which photo, from 0, and its outline in the photo's pixels."""

    photo: int
    polygon: Sequence[tuple[float, float]]


class FoundBook(NamedTuple):
    """A book that was found.

    Attributes:
        number: its number in the table and on annotated photos, from 1.
        title: its title.
        authors: its authors.
        confidence: how sure the reading is, from 0 to 1.
        review: whether a person should look.
        places: wherever it stands.
    """

    number: int
    title: str
    authors: Sequence[str]
    confidence: float
    review: bool
    places: Sequence[BookOutline]


def table(results: Any) -> ResultTable:
    """Show the results of a scan. See `Plugin.tables`."""
    columns = (
        Column("#", justify="right", style="cyan", no_wrap=True),
        Column("Title", ratio=3, overflow="fold"),
        Column("Author", ratio=2, overflow="fold"),
        Column("Sure", justify="right", no_wrap=True),
        Column("Photo", justify="right", style="dim", no_wrap=True),
    )
    return ResultTable(columns, [_row(book) for book in found_in(results)])


def _row(book: FoundBook) -> tuple[str, str, str, Text, str]:
    photos = ", ".join(str(place.photo + 1) for place in book.places)
    sure = Text(f"{book.confidence:.0%}", "" if book.review else "green")
    return str(book.number), clean(book.title), clean(", ".join(book.authors)), sure, photos


def found_in(results: Any) -> list[FoundBook]:
    """The books in the results of a job; none where these are no books on photos."""
    books = results.get("books", ()) if isinstance(results, dict) else ()
    return [_found(number, book) for number, book in enumerate(books, 1) if "places" in book]


def _found(number: int, book: dict[str, Any]) -> FoundBook:
    places = [BookOutline(place["photo"], [(x, y) for x, y in place["polygon"]]) for place in book["places"]]
    return FoundBook(number, book["title"], book["authors"], book["confidence"], book["review"], places)
