"""Kills the server in the middle of imports, again and again, and looks for anything lost, doubled or taken back.

By hand: `python tests/faults/kills.py --kills 200 --seed 7`. The suite runs a smaller number through `test_kills.py`.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.make_library import write_library

from shelfwire.books.client import BooksClient
from shelfwire.client import Client, JobHandle
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress
from tests.faults.witness import Witness
from tests.servers import Server

ROWS: Final = 30_000
DUPLICATES: Final = 0.05
BROKEN: Final = 0.01
STRIDE: Final = ROWS // 5
"""The next kill comes after at most so many more rows, so that one import is hit several times."""
TICK: Final = 0.05
"""And up to one tick of the committer later, so that it hits any phase of a commit."""
FREE_KILLS: Final = 0.1
"""The share of kills that come before any row is recorded; they must do no harm either, but do not count."""
IMPORTS_PER_FILE: Final = 5
DELAYS: Final = (0.05,) * 400
JOB_SECONDS: Final = 300.0


class Tally(msgspec.Struct):
    """What a run came to.

    Attributes:
        counted: kills that hit the server process while 0 < processedCount < totalCount.
        free: other kills: before the first row was recorded, or in the moment of the ending or after it.
        imports: imports that ended right.
        rows: rows in them.
        connections: connections of the witnesses.
        frames: frames they checked.
        most_attempts: the most attempts one import took.
    """

    counted: int = 0
    free: int = 0
    imports: int = 0
    rows: int = 0
    connections: int = 0
    frames: int = 0
    most_attempts: int = 0


class Truth(msgspec.Struct, frozen=True):
    """What an uninterrupted import of a file came to: its final state's counts and all of its results."""

    counts: dict[str, int]
    results: list[dict[str, Any]]


def make_file(path: Path, seed: int, rows: int = ROWS) -> Path:
    """Write a library in which 5 % of the rows repeat an earlier book and 1 % are broken."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_library(stream, rows, seed=seed, duplicates=DUPLICATES, broken=BROKEN)
    return path


async def outcome(client: Client, job: JobHandle) -> Truth:
    """Read what an ended import came to, and check that it adds up."""
    state = await client.state(job)
    assert state["status"] == "complete", state
    results = [item async for item in client.results(job)]
    counts = {name: state[name] for name in ("totalCount", "processedCount", "successCount", "failureCount")}
    total = counts["totalCount"]
    assert [item["index"] for item in results] == list(range(total)), "an index is missing, doubled or out of order"
    assert counts["processedCount"] == total == counts["successCount"] + counts["failureCount"], counts
    assert sum(item["ok"] for item in results) == counts["successCount"], counts
    return Truth(counts, results)


async def undisturbed(url: str, path: Path) -> Truth:
    """Import the file in peace, and check that the duplicates and broken rows are found that were put in."""
    async with BooksClient(url) as client:
        job = await client.import_csv(path)
        async for _ in client.follow(job):
            pass
        truth = await outcome(client, job)
    failures = Counter(item["error"]["code"] for item in truth.results if not item["ok"])
    total = truth.counts["totalCount"]
    assert failures == {"E_DUPLICATE": round(DUPLICATES * total), "E_ROW_INVALID": round(BROKEN * total)}, failures
    return truth


async def follow_with_client(client: Client, job: JobHandle) -> None:
    """Follow with the library's own client, which must show the same: nothing taken back, one start, one ending."""
    shown, started, endings = 0, 0, 0
    async for message in client.follow(job):
        match message.payload:
            case JobProgress(processed_count=processed):
                assert processed >= shown, f"the client showed {shown}, then {processed}"
                shown = processed
            case JobComplete() | JobError():
                endings += 1
            case _:
                started += 1
    assert (started, endings) == (1, 1), f"the client showed {started} starts and {endings} endings"


class Killer:
    """Runs imports and kills the server meanwhile.

    Args:
        server: the victim.
        dice: decides the moments.
        tally: takes the figures.
    """

    def __init__(self, server: Server, dice: random.Random, tally: Tally) -> None:
        self._server = server
        self._dice = dice
        self._tally = tally

    async def run(self, path: Path, truth: Truth, kills: int) -> None:
        """Import a file under fire until it ends, and compare it with the same import in peace.

        Args:
            path: the file.
            truth: what it comes to in peace.
            kills: counted kills to stop at, over all imports.
        """
        async with BooksClient(self._server.url, delays=DELAYS, random_fraction=lambda: 0.0) as client:
            job = await client.import_csv(path)
            witness = Witness(self._server.url, job)
            async with asyncio.timeout(JOB_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(witness.follow())
                tasks.create_task(follow_with_client(client, job))
                if self._dice.random() < FREE_KILLS:
                    await self._kill()
                    self._tally.free += 1
                while self._tally.counted < kills and await self._one_kill(witness, client, job):
                    pass
            # The ending was told: from now on it is the same for everyone, also after another kill.
            await self._kill()
            self._tally.free += 1
            await witness.follow()
            state = await client.state(job)
            found = await outcome(client, job)
        assert found.counts == truth.counts, f"{found.counts} instead of {truth.counts}"
        differing = [pair for pair in zip(found.results, truth.results, strict=True) if pair[0] != pair[1]]
        assert not differing, f"{len(differing)} results differ from the uninterrupted import: {differing[:3]}"
        self._tally.imports += 1
        self._tally.rows += found.counts["totalCount"]
        self._tally.connections += witness.connections
        self._tally.frames += witness.frames
        self._tally.most_attempts = max(self._tally.most_attempts, state["attempt"])

    async def _one_kill(self, witness: Witness, client: Client, job: JobHandle) -> bool:
        goal = witness.processed + self._dice.randint(1, STRIDE)
        await witness.sees(lambda: witness.processed >= goal or witness.ending is not None)
        await asyncio.sleep(self._dice.uniform(0, TICK))
        if witness.ending is not None:
            return False
        seen = witness.processed
        await self._kill()
        seen_after = witness.processed  # with what was still on the wire; the new process may have told more already
        state = await client.state(job)
        assert state["processedCount"] >= seen_after, f"told {seen_after}, now {state['processedCount']}"
        # The row only grows: what is not all there after the restart was not all there at the kill.
        if seen > 0 and state["processedCount"] < state["totalCount"]:
            self._tally.counted += 1
        else:
            self._tally.free += 1
        return True

    async def _kill(self) -> None:
        status = await self._server.end(signal.SIGKILL)
        assert status == -signal.SIGKILL, f"the server had ended by itself: {status}"
        await self._server.start()


async def hunt(folder: Path, *, kills: int, seed: int) -> Tally:
    """Kill until so many kills have counted, and let the last import end.

    Args:
        folder: for the data folder and the files.
        kills: counted kills to reach.
        seed: of all choices; the moments also depend on the machine.

    Raises:
        AssertionError: a promise was broken; it is noted with the seed and where the server's log is.
    """
    dice, tally = random.Random(seed), Tally()  # noqa: S311 - repeatable, not secret
    async with Server(folder / "data") as server:
        killer = Killer(server, dice, tally)
        try:
            while tally.counted < kills:
                if tally.imports % IMPORTS_PER_FILE == 0:
                    path = make_file(folder / "library.csv", seed=dice.randrange(1_000_000))
                    truth = await undisturbed(server.url, path)
                await killer.run(path, truth, kills)
        except BaseException as error:
            error.add_note(f"seed {seed}, after {tally}; the server's log: {server.log}")
            raise
    return tally


def main() -> None:
    """Read the command line, hunt, print what it came to."""
    parser = argparse.ArgumentParser(description="Kill the server in the middle of imports and look for damage.")
    parser.add_argument("--kills", type=int, default=200, help="counted kills to reach (200)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (random)")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed  # noqa: S311 - not secret
    print(f"seed {seed}")  # noqa: T201 - a report
    since = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-kills-"))
    tally = asyncio.run(hunt(folder, kills=given.kills, seed=seed))
    shutil.rmtree(folder)  # kept where a promise was broken
    for name, value in msgspec.structs.asdict(tally).items():
        print(f"{name.replace('_', ' '):15} {value:>10,}")  # noqa: T201 - a report
    print(f"{'seconds':15} {time.monotonic() - since:>10.0f}")  # noqa: T201 - a report


if __name__ == "__main__":
    main()
