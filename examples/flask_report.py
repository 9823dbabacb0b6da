"""A Flask view that starts a report, and a page that shows how it goes. Run it: python examples/flask_report.py.

The page polls a view of the application, which asks the server with the job's token. The token stays in the session.
"""

import os
import secrets
import threading
from collections.abc import Callable
from typing import Any, Final

from flask import Flask, abort, redirect, session, url_for
from werkzeug.wrappers import Response

from shelfwire import BlockingClient, JobHandle, RefusedError, report

SERVER: Final = os.environ.get("SHELFWIRE_SERVER", "http://127.0.0.1:8787")
PAGES: Final = 40
PAGE: Final = """\
<!doctype html>
<title>Report</title>
<progress id="bar"></progress> <span id="text">Waiting to start…</span>
<script>
async function show() {
  const answer = await fetch(location.pathname + "/state").catch(() => null);
  if (answer?.ok) {
    const state = await answer.json();
    bar.max = state.totalCount || 1;
    bar.value = state.processedCount;
    text.textContent = state.summary || state.userMessage || state.currentTitle || state.status;
    if (["complete", "failed", "canceled"].includes(state.status)) return;
  } else if (answer && answer.status < 500) {
    text.textContent = "This report is not there any more.";
    return;
  }
  setTimeout(show, 1000);  // also where nothing answers for a moment: the job goes on
}
show();
</script>
"""


def create_app(client: BlockingClient, hand_over: Callable[[str], object]) -> Flask:
    """Make the application.

    Args:
        client: one for the whole process, opened after a server such as gunicorn has forked.
        hand_over: gives a job to whoever works on it, such as `lambda job_id: pdf_report.delay(PAGES, job_id)`.
    """
    app = Flask(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)

    @app.post("/reports")
    def start() -> Response:
        job = client.start("pdf_report", json={"pages": PAGES})
        session[job.job_id] = job.token
        hand_over(job.job_id)
        return redirect(url_for("page", job_id=job.job_id), 303)

    @app.get("/reports/<job_id>")
    def page(job_id: str) -> str:
        _ = handle(job_id)
        return PAGE

    @app.get("/reports/<job_id>/state")
    def state(job_id: str) -> dict[str, Any]:
        return client.state(handle(job_id))

    @app.errorhandler(RefusedError)
    def refused(error: RefusedError) -> tuple[str, int]:
        return error.user_message, error.status

    def handle(job_id: str) -> JobHandle:
        if job_id not in session:
            abort(404)
        return JobHandle(job_id, session[job_id])

    return app


def make_report(job_id: str) -> None:
    """Stand for the work, which belongs into a task queue."""
    with report("pdf_report", url=SERVER, job_id=job_id, total=PAGES) as job:
        for number in range(PAGES):
            job.record(number, {"words": 300 + number}, title=f"Page {number}")


if __name__ == "__main__":
    with BlockingClient(SERVER) as shared:
        create_app(shared, lambda job_id: threading.Thread(target=make_report, args=(job_id,)).start()).run()
