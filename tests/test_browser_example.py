"""The example for browsers, in a real one where there is one, and in Node: another origin than the server's."""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from shelfwire.jobs.frames import Dismissal
from tests.hosts import hosting
from tests.live import MakeServer, Server, until

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "browser"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
NODE_FLAGS: Final = ("--experimental-websocket", "--experimental-eventsource")
SECONDS: Final = 60
REPORT: Final = """
const report = (what) => fetch(SITE + "/report", { method: "POST", body: JSON.stringify(what) });
const heard = [];
const show = (message) => { heard.push(message.type); report({ heard: message.type }); };
"""
FOLLOW: Final = """
try {
  const job = GIVEN ?? await startImport(SERVER, new File(["Title\\nDune\\nEmma\\n"], "books.csv"));
  const ending = await FOLLOW(SERVER, job, show);
  await report({ ending, heard });
} catch (error) {
  await report({ error: error.message, refused: error.refused ?? null });
}
"""


class Site:
    """A website with a folder of modules on it, under `/example`, whose page reports what it sees.

    Args:
        folder: the modules.

    Attributes:
        url: where it is.
        reports: what its pages have reported.
        last: the report of how it ended, once it has.
        script: what its page runs.
    """

    def __init__(self, folder: Path = EXAMPLE) -> None:
        self.url = ""
        self.reports: list[dict[str, Any]] = []
        self.last = asyncio.get_running_loop().create_future()
        self.script = ""
        self._folder = folder

    def app(self) -> Starlette:
        routes = [
            Route("/", self._page),
            Route("/report", self._report, methods=["POST"]),
            Mount("/example", StaticFiles(directory=self._folder)),
        ]
        return Starlette(routes=routes)

    async def _page(self, _: Request) -> Response:
        return HTMLResponse(f'<script type="module">{self.script}</script>')

    async def _report(self, request: Request) -> Response:
        report = json.loads(await request.body())
        self.reports.append(report)
        if {"ending", "error"} & report.keys() and not self.last.done():
            self.last.set_result(report)
        return Response()

    def write(self, server: Server, follow: str, module: str, job: dict[str, Any] | None) -> str:
        """Return the script of a page that follows a job, or one that it starts."""
        names = {"SITE": self.url, "SERVER": server.url, "GIVEN": job}
        constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in names.items())
        imports = f'import {{ startImport, followByEvents, followBySocket }} from "{module}";\n'
        return imports + constants + REPORT + FOLLOW.replace("FOLLOW(", f"{follow}(")


@asynccontextmanager
async def in_browser(site: Site, server: Server, follow: str, job: dict[str, Any] | None) -> AsyncIterator[None]:
    site.script = site.write(server, follow, "/example/follow.js", job)
    async with browsing(site.url):
        yield


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[None]:
    """Open a page in a browser; skip the test where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser is installed: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        async with running(program, *words, "--no-first-run", "--disable-background-networking", url):
            yield


@asynccontextmanager
async def in_node(site: Site, server: Server, follow: str, job: dict[str, Any] | None) -> AsyncIterator[None]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed")
    checking = await asyncio.create_subprocess_exec(program, *NODE_FLAGS, "--version", stdout=-3, stderr=-3)
    if await checking.wait():
        pytest.skip("this Node has no EventSource and WebSocket")
    with tempfile.TemporaryDirectory() as folder:
        page = _modules(Path(folder), site, server, follow, job)
        async with running(program, "--no-warnings", *NODE_FLAGS, str(page)):
            yield


def _modules(folder: Path, site: Site, server: Server, follow: str, job: dict[str, Any] | None) -> Path:
    """Write the modules that Node runs, and return the one to begin with."""
    module, page = folder / "follow.mjs", folder / "page.mjs"
    shutil.copy(EXAMPLE / "follow.js", module)
    page.write_text(site.write(server, follow, module.as_uri(), job), encoding="utf-8")
    return page


@asynccontextmanager
async def running(*words: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*words, stdout=-3, stderr=-3)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def website(folder: Path = EXAMPLE) -> AsyncIterator[Site]:
    site = Site(folder)
    async with hosting(site.app()) as url:
        site.url = url
        yield site


ENGINES: Final = {"browser": in_browser, "node": in_node}
both_engines = pytest.mark.parametrize("engine", ENGINES)
both_ways = pytest.mark.parametrize("follow", ["followByEvents", "followBySocket"])


@both_engines
@both_ways
async def test_a_page_of_an_allowed_website_starts_a_job_and_follows_it_to_its_ending(
    make_server: MakeServer, engine: str, follow: str
) -> None:
    async with (
        website() as site,
        make_server(origins=(site.url,)) as server,
        ENGINES[engine](site, server, follow, None),
        asyncio.timeout(SECONDS),
    ):
        last = await site.last
    assert last["ending"]["payload"]["successCount"] == 2, last
    assert "job_started" in last["heard"]


@both_engines
@both_ways
async def test_a_page_hears_that_a_job_was_canceled(make_server: MakeServer, engine: str, follow: str) -> None:
    async with website() as site, make_server(gated=True, origins=(site.url,)) as server:
        job = await server.submit()
        async with ENGINES[engine](site, server, follow, job), asyncio.timeout(SECONDS):
            await until(lambda: bool(site.reports))
            await server.ask("POST", job, "/cancel")
            last = await site.last
        await until(lambda: server.app._context.connections.attached == 0)
    assert last["ending"]["payload"]["code"] == "E_JOB_CANCELED"


@both_engines
@both_ways
async def test_a_page_with_a_wrong_token_learns_why_it_is_refused(
    make_server: MakeServer, engine: str, follow: str
) -> None:
    async with website() as site, make_server(gated=True, origins=(site.url,)) as server:
        job = {**await server.submit(), "token": "wrong"}
        async with ENGINES[engine](site, server, follow, job), asyncio.timeout(SECONDS):
            last = await site.last
    assert last["refused"] is True
    assert last["error"]


@pytest.mark.parametrize(
    ("engine", "follow"),
    # Node's EventSource, an experiment, does not come back by itself.
    [("browser", "followByEvents"), ("browser", "followBySocket"), ("node", "followBySocket")],
)
async def test_a_page_that_is_cut_off_comes_back(make_server: MakeServer, engine: str, follow: str) -> None:
    async with website() as site, make_server(gated=True, origins=(site.url,)) as server:
        job = await server.submit()
        async with ENGINES[engine](site, server, follow, job), asyncio.timeout(SECONDS):
            await until(lambda: bool(site.reports))
            for follower in tuple(server.app.service._hub._attached()):
                follower.dismiss(Dismissal.LEAVING)
            server.gate.steps.put_nowait(2)
            server.gate.steps.put_nowait(None)
            last = await site.last
    assert last["ending"]["type"] == "job_complete"
