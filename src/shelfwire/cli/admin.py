"""`shelfwire admin`: the operator's page, how a server stands, many jobs at once, and who did what."""

import os
import sys
import webbrowser
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from cyclopts import Parameter

from shelfwire.cli.connect import choose_place
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.operator_client import OperatorClient, operating
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.running import run
from shelfwire.jobs.listing import MAX_COUNT
from shelfwire.server.discovery import announcement_in

MAX_SHOWN: Final = 8
MAX_BACK: Final = 40
Text = Annotated[str, Parameter(show_default=False)]


def overview(*, server: str | None = None, data: Path | None = None, json: bool = False) -> int:
    """Show how the server stands.

    Args:
        server: The server's URL; its key comes from SHELFWIRE_API_KEY.
        data: The data folder of this machine's server.
        json: Print it as JSON.
    """
    found = run(_asked("/api/admin/overview", {}, server, data))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n" if json else "\n".join(_shown(found)) + "\n")
    return Exit.OK


def page(*, server: str | None = None, data: Path | None = None) -> int:
    """Open the operator's page in a browser of the server's own machine, without a key to be entered there.

    Args:
        server: The server's URL; its key comes from SHELFWIRE_API_KEY.
        data: The data folder of this machine's server.
    """
    place = choose_place(server, data, os.environ)
    if place.data is not None and announcement_in(place.data) is None:
        raise CommandError(f"No server runs on {place.data}. Start one: shelfwire serve", Exit.UNREACHABLE)
    address = run(_page(server, data))
    sys.stdout.write("The page opens in your browser. If it does not, open this within a minute; it works once:\n")
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    webbrowser.open(address)
    return Exit.OK


def audit(
    *,
    job: Text = "",
    key: Text = "",
    limit: int = 20,
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Show who did what to which job, the newest first.

    Args:
        job: Only what was done to this job.
        key: Only what was done with the key of this name.
        limit: So many entries at most, up to 200.
        server: The server's URL; its key comes from SHELFWIRE_API_KEY.
        data: The data folder of this machine's server.
        json: Print them as one JSON array.
    """
    query = {name: value for name, value in {"jobId": job, "key": key, "limit": limit}.items() if value}
    found = run(_asked("/api/admin/audit", query, server, data))["items"]
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return Exit.OK
    for act in found:
        what = "  ".join(filter(None, [act["action"], act.get("jobId"), act["outcome"], act.get("details")]))
        sys.stdout.write(f"{_when(act['at'])}  {clean(act['key'])}  {clean(what)}\n")
    return Exit.OK


def bulk(
    action: Literal["cancel", "pause", "resume", "retry", "delete"],
    /,
    *,
    status: str | None = None,
    pipeline: str | None = None,
    tag: str | None = None,
    search: str | None = None,
    yes: bool = False,
    server: str | None = None,
    data: Path | None = None,
) -> int:
    """Do something to all jobs that match, once their number is confirmed.

    Args:
        action: What to do: cancel, pause, resume, retry or delete.
        status: Only jobs of this status; several with commas.
        pipeline: Only jobs of this pipeline.
        tag: Only jobs with this tag.
        search: Only jobs with this error code, or this in the name of their file.
        yes: Do it without asking.
        server: The server's URL; its key comes from SHELFWIRE_API_KEY.
        data: The data folder of this machine's server.
    """
    given = {"status": status, "pipeline": pipeline, "tag": tag, "search": search}
    for name, text in given.items():
        if text is not None and not text.strip(" ,"):  # such as of a variable that is not set
            raise CommandError(f"--{name} is empty. Nothing was done. Leave it out where it does not matter")
    wanted: dict[str, Any] = {"status": [part for part in status.split(",") if part]} if status else {}
    wanted |= {name: text for name, text in {"pipeline": pipeline, "tag": tag, "q": search}.items() if text}
    return run(_done(action, wanted, server, data, yes=yes))


async def _asked(path: str, query: Mapping[str, Any], server: str | None, data: Path | None) -> Any:
    async with operating(server, data) as operator:
        return await operator.ask("GET", path, params=query)


async def _page(server: str | None, data: Path | None) -> str:
    async with operating(server, data) as operator:
        code = await operator.ask("POST", "/api/admin/session")
        return f"{operator.url}/admin#/code/{code['code']}"


async def _done(action: str, wanted: dict[str, Any], server: str | None, data: Path | None, *, yes: bool) -> int:
    request: dict[str, Any] = {"action": action, "filter": wanted}
    async with operating(server, data) as operator:
        counted = await operator.ask("POST", "/api/admin/bulk", json=request)
        matches = counted["matches"]
        number = f"more than {MAX_COUNT:,}" if matches > MAX_COUNT else f"{matches:,}"
        sys.stdout.write(f"Jobs to {action}: {number}\n")
        sys.stdout.flush()
        if not matches:
            return Exit.OK
        if not yes:
            _confirm(action)
        return await _do(operator, {**request, "asOf": counted["asOf"], "expect": matches})


def _confirm(action: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"Nothing was done. To {action} them without being asked, add --yes")
    sys.stdout.write(f"{action.capitalize()} them? [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("Nothing was done")


async def _do(operator: OperatorClient, request: dict[str, Any]) -> int:
    done, failed = 0, list[dict[str, str]]()
    while True:
        answer = await operator.ask("POST", "/api/admin/bulk", json=request)
        done += answer["done"]
        failed += answer["failed"]
        if not answer["left"]:
            break
        sys.stdout.write(f"Done: {done:,}, left: {answer['left']:,}\n")
        sys.stdout.flush()
        request |= {"expect": answer["left"], "cursor": answer["next"]}
    sys.stdout.write(f"Done: {done:,}\n")
    for one in failed[:MAX_SHOWN]:
        sys.stdout.write(f"Refused: {one['jobId']}  {one['code']}\n")
    if len(failed) > MAX_SHOWN:
        sys.stdout.write(f"Refused: {len(failed) - MAX_SHOWN} more; see shelfwire admin audit\n")
    return Exit.FAILED if failed else Exit.OK


def _shown(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines of up to 80 columns."""
    queue, disk = found["queue"], found["disk"]
    waits = f"{queue['length']:,} waiting, the next for {queue['ageSeconds']:.0f} s"
    yield f"Queue      {waits}; {queue['stalled']:,} running jobs stalled"
    followers = ", ".join(f"{number} by {way}" for way, number in sorted(found["followers"].items()))
    yield f"Followers  {followers or 'none'}"
    rates = found["rates"]
    started, complete = rates["startedPerMinute"], rates["completePerMinute"]
    yield f"Rates      {started:.1f} jobs started and {complete:.1f} complete a minute; {found['items']:,} items so far"
    webhooks = found["webhooks"]
    yield f"Webhooks   {webhooks['waiting']:,} waiting, {webhooks['givenUp']:,} given up"
    if disk is not None:
        free, size, own = (_size(disk[name]) for name in ("freeBytes", "totalBytes", "dataBytes"))
        yield f"Disk       {free} free of {size}, data {own}"
    yield "Jobs"
    for pipeline, statuses in sorted(found["jobs"].items()):
        counts = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items()))
        yield f"  {pipeline[:MAX_BACK]}: {counts}"[:80]
    yield "Workers"
    for held in found["workers"]:
        ids = ", ".join(job[:8] for job in held["jobs"][: MAX_SHOWN - 4])
        more = f" and {len(held['jobs']) - MAX_SHOWN + 4} more" if len(held["jobs"]) > MAX_SHOWN - 4 else ""
        yield f"  {clean(held['name'])[:24]}: {ids}{more}"
    if not found["workers"]:
        yield "  nobody works on anything"
    yield f"{'Seconds, p50 / p99':24}{'15 min':>18}{'6 h':>18}{'7 d':>18}"
    for name, label in _TIMES.items():
        yield f"  {label:22}" + "".join(f"{_times(found['times'][window][name]):>18}" for window in ("15m", "6h", "7d"))
    yield "Of the last 7 days, not as it should be"
    for name, label in _SUCCESS.items():
        outcome = found["success"][name]
        yield f"  {label:42}{outcome['bad']:>10,} of {outcome['total']:,}"
    errors = sorted(found["errors"].items(), key=lambda one: -one[1])[:MAX_SHOWN]
    yield "Errors since the start"
    yield from (f"  {code:42}{number:>10,}" for code, number in errors)
    if not errors:
        yield "  none"


_TIMES: Final = {
    "queueWait": "queue wait",
    "jobDuration": "job duration",
    "commit": "commit",
    "commitToReceipt": "commit to receipt",
}
_SUCCESS: Final = {
    "unauthorized": "good tokens refused",
    "reconnects": "returns that clients gave up",
    "reconnectAttempts": "attempts to return that failed",
    "recovered": "jobs not recovered after a restart",
    "undecodable": "messages that clients could not read",
}


def _times(found: Mapping[str, Any]) -> str:
    return f"{_seconds(found['p50'])} / {_seconds(found['p99'])}" if found["count"] else "-"


def _seconds(value: float) -> str:
    """Up to seven characters, so that a column holds two."""
    return f"{value:.2g}" if value < 0.001 else f"{value:.3g}"  # noqa: PLR2004 - a millisecond


def _size(number: int) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"  # noqa: PLR2004 - a thousand MB


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%d %b %H:%M:%S")
