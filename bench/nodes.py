"""What several nodes on one database do and cost: imports, the database's work and disk, and what idle nodes take."""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
from examples.make_library import write_library
from tests import postgres
from tests.servers import Server

from shelfwire.books.client import BooksClient

ROWS = 100_000
IDLE_SECONDS = 30.0
TURNS = 3
TICK = os.sysconf("SC_CLK_TCK")


def write(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_library(file, rows)
    return path


def value(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def database_seconds(url: str) -> float:
    """Return the processor time of all processes of the database so far."""
    postmaster = parent_of(int(value(url, "SELECT pg_backend_pid()")))
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if process.name == str(postmaster):
            ticks += sum(map(int, fields[11:15]))  # those that have ended are its as well
        elif int(fields[1]) == postmaster:
            ticks += sum(map(int, fields[11:13]))
    return ticks / TICK


async def imported(client: BooksClient, path: Path) -> float:
    begun = time.perf_counter()
    job = await client.import_csv(path)
    async with client.follow(job) as following:
        async for _ in following:
            """To its end."""
    return time.perf_counter() - begun


async def nodes(stack: AsyncExitStack, folder: Path, count: int, url: str | None) -> list[BooksClient]:
    """Start nodes on a database, or without one a server on a folder; return a client of each."""
    settings = {} if url is None else {"database": url}
    servers = [
        await stack.enter_async_context(Server(folder / f"{number}", settings, fresh=True)) for number in range(count)
    ]
    return [await stack.enter_async_context(BooksClient(server.url)) for server in servers]


async def measure(server: postgres.Server, folder: Path, rows: int, idle: float) -> None:
    path = write(folder / "library.csv", rows)
    best: list[float] = []
    for what, count in (("SQLite", 0), ("PostgreSQL, 1 node", 1), ("PostgreSQL, 3 nodes, 3 at once", 3)):
        with server.database() as url:
            async with AsyncExitStack() as stack:
                clients = await nodes(stack, folder / what, max(1, count), url if count else None)
                spent, wal = database_seconds(url), value(url, "SELECT pg_current_wal_lsn() - '0/0'")
                times = []
                for _ in range(TURNS):
                    took = await asyncio.gather(*(imported(client, path) for client in clients))
                    times.append(max(took))
                done = rows * len(clients) * TURNS
                best.append(min(times))
                median = statistics.median(times)
                print(f"{what}: {rows * len(clients):,} rows in {min(times):.1f} s (median {median:.1f})")
                if count:
                    spent = database_seconds(url) - spent
                    wal = value(url, "SELECT pg_current_wal_lsn() - '0/0'") - wal
                    size = value(url, "SELECT pg_total_relation_size('shelfwire.item')")
                    print(
                        f"  in the database for each row {spent / done * 1e6:.0f} µs of a processor, "
                        f"{size / done:.0f} bytes of disk, {wal / done:.0f} bytes of write-ahead log",
                        flush=True,
                    )
    print(f"one node on PostgreSQL took {best[1] / best[0]:.2f} of what SQLite took (limit 1)")
    with server.database() as url:
        async with AsyncExitStack() as stack:
            await nodes(stack, folder / "idle", 3, url)
            connections = value(url, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'shelfwire %'")
            spent = database_seconds(url)
            await asyncio.sleep(idle)
            share = (database_seconds(url) - spent) / idle
            print(f"3 idle nodes: {share:.1%} of a core in the database (limit 3%), {connections} connections")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    share = 10 if parser.parse_args().quick else 1
    print(f"load before: {os.getloadavg()[0]:.1f}")
    own = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
    with postgres.server(**own) as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(server, Path(folder), ROWS // share, IDLE_SECONDS / share))


if __name__ == "__main__":
    main()
