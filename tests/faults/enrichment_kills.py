"""Kills the server in the middle of enrichments, and looks for a book lost or doubled, or a lookup made twice.

By hand: `python tests/faults/enrichment_kills.py --kills 20`. The suite runs fewer through `test_enrichment_kills.py`.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.client import Client, JobHandle
from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, Catalogues, dice, library
from tests.servers import Server

BOOKS: Final = 300
STRIDE: Final = 30
"""The next kill comes after at most so many more books."""
RATE: Final = 100.0
LATENCY: Final = 0.05
LOOK_SECONDS: Final = 0.02
JOB_SECONDS: Final = 240.0


class Tally(msgspec.Struct):
    """What a run came to.

    Attributes:
        kills: that hit a running job which had found some books and not all.
        jobs: enrichments that ended right.
        requests: that the services got.
        repeated: requests for what had been asked for before: what was under way at a kill, or an error.
    """

    kills: int = 0
    jobs: int = 0
    requests: int = 0
    repeated: int = 0


async def hunt(folder: Path, *, kills: int, seed: int) -> Tally:
    """Kill until so many kills have counted, and let the last job end.

    Raises:
        AssertionError: a book was lost or doubled, or asked for again though it was recorded.
    """
    choice, tally = random.Random(seed), Tally()  # noqa: S311 - repeatable, not secret
    books = library(BOOKS)
    while tally.kills < kills:
        data = folder / f"data-{tally.jobs}"
        services = Catalogues(
            {OPEN_LIBRARY: books[: BOOKS // 2], GOOGLE_BOOKS: books},
            latency=LATENCY,
            plan=dice(seed, errors=0.02, hangs=0.0),
        )
        async with services.serving():
            settings = {**services.settings, "open_library_rate": RATE, "google_books_rate": RATE}
            async with Server(data, settings) as server:
                await _one_job(server, services, choice, tally, kills)
        tally.jobs += 1
        tally.requests += len(services.asks)
        tally.repeated += sum(count - 1 for count in services.repeated().values())
    return tally


async def _one_job(server: Server, services: Catalogues, choice: random.Random, tally: Tally, kills: int) -> None:
    # Every third book has no ISBN, and every tenth is one that nobody knows.
    books = [
        {**book.asked, **({"isbn": ""} if book.number % 3 == 0 else {})}
        if book.number % 10
        else {"title": f"Unwritten {book.number}", "author": "Nobody"}
        for book in library(BOOKS)
    ]
    recorded: dict[int, int] = {}
    async with Client(server.url) as client, asyncio.timeout(JOB_SECONDS):
        job = await _submit(server.url, books)
        while (state := await client.state(job))["status"] not in {"complete", "failed", "canceled"}:
            goal = state["processedCount"] + choice.randint(1, STRIDE)
            while state["processedCount"] < goal and state["status"] != "complete":
                await asyncio.sleep(LOOK_SECONDS)
                state = await client.state(job)
            if state["status"] == "complete" or tally.kills >= kills:
                continue
            await server.end(signal.SIGKILL)
            await server.start()
            tally.kills += 0 < state["processedCount"] < len(books)
            asks = len(services.asks)
            for item in await _recorded(client, job, state["processedCount"]):
                recorded.setdefault(item["index"], asks)
        results = [item async for item in client.results(job)]
    assert state["status"] == "complete", state
    assert [item["index"] for item in results] == list(range(len(books))), "a book is lost or doubled"
    found = [item["ok"] for item in results]
    assert found == [bool(index % 10) for index in range(len(books))], "a book that is known was not found"
    _check(services, books, recorded)


async def _submit(url: str, books: list[dict[str, str]]) -> JobHandle:
    async with httpx2.AsyncClient(timeout=60) as http:
        response = await http.post(f"{url}/api/pipelines/batch_enrichment/jobs", json={"books": books})
    assert response.status_code == 202, response.text
    created = response.json()["data"]
    return JobHandle(created["jobId"], created["token"])


async def _recorded(client: Client, job: JobHandle, count: int) -> list[dict[str, Any]]:
    """The items that a running job shows: those before the first that is missing."""
    found = []
    async with asyncio.timeout(JOB_SECONDS):
        async for item in client.results(job):
            found.append(item)
            if len(found) >= count:
                break
    return found


def _check(services: Catalogues, books: list[dict[str, str]], recorded: dict[int, int]) -> None:
    """Look for requests about a book after it was recorded and the process that had recorded it was dead."""
    for index, asks in recorded.items():
        keys = {books[index]["title"], books[index].get("isbn")}
        late = [ask.target for ask in services.asks[asks:] if not keys.isdisjoint(ask.keys)]
        assert not late, f"book {index} was recorded, and then asked for again: {late}"


def main() -> None:
    """Read the command line, hunt, print what it came to."""
    parser = argparse.ArgumentParser(description="Kill the server in the middle of enrichments and look for damage.")
    parser.add_argument("--kills", type=int, default=20, help="kills to reach (20)")
    parser.add_argument("--seed", type=int, default=7, help="of the choices (7)")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-kills-"))
    tally = asyncio.run(hunt(folder, kills=given.kills, seed=given.seed))
    shutil.rmtree(folder)  # kept where a promise was broken
    for name, value in msgspec.structs.asdict(tally).items():
        print(f"{name:15} {value:>10,}")  # noqa: T201 - a report


if __name__ == "__main__":
    main()
