"""What the commands do, all but `serve`."""

import os
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from rich.console import Console

from shelfwire.books.ai_scan.limits import MAX_PHOTO_BYTES, MAX_PHOTOS
from shelfwire.cli.connect import Place, Session, choose_place
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.job_session import JobSession, NewJob, refusal, warn, with_ending
from shelfwire.cli.jobs_file import JobsFile, KnownJob, default_folder
from shelfwire.cli.listing import look_up, print_lines, print_table, to_json
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.results import Format, save
from shelfwire.cli.running import run
from shelfwire.client import Client, JobHandle, RefusedError
from shelfwire.client.client import GeminiWish
from shelfwire.errors import Code
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobProgress

T = TypeVar("T")
FORMATS: Final[Mapping[str, Format]] = {".json": "json", ".ndjson": "ndjson"}
"""What is written to files of these names."""


def import_file(
    file: Path,
    /,
    *,
    gemini: GeminiWish | None = None,
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
    size = _check_file(file)
    place = choose_place(server, data, os.environ)

    def send(client: Client, key: str) -> Awaitable[JobHandle]:
        return client.import_csv(file, gemini=gemini, enrich=enrich, idempotency_key=key)

    return run(JobSession(place, _jobs_file(), as_json=json).start(NewJob(clean(file.name), "csv_import", send, size)))


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
    visit = JobSession(choose_place(server, data, os.environ), _jobs_file(), as_json=json)
    name = clean(photos[0].name) + (f" and {len(photos) - 1} more" if len(photos) > 1 else "")

    def send(client: Client, key: str) -> Awaitable[JobHandle]:
        return client.scan(photos, enrich=enrich, idempotency_key=key)

    exit_code = run(visit.start(NewJob(name, "ai_scan", send, size)))
    if drawn and visit.found:
        from shelfwire.books.cli.annotate import draw  # noqa: PLC0415 - decoders of images take time to import

        draw(photos, visit.found, drawn)
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

    _check_file(file, "list of books")
    if output is not None:
        _check_output(output, [file])
    books = books_in(file)
    visit = JobSession(choose_place(server, data, os.environ), _jobs_file(), as_json=json)
    errand = NewJob(clean(file.name), "batch_enrichment", lambda client, key: client.enrich(books, idempotency_key=key))
    exit_code = run(visit.start(errand))
    if output is not None and visit.entry is not None:
        form = FORMATS.get(output.suffix.lower(), "csv")
        run(_ask(visit.entry, lambda client, ref: save(client, ref, form, None, output)))
    return exit_code


def watch(job: str, /, *, json: bool = False) -> int:
    """Come back to a job: show how it goes, and go on with it if nobody else does.

    Args:
        job: The beginning of its id, or `last`.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    return run(JobSession(_place(entry), jobs_file, as_json=json).watch(entry))


def resume(job: str, /, *, json: bool = False) -> int:
    """Let a paused job go on, and show how it goes.

    Args:
        job: The beginning of its id, or `last`.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    return run(JobSession(_place(entry), jobs_file, as_json=json).resume(entry))


def retry(job: str, /, *, json: bool = False) -> int:
    """Try the failed and unrecorded rows of an ended job again, as a new job, and show how it goes.

    Args:
        job: The beginning of its id, or `last`.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    return run(JobSession(_place(entry), jobs_file, as_json=json).retry(entry))


def jobs(*, json: bool = False) -> int:
    """List the jobs of the last 30 days, and where each stands.

    Args:
        json: Print them as one JSON array.
    """
    known = run(look_up(_jobs_file().entries()))
    if json:
        sys.stdout.write(to_json(known) + "\n")
    elif known and sys.stdout.isatty():
        print_table(known, Console(highlight=False))
    elif known:
        print_lines(known, sys.stdout)
    else:
        sys.stdout.write("No jobs yet. Start one: shelfwire import FILE\n")
    return Exit.OK


def cancel(job: str, /) -> int:
    """Cancel a job. The rows imported until then are kept.

    Args:
        job: The beginning of its id, or `last`.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    state = run(_ask(entry, _canceled))
    jobs_file.put(with_ending(entry, state["status"], state["successCount"], state["failureCount"]))
    if state["status"] != Status.CANCELED:
        raise CommandError(f"{entry.file}: too late to cancel, the job is {state['status']}", Exit.UNREACHABLE)
    total, done = state["totalCount"], state["processedCount"]
    moment = f"after {done:,} of {entry.words.counted(total)}, which are kept" if total else "before it had begun"
    sys.stdout.write(f"Canceled the {entry.words.noun} of {clean(entry.file)} {moment}\n")
    return Exit.OK


def pause(job: str, /) -> int:
    """Pause a job. It stays paused, over restarts too, until `shelfwire resume`.

    Args:
        job: The beginning of its id, or `last`.
    """
    entry = _jobs_file().find(job)
    state = run(_ask(entry, _paused))
    if state["status"] != Status.PAUSED:
        raise CommandError(f"{entry.file}: too late to pause, the job is {state['status']}", Exit.UNREACHABLE)
    total, done = state["totalCount"], state["processedCount"]
    moment = f"after {done:,} of {entry.words.counted(total)}" if total else "before it had begun"
    what = f"the {entry.words.noun} of {clean(entry.file)}"
    sys.stdout.write(f"Paused {what} {moment}. Go on: shelfwire resume {entry.short}\n")
    return Exit.OK


def delete(job: str, /) -> int:
    """Delete a job with its input and results; one that has not ended is canceled first.

    Args:
        job: The beginning of its id, or `last`.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    found = run(_ask(entry, _deleted))
    jobs_file.remove(entry)
    what = "and everything that was kept of it" if found else "from the list; its server knew nothing of it any more"
    sys.stdout.write(f"Deleted the {entry.words.noun} of {clean(entry.file)} {what}\n")
    return Exit.OK


def results(
    job: str,
    /,
    *,
    format: Literal["csv", "ndjson", "json"] = "csv",  # noqa: A002 - the flag's name
    status: Literal["ok", "failed"] | None = None,
    output: Path | None = None,
) -> int:
    """Print what came of each row, imported or not, in the order of the file.

    Args:
        job: The beginning of its id, or `last`.
        format: csv, a table that is safe to open in a spreadsheet; ndjson, a line of JSON each; or json, one array.
        status: Only rows that are ok, or only those that failed.
        output: The file to write to, in place of what it holds; the standard output unless given.
    """
    entry = _jobs_file().find(job)
    run(_ask(entry, lambda client, ref: save(client, ref, format, status, output)))
    return Exit.OK


async def _canceled(client: Client, job: JobHandle) -> dict[str, Any]:
    await client.cancel(job)
    await client.follow(job).run()
    return await client.state(job)


async def _paused(client: Client, job: JobHandle) -> dict[str, Any]:
    state = await client.pause(job)
    if state["status"] != Status.PAUSED:
        async for message in client.follow(job):
            if isinstance(message.payload, JobProgress) and message.payload.state == Status.PAUSED:
                break
        state = await client.state(job)
    return state


async def _deleted(client: Client, job: JobHandle) -> bool:
    try:
        await client.delete(job)
    except RefusedError as error:
        if error.code != Code.UNAUTHORIZED:
            raise
        return False
    return True


async def _ask(entry: KnownJob, question: Callable[[Client, JobHandle], Awaitable[T]]) -> T:
    """Ask the job's server, or one that is started for this alone and runs no jobs."""
    try:
        async with Session(_place(entry), work=False) as session:
            return await question(session.client, entry.ref)
    except RefusedError as error:
        raise refusal(error, entry.file, entry, entry.words) from None


def _jobs_file() -> JobsFile:
    return JobsFile(default_folder(os.environ), warn)


def _place(entry: KnownJob) -> Place:
    if entry.server is None and entry.data is None:
        raise CommandError(f"Where job {entry.short} runs is not known. {entry.words.again}: {entry.file}")
    return Place(entry.server, None if entry.data is None else Path(entry.data))


def _drawn(path: Path, count: int) -> list[Path]:
    """Where each of so many photos is drawn: of several, each has its number in its name."""
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
    sizes = {photo: _check_file(photo, "photo") for photo in photos}
    for photo, size in sizes.items():
        if size > MAX_PHOTO_BYTES:
            raise CommandError(f"{photo} is larger than {MAX_PHOTO_BYTES >> 20} MiB. Save it smaller, and scan that")
    for path in drawn:
        _check_output(path, photos)
    return sum(sizes.values())


def _check_output(output: Path, files: Sequence[Path]) -> None:
    """Refuse before the work what cannot be written after it, and what would take the place of somebody's own file."""
    try:
        has_folder, is_folder = output.parent.is_dir(), output.is_dir()
        is_input = output.exists() and any(output.samefile(file) for file in files)
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}. Name another file") from None
    if not has_folder:
        raise CommandError(f"There is no folder {output.parent} to write {output.name} to")
    if is_folder:
        raise CommandError(f"{output} is a folder. Name a file to write to")
    if is_input:
        raise CommandError(f"{output} is the file to read. Name another one to write to, so that it is not lost")


def _check_file(path: Path, what: str = "CSV file") -> int:
    """Refuse what cannot be sent, before it is; give its size in bytes."""
    try:
        status = path.stat()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    if stat.S_ISDIR(status.st_mode):
        raise CommandError(f"{path} is a folder. Name one {what} in it")
    if not stat.S_ISREG(status.st_mode):
        raise CommandError(f"{path} is no ordinary file. Save its contents as a {what} first")
    if not status.st_size:
        raise CommandError(f"{path} is empty. {'Take' if what == 'photo' else 'Export'} it again")
    return status.st_size
