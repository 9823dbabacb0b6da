"""Open Library's keys, covers and identifiers, which its dumps and its answers share. Pure."""

from typing import Any, Final

COVERS: Final = "https://covers.openlibrary.org/b/id"
MOST_COVER: Final = 10**12
EDITION: Final = "openlibrary"
WORK: Final = "openlibraryWork"
SYSTEMS: Final = {"goodreads": "goodreads", "librarything": "librarything", "amazon": "asin"}
"""The identifiers of an edition that are kept, by Open Library's names for the systems, with ours."""


def is_cover(number: Any) -> bool:
    """Whether this is the number of a cover."""
    return type(number) is int and 0 < number < MOST_COVER


def cover_url(number: Any) -> str | None:
    """Where the large image of a cover is, by its number; None if it is no such number."""
    return f"{COVERS}/{number}-L.jpg" if is_cover(number) else None


def key_of(reference: Any) -> str | None:
    """The last part of a key: "OL1M" of "/books/OL1M"."""
    return reference.rpartition("/")[2] if isinstance(reference, str) else None
