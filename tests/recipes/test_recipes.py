"""The examples of work elsewhere, each as it is meant to be used."""

import asyncio
import re
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test import Client as DjangoClient
from examples import django_report, flask_report
from examples.encode_video import fractions
from examples.flask_report import create_app
from playwright.sync_api import Route, expect

from shelfwire.client import Client, JobHandle
from shelfwire.client.blocking import BlockingClient
from shelfwire.client.testing import FakeServer
from tests.ports import free_port
from tests.processes import ROOT
from tests.recipes.celery_worker import celery_worker, send, words
from tests.servers import Server
from tests.web.browser import browser

NODE = shutil.which("node")
BREAKS, DIES = 503, 1003
TO_BROKEN, TO_DEADLY, PLAIN = 800, 1500, 400
"""Pages of three reports: the first has the page that raises, the second also the one that kills its process."""


async def reported(client: Client, job: JobHandle) -> list[tuple[int, Any]]:
    await client.follow(job).run()
    return [(item["index"], item["result"]) async for item in client.results(job)]


async def test_celery_tasks_that_raise_die_or_come_twice_record_each_page_once(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server, Client(server.url) as client:
        jobs = [await client.start("pdf_report", json={}) for _ in range(3)]
        pages = [TO_BROKEN, TO_DEADLY, PLAIN]
        tasks = [(count, job.job_id, str(uuid.uuid4())) for count, job in zip(pages, jobs, strict=True)]
        with celery_worker(tmp_path, server.url, breaks=[BREAKS], deaths=[DIES]):
            await send(tmp_path, server.url, *tasks, tasks[2])
            async with asyncio.timeout(120):
                found = [await reported(client, job) for job in jobs]
            attempts = [(await client.state(job))["attempt"] for job in jobs]
    assert found == [words(count) for count in pages]
    assert attempts[2] == 1
    assert sum(attempts) == 5, "one page raised and one killed its process, whichever report came to them first"


async def test_a_flask_view_starts_a_report_and_its_page_polls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def browse(url: str) -> list[dict[str, Any]]:
        monkeypatch.setattr(flask_report, "SERVER", url)
        with BlockingClient(url) as client:
            work: list[threading.Thread] = []

            def hand_over(job_id: str) -> None:
                work.append(threading.Thread(target=flask_report.make_report, args=(job_id,)))
                work[0].start()

            browser = create_app(client, hand_over).test_client()
            page = browser.post("/reports", follow_redirects=True)
            assert "<progress" in page.text
            path = page.request.path
            states = [browser.get(f"{path}/state").get_json()]
            work[0].join()
            states.append(browser.get(f"{path}/state").get_json())
            assert create_app(client, hand_over).test_client().get(f"{path}/state").status_code == 404
            return states

    async with Server(tmp_path / "data") as server:
        before, after = await asyncio.to_thread(browse, server.url)
    assert before["status"] in {"queued", "running", "complete"}
    assert (after["status"], after["successCount"]) == ("complete", flask_report.PAGES)


def test_the_view_is_tested_without_a_network() -> None:
    server = FakeServer()
    handed: list[str] = []
    with BlockingClient(http=server) as client:
        browser = create_app(client, handed.append).test_client()
        page = browser.post("/reports")
        assert page.status_code == 303
        assert handed == list(server.jobs)
        with client.report("pdf_report", job_id=handed[0], total=1) as job:
            job.record(0, 0)
        assert browser.get(f"{page.location}/state").get_json()["status"] == "complete"


@pytest.mark.parametrize("html", [flask_report.PAGE, django_report.PAGE])
def test_a_page_goes_on_polling_while_nothing_answers_until_the_end_of_its_report(html: str) -> None:
    states = iter(
        [
            503,
            None,
            {"status": "running", "processedCount": 1},
            {"status": "complete", "processedCount": 2, "summary": "2 pages"},
        ]
    )

    def answer(route: Route) -> None:
        match next(states):
            case None:
                route.abort()
            case int(status):
                route.fulfill(status=status, body="<h1>No server</h1>")
            case state:
                route.fulfill(json=state)

    with browser() as chromium:
        page = chromium.new_page()
        page.add_init_script("const later = setTimeout; window.setTimeout = (show) => later(show, 0)")
        page.route("http://app.test/**", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.route("http://app.test/**/state*", answer)
        page.route("http://app.test/**/state/", answer)
        page.goto("http://app.test/reports/1/")
        expect(page.get_by_text("2 pages")).to_be_visible()


@pytest.mark.parametrize("example", [flask_report, django_report])
def test_a_view_says_that_the_server_is_away(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with BlockingClient(f"http://127.0.0.1:{free_port()}", delays=()) as client:
        if example is flask_report:
            found = create_app(client, print).test_client().post("/reports")
            status, text = found.status_code, found.text
        else:
            monkeypatch.setattr(django_report, "shelfwire", lambda: client)
            answer = DjangoClient().post("/reports/")
            status, text = answer.status_code, answer.text
    assert (status, "<" in text) == (503, False)


async def test_a_django_view_starts_a_report_and_its_page_polls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def browse(url: str) -> list[dict[str, Any]]:
        monkeypatch.setattr(django_report, "SERVER", url)
        threads = set(threading.enumerate())
        browser = DjangoClient(enforce_csrf_checks=True)
        assert browser.post("/reports/").status_code == 403
        token = re.findall(r'value="(\w+)"', browser.get("/").text)[0]
        page = browser.post("/reports/", {"csrfmiddlewaretoken": token}, follow=True)
        assert "<progress" in page.text
        path = page.request["PATH_INFO"]
        states = [browser.get(f"{path}state/").json()]
        for thread in set(threading.enumerate()) - threads:
            if thread.name.endswith("(make_report)"):
                thread.join()
        states.append(browser.get(f"{path}state/").json())
        assert DjangoClient().get(f"{path}state/").status_code == 404
        django_report.shelfwire().close()
        return states

    async with Server(tmp_path / "data") as server:
        before, after = await asyncio.to_thread(browse, server.url)
    assert before["status"] in {"queued", "running", "complete"}
    assert (after["status"], after["successCount"]) == ("complete", django_report.PAGES)


@pytest.mark.skipif(NODE is None, reason="Node is not installed")
async def test_a_script_of_node_does_a_job(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server, Client(server.url) as client:
        job = await client.start("pdf_report", json={"pages": 2500})
        command = [NODE or "", str(ROOT / "examples" / "report.mjs"), server.url, "pdf_report"]
        done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)
        assert done.stdout == b"complete\n"
        assert await reported(client, job) == words(2500)


FFMPEG_SAYS = """\
frame=0
fps=0.00
out_time_us=N/A
out_time=N/A
progress=continue
frame=132
fps=61.35
bitrate= 512.3kbits/s
total_size=262192
out_time_us=-21333
out_time_ms=-21333
progress=continue
out_time_us=4096000
out_time_ms=4096000
out_time=00:00:04.096000
speed=1.91x
progress=continue
out_time_us=10005000
progress=end
"""


def test_what_ffmpeg_writes_is_read_as_fractions() -> None:
    assert list(fractions(FFMPEG_SAYS.splitlines(), 10.0)) == [0.0, 0.4096, 1.0]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
async def test_ffmpeg_encodes_a_video_that_is_followed(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=2:size=64x64", str(source)]
    subprocess.run(made, check=True)  # noqa: ASYNC221, S603 - nothing else runs yet
    async with Server(tmp_path / "data") as server:
        command = [sys.executable, str(ROOT / "examples" / "encode_video.py"), str(source), str(tmp_path / "out.mp4")]
        await asyncio.to_thread(subprocess.run, [*command, server.url], check=True, timeout=60)
    assert (tmp_path / "out.mp4").stat().st_size
