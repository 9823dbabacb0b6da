"""The HTTP routes of the books."""

from typing import Final

from shelfwire.books.web.enrichment import enrich_books
from shelfwire.books.web.scanning import scan_photo, scan_photos

ROUTES: Final = (scan_photo, scan_photos, enrich_books)
"""Every route."""
