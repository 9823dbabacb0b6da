"""The HTTP routes of the books."""

from collections.abc import Sequence
from typing import Final

from shelfwire.books.web import csv_import, enrichment, photos, scanning
from shelfwire.web.route import Route

ROUTES: Final[Sequence[Route]] = (csv_import.ROUTE, *scanning.ROUTES, photos.ROUTE, enrichment.ROUTE)
