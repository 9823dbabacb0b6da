"""The worker of the Celery example, with two pages that go wrong, each once.

Run as `celery --app tests.recipes.naughty_celery worker`; its queue is a folder.
"""

import os
import signal
from pathlib import Path
from typing import Any, Final

from examples import celery_report
from examples.celery_report import app, pdf_report

FOLDER: Final = Path(os.environ["NAUGHTY_FOLDER"])
BROKEN, DEADLY = 503, 1003
"""The page that raises, and the one that kills the process of its task."""

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
    broker_connection_retry_on_startup=True,
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
    if page == BROKEN and first_time("broke"):
        raise ZeroDivisionError
    if page == DEADLY and first_time("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return render(page)


celery_report.render = naughty
__all__ = ["app", "pdf_report"]
