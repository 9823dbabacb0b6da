"""`shelfwire jobs --all`: the jobs of everybody on one server."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.operator_client import operating
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.running import run

PAGE: Final = 200
MAX_NAME: Final = 24
MAX_PIPELINE: Final = 16


def list_all(query: dict[str, Any], limit: int, server: str | None, data: Path | None, *, as_json: bool) -> int:
    """Print the jobs that match, the newest first.

    Args:
        query: what they are found by, as the server takes it.
        limit: the most jobs.
        server: the server's URL.
        data: the data folder of this machine's server.
        as_json: whether to print one JSON array.

    Raises:
        CommandError: the limit is below 1; the server refused, or cannot be reached.
    """
    if limit < 1:
        raise CommandError(f"--limit is 1 or more, and not {limit}")
    jobs, more = run(_listed({name: value for name, value in query.items() if value}, limit, server, data))
    if as_json:
        sys.stdout.write(msgspec.json.encode(jobs).decode() + "\n")
        return Exit.OK
    for job in jobs:
        sys.stdout.write(_line(job) + "\n")
    if not jobs:
        sys.stdout.write("No jobs match\n")
    if more:
        sys.stdout.write(f"There are more: --limit {limit * 10}\n")
    return Exit.OK


async def _listed(
    query: dict[str, Any], limit: int, server: str | None, data: Path | None
) -> tuple[Sequence[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []
    async with operating(server, data) as operator:
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            wanted = {**query, "limit": min(PAGE, limit - len(found)), **({"cursor": cursor} if cursor else {})}
            page = await operator.ask("GET", "/api/jobs", params=wanted)
            found += page["items"]
            cursor = page["next"]
    return found, cursor is not None


def _line(job: dict[str, Any]) -> str:
    """One line of up to 80 columns."""
    when = datetime.fromtimestamp(job["createdAt"] / 1000, UTC).astimezone().strftime("%d %b %H:%M")
    total, done = job["totalCount"], job["processedCount"]
    counts = f"{done}/{total}" if total else "-"
    error = job.get("error", {}).get("code", "")
    name = clean(job.get("fileName") or "")[:MAX_NAME]
    shown = f"{job['jobId'][:8]}  {when}  {job['pipeline'][:MAX_PIPELINE]:16}  {job['status']:9}  {counts:>11}"
    return f"{shown}  {error or name}".rstrip()[:80]
