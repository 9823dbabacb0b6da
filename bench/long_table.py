"""The reader's page with 100,000 rows: how soon they are there, sorted and found, and how long its tasks are.

A browser opens the page of an import that has ended, as after a reload. A time runs from the act to the row that shows
it; the browser itself says which tasks took over 50 ms.
"""

import argparse
import asyncio
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.make_library import write_library
from playwright.sync_api import Page
from tests.servers import Server
from tests.web.browser import browser

ROWS: Final = 100_000
SORTS: Final = ("Title", "Title", "Author", "ISBN", "Year", "Row")
SEARCHES: Final = ("storm hart", "9781", "a")
LISTEN: Final = """window.tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => tasks.push(Math.round(duration))))
  .observe({ type: "longtask" });"""
ACT: Final = """async ([place, act]) => {
  const seen = () => document.querySelector(place).textContent;
  const before = seen(), began = performance.now();
  tasks.length = 0;
  eval(act);
  while (seen() === before && performance.now() - began < 5000) await new Promise((resolve) => setTimeout(resolve, 2));
  const took = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, 300));
  return [Math.round(took), tasks];
}"""
CLICK: Final = "[...document.querySelectorAll('.header button')].find((at) => at.textContent.startsWith('{}')).click()"
TYPE: Final = """const field = document.querySelector("input[type=search]");
Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "{}");
field.dispatchEvent(new InputEvent("input", {{ bubbles: true }}));"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    asyncio.run(_serve(parser.parse_args().rows))


async def _serve(rows: int) -> None:
    text = io.StringIO()
    write_library(text, rows, seed=7)
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder)) as server, httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
            sent = {"file": ("library.csv", text.getvalue().encode())}
            job = (await http.post("/api/import/csv-gemini", files=sent)).json()["data"]
            link = f"{server.url}/#/open/{job['jobId']}/{job['token']}"
            await asyncio.to_thread(_measure, link, rows)


def _measure(link: str, rows: int) -> None:
    with browser() as started:
        # The page's own policy forbids `eval`, which the measuring uses.
        page = started.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True).new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(LISTEN)
        page.goto(link)
        page.locator(".verdict").wait_for()
        began = time.perf_counter()
        page.reload()
        page.locator(".scroll .row").first.wait_for()
        _say("first rows", round((time.perf_counter() - began) * 1000), page.evaluate("tasks"))
        page.get_by_text(f"{rows:,} books", exact=True).wait_for()
        _say("all rows", round((time.perf_counter() - began) * 1000), page.evaluate("tasks"))
        for column in SORTS:
            _say(f"sorted by {column}", *_act(page, ".scroll .row", CLICK.format(column)))
        for words in SEARCHES:
            _say(f"found {words!r}", *_act(page, ".found", TYPE.format(words)))
        page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
        print(f"{'heap':24} {page.evaluate('performance.memory.usedJSHeapSize') / 1e6:6.0f} MB")


def _act(page: Page, place: str, act: str) -> Any:
    return page.evaluate(ACT, [place, act])


def _say(what: str, took: int, tasks: list[int]) -> None:
    print(f"{what:24} {took:6} ms   tasks over 50 ms: {', '.join(map(str, tasks)) or 'none'}")


if __name__ == "__main__":
    main()
