"""What the commands do, all but `serve`."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from cyclopts import Parameter
from rich.console import Console

from shelfwire.cli.connect import SERVER_VARIABLE, JobLocation, Session, choose_place
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import export_names, export_of
from shelfwire.cli.job_session import JobSession, refusal, warn, with_ending
from shelfwire.cli.jobs_file import JobsFile, KnownJob, default_folder
from shelfwire.cli.listing import look_up, print_lines, print_table, to_json
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.results import CSV, OWN_FORMATS, format_for, original_rows, parts_of, save
from shelfwire.cli.running import run
from shelfwire.client import Client, JobHandle, RefusedError
from shelfwire.errors import Code
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import JobProgress
from shelfwire.settings import SettingsError, expanded

T = TypeVar("T")
Filter = Annotated[str, Parameter(show_default=False)]
DATA_VARIABLE: Final = "SHELFWIRE_DATA"
FORMATS: Final = (*OWN_FORMATS, *export_names())
"""What results can be written as."""


def watch(job: str, /, *, data: Path | None = None, json: bool = False) -> int:
    """Come back to a job: show how it goes, and go on with it if nobody else does.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = known_jobs()
    entry = _find(jobs_file, job, data)
    return run(JobSession(_place(entry), jobs_file, as_json=json).watch(entry))


def resume(job: str, /, *, data: Path | None = None, json: bool = False) -> int:
    """Let a paused job go on, and show how it goes.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = known_jobs()
    try:
        entry = _find(jobs_file, job, data)
    except CommandError as unknown:
        return _steered("resume", job, data, unknown)
    return run(JobSession(_place(entry), jobs_file, as_json=json).resume(entry))


def retry(job: str, /, *, data: Path | None = None, json: bool = False) -> int:
    """Try the failed and unrecorded rows of an ended job again, as a new job, and show how it goes.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
        json: Print each message as a line of JSON, then the outcome with every failed row.
    """
    jobs_file = known_jobs()
    try:
        entry = _find(jobs_file, job, data)
    except CommandError as unknown:
        return _steered("retry", job, data, unknown)
    return run(JobSession(_place(entry), jobs_file, as_json=json).retry(entry))


def jobs(  # noqa: PLR0913 - each is a flag
    *,
    data: Path | None = None,
    json: bool = False,
    all: bool = False,  # noqa: A002 - the flag's name
    status: Filter = "",
    pipeline: Filter = "",
    tag: Filter = "",
    search: Filter = "",
    limit: int = 100,
    server: str | None = None,
) -> int:
    """List the jobs of the last 30 days, and where each stands.

    Args:
        data: List only those of this data folder.
        json: Print them as one JSON array.
        all: List the jobs of everybody on the server of this machine, or with an API key of the role admin on any.
        status: With --all, only jobs of this status; several with commas.
        pipeline: With --all, only jobs of this pipeline.
        tag: With --all, only jobs with this tag.
        search: With --all, only jobs with this beginning of their id, error code, or part of the name of their file.
        limit: With --all, so many jobs at most.
        server: With --all, the server's URL; its key comes from SHELFWIRE_API_KEY.
    """
    if all:
        from shelfwire.cli.all_jobs import list_all  # noqa: PLC0415 - only this way to list needs it

        query = {"status": status, "pipeline": pipeline, "tag": tag, "q": search}
        return list_all(query, limit, server, data, as_json=json)
    if status or pipeline or tag or search or server:
        raise CommandError("--status, --pipeline, --tag, --search and --server are for the jobs of all: add --all")
    folder = _folder(data)
    known = run(look_up([entry for entry in known_jobs().entries() if folder is None or entry.is_in(folder)]))
    if json:
        sys.stdout.write(to_json(known) + "\n")
    elif known and sys.stdout.isatty():
        print_table(known, Console(highlight=False))
    elif known:
        print_lines(known, sys.stdout)
    else:
        sys.stdout.write("No jobs yet. Start one: shelfwire import FILE\n")
    return Exit.OK


def cancel(job: str, /, *, data: Path | None = None) -> int:
    """Cancel a job. The rows imported until then are kept.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
    """
    jobs_file = known_jobs()
    try:
        entry = _find(jobs_file, job, data)
    except CommandError as unknown:
        return _steered("cancel", job, data, unknown)
    state = run(ask(entry, _canceled))
    jobs_file.put(with_ending(entry, state["status"], state["successCount"], state["failureCount"]))
    if state["status"] != Status.CANCELED:
        raise CommandError(f"{entry.file}: too late to cancel, the job is {state['status']}", Exit.UNREACHABLE)
    total, done = state["totalCount"], state["processedCount"]
    moment = f"after {done:,} of {entry.labels.counted(total)}, which are kept" if total else "before it had begun"
    sys.stdout.write(f"Canceled the {entry.labels.noun} of {clean(entry.file)} {moment}\n")
    return Exit.OK


def pause(job: str, /, *, data: Path | None = None) -> int:
    """Pause a job. It stays paused, over restarts too, until `shelfwire resume`.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
    """
    try:
        entry = _find(known_jobs(), job, data)
    except CommandError as unknown:
        return _steered("pause", job, data, unknown)
    state = run(ask(entry, _paused))
    if state["status"] != Status.PAUSED:
        raise CommandError(f"{entry.file}: too late to pause, the job is {state['status']}", Exit.UNREACHABLE)
    total, done = state["totalCount"], state["processedCount"]
    moment = f"after {done:,} of {entry.labels.counted(total)}" if total else "before it had begun"
    what = f"the {entry.labels.noun} of {clean(entry.file)}"
    sys.stdout.write(f"Paused {what} {moment}. Go on: shelfwire resume {entry.short}\n")
    return Exit.OK


def delete(job: str, /, *, data: Path | None = None) -> int:
    """Delete a job with its input and results; one that has not ended is canceled first.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
    """
    jobs_file = known_jobs()
    try:
        entry = _find(jobs_file, job, data)
    except CommandError as unknown:
        return _steered("delete", job, data, unknown)
    found = run(ask(entry, _deleted))
    jobs_file.remove(entry)
    what = "and everything that was kept of it" if found else "from the list; its server knew nothing of it any more"
    sys.stdout.write(f"Deleted the {entry.labels.noun} of {clean(entry.file)} {what}\n")
    return Exit.OK


def results(
    job: str,
    /,
    *,
    data: Path | None = None,
    format: str | None = None,  # noqa: A002 - the flag's name
    status: Literal["ok", "failed"] | None = None,
    failed: bool = False,
    original: bool = False,
    as_recorded: bool = False,
    output: Path | None = None,
) -> int:
    """Print what came of each row, imported or not, in the order of the file.

    Args:
        job: The beginning of its id, or `last`.
        data: The data folder that it is in.
        format: What to write; csv unless the output's ending says something else. json is one array, ndjson lines.
        status: Only rows that are ok, or only those that failed.
        failed: Only rows that failed.
        original: The failed rows as they stood in the file, with the reason: correct them and import them again.
        as_recorded: Without what was corrected since, in a browser or with --review.
        output: The file to write to, in place of what it holds; the standard output unless given.
    """
    if status == "ok" and (failed or original):
        raise CommandError("--status ok and --failed or --original exclude each other. Give one of them")
    entry = _find(known_jobs(), job, data)
    if original:
        if format not in (None, CSV):
            raise CommandError("--original rows are written as csv alone. Leave --format out")
        run(ask(entry, lambda client, ref: save(client, ref, original_rows, output)))
        return Exit.OK
    form = format or format_for(output, FORMATS)
    export = None if form in OWN_FORMATS else export_of(entry.pipeline, form)
    parts = parts_of(form, "failed" if failed else status, export=export, corrected=not as_recorded)
    run(ask(entry, lambda client, ref: save(client, ref, parts, output)))
    return Exit.OK


# The formats that there are depend on the plug-ins.
results.__annotations__["format"] = Literal[FORMATS] | None


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


async def ask(entry: KnownJob, question: Callable[[Client, JobHandle], Awaitable[T]]) -> T:
    """Ask a job's server something, or a server that is started for this alone and runs no jobs.

    Raises:
        CommandError: it refuses, or cannot be reached.
    """
    try:
        async with Session(_place(entry), work=False) as session:
            return await question(session.client, entry.ref)
    except RefusedError as error:
        raise refusal(error, entry.file, entry, entry.labels) from None


def _find(jobs_file: JobsFile, job: str, data: Path | None) -> KnownJob:
    return jobs_file.find(job, _folder(data), usual=_folder(os.environ.get(DATA_VARIABLE)))


def _steered(verb: str, job: str, data: Path | None, unknown: CommandError) -> int:
    """Do it to a job that somebody else has started; see `steering.steer`."""
    from shelfwire.cli.steering import steer  # noqa: PLC0415 - few need it

    try:
        place = choose_place(None, data, {**os.environ, SERVER_VARIABLE: ""})
    except CommandError:
        raise unknown from None
    if place.data is None:
        raise unknown
    return steer(verb, job, place.data, unknown)


def _folder(named: Path | str | None) -> Path | None:
    try:
        return expanded(str(named)) if named else None
    except SettingsError as error:
        raise CommandError(f"Bad setting: data: {error}") from None


def known_jobs() -> JobsFile:
    """Return the file of the jobs that this person has started."""
    return JobsFile(default_folder(os.environ), warn)


def _place(entry: KnownJob) -> JobLocation:
    if entry.server is None and entry.data is None:
        raise CommandError(f"Where job {entry.short} runs is not known. {entry.labels.again}: {entry.file}")
    return JobLocation(entry.server, None if entry.data is None else Path(entry.data))
