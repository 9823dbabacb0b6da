"""Open Library's keys, covers and identifiers, which its dumps and its answers share. Pure."""

import re
from typing import Any, Final

COVERS: Final = "https://covers.openlibrary.org/b/id"
MOST_COVER: Final = 10**12
EDITION: Final = "openlibrary"
WORK: Final = "openlibraryWork"
SYSTEMS: Final = {"goodreads": "goodreads", "librarything": "librarything", "amazon": "asin"}
"""The identifiers of an edition that are kept, by Open Library's names for the systems, with ours."""
REDIRECT: Final = "redirect"
"""The type of a record that another has taken the place of."""
_OLID: Final = re.compile(r"OL\d{1,12}[AMW]")


def is_cover(number: Any) -> bool:
    """Whether this is the number of a cover."""
    return type(number) is int and 0 < number < MOST_COVER


def first_cover(numbers: Any) -> str | None:
    """Where the large image of the first cover is; editors set -1 in place of one that was removed."""
    return next((url for number in numbers if (url := cover_url(number))), None) if isinstance(numbers, list) else None


def cover_url(number: Any) -> str | None:
    """Where the large image of a cover is, by its number; None if it is no such number."""
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number[: len(str(MOST_COVER))])
    return f"{COVERS}/{number}-L.jpg" if is_cover(number) else None


def key_of(reference: Any) -> str | None:
    """The last part of a key: "OL1M" of "/books/OL1M", or of {"key": "/books/OL1M"}."""
    if isinstance(reference, dict):
        reference = reference.get("key")
    return reference.rpartition("/")[2] if isinstance(reference, str) else None


def olid(reference: Any, kind: str) -> str | None:
    """The same if it is an identifier of Open Library of a kind: A of authors, M of editions, W of works."""
    key = key_of(reference)
    return key if key and key.endswith(kind) and _OLID.fullmatch(key) else None
