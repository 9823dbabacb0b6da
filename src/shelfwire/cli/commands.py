"""What the commands do, all but `serve`."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from shelfwire.cli.connect import Place, Session, choose_place
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.jobs_file import Entry, JobsFile, default_folder
from shelfwire.cli.listing import look_up, print_lines, print_table, to_json
from shelfwire.cli.running import run
from shelfwire.cli.tally import clean
from shelfwire.cli.visit import Visit, refusal, warn, with_ending
from shelfwire.client import RefusedError
from shelfwire.protocol.job import Status


def import_file(file: Path, /, *, server: str | None = None, data: Path | None = None, json: bool = False) -> int:
    """Import a book list from a CSV file, and show how it goes.

    Args:
        file: The book list, as CSV or TSV.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    _check_file(file)
    place = choose_place(server, data, os.environ)
    return run(Visit(place, _jobs_file(), as_json=json).start(file))


def watch(job: str, /, *, json: bool = False) -> int:
    """Come back to a job: show how it goes, and go on with it if nobody else does.

    Args:
        job: The beginning of its id, or `last`.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = _jobs_file()
    entry = jobs_file.find(job)
    return run(Visit(_place(entry), jobs_file, as_json=json).resume(entry))


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
    state = run(_cancel(entry))
    jobs_file.put(with_ending(entry, state["status"], state["successCount"], state["failureCount"]))
    if state["status"] != Status.CANCELED:
        raise CommandError(f"{entry.file}: too late to cancel, the job is {state['status']}", Exit.UNREACHABLE)
    total, done = state["totalCount"], state["processedCount"]
    moment = f"after {done:,} of {total:,} rows, which are kept" if total else "before it had begun"
    sys.stdout.write(f"Canceled the import of {clean(entry.file)} {moment}\n")
    return Exit.OK


async def _cancel(entry: Entry) -> dict[str, Any]:
    try:
        async with Session(_place(entry), work=False) as session:
            await session.client.cancel(entry.ref)
            async for _ in session.client.follow(entry.ref):
                pass
            return await session.client.state(entry.ref)
    except RefusedError as error:
        raise refusal(error, entry.file, entry) from None


def _jobs_file() -> JobsFile:
    return JobsFile(default_folder(os.environ), warn)


def _place(entry: Entry) -> Place:
    if entry.server is None and entry.data is None:
        raise CommandError(f"Where job {entry.short} runs is not known. Import {entry.file} again")
    return Place(entry.server, None if entry.data is None else Path(entry.data))


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    if stat.S_ISDIR(status.st_mode):
        raise CommandError(f"{path} is a folder. Name one CSV file in it")
    if not stat.S_ISREG(status.st_mode):
        raise CommandError(f"{path} is no ordinary file. Save its contents as a CSV file first")
    if not status.st_size:
        raise CommandError(f"{path} is empty. Export the list again, as CSV")
