"""What Open Library calls things, in its dumps and in its answers alike. Pure."""

from typing import Any, Final

COVERS: Final = "https://covers.openlibrary.org/b/id"
MOST_COVER: Final = 10**12
EDITION: Final = "openlibrary"
WORK: Final = "openlibraryWork"
SYSTEMS: Final = {"goodreads": "goodreads", "librarything": "librarything", "amazon": "asin"}
"""What is kept of an edition's identifiers, and what it is called here."""


def is_cover(number: Any) -> bool:
    """Whether this is the number of a cover."""
    return type(number) is int and 0 < number < MOST_COVER


def cover_url(number: Any) -> str | None:
    """Where the large image of a cover is, by its number; None if it is no such number."""
    return f"{COVERS}/{number}-L.jpg" if is_cover(number) else None


def key_of(reference: Any) -> str | None:
    """The last part of a key: "OL1M" of "/books/OL1M"."""
    return reference.rpartition("/")[2] if isinstance(reference, str) else None
