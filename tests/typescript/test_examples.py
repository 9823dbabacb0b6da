"""The examples of pages with the TypeScript client, built and used in a browser: another origin than the server's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from tests.ports import free_port
from tests.processes import ROOT
from tests.typescript.node import FOLDER, node, run
from tests.web.browser import browser, opened, serving

EXAMPLES: Final = ROOT / "examples"
REACT: Final = EXAMPLES / "react"
ROWS: Final = b"Title,Author\nDune,Herbert\nEmma,Austen\n,Nobody\n"
LIST: Final = FilePayload(name="books.csv", mimeType="text/csv", buffer=ROWS)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def website(folder: Path) -> Iterator[str]:
    """Serve the files of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def build_client(folder: Path) -> None:
    built = run([node(), "build.mjs", str(folder)])
    assert built.returncode == 0, built.stderr


def test_an_element_in_a_plain_page_shows_an_import(chromium: Browser, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "element" / "index.html", tmp_path)
    (tmp_path / "favicon.ico").touch()
    build_client(tmp_path / "shelfwire")
    with (
        website(tmp_path) as site,
        serving(tmp_path / "data", origins=(site,)) as live,
        opened(chromium, site) as page,
    ):
        page.get_by_label("Server").fill(live.url)
        page.get_by_label("Book list").set_input_files(LIST)
        expect(page.get_by_text("2 books were imported, 1 rows were not.")).to_be_visible()
        bar = page.get_by_role("progressbar", name="Import")
        expect(bar).to_have_attribute("aria-valuenow", "100")
        assert bar.evaluate("at => getComputedStyle(at.firstChild).backgroundColor") == "rgb(102, 51, 153)"
        assert bar.evaluate("at => at.getBoundingClientRect().height") == 16


def test_an_element_in_a_page_of_fastapi_follows_a_job_of_that_application(chromium: Browser, tmp_path: Path) -> None:
    build_client(tmp_path / "client")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "examples.element_fastapi:app", "--port", str(port)]
    environ = {**os.environ, "CLIENT": str(tmp_path / "client"), "SHELFWIRE_DATA": str(tmp_path / "data")}
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environ, **pipes) as host:  # noqa: S603
        try:
            assert host.stderr is not None
            assert any("running on" in line for line in host.stderr)
            with opened(chromium, f"http://127.0.0.1:{port}") as page:
                page.get_by_label("Book list").set_input_files(LIST)
                bar = page.get_by_role("progressbar", name="Import")
                expect(bar).to_have_attribute("aria-valuenow", "100")
                expect(page.locator("shelfwire-progress")).to_have_attribute("phase", "complete")
        finally:
            host.terminate()


def test_a_react_app_built_with_vite_follows_and_cancels_its_job(chromium: Browser, tmp_path: Path) -> None:
    program = node(REACT)
    app = tmp_path / "app"
    packages = app / "node_modules"
    shutil.copytree(REACT, app, ignore=shutil.ignore_patterns("node_modules", "dist"))
    client = packages / "@shelfwire" / "client"
    client.mkdir(parents=True)
    for package in (REACT / "node_modules").iterdir():
        if package.name not in {"@shelfwire", ".installed"}:
            (packages / package.name).symlink_to(package)
    shutil.copy(FOLDER / "package.json", client)
    build_client(client / "dist")
    with website(app / "dist") as site, serving(tmp_path / "data", gated=True, origins=(site,)) as live:
        command = [program, str(packages / "vite" / "bin" / "vite.js"), "build"]
        built = run(command, app, VITE_SHELFWIRE=live.url)
        assert built.returncode == 0, built.stderr
        (app / "dist" / "favicon.ico").touch()
        with opened(chromium, site) as page:
            page.get_by_label("Book list").set_input_files(LIST)
            live.step(300)
            expect(page.get_by_role("status")).to_have_text("running: 300 of 1000, 0 failed. Book 299")
            page.get_by_role("button", name="Cancel").click()
            expect(page.get_by_role("status")).to_contain_text("canceled: 300 of 1000")
            expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
