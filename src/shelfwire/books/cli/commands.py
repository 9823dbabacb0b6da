"""The commands that start jobs over books: `import`, `scan` and `enrich`."""

from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfwire.books.ai_scan.limits import MAX_PHOTO_BYTES, MAX_PHOTOS
from shelfwire.books.cli.found import found_in
from shelfwire.books.client import BooksClient, Duplicates, GeminiUse
from shelfwire.cli import start_job
from shelfwire.cli.errors import CommandError
from shelfwire.cli.files import check_file, check_output
from shelfwire.client import Client, JobHandle

if TYPE_CHECKING:
    from shelfwire.cli.starting import FinishedJob

LIST: Final = "list of books"


def import_file(  # noqa: PLR0913 - the flags of the command
    file: Path,
    /,
    *,
    column: list[str] | None = None,
    duplicates: Duplicates | None = None,
    explain: bool = False,
    dry_run: bool = False,
    gemini: GeminiUse | None = None,
    enrich: bool = False,
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Import a book list from a file, and show how it goes.

    Args:
        file: The book list, as CSV or TSV, as a spreadsheet (.xlsx or .ods), or one of these in a .zip.
        column: What a column holds, as "NAME=WORD", such as "Score /5=rating" or "Shop=ignore"; may be repeated, and
            --explain lists the words.
        duplicates: Refuse a row that says nothing more than an earlier one (as without this), or keep it.
        explain: Import nothing; show what each column is taken for, and what says so.
        dry_run: Import nothing; show what would be imported.
        gemini: Ask Gemini what nothing else is sure of (auto, as without this), always, or never; needs GEMINI_API_KEY.
        enrich: Look the books up as well: in the local catalogue, with Open Library, with Google Books.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    from shelfwire.books.cli import import_preview  # noqa: PLC0415 - what reads CSV takes time to import

    columns = import_preview.column_meanings(column or [])
    if explain or dry_run:
        check_file(file)
    if explain:
        return import_preview.explain(file, columns, as_json=json)
    if dry_run:
        return import_preview.dry_run(file, columns, keep_duplicates=duplicates == "keep", as_json=json)

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.import_csv(
            file, gemini=gemini, enrich=enrich, columns=columns, duplicates=duplicates, idempotency_key=key
        )

    job = start_job(
        "csv_import", [file], send, client_class=BooksClient, what="CSV file", server=server, data=data, json=json
    )
    return job.exit_code


def scan(
    *photos: Path,
    annotate: Path | None = None,
    enrich: bool = False,
    review: bool = False,
    truth: Path | None = None,
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Find the books on photos of bookshelves, and show how it goes.

    Args:
        photos: The photos: JPEG, PNG, WebP or HEIC, 20 at most.
        annotate: Where to write the photo with each book outlined and numbered, as .jpg or .png; of several photos,
            where to write them with -1, -2 and so on in their names.
        enrich: Look the books up as well, and correct what was misread.
        review: Then ask about each book that is in doubt; `shelfwire results` has what you answer.
        truth: With --review, a folder to keep the photos in, with the books that are on them as you say, so that the
            offline reader can be fitted to your shelves; nothing of it leaves this machine.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed photo.
    """
    if review and json:
        raise CommandError("--review asks in the terminal, and --json is for programs. Leave one of them out")
    if truth is not None and not review:
        raise CommandError("--truth keeps what you say is on the photos, and --review asks you. Add --review")
    if truth is not None and truth.exists() and not truth.is_dir():
        raise CommandError(f"{truth} is a file. Name a folder")
    drawn = [] if annotate is None else _drawn(annotate, len(photos))
    _check_photos(photos, drawn)

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.scan(photos, enrich=enrich, idempotency_key=key)

    job = start_job(
        "ai_scan", photos, send, client_class=BooksClient, what="photo", server=server, data=data, json=json
    )
    found = found_in(job.results)
    if drawn and found:
        from shelfwire.books.cli.annotate import draw  # noqa: PLC0415 - decoders of images take time to import

        draw(photos, found, drawn)
    if review and found:
        _review(job, photos, truth)
    return job.exit_code


def _review(job: "FinishedJob", photos: Sequence[Path], folder: Path | None) -> None:
    """Ask about the books that are in doubt, and keep photos and books as the truth where a folder is named."""
    from shelfwire.books.cli import review, truth  # noqa: PLC0415 - few need them

    async def work(client: Client, handle: JobHandle) -> list[dict[str, Any]]:
        finished = await review.review(client, handle, review.typed, missed=folder is not None)
        return [item async for item in client.results(handle, corrected=True) if item["index"] in finished]

    looked_at = job.ask(work)
    if folder is not None:
        truth.keep(photos, looked_at, folder)


def enrich(
    file: Path,
    /,
    *,
    output: Path | None = None,
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Look up the books of a list, and show how it goes.

    Args:
        file: The list, as any file that can be imported, or as JSON; 1,000 books at most.
        output: Where to write what was found, in place of what is there: as CSV, or as JSON if its name ends in .json
            or .ndjson. Without it see `shelfwire results`.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every book that was not found.
    """
    from shelfwire.books.cli.book_list import books_in  # noqa: PLC0415 - what reads CSV takes time to import

    check_file(file, LIST)
    if output is not None:
        check_output(output, [file])
    books = books_in(file)

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.enrich(books, idempotency_key=key)

    job = start_job(
        "batch_enrichment", [file], send, client_class=BooksClient, what=LIST, server=server, data=data, json=json
    )
    if output is not None:
        job.save(output)
    return job.exit_code


def _drawn(path: Path, count: int) -> list[Path]:
    """Return where each photo is drawn: of several, each has its number in its name."""
    if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise CommandError(f"{path} is to be written as JPEG or PNG. Give it a name that ends in .jpg or .png")
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]


def _check_photos(photos: Sequence[Path], drawn: Sequence[Path]) -> None:
    """Refuse photos that cannot be scanned, or drawn, before they are sent."""
    if not photos:
        raise CommandError("Name the photo to scan, such as: shelfwire scan shelf.jpg")
    if len(photos) > MAX_PHOTOS:
        raise CommandError(
            f"{len(photos)} photos are too many: {MAX_PHOTOS} at most go into one scan. Scan the rest next"
        )
    sizes = {photo: check_file(photo, "photo") for photo in photos}
    for photo, size in sizes.items():
        if size > MAX_PHOTO_BYTES:
            raise CommandError(f"{photo} is larger than {MAX_PHOTO_BYTES >> 20} MiB. Save it smaller, and scan that")
    for path in drawn:
        check_output(path, photos)
