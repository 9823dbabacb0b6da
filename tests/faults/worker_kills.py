"""Kills or stops processes that run pipelines elsewhere, again and again, with followers on every transport.

By hand: `python tests/faults/worker_kills.py --kills 50 --signal SIGTERM`. It prints how long it took until
somebody else went on. The suite makes fewer through `test_worker_kills.py`.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx2

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.client import Client, JobHandle, Transport
from shelfwire.protocol.messages import JobComplete, JobProgress
from shelfwire.protocol.reconnect import DELAYS
from tests.faults.lines_worker import NAME, Orders, result
from tests.faults.witness import Witness
from tests.processes import Process
from tests.servers import Server

ITEMS: Final = 300
PAUSE: Final = 0.004
LEASE: Final = 1
WORKERS: Final = 3
JOBS: Final = 4
ROUND_SECONDS: Final = 300.0
OVER: Final = "ends"


class Entry(NamedTuple):
    """A line of the workers' diary."""

    at: float
    pid: int
    job_id: str
    attempt: int
    what: str


class Crew:
    """Worker processes, each of which has a successor as soon as it is killed or stopped.

    Args:
        url: the server.
        diary: where they write down what they do.

    Attributes:
        kills: when each was killed, in monotonic seconds, and its process.
    """

    def __init__(self, url: str, diary: Path) -> None:
        self._orders = Orders(url, str(diary), PAUSE, LEASE)
        self._diary = diary
        self._stack = ExitStack()
        self._workers: list[Process] = []
        self.kills: list[tuple[float, int]] = []

    @contextmanager
    def running(self) -> Iterator["Crew"]:
        """Start them; kill them in the end."""
        self._diary.touch()
        with self._stack:
            self._workers = [self._start() for _ in range(WORKERS)]
            yield self

    def _start(self) -> Process:
        return self._stack.enter_context(Process(*self._orders.words(), env=os.environ))

    def busy(self) -> list[int]:
        """The numbers of those that have a job."""
        open_jobs: dict[str, int] = {}
        for entry in self.entries():
            open_jobs[entry.job_id] = entry.pid if entry.what != OVER else 0
        return [number for number, worker in enumerate(self._workers) if worker.pid in open_jobs.values()]

    def kill(self, number: int, by: signal.Signals) -> None:
        """Kill or stop one, and start its successor."""
        self.kills.append((time.monotonic(), self._workers[number].pid))
        self._workers[number].send_signal(by)
        self._workers[number] = self._start()

    def entries(self) -> list[Entry]:
        """What they have written down."""
        lines = [line.split() for line in self._diary.read_text(encoding="utf-8").splitlines()]
        return [Entry(float(at), int(pid), job, int(attempt), what) for at, pid, job, attempt, what in lines]

    def takeovers(self) -> list[float]:
        """Seconds from each kill until somebody else began the next attempt at a job of the one that was killed."""
        entries, seconds = self.entries(), []
        for at, pid in self.kills:
            held = {entry.job_id: entry for entry in entries if entry.at < at}
            for job_id, entry in held.items():
                if entry.pid == pid and entry.what != OVER:
                    later = [one.at for one in entries if one.job_id == job_id and one.attempt > entry.attempt]
                    seconds += [min(later) - at] if later else []
        return sorted(seconds)


async def submit(url: str, items: int = ITEMS) -> JobHandle:
    """Create a job; its file's name says how many items it has."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        response = await http.post(f"/api/pipelines/{NAME}/jobs", files={"file": (str(items), b"x")})
    created = response.raise_for_status().json()["data"]
    return JobHandle(created["jobId"], created["token"])


async def follow(url: str, job: JobHandle, transport: Transport, delays: tuple[float, ...] = DELAYS) -> None:
    """Follow a job by one transport to its ending, and check what comes."""
    async with Client(url, transports=(transport,), delays=delays) as client:
        messages = [message async for message in client.follow(job)]
    seqs = [message.seq or 0 for message in messages]
    done = [message.payload.processed_count for message in messages if isinstance(message.payload, JobProgress)]
    assert seqs == sorted(seqs), f"seq fell, by {transport}"
    assert done == sorted(done), f"processedCount fell, by {transport}"
    endings = [message for message in messages if isinstance(message.payload, JobComplete)]
    assert endings == messages[-1:], f"there is not one ending, and in the end, by {transport}"


async def check(client: Client, job: JobHandle, count: int = ITEMS) -> None:
    """Check that every item of an ended job is there once, in its place and as it was recorded."""
    items = [item async for item in client.results(job)]
    assert [item["index"] for item in items] == list(range(count)), "an index is missing, doubled or out of order"
    assert all(item["result"] == result(item["index"]) for item in items), "a result is another one"


async def one_round(server: Server, crew: Crew, dice: random.Random, kills: int, by: signal.Signals) -> None:
    """Let some jobs run to their ends under fire, followed by every transport, and check each."""
    jobs = [await submit(server.url) for _ in range(JOBS)]
    async with asyncio.timeout(ROUND_SECONDS), asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(Witness(server.url, job).follow()) for job in jobs]
        following += [tasks.create_task(follow(server.url, job, kind)) for job in jobs for kind in Transport]
        while len(crew.kills) < kills and not all(task.done() for task in following):
            await asyncio.sleep(dice.uniform(0.05, 0.4))
            if busy := crew.busy():
                crew.kill(dice.choice(busy), by)
    async with Client(server.url) as client:
        for job in jobs:
            await check(client, job)


async def hunt(folder: Path, *, kills: int, seed: int, by: signal.Signals) -> Sequence[float]:
    """Kill until so many kills have been made, and return how long each takeover took, ascending.

    Raises:
        AssertionError: a promise was broken; it is noted with the seed and where the server's log is.
    """
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    async with Server(folder / "data") as server:
        with Crew(server.url, folder / "diary").running() as crew:
            try:
                while len(crew.kills) < kills:
                    await one_round(server, crew, dice, kills, by)
            except BaseException as error:
                error.add_note(f"seed {seed}, after {len(crew.kills)} kills; the server's log: {server.log}")
                raise
        return crew.takeovers()


def main() -> None:
    """Read the command line, hunt, print how long takeovers took."""
    parser = argparse.ArgumentParser(description="Kill processes that run pipelines elsewhere and look for damage.")
    parser.add_argument("--kills", type=int, default=50, help="kills to make (50)")
    parser.add_argument("--signal", default="SIGKILL", choices=["SIGKILL", "SIGTERM"], help="what to send (SIGKILL)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (random)")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed  # noqa: S311 - not secret
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-worker-kills-"))
    print(f"seed {seed}, lease {LEASE} s")  # noqa: T201 - a report
    seconds = asyncio.run(hunt(folder, kills=given.kills, seed=seed, by=signal.Signals[given.signal]))
    shutil.rmtree(folder)  # kept where a promise was broken
    for share in (50, 99, 100):
        at = seconds[min(len(seconds) - 1, len(seconds) * share // 100)]
        print(f"{len(seconds)} takeovers, p{share} {at:6.2f} s")  # noqa: T201 - a report


if __name__ == "__main__":
    main()
