"""Kills the server and workers outside of it, again and again, and looks for an item lost, doubled or taken back.

By hand: `python tests/faults/remote_kills.py --kills 100`. The suite runs fewer through `test_remote_kills.py`.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import httpx2
import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.client import Client, JobHandle
from tests.faults.witness import Witness
from tests.processes import Process
from tests.remote_worker import PIPELINE, Orders, result
from tests.servers import Server

ITEMS: Final = 300
BATCH: Final = 7
PAUSE: Final = 0.01
LEASE: Final = 1
WORKERS: Final = 2
JOBS: Final = 3
STRIDE: Final = ITEMS // 3
"""The next kill comes after at most so many more items of one job."""
TICK: Final = 0.03
"""And up to so many seconds later, so that it hits any phase of a report."""
JOB_SECONDS: Final = 300.0


class Tally(msgspec.Struct):
    """What a run came to.

    Attributes:
        servers: kills of the server while it had running jobs.
        workers: kills of workers meanwhile.
        jobs: jobs that ended right.
        most_attempts: the most attempts one of them took.
        kept: jobs whose only attempt outlived a kill of the server.
    """

    servers: int = 0
    workers: int = 0
    jobs: int = 0
    most_attempts: int = 0
    kept: int = 0

    @property
    def kills(self) -> int:
        """Kills altogether."""
        return self.servers + self.workers


class Crew:
    """Worker processes, each of which is started again when it was killed.

    Args:
        url: the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = ExitStack()
        self._workers: list[Process] = []

    def __enter__(self) -> Self:
        """Start them."""
        self._workers = [self._start(number) for number in range(WORKERS)]
        return self

    def __exit__(self, *_: object) -> None:
        """Kill them."""
        self._stack.close()

    def _start(self, number: int) -> Process:
        orders = Orders(self._url, name=f"worker {number}", batch=BATCH, pause=PAUSE, lease=LEASE)
        return self._stack.enter_context(Process(*orders.words(), env=os.environ))

    def kill(self, number: int) -> None:
        """Kill one, and start its successor."""
        self._workers[number].send_signal(signal.SIGKILL)
        self._workers[number] = self._start(number)


async def submit(server: Server) -> JobHandle:
    """Create a job; its file's name says how many items it has."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        response = await http.post(f"/api/pipelines/{PIPELINE}/jobs", files={"file": (str(ITEMS), b"x")})
    created = response.raise_for_status().json()["data"]
    return JobHandle(created["jobId"], created["token"])


async def check(client: Client, job: JobHandle, tally: Tally) -> None:
    """Check that every item of an ended job is there once, in its place and as it was reported."""
    state = await client.state(job)
    assert (state["status"], state["successCount"], state["failureCount"]) == ("complete", ITEMS, 0), state
    items = [item async for item in client.results(job)]
    assert [item["index"] for item in items] == list(range(ITEMS)), "an index is missing, doubled or out of order"
    assert all(item["result"] == result(item["index"]) for item in items), "a result is another one"
    tally.jobs += 1
    tally.most_attempts = max(tally.most_attempts, state["attempt"])
    tally.kept += state["attempt"] == 1


class Hunter:
    """Kills while jobs run.

    Args:
        server: one of the victims.
        crew: the others.
        dice: decides whom and when.
        tally: takes the figures.
    """

    def __init__(self, server: Server, crew: Crew, dice: random.Random, tally: Tally) -> None:
        self._server = server
        self._crew = crew
        self._dice = dice
        self._tally = tally

    async def run(self, kills: int) -> None:
        """Let some jobs run to their ends under fire, and check each."""
        jobs = [await submit(self._server) for _ in range(JOBS)]
        witnesses = [Witness(self._server.url, job) for job in jobs]
        async with asyncio.timeout(JOB_SECONDS), asyncio.TaskGroup() as tasks:
            for witness in witnesses:
                tasks.create_task(witness.follow())
            for witness in witnesses:
                while self._tally.kills < kills and await self._one_kill(witness):
                    pass
        async with Client(self._server.url) as client:
            for witness, job in zip(witnesses, jobs, strict=True):
                await witness.follow()  # the ending is the same for whoever comes late
                await check(client, job, self._tally)

    async def _one_kill(self, witness: Witness) -> bool:
        goal = witness.processed + self._dice.randint(1, STRIDE)
        await witness.sees(lambda: witness.processed >= goal or witness.ending is not None)
        await asyncio.sleep(self._dice.uniform(0, TICK))
        if witness.ending is not None:
            return False
        if self._dice.random() < 0.5:
            self._crew.kill(self._dice.randrange(WORKERS))
            self._tally.workers += 1
        else:
            status = await self._server.end(signal.SIGKILL)
            assert status == -signal.SIGKILL, f"the server had ended by itself: {status}"
            await self._server.start()
            self._tally.servers += 1
        return True


async def hunt(folder: Path, *, kills: int, seed: int) -> Tally:
    """Kill until so many kills have been made, and let the last jobs end.

    Raises:
        AssertionError: a promise was broken; it is noted with the seed and where the server's log is.
    """
    dice, tally = random.Random(seed), Tally()  # noqa: S311 - repeatable, not secret
    async with Server(folder / "data") as server:
        with Crew(server.url) as crew:
            try:
                while tally.kills < kills:
                    await Hunter(server, crew, dice, tally).run(kills)
            except BaseException as error:
                error.add_note(f"seed {seed}, after {tally}; the server's log: {server.log}")
                raise
    return tally


def main() -> None:
    """Read the command line, hunt, print what it came to."""
    parser = argparse.ArgumentParser(description="Kill the server and workers outside of it and look for damage.")
    parser.add_argument("--kills", type=int, default=100, help="kills to make (100)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (random)")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed  # noqa: S311 - not secret
    print(f"seed {seed}")  # noqa: T201 - a report
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-remote-kills-"))
    tally = asyncio.run(hunt(folder, kills=given.kills, seed=seed))
    shutil.rmtree(folder)  # kept where a promise was broken
    for name, value in msgspec.structs.asdict(tally).items():
        print(f"{name.replace('_', ' '):15} {value:>10,}")  # noqa: T201 - a report


if __name__ == "__main__":
    main()
