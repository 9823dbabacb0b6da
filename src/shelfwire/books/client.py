"""The client of a server with the books' pipelines: `Client`, and a method for each way to start one of their jobs.

It is to this plug-in what any plug-in's client may be: its methods are written with `Client.create`, and its blocking
twin names them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from shelfwire.client import Client, JobHandle
from shelfwire.client.blocking import BlockingClient, blocking
from shelfwire.client.client import File

IMPORT_PATH: Final = "/api/import/csv-gemini"
SCAN_PATH: Final = "/api/scan-bookshelf"
SCAN_BATCH_PATH: Final = "/api/scan-bookshelf/batch"
ENRICH_PATH: Final = "/api/enrichment/batch"
CREATION_PATHS: Final[Mapping[str, str]] = {
    IMPORT_PATH: "csv_import",
    SCAN_PATH: "ai_scan",
    SCAN_BATCH_PATH: "ai_scan",
    ENRICH_PATH: "batch_enrichment",
}
"""The routes that create jobs, each with its pipeline; `FakeServer` takes them."""

GeminiUse = Literal["auto", "always", "never"]
Duplicates = Literal["refuse", "keep"]


class BooksClient(Client):
    """A connection to a server with the books' pipelines. Everything else is as in `Client`."""

    async def import_csv(
        self,
        path: Path | str,
        *,
        gemini: GeminiUse | None = None,
        enrich: bool = False,
        columns: Mapping[str, str] | None = None,
        duplicates: Duplicates | None = None,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Send a book list and start its import. Other arguments and errors: see `Client.create`.

        Args:
            path: the file: CSV, .xlsx, .ods, or one of them in a .zip.
            gemini: whether Gemini helps to read it: only where nothing else is sure of it (`auto`, the default),
                always or never.
            enrich: whether to look the books up with the providers of book data too.
            columns: what columns hold, by their name or number from 1, as `{"Score /5": "rating", "Shop": "ignore"}`.
            duplicates: whether a row that says nothing more than an earlier one is refused (the default) or kept.
            job_id: see `Client.create`.
            idempotency_key: likewise.
        """
        given = {
            "gemini": gemini,
            "columns": json.dumps(dict(columns)) if columns else None,
            "duplicates": duplicates,
        }
        return await self.create(
            IMPORT_PATH,
            files=[("file", path)],
            fields={name: value for name, value in given.items() if value is not None} or None,
            params=_params(enrich=enrich),
            job_id=job_id,
            idempotency_key=idempotency_key,
        )

    async def scan(
        self,
        photos: Sequence[File],
        *,
        enrich: bool = False,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Send photos of bookshelves and start to read them. Other arguments and errors: see `Client.create`.

        Args:
            photos: 1 to 20 of them, as JPEG, PNG, WebP or HEIC.
            enrich: see `import_csv`.
            job_id: see `Client.create`.
            idempotency_key: likewise.
        """
        path, field = (SCAN_PATH, "image") if len(photos) == 1 else (SCAN_BATCH_PATH, "images")
        return await self.create(
            path,
            files=[(field, photo) for photo in photos],
            params=_params(enrich=enrich),
            job_id=job_id,
            idempotency_key=idempotency_key,
        )

    async def enrich(
        self, books: Sequence[Mapping[str, Any]], *, job_id: str | None = None, idempotency_key: str | None = None
    ) -> JobHandle:
        """Send a list of books and start to look them up. Other arguments and errors: see `Client.create`.

        Args:
            books: 1 to 1,000 of them, each with a `title`, and with an `author` and an `isbn` where they are known.
            job_id: see `Client.create`.
            idempotency_key: likewise.
        """
        body = {"books": list(books)}
        return await self.create(ENRICH_PATH, json=body, job_id=job_id, idempotency_key=idempotency_key)


class BlockingBooksClient(BlockingClient[BooksClient]):
    """`BooksClient` for scripts; see `BlockingClient`."""

    client_class = BooksClient
    import_csv = blocking(BooksClient.import_csv)
    scan = blocking(BooksClient.scan)
    enrich = blocking(BooksClient.enrich)


def _params(*, enrich: bool) -> dict[str, str]:
    return {"enrich": "true"} if enrich else {}
