"""The list of known jobs, with what their servers say of them now."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfwire.cli.connect import alive
from shelfwire.cli.job_session import ACCESS
from shelfwire.cli.jobs_file import Ended, KnownJob
from shelfwire.cli.progress_summary import clean
from shelfwire.client import Client, RefusedError
from shelfwire.errors import ShelfwireError
from shelfwire.protocol.job import ENDED, JobState, Status
from shelfwire.server.discovery import running_server

AT_ONCE: Final = 8
WIDTH_FOR_TABLE: Final = 60
WIDTH_FOR_PLACES: Final = 100
"""On a narrower terminal the jobs of each place are a table of their own, and the place is said once."""
EXPIRED: Final = "expired"
GONE: Final = "gone"
"""With its data folder."""
WAITING: Final = "waiting"
"""In a data folder that no server holds now."""
UNREACHABLE: Final = "unreachable"
STYLES: Final = {"complete": "green", "failed": "red", "canceled": "yellow", WAITING: "yellow", UNREACHABLE: "red"}


class Known(NamedTuple):
    """A job, and where it stands now: its status and, if anybody knows them, its counts."""

    entry: KnownJob
    status: str
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None


async def look_up(entries: Sequence[KnownJob]) -> list[Known]:
    """Ask the servers of these jobs where each stands, or read it from the data folders that no server holds."""
    urls = {entry.job_id: entry.server or _holder(entry.data) for entry in entries}
    reachable = {url: await alive(url) for url in set(urls.values()) if url is not None}
    unheld = [entry for entry in entries if entry.data is not None and not reachable.get(urls[entry.job_id] or "")]
    read = {
        job_id: known
        for data in {entry.data for entry in unheld if entry.data is not None}
        for job_id, known in _read(Path(data), [entry for entry in unheld if entry.data == data]).items()
    }
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(entry: KnownJob) -> Known:
        url = urls[entry.job_id]
        if url is None or not reachable[url]:
            return read.get(entry.job_id) or _unasked(entry)
        async with turn:
            return await _ask(entry, url)

    return list(await asyncio.gather(*map(ask, entries)))


def to_json(known: Sequence[Known]) -> str:
    """Return the list as one JSON array; tokens stay in the jobs file."""
    return msgspec.json.encode([_plain(job) for job in known]).decode()


def print_lines(known: Sequence[Known], stream: TextIO) -> None:
    """Print a line for each job, its cells set apart by tabs."""
    for job in known:
        cells = (job.entry.job_id, clean(job.entry.file), _when(job.entry), job.entry.where, _standing(job))
        stream.write("\t".join(cells) + "\n")


def print_table(known: Sequence[Known], console: Console) -> None:
    """Print the list as a table, on a narrow terminal as a few lines for each job; a place that they share once.

    Args:
        known: the jobs.
        console: the terminal.
    """
    places = list(dict.fromkeys(job.entry.where for job in known))
    if len(places) > 1 and console.width >= WIDTH_FOR_PLACES:
        console.print(_table(known, with_places=True))
        return
    for place in places:
        here = [job for job in known if job.entry.where == place]
        if console.width < WIDTH_FOR_TABLE:
            for job in here:
                parts = (job.entry.short, clean(job.entry.file), _when(job.entry), _standing(job))
                console.print(Text("  ".join(parts)))
        else:
            console.print(_table(here, with_places=False))
        console.print(Text(f"{'At' if here[0].entry.server else 'In'} {clean(place)}", "dim"))


def _table(known: Sequence[Known], *, with_places: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Job", style="bold", no_wrap=True)
    table.add_column("File", overflow="fold")
    table.add_column("Started", style="dim")
    if with_places:
        table.add_column("Where", style="dim", overflow="fold")
    table.add_column("Status")
    for job in known:
        status = Text(_standing(job), STYLES.get(job.status, ""))
        place = [Text(clean(job.entry.where))] if with_places else []
        table.add_row(job.entry.short, Text(clean(job.entry.file)), _when(job.entry), *place, status)
    return table


def _holder(data: str | None) -> str | None:
    return None if data is None else running_server(Path(data))


def _read(data: Path, entries: Sequence[KnownJob]) -> Mapping[str, Known]:
    """Return where the jobs of a data folder stand by its store; nothing where that cannot be read."""
    from shelfwire.stores.sqlite.looking import states_in  # noqa: PLC0415 - a store takes time to import

    try:
        states = states_in(data, [entry.job_id for entry in entries])
    except FileNotFoundError:
        return {entry.job_id: _unasked(entry) if entry.ended else Known(entry, GONE) for entry in entries}
    except (ShelfwireError, OSError, ValueError):
        return {}
    return {entry.job_id: _as_stored(entry, states.get(entry.job_id)) for entry in entries}


def _as_stored(entry: KnownJob, state: JobState | None) -> Known:
    if state is None:
        return Known(entry, EXPIRED)
    status = str(state.status) if state.ended or state.status is Status.PAUSED else WAITING
    return Known(entry, status, state.total or None, state.succeeded, state.failed)


def _unasked(entry: KnownJob) -> Known:
    if entry.ended is not None:
        return _as_seen(entry, entry.ended)
    return Known(entry, WAITING if entry.server is None else UNREACHABLE)


def _as_seen(entry: KnownJob, ended: Ended) -> Known:
    return Known(entry, ended.status, ended.succeeded + ended.failed, ended.succeeded, ended.failed)


async def _ask(entry: KnownJob, url: str) -> Known:
    try:
        async with Client(url) as client:
            state = await client.state(entry.ref)
    except RefusedError as error:
        return Known(entry, EXPIRED) if error.code in ACCESS else _unasked(entry)
    return Known(entry, state["status"], state["totalCount"] or None, state["successCount"], state["failureCount"])


def _plain(job: Known) -> dict[str, Any]:
    entry = job.entry
    fields = {
        "jobId": entry.job_id,
        "file": entry.file,
        "pipeline": entry.pipeline,
        "createdAt": entry.created,
        "server": entry.server,
        "data": entry.data,
        "status": job.status,
        "totalCount": job.total,
        "successCount": job.succeeded,
        "failureCount": job.failed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _when(entry: KnownJob) -> str:
    return datetime.fromtimestamp(entry.created / 1000, UTC).astimezone().strftime("%d %b %H:%M")


def _standing(job: Known) -> str:
    match job.status:
        case status if status in ENDED and job.succeeded is not None:
            done = job.succeeded + (job.failed or 0)
            return (
                f"{status}, {job.failed:,} of {done:,} failed"
                if job.failed
                else f"{status}, {job.entry.labels.counted(done)}"
            )
        case status if status == WAITING:
            return f"waiting: shelfwire watch {job.entry.short} continues it"
        case status if status == UNREACHABLE:
            return "its server does not answer"
        case status if status in {EXPIRED, GONE}:
            why = "expired" if status == EXPIRED else "its data folder is gone"
            return f"{why}; {job.entry.labels.again[:1].lower()}{job.entry.labels.again[1:]}"
        case status if job.total:
            return f"{status}, {(job.succeeded or 0) + (job.failed or 0):,} of {job.entry.labels.counted(job.total)}"
        case status:
            return status
