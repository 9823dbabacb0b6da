"""A real worker of the Celery example, on a queue in a folder."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import ROOT

SEND = """
import sys, json
from tests.recipes.naughty_celery import pdf_report
for pages, job_id, task_id in json.loads(sys.argv[1]):
    pdf_report.apply_async((pages, job_id), task_id=task_id)
"""


def words(pages: int) -> list[tuple[int, dict[str, int]]]:
    """What a report of so many pages has: each page once."""
    return [(page, {"words": 300 + page}) for page in range(pages)]


@contextmanager
def celery_worker(
    folder: Path, url: str, *, breaks: Sequence[int] = (), deaths: Sequence[int] = (), pause: float = 0
) -> Iterator[None]:
    """Run one with three processes.

    Args:
        folder: takes its queue and its log.
        url: the server.
        breaks: pages that raise, each once.
        deaths: pages that kill the process of their task, each once.
        pause: seconds that a page takes.
    """
    command = [sys.executable, "-m", "celery", "--app", "tests.recipes.naughty_celery", "worker", "--concurrency", "3"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    naughty = {"breaks": list(breaks), "deaths": list(deaths), "pause": pause}
    env = _environment(folder, url) | {"NAUGHTY": json.dumps(naughty)}
    with (folder / "celery.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)  # noqa: S603 - see above
    try:
        yield
    finally:
        worker.send_signal(signal.SIGQUIT)  # it would finish its tasks after others, and takes its time
        worker.wait(60)


async def send(folder: Path, url: str, *tasks: tuple[int, str, str]) -> None:
    """Hand tasks to the broker: pages, job and task of each."""
    command = [sys.executable, "-c", SEND, json.dumps(tasks)]
    await asyncio.to_thread(subprocess.run, command, env=_environment(folder, url), check=True)


def _environment(folder: Path, url: str) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, sys.path)])
    given = {"NAUGHTY_FOLDER": str(folder), "SHELFWIRE_SERVER": url, "REPORT_LEASE": "1", "PYTHONPATH": path}
    return {**os.environ, **given}
