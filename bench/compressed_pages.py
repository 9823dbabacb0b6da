"""Compressed pages of results: their size on the wire, and how soon PINGs are answered while ten clients fetch them."""

import argparse
import asyncio
import itertools
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from tests.servers import Server

SERVER: Final = Path(__file__).with_name("paged_server.py")
PINGER: Final = Path(__file__).with_name("pinger.py")
ROWS: Final = 1000
CLIENTS: Final = 10
KINDS: Final = {"JSON": "application/json", "NDJSON": "application/x-ndjson", "CSV": "text/csv"}
Job = dict[str, Any]


def headers(job: Job, kind: str, coding: str) -> dict[str, str]:
    """Return the headers of a request for a page."""
    return {"Authorization": f"Bearer {job['token']}", "Accept": KINDS[kind], "Accept-Encoding": coding}


async def page(http: httpx2.AsyncClient, job: Job, kind: str, coding: str) -> int:
    """Fetch the page of all results without decompressing it, and return the bytes of its body on the wire."""
    size = 0
    url = f"/api/jobs/{job['jobId']}/results"
    async with http.stream("GET", url, params={"limit": ROWS}, headers=headers(job, kind, coding)) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    return size


async def imported(http: httpx2.AsyncClient, library: bytes) -> Job:
    """Import a library and return its job once it has ended."""
    created = await http.post("/api/import/csv-gemini", files={"file": ("books.csv", library)})
    job: Job = created.raise_for_status().json()["data"]
    events = await http.get(f"/api/jobs/{job['jobId']}/events", headers=headers(job, "JSON", "identity"))
    if "event: job_complete" not in events.text:
        raise SystemExit(f"the import failed: {events.text[-500:]}")
    return job


async def fetched(url: str, job: Job, coding: str, seconds: float) -> tuple[list[float], int]:
    """Have ten clients fetch pages while another process pings; return the round trips in ms, and how many pages."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        created = await http.post("/api/pipelines/waiting/jobs", json={})
        waiting: Job = created.raise_for_status().json()["data"]
        command = [sys.executable, str(PINGER), url, waiting["jobId"], waiting["token"]]
        pinger = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        until = time.perf_counter() + seconds
        pages = 0

        async def client(kinds: Any) -> None:
            nonlocal pages
            while time.perf_counter() < until:
                await page(http, job, next(kinds), coding)
                pages += 1

        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(client(itertools.islice(itertools.cycle(KINDS), number, None)))
        await http.post(f"/api/jobs/{waiting['jobId']}/cancel", headers=headers(waiting, "JSON", "identity"))
        trips, _ = await pinger.communicate()
    return msgspec.json.decode(trips, type=list[float]), pages


def plain_list() -> bytes:
    """Return a list of titles and authors, all of them different, as a person keeps it by hand."""
    lines = (f"The Book of Number {number},Author {number % 97}" for number in range(ROWS))
    return "\n".join(["Title,Author", *lines, ""]).encode()


async def measure(export: bytes, data: Path, seconds: float) -> None:
    """Measure, and print."""
    sizes = []
    async with Server(data, script=SERVER) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
            for what, library, limit in (("titles, authors", plain_list(), 20_000), ("all columns", export, None)):
                job = await imported(http, library)
                for kind in KINDS:
                    zipped, plain = [await page(http, job, kind, coding) for coding in ("gzip", "identity")]
                    sizes.append(rig.Line(f"{kind}, {what}: bytes on the wire with gzip", zipped, limit))
                    sizes.append(rig.Line(f"{kind}, {what}: bytes without", plain))
        runs = {coding: await fetched(server.url, job, coding, seconds) for coding in ("gzip", "identity")}
    rig.report(f"A page of {ROWS:,} results", sizes)
    for coding, (trips, pages) in runs.items():
        rig.report(
            f"{CLIENTS} clients that fetch pages without pause for {seconds:g} s, {coding}",
            [
                rig.Line("PING to PONG, p99 ms", rig.percentile(trips, 99), 50),
                rig.Line("PING to PONG, p50 ms", rig.percentile(trips, 50)),
                rig.Line("PING to PONG, slowest ms", max(trips)),
                rig.Line("PINGs", len(trips)),
                rig.Line("pages a second", pages / seconds),
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 s each instead of 20")
    seconds = 5 if parser.parse_args().quick else 20
    rig.machine()
    with rig.scratch() as folder:
        asyncio.run(measure(rig.library(folder, ROWS).read_bytes(), folder / "data", seconds))


if __name__ == "__main__":
    main()
