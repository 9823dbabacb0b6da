"""Imports of 1,000, 10,000 and 100,000 rows end to end: time, growth, memory, transactions, PINGs meanwhile.

Each import goes over HTTP into a real server process with its store on the disk, and is followed to its ending. The
peer is the same rows' results put into one table by plain `sqlite3` in one synced transaction: what the disk and SQLite
alone take.
"""

import argparse
import asyncio
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from tests.servers import Server

from shelfwire.books.client import BooksClient
from shelfwire.client import Client, JobHandle
from shelfwire.protocol.messages import JobComplete, JobStarted

SIZES: Final = (1_000, 10_000, 100_000)
PINGER: Final = Path(__file__).with_name("pinger.py")


class Run(msgspec.Struct, frozen=True):
    """One import.

    Attributes:
        job: to read its results.
        seconds: from the first byte of the upload to the terminal message.
        running: seconds between the first and the last message of the running job.
        transactions: commits that changed the job in that time, whether or not the follower saw each.
    """

    job: JobHandle
    seconds: float
    running: float
    transactions: int


async def one_import(client: BooksClient, path: Path, *, rows: int, pinged: list[float] | None = None) -> Run:
    """Import a file and follow it to the end, with another process pinging if `pinged` is there to take the trips."""
    pinger = None
    began = time.perf_counter()
    job = await client.import_csv(path)
    if pinged is not None:
        command = [sys.executable, str(PINGER), client_url(client), job.job_id, job.token]
        pinger = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    started, first, last = 0.0, 0, 0
    async for message in client.follow(job):
        last = message.seq or 0
        if isinstance(message.payload, JobStarted):
            started, first = time.perf_counter(), last
        elif isinstance(message.payload, JobComplete):
            recorded = message.payload.success_count + message.payload.failure_count
            if recorded != rows:
                raise SystemExit(f"{recorded} of {rows} rows were recorded")
        elif message.terminal:
            raise SystemExit(f"the import failed: {message.payload}")
    ended = time.perf_counter()
    if pinger is not None and pinged is not None:
        trips, _ = await pinger.communicate()
        pinged += msgspec.json.decode(trips, type=list[float])
    return Run(job, ended - began, ended - started, last - first)


def client_url(client: Client) -> str:
    """Where the client's server is."""
    return client._url  # noqa: SLF001 - one handle less to pass along


async def results(client: Client, job: JobHandle) -> list[tuple[str, int, bool, str | None, str]]:
    """Read an import's results as the rows the peer inserts."""
    rows = []
    async for item in client.results(job):
        body: Any = item["result"] if item["ok"] else item["error"]
        rows.append((job.job_id, item["index"], item["ok"], item.get("title"), msgspec.json.encode(body).decode()))
    return rows


def peer(folder: Path, rows: list[tuple[str, int, bool, str | None, str]]) -> float:
    """Seconds for plain sqlite3 to put the rows into one table, durably, in one transaction."""
    path = folder / "peer.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        'CREATE TABLE item (job_id TEXT, "index" INTEGER, ok BOOLEAN NOT NULL, title TEXT, body TEXT NOT NULL,'
        ' PRIMARY KEY (job_id, "index")) WITHOUT ROWID'
    )
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    for left in folder.glob("peer.sqlite3*"):
        left.unlink()
    return seconds


async def measure(folder: Path, repeats: int) -> None:
    """Measure, and print."""
    seconds: dict[int, list[float]] = {}
    rates: list[float] = []
    async with Server(folder / "data", fresh=True) as server, BooksClient(server.url) as client:
        for rows in SIZES:
            path = rig.library(folder, rows)
            await one_import(client, path, rows=rows)  # the first one warms caches and makes the file grow
            runs = [await one_import(client, path, rows=rows) for _ in range(repeats)]
            seconds[rows] = [run.seconds for run in runs]
            rates = [run.transactions / run.running for run in runs]
        size = path.stat().st_size
        stored = await results(client, runs[-1].job)
        warm_peak = rig.high_water(server.pid)
    pings: list[float] = []
    async with Server(folder / "fresh", fresh=True) as server, BooksClient(server.url) as client:
        before = rig.resident(server.pid)
        with rig.Memory(server.pid) as memory:
            for _ in range(2):
                await one_import(client, path, rows=rows)
        fresh_peak = rig.high_water(server.pid)
        for _ in range(repeats):
            await one_import(client, path, rows=rows, pinged=pings)
    peers = [peer(folder, stored) for _ in range(repeats)]
    rig.report(f"100,000 rows, {size / rig.MEGABYTE:.1f} MB", _lines(seconds, rates, peers))
    rig.report(
        "memory of the server's processes, MB",
        [
            rig.Line("before the first import", before / rig.MEGABYTE),
            rig.Line("sum of resident sizes over two imports of 100,000, peak", memory.peak / rig.MEGABYTE, 350),
            rig.Line("VmHWM of the main process after them", fresh_peak / rig.MEGABYTE, 350),
            rig.Line(f"VmHWM of the main process after {len(SIZES) * (repeats + 1)} imports", warm_peak / rig.MEGABYTE),
            rig.Line("processes", memory.processes),
        ],
    )
    rig.report(
        f"PING to PONG while 100,000 rows are imported, ms, {len(pings)} PINGs",
        [
            rig.Line("p50", rig.percentile(pings, 50)),
            rig.Line("p99", rig.percentile(pings, 99), 50),
            rig.Line("max", max(pings)),
        ],
    )


def marginal(seconds: dict[int, float]) -> tuple[float, float]:
    """What one more row takes from the small size to the middle one, and from there to the large one."""
    small, middle, large = SIZES
    below = (seconds[middle] - seconds[small]) / (middle - small)
    return below, (seconds[large] - seconds[middle]) / (large - middle)


def _lines(seconds: dict[int, list[float]], rates: list[float], peers: list[float]) -> list[rig.Line]:
    large = rig.best(seconds[SIZES[2]])
    below, above = marginal({rows: rig.best(figures) for rows, figures in seconds.items()})
    below_median, above_median = marginal({rows: rig.median(figures) for rows, figures in seconds.items()})
    return [
        *(rig.Line(f"{rows:,} rows, s", rig.best(seconds[rows]), None, seconds[rows]) for rows in SIZES[:2]),
        rig.Line("100,000 rows, s", large, 5, seconds[SIZES[2]]),
        rig.Line("one more row between 1,000 and 10,000, µs", below * 1e6),
        rig.Line("one more row between 10,000 and 100,000, µs", above * 1e6),
        rig.Line("the second as a multiple of the first, best runs", above / below, 1.3),
        rig.Line("the same, median runs", above_median / below_median, 1.3),
        rig.Line("transactions a second", max(rates), 25, rates),
        rig.Line("peer: plain sqlite3, one transaction, s", rig.best(peers), None, peers),
        rig.Line("100,000 rows as a multiple of the peer", large / rig.best(peers)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each size once instead of five times")
    repeats = 1 if parser.parse_args().quick else 5
    rig.machine()
    with rig.scratch() as folder:
        asyncio.run(measure(folder, repeats))


if __name__ == "__main__":
    main()
