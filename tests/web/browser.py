"""The built pages in a real browser, in front of a real server: one of each for a module of tests.

The server runs on a loop in a thread of its own, since Playwright's calls block.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from shelfwire.jobs.pipeline import Pipeline
from tests.live import Server, live_server
from tests.processes import ROOT
from tests.test_browser_example import BROWSERS

AXE: Final = ROOT / "clients" / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS: Final = (1280, 768, 360)
HEIGHT: Final = 900
T = TypeVar("T")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser that `$CHROMIUM` names or that is installed; skip the tests where there is none."""
    program = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), None)
    if program is None:
        pytest.skip("no browser: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=program, args=flags) as started:
        yield started


class Live:
    """A running server, and what a test in another thread needs of it.

    Attributes:
        url: where it listens.
        server: itself; only for use in its own loop.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.url = server.url
        self.server = server
        self._loop = loop

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    def step(self, count: int | None) -> None:
        """Let a gated job record so many books, or complete."""
        self._loop.call_soon_threadsafe(self.server.gate.steps.put_nowait, count)


@contextmanager
def serving(
    folder: Path, *, gated: bool = False, pipelines: Sequence[Pipeline] = (), **settings: Any
) -> Iterator[Live]:
    """Run a server on a data folder, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = live_server(folder, gated=gated, pipelines=pipelines, **settings)
    try:
        server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
        try:
            yield Live(server, loop)
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


REFUSED: Final = ("Failed to load resource", "WebSocket connection to")
"""How the console begins to tell of answers that are no success."""


@contextmanager
def opened(browser: Browser, url: str, *, refusals: bool = False, **options: Any) -> Iterator[Page]:
    """A page in a fresh profile; anything in its console fails the test at its end.

    Args:
        browser: where to open it.
        url: its address.
        refusals: whether the server may refuse requests of the page.
        options: those of the context.
    """
    options = {"viewport": {"width": WIDTHS[0], "height": HEIGHT}, **options}
    context: BrowserContext = browser.new_context(**options)
    complaints: list[str] = []
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)

        def hear(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                complaints.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        yield page
        assert not [text for text in complaints if not (refusals and text.startswith(REFUSED))]
    finally:
        context.close()


def check(page: Page) -> None:
    """No violation that axe finds, and nothing wider than the window; in light and dark, at every width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"scrolls sideways at {width}"
        page.emulate_media(color_scheme="light", reduced_motion="reduce")  # colours that fade are measured halfway
        assert not (found := violations(page)), f"{width} px, light: {found}"
        page.emulate_media(color_scheme="dark")
        assert not (found := violations(page, "color-contrast")), f"{width} px, dark: {found}"
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds, by some of its rules or by all."""
    if not AXE.exists():
        pytest.skip("axe is not installed: make pages, with npm")
    # The page's policy forbids scripts of others, and not what the debugger of the browser evaluates.
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"(() => {{ {AXE.read_text(encoding='utf-8')} }})()")
    options = {
        "resultTypes": ["violations"],
        "preload": False,
        "iframes": False,
        **({"runOnly": rules} if rules else {}),
    }
    found = page.evaluate("options => axe.run(options)", options)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
