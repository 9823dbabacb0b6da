"""Makes the pipelines of the books over the services that they share."""

from collections.abc import Sequence

from shelfwire.books.ai_scan.confirming import LocalBooks
from shelfwire.books.ai_scan.photo_readers import FallbackReader
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.books.batch_enrichment.pipeline import BatchEnrichment
from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.books.services import Services
from shelfwire.jobs.pipeline import Pipeline


def make_pipelines() -> tuple[Services, Sequence[Pipeline]]:
    """Make one of each pipeline, and the services they use, which the caller opens."""
    services = Services()
    return services, (
        CsvImport(services),
        AiScan(FallbackReader(services), LocalBooks(services), services),
        BatchEnrichment(services),
    )
