"""The commands that start jobs over books: `import`, `scan` and `enrich`."""

import os
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Final

from shelfwire.books.ai_scan.limits import MAX_PHOTO_BYTES, MAX_PHOTOS
from shelfwire.books.cli.found import found_in
from shelfwire.books.client import BooksClient, GeminiUse
from shelfwire.cli.commands import ask, known_jobs
from shelfwire.cli.connect import JobLocation, choose_place
from shelfwire.cli.errors import CommandError
from shelfwire.cli.files import check_file, check_output
from shelfwire.cli.job_session import JobSession, NewJob
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.results import Format, save
from shelfwire.cli.running import run
from shelfwire.client import JobHandle

FORMATS: Final[Mapping[str, Format]] = {".json": "json", ".ndjson": "ndjson"}
"""What is written to files of these names."""


def import_file(
    file: Path,
    /,
    *,
    gemini: GeminiUse | None = None,
    enrich: bool = False,
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Import a book list from a CSV file, and show how it goes.

    Args:
        file: The book list, as CSV or TSV.
        gemini: Ask Gemini what nothing else is sure of (auto, as without this), always, or never; needs GEMINI_API_KEY.
        enrich: Look the books up as well: in the local catalogue, with Open Library, with Google Books.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    size = check_file(file)
    place = choose_place(server, data, os.environ)

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.import_csv(file, gemini=gemini, enrich=enrich, idempotency_key=key)

    return run(_session(place, as_json=json).start(NewJob(clean(file.name), "csv_import", send, size)))


def scan(
    *photos: Path,
    annotate: Path | None = None,
    enrich: bool = False,
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
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed photo.
    """
    drawn = [] if annotate is None else _drawn(annotate, len(photos))
    size = _check_photos(photos, drawn)
    session = _session(choose_place(server, data, os.environ), as_json=json)
    name = clean(photos[0].name) + (f" and {len(photos) - 1} more" if len(photos) > 1 else "")

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.scan(photos, enrich=enrich, idempotency_key=key)

    exit_code = run(session.start(NewJob(name, "ai_scan", send, size)))
    found = found_in(session.results)
    if drawn and found:
        from shelfwire.books.cli.annotate import draw  # noqa: PLC0415 - decoders of images take time to import

        draw(photos, found, drawn)
    return exit_code


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
        file: The list, as CSV or TSV of any layout, or as JSON; 1,000 books at most.
        output: Where to write what was found, in place of what is there: as CSV, or as JSON if its name ends in .json
            or .ndjson. Without it see `shelfwire results`.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every book that was not found.
    """
    from shelfwire.books.cli.book_list import books_in  # noqa: PLC0415 - what reads CSV takes time to import

    check_file(file, "list of books")
    if output is not None:
        check_output(output, [file])
    books = books_in(file)
    session = _session(choose_place(server, data, os.environ), as_json=json)

    def send(client: BooksClient, key: str) -> Awaitable[JobHandle]:
        return client.enrich(books, idempotency_key=key)

    exit_code = run(session.start(NewJob(clean(file.name), "batch_enrichment", send)))
    if output is not None and session.entry is not None:
        form = FORMATS.get(output.suffix.lower(), "csv")
        run(ask(session.entry, lambda client, ref: save(client, ref, form, None, output)))
    return exit_code


def _session(place: JobLocation, *, as_json: bool) -> JobSession[BooksClient]:
    return JobSession(place, known_jobs(), as_json=as_json, client_class=BooksClient)


def _drawn(path: Path, count: int) -> list[Path]:
    """Return where each photo is drawn: of several, each has its number in its name."""
    if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise CommandError(f"{path} is to be written as JPEG or PNG. Give it a name that ends in .jpg or .png")
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]


def _check_photos(photos: Sequence[Path], drawn: Sequence[Path]) -> int:
    """Refuse photos that cannot be scanned, or drawn, before they are sent; give their size in bytes."""
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
    return sum(sizes.values())
