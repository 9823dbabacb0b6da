"""Limits of a list of books to enrich."""

from typing import Final

MOST_BOOKS: Final = 1000
MOST_TITLE_CHARS: Final = 500
MOST_AUTHOR_CHARS: Final = 300
MOST_ISBN_CHARS: Final = 17
"""Thirteen digits and four hyphens."""
