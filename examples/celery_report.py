"""A Celery task that reports its progress, and goes on where it was when it is tried again or delivered twice.

Start a server, a worker, and a task:

    shelfwire serve
    celery --app examples.celery_report worker
    python -c 'from examples.celery_report import pdf_report; pdf_report.delay(120)'
"""

import os
import uuid
from typing import Any, Final

from celery import Celery, Task
from celery.exceptions import Ignore

from shelfwire import AttemptLostError, Busy, JobEnded, Stopped, report

SERVER: Final = os.environ.get("SHELFWIRE_SERVER", "http://127.0.0.1:8787")
LEASE: Final = int(os.environ.get("REPORT_LEASE", "10"))

app = Celery("reports", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1"))
app.conf.update(
    # A task whose process dies is delivered again, and its job goes on.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
)


def render(page: int) -> dict[str, Any]:
    """Stand for the work on one page."""
    return {"words": 300 + page}


@app.task(bind=True, max_retries=5)  # type: ignore[untyped-decorator] # Celery has no types
def pdf_report(task: Task, pages: int, job_id: str | None = None) -> None:
    """Render some pages.

    Args:
        task: this task.
        pages: how many.
        job_id: the job that a view has made for it; without one, the task's id makes its own.
    """
    job_id = job_id or str(uuid.uuid5(uuid.NAMESPACE_URL, task.request.id))
    try:
        with report(
            "pdf_report",
            url=SERVER,
            api_key=os.environ.get("SHELFWIRE_API_KEY"),
            job_id=job_id,
            total=pages,
            lease=LEASE,
        ) as job:
            for page in range(pages):
                if not job.is_recorded(page):
                    job.record(page, render(page), title=f"Page {page}")
            job.complete(f"{pages} pages")
    except (AttemptLostError, Busy, JobEnded, Stopped) as reason:
        raise Ignore(str(reason)) from None  # somebody else does it, it is done, or its owner does not want it
    except Exception as error:
        raise task.retry(exc=error, countdown=1) from error
