"""How long `shelfwire migrate` takes, how much memory it needs, and that it goes on after a kill.

Two folders: a few jobs with 100,000 results each, and 5,000 small jobs. The database is PostgreSQL with its defaults.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import psycopg
from tests import postgres

from shelfwire.protocol import job as jobs
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.sqlite import creation
from shelfwire.stores.sqlite.store import SqliteStore

NOW = 1_700_000_000_000
BODY = msgspec.json.encode({"title": "A title of some length", "authors": ["An Author"], "note": "x" * 350}).decode()
PART = b"\0photo" * 170_000
INSERT = "INSERT INTO item (job_id, \"index\", ok, title, body) VALUES (?, ?, 1, 'A title', ?)"


async def fill(folder: Path, count: int, items: int, parts: int) -> None:
    def insert(connection: Any) -> None:
        driver = connection.connection.driver_connection
        for number in range(count):
            state = jobs.create(f"{number:06}", "csv_import", now=NOW)
            creation._insert(connection, state, Grant(digest=b"%32d" % number, job_id=state.id), None)  # noqa: SLF001 - quicker than one by one
            driver.executemany(INSERT, ((state.id, index, BODY) for index in range(items)))
            for part in range(parts):
                driver.execute("INSERT INTO input_part VALUES (?, 'file', ?, ?)", (state.id, part, PART))

    async with SqliteStore(folder, encode_terminal=lambda *_: "{}", inline_limit=0) as store:
        await store._write(insert)  # noqa: SLF001 - likewise


def migrate(folder: Path, url: str, *, kill_at: int | None = None) -> tuple[float, int]:
    """Run the command, or kill it when `kill_at` jobs are there; return its seconds and its most bytes of memory."""
    command = [sys.executable, "-m", "shelfwire", "migrate", "--from", str(folder), "--to", url]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    if kill_at is not None:
        while copied(url) < kill_at:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    if kill_at is None and status:
        sys.exit(f"migrate has failed: {status}")
    return time.perf_counter() - begun, usage.ru_maxrss * 1024


def copied(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM shelfwire.job").fetchone()
    return int(row[0]) if row else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    share = 10 if parser.parse_args().quick else 1
    print(f"load before: {os.getloadavg()[0]:.1f}")
    durable = mock.patch.dict(postgres.SETTINGS, {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"})
    with durable, postgres.server() as server, tempfile.TemporaryDirectory() as folder:
        for what, count, items, parts in (
            ("3 jobs of 100,000 results and 20 MB", 3, 100_000 // share, 20),
            ("5,000 jobs of 20 results", 5000 // share, 20, 0),
        ):
            data = Path(folder) / "data"
            asyncio.run(fill(data, count, items, parts))
            size = sum(file.stat().st_size for file in data.glob("shelfwire.sqlite3*"))
            with server.database() as url:
                seconds, memory = migrate(data, url)
            print(f"{what}: {seconds:.1f} s for {size / 1e6:.0f} MB, memory {memory / 2**20:.0f} MiB", flush=True)
            with server.database() as url:
                migrate(data, url, kill_at=max(1, count // 2))
                there = copied(url)
                seconds, _ = migrate(data, url)
                print(f"  killed with {there:,} of {count:,} jobs there, and again: {seconds:.1f} s", flush=True)
            shutil.rmtree(data)


if __name__ == "__main__":
    main()
