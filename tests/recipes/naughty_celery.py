"""The worker of the Celery example, with pages that go wrong, each once.

Run as `celery --app tests.recipes.naughty_celery worker`; its queue is a folder.
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

from examples import celery_report
from examples.celery_report import app, pdf_report

FOLDER: Final = Path(os.environ["NAUGHTY_FOLDER"])
NAUGHTY: Final = {"breaks": [], "deaths": [], "pause": 0, **json.loads(os.environ.get("NAUGHTY", "{}"))}
"""See `celery_worker`."""

for name in ("queue", "processed"):
    (FOLDER / name).mkdir(exist_ok=True)
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={
        "data_folder_in": str(FOLDER / "queue"),
        "data_folder_out": str(FOLDER / "queue"),
        "processed_folder": str(FOLDER / "processed"),
        "control_folder": str(FOLDER / "control"),
    },
    worker_lost_wait=0.5,  # seconds until a dead process's task is given up, and so delivered again
)
render = celery_report.render


def first_time(what: str) -> bool:
    """Whether this was never asked before, in any process."""
    try:
        (FOLDER / what).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def naughty(page: int) -> dict[str, Any]:
    """Do a page, or go wrong."""
    time.sleep(NAUGHTY["pause"])
    if page in NAUGHTY["breaks"] and first_time(f"broke-{page}"):
        raise ZeroDivisionError
    if page in NAUGHTY["deaths"] and first_time(f"died-{page}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return render(page)


celery_report.render = naughty
__all__ = ["app", "pdf_report"]
