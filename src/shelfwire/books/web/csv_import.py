"""The route that takes lists of books to import."""

from typing import Final

from shelfwire.web.creation import FORM_TYPE, FormIntake, creation_route

ROUTE: Final = creation_route(
    "/api/import/csv-gemini",
    "csv_import",
    {FORM_TYPE: FormIntake(field="file")},
    operation_id="import_csv",
    summary="Start the import of a book list, sent as the form field `file`: CSV of any kind, a spreadsheet (.xlsx or "
    ".ods), or one of these in a .zip.",
)
