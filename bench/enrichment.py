"""How long it takes to enrich a list of books, against services that stand so many requests a second and no more.

A local server plays Open Library and Google Books: 200 ms latency, 50 requests a second each, 2 % errors, 1 % hangs.
What the rate alone dictates is the number of requests that the list needs at the busier of the two, over the rate.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, SERVICES, Book, Catalogues, dice, library
from tests.servers import Server

from shelfwire.client import Client, JobHandle

BOOKS: Final = 1000
RATE: Final = 50
LATENCY: Final = 0.2
ERRORS: Final = 0.02
HANGS: Final = 0.01
LIMIT: Final = 1.3


def asked(book: Book) -> dict[str, str]:
    """Two books in five have no ISBN."""
    return book.asked if book.number % 5 < 3 else {"title": book.title, "author": book.author}


async def enrich(server: Server, books: list[Book]) -> tuple[float, list[dict[str, Any]], dict[str, Any]]:
    """Enrich the list; return the seconds it took, its items and its state."""
    async with httpx2.AsyncClient() as http, Client(server.url) as client:
        since = time.perf_counter()
        body = {"books": [asked(book) for book in books]}
        response = await http.post(f"{server.url}/api/pipelines/batch_enrichment/jobs", json=body)
        created = response.raise_for_status().json()["data"]
        job = JobHandle(created["jobId"], created["token"])
        async for _ in client.follow(job):
            pass
        seconds = time.perf_counter() - since
        return seconds, [item async for item in client.results(job)], await client.state(job)


def needed(services: Catalogues, service: str) -> int:
    """How many requests a service would have got without errors and hangs: each distinct one once."""
    return len({ask.target for ask in services.asks if ask.service == service})


async def measure(folder: Path, count: int, seed: int) -> None:
    books = library(count)
    services = Catalogues(
        {OPEN_LIBRARY: books, GOOGLE_BOOKS: books},
        latency=LATENCY,
        limit=RATE,
        plan=dice(seed, errors=ERRORS, hangs=HANGS),
    )
    async with services.serving():
        settings = {**services.settings, "open_library_rate": RATE, "google_books_rate": RATE}
        async with Server(folder / "data", settings, fresh=True) as server:
            idle = rig.cpu_seconds(server.pid)
            seconds, items, state = await enrich(server, books)
            cpu = rig.cpu_seconds(server.pid) - idle
            asks = len(services.asks)
            again, _, _ = await enrich(server, books)
            repeated = len(services.asks) - asks
    dictated = max(needed(services, OPEN_LIBRARY), needed(services, GOOGLE_BOOKS)) / RATE
    lost = count - sum(item["ok"] and item["result"]["title"] == books[item["index"]].title for item in items)
    incomplete = sum("description" not in item.get("result", {}) for item in items)
    rig.report(
        f"{count:,} books; {LATENCY * 1000:.0f} ms, {RATE} requests a second, {ERRORS:.0%} errors, {HANGS:.0%} hangs",
        [
            rig.Line("requests to Open Library", len([ask for ask in services.asks if ask.service == OPEN_LIBRARY])),
            rig.Line("requests to Google Books", len([ask for ask in services.asks if ask.service == GOOGLE_BOOKS])),
            rig.Line("seconds that the rate alone dictates", dictated),
            rig.Line("seconds until the ending was told", seconds),
            rig.Line("the second as a multiple of the first", seconds / dictated, LIMIT),
            rig.Line("seconds of processor time", cpu),
            rig.Line("books lost, or failed, or another book", lost + abs(state["totalCount"] - len(items)), 0),
            rig.Line("books that miss what the second service knows", incomplete, 0),
            rig.Line("requests above the limit", services.above, 0),
            rig.Line("requests to one service in any second, at most", max(map(services.busiest, SERVICES)), RATE),
            rig.Line("the same list again, s", again),
            rig.Line("requests for it", repeated, 0),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=BOOKS, help=f"how many ({BOOKS:,})")
    parser.add_argument("--seed", type=int, default=7, help="of the errors and hangs (7)")
    given = parser.parse_args()
    rig.machine()
    with rig.scratch() as folder:
        asyncio.run(measure(folder, given.books, given.seed))


if __name__ == "__main__":
    main()
