"""Control of jobs that somebody else has started, on the machine of their server."""

import re
import sys
from pathlib import Path
from typing import Any, Final

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.operator_client import OperatorClient, operating
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.running import run
from shelfwire.server.discovery import announcement_in

ID_PREFIX: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]{0,27})?")
DONE: Final = {
    "cancel": "Canceled",
    "pause": "Paused",
    "resume": "Resumed",
    "retry": "Retried",
    "delete": "Deleted",
}


def steer(verb: str, job: str, folder: Path, unknown: CommandError) -> int:
    """Do something to a job of the server of a data folder, which one may do who can read the folder.

    Args:
        verb: one of `DONE`.
        job: the beginning of the job's id, 8 digits at least.
        folder: the data folder.
        unknown: raised where no server runs there, or it has no such job.

    Raises:
        CommandError: as `unknown`; several jobs begin so; or the server refused.
    """
    if not ID_PREFIX.fullmatch(job.lower()) or announcement_in(folder) is None:
        raise unknown
    found, answer = run(_steered(verb, job, folder, unknown))
    what = f"the job {found['jobId']} ({found['pipeline']}{_of_file(found)})"
    if verb == "retry":
        sys.stdout.write(f"Retried {what}, as the job {answer['jobId']}\n")
    elif verb in {"cancel", "pause"} and answer["status"] not in {"canceled", "paused"}:
        sys.stdout.write(f"Asked {what} to {verb}; its worker has to confirm\n")
    else:
        sys.stdout.write(f"{DONE[verb]} {what}\n")
    return Exit.OK


async def _steered(verb: str, job: str, folder: Path, unknown: CommandError) -> tuple[dict[str, Any], Any]:
    async with operating(None, folder) as operator:
        found = await _find(operator, job, unknown)
        path = f"/api/jobs/{found['jobId']}"
        if verb == "delete":
            return found, await operator.ask("DELETE", path)
        return found, await operator.ask("POST", f"{path}/{verb}")


async def _find(operator: OperatorClient, job: str, unknown: CommandError) -> dict[str, Any]:
    page = await operator.ask("GET", "/api/jobs", params={"q": job, "limit": 2})
    found = [one for one in page["items"] if one["jobId"].startswith(job.lower())]
    if not found:
        raise unknown
    if len(found) > 1:
        raise CommandError(f"{job!r} is the beginning of several jobs of this server. Give more of the id")
    only: dict[str, Any] = found[0]
    return only


def _of_file(job: dict[str, Any]) -> str:
    return f", {clean(job['fileName'])}" if job.get("fileName") else ""
