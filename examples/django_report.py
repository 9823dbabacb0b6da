"""Django views that start a report and show how it goes. Run it: python examples/django_report.py runserver.

The page polls a view of the project, which asks the server with the job's token. The token stays in the session.
"""

import os
import secrets
import sys
import threading
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from shelfwire import BlockingClient, JobHandle, RefusedError, report

SERVER: Final = os.environ.get("SHELFWIRE_SERVER", "http://127.0.0.1:8787")
PAGES: Final = 40
START: Final = """\
<!doctype html>
<title>Reports</title>
<form method="post" action="/reports/"><input type="hidden" name="csrfmiddlewaretoken" value="{token}">
<button>Make a report</button></form>
"""
PAGE: Final = """\
<!doctype html>
<title>Report</title>
<progress id="bar"></progress> <span id="text">Waiting to start…</span>
<script>
async function show() {
  const answer = await fetch("state/").catch(() => null);
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


@cache
def shelfwire() -> BlockingClient:
    """The client of this process, opened by its first request and so after a server such as gunicorn has forked."""
    return BlockingClient(SERVER).__enter__()


def make_report(job_id: str) -> None:
    """Stand for the work, which belongs into a task queue: `pdf_report.delay(PAGES, job_id)`."""
    with report("pdf_report", url=SERVER, job_id=job_id, total=PAGES) as job:
        for number in range(PAGES):
            job.record(number, {"words": 300 + number}, title=f"Page {number}")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Offer to make a report."""
    return HttpResponse(START.format(token=get_token(request)))


@require_POST
def start(request: HttpRequest) -> HttpResponseBase:
    """Make the job, and hand it over to whoever works on it."""
    try:
        job = shelfwire().start("pdf_report", json={"pages": PAGES})
    except RefusedError as error:
        return HttpResponse(error.user_message, status=error.status)
    request.session[job.job_id] = job.token
    threading.Thread(target=make_report, args=(job.job_id,)).start()
    return redirect(f"/reports/{job.job_id}/")


@require_GET
def page(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show the bar."""
    _handle(request, job_id)
    return HttpResponse(PAGE)


@require_GET
def state(request: HttpRequest, job_id: str) -> HttpResponse:
    """Answer how the job stands."""
    try:
        found: dict[str, Any] = shelfwire().state(_handle(request, job_id))
    except RefusedError as error:
        return HttpResponse(error.user_message, status=error.status)
    return JsonResponse(found)


def _handle(request: HttpRequest, job_id: str) -> JobHandle:
    if job_id not in request.session:
        raise Http404
    return JobHandle(job_id, request.session[job_id])


urlpatterns = [
    path("", index),
    path("reports/", start),
    path("reports/<str:job_id>/", page),
    path("reports/<str:job_id>/state/", state),
]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
    DEBUG=False,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(32),
    # The cookie is signed, not encrypted: its reader may know the token of the own job, nobody else's.
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_COOKIE_HTTPONLY=True,
)
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
