"""Followers whose connections are cut at every moment there is, and what they are told all the same.

Each cycle is one job of some shape with one to three followers, each behind a proxy of its own that harms its first
connections. A cycle depends only on the seed and its number: `--first 412 --cycles 1` repeats one.

By hand: `python tests/faults/drops.py --cycles 1000 --seed 7`. The suite runs a few through `test_drops.py`.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, JobHandle, RefusedError
from shelfwire.errors import Code
from shelfwire.protocol.messages import JobComplete, JobError, Message, decode
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from tests.faults.plans import Fault, Plan, random_plan
from tests.faults.scripted import Script, Shape
from tests.faults.seats import NETWORKS, Seat, make_client
from tests.faults.wire import Heard, Recoveries, Wire
from tests.servers import Server
from tests.story import IllegalStoryError, legal_story

DELAYS: Final = (0.02, 0.04, 0.08, 0.16, 0.3)
"""The contract's schedule of reconnecting, a hundred times as fast."""
LANES: Final = 8
"""Cycles at once."""
SEATS: Final = 3
"""Followers of a job at most."""
CUTS: Final = (0, 1, 1, 2, 2, 3, 4, 6)
MAX_MUTE: Final = 4
"""Connections in a row on which a client hears nothing; below the tries it has."""
SILENCE: Final = 0.15
LATE: Final = 0.004
CYCLE_SECONDS: Final = 60.0
SOON: Final = 0.99
SCRIPT: Final = Path(__file__).with_name("scripted.py")
SETTINGS: Final = {"workers": 4 * LANES, "flush_interval": 0.01, "create_limit": 0}


class Tally(msgspec.Struct):
    """What a run came to.

    Attributes:
        cycles: jobs.
        shapes: of the jobs.
        followers: clients that got their ending.
        shown: messages that the clients showed.
        connections: connections through the proxies.
        refused: upgrades that the proxies refused.
        struck: faults that came to pass, by kind and moment.
        heard: what passed on the wires.
        recoveries: how followers came back.
    """

    cycles: int = 0
    shapes: Counter[str] = msgspec.field(default_factory=Counter)
    followers: int = 0
    shown: int = 0
    connections: int = 0
    refused: int = 0
    struck: Counter[str] = msgspec.field(default_factory=Counter)
    heard: Heard = msgspec.field(default_factory=Heard)
    recoveries: Recoveries = msgspec.field(default_factory=Recoveries)


def random_script(dice: random.Random, name: str) -> Script:
    """A job of any shape: short, long, slow, empty, failing, canceled, with an attempt that breaks off."""
    shape = dice.choices(list(Shape), weights=(65, 12, 13, 7, 3))[0]
    short = Script(name=name, shape=shape, turn=dice.randrange(3))
    if shape is Shape.CANCEL:
        return msgspec.structs.replace(short, total=100_000, pause=0.02, burst=dice.choice((1, 50)))
    if shape is Shape.PAUSE:
        return msgspec.structs.replace(short, total=60, pause=0.02)
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"total": 0},
        {"total": 2000, "burst": 40, "pause": 0.005, "turn": dice.randrange(2000)},
        {"total": 6, "pause": 0.06},
        {"total": 40, "pause": 0.002, "padding": dice.choice((0, 400, 8000))},
    )
    return msgspec.structs.replace(short, **dice.choice(kinds))


def random_plans(dice: random.Random) -> list[Plan]:
    """What happens to a follower's first connections."""
    plans: list[Plan] = []
    for _ in range(dice.choice(CUTS)):
        plan = random_plan(dice, silence=SILENCE, delay=LATE, messages=4, speech=300)
        if len(plans) < MAX_MUTE or not all(one.mutes for one in [plan, *plans[-MAX_MUTE:]]):
            plans.append(plan)
    return plans


class Lane:
    """Runs one cycle after the other.

    Args:
        folder: for inputs.
        server: the server.
        control: a client that reaches it without a proxy.
        seats: the followers' places.
        tally: takes the figures.
    """

    def __init__(self, folder: Path, server: Server, control: Client, seats: list[Seat], tally: Tally) -> None:
        self._folder = folder
        self._server = server
        self._control = control
        self._seats = seats
        self._tally = tally

    async def cycle(self, dice: random.Random, name: str) -> None:
        """Run a job, follow it through all that happens, and check what was told.

        Raises:
            AssertionError: a promise was broken.
        """
        script = random_script(dice, name)
        seats = self._seats[: dice.randint(1, SEATS)]
        wires = [Wire(self._tally.heard) for _ in seats]
        for seat, wire in zip(seats, wires, strict=True):
            seat.begin(dice.choice(NETWORKS), random_plans(dice), wire)
        first = seats[0]
        attach: list[asyncio.Event | None] = [None, *(dice.choice((None, first.midway, first.over)) for _ in seats[1:])]
        job = await self._create(script)
        async with asyncio.timeout(CYCLE_SECONDS), asyncio.TaskGroup() as tasks:
            for seat, event in zip(seats, attach, strict=True):
                tasks.create_task(_attach(seat, job, event))
            tasks.create_task(self._wish(script, first, job))
        for seat in seats:
            await seat.end()
        ending = self._stored(job)
        _check_ending(script, ending)
        for seat, wire in zip(seats, wires, strict=True):
            legal_story(seat.told, ending)
            assert wire.endings <= {ending}, f"another ending on the wire: {wire.endings}"
        self._count(script, seats)

    async def _wish(self, script: Script, follower: Seat, job: JobHandle) -> None:
        await follower.midway.wait()
        match script.shape:
            case Shape.CANCEL:
                await self._control.cancel(job)
            case Shape.PAUSE:
                try:
                    await self._control.pause(job)
                    await follower.paused.wait()
                    await self._control.resume(job)
                except RefusedError as error:
                    if error.code != Code.JOB_STATE:  # it had ended before, while the follower was away
                        raise

    async def _create(self, script: Script) -> JobHandle:
        path = self._folder / f"{script.name}.json"
        path.write_bytes(msgspec.json.encode(script))
        job = await self._control.start("csv_import", file=path)
        path.unlink()
        return job

    def _stored(self, job: JobHandle) -> str:
        with contextlib.closing(sqlite3.connect(self._folder / "data" / DATABASE_NAME)) as connection:
            (ending,) = connection.execute("select message from ending where job_id = ?", [job.job_id]).fetchone()
        return str(ending)

    def _count(self, script: Script, seats: list[Seat]) -> None:
        tally = self._tally
        tally.cycles += 1
        tally.shapes[script.shape if script.total else "nothing to do"] += 1
        tally.followers += len(seats)
        for seat in seats:
            links = seat.links
            tally.shown += len(seat.told)
            tally.connections += len(links)
            tally.recoveries.count(links)
            for link in links:
                tally.refused += link.refused
                if link.struck.is_set():
                    tally.struck[f"{link.plan.fault}, {link.plan.moment}"] += 1


async def _attach(seat: Seat, job: JobHandle, event: asyncio.Event | None) -> None:
    if event is not None:
        await event.wait()
    await seat.follow(job)


def _check_ending(script: Script, ending: str) -> None:
    message = decode(ending)
    assert isinstance(message, Message)
    match message.payload:
        case JobComplete(success_count=succeeded, failure_count=failed):
            assert script.shape not in (Shape.FAIL, Shape.CANCEL), ending
            assert (succeeded, failed) == (script.total - script.failures, script.failures), ending
        case JobError(code=code):
            wanted = {Shape.FAIL: BookCode.CSV_UNREADABLE, Shape.CANCEL: Code.JOB_CANCELED}
            assert wanted.get(script.shape) == code, ending
        case _:
            raise IllegalStoryError(f"{message.type} is stored as the ending")


async def run(
    folder: Path, *, cycles: int, seed: int, first: int = 0, lanes: int = LANES, delays: tuple[float, ...] = DELAYS
) -> Tally:
    """Run so many cycles.

    Args:
        folder: for the data folder and the inputs.
        cycles: how many.
        seed: of all choices; the moments also depend on the machine.
        first: the number of the first.
        lanes: how many at once.
        delays: the clients' schedule of reconnecting, in seconds.

    Raises:
        AssertionError: a promise was broken; it is noted with the seed and the cycle.
    """
    tally, numbers = Tally(), iter(range(first, first + cycles))
    async with Server(folder / "data", SETTINGS, script=SCRIPT) as server, make_client(server.url, delays) as control:

        async def lane() -> None:
            async with AsyncExitStack() as stack:
                seats = [await stack.enter_async_context(Seat(server, delays)) for _ in range(SEATS)]
                runner = Lane(folder, server, control, seats, tally)
                for number in numbers:
                    dice = random.Random(f"{seed} {number}")  # noqa: S311 - repeatable, not secret
                    try:
                        await runner.cycle(dice, str(number))
                    except Exception as error:
                        error.add_note(f"seed {seed}, cycle {number}; the server's log: {server.log}")
                        raise

        async with asyncio.TaskGroup() as tasks:
            for _ in range(lanes):
                tasks.create_task(lane())
    assert tally.recoveries.soon >= SOON, f"returns by tries: {tally.recoveries.tries}"
    return tally


def report(tally: Tally, seconds: float) -> list[str]:
    """The run's figures, one a line."""
    heard, back = tally.heard, tally.recoveries
    struck = {fault: sum(n for name, n in tally.struck.items() if name.startswith(f"{fault},")) for fault in Fault}
    whole = sum(back.tries.values())
    lines = {
        "cycles": f"{tally.cycles:,} ({_each(tally.shapes)})",
        "followers": f"{tally.followers:,}, each with the one ending that is stored",
        "connections": f"{tally.connections:,}, of them {tally.refused:,} upgrades that a proxy refused",
        "cuts": f"{sum(struck.values()):,} ({_each(struck)})",
        "answers": _each({str(status): n for status, n in heard.statuses.items()}),
        "wrong 401s": str(heard.statuses[401]),
        "messages": f"{heard.messages.total():,} on the wires ({_each(heard.messages)}), {heard.bytes / 1e6:.1f} MB",
        "undecodable": str(heard.undecodable),
        "endings": f"{heard.endings:,} on the wires",
        "shown": f"{tally.shown:,} messages by the clients",
        "returns": f"{whole:,}, {100 * back.soon:.2f} % within two tries (by tries: {_each(back.tries)})",
        "unprovoked": f"{back.unprovoked:,} connections lost without the proxy's doing",
        "seconds": f"{seconds:.0f}",
    }
    return [f"{name:13} {value}" for name, value in lines.items()]


def _each(counts: dict[str, int] | dict[Fault, int] | Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)


def main() -> None:
    """Read the command line, run, print what it came to."""
    parser = argparse.ArgumentParser(description="Cut followers off at every moment and check what they are told.")
    parser.add_argument("--cycles", type=int, default=1000, help="jobs to follow (1000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first cycle (0)")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"jobs at once ({LANES})")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (random)")
    parser.add_argument("--delays", default=",".join(map(str, DELAYS)), help="seconds before each try to reconnect")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed  # noqa: S311 - not secret
    delays = tuple(float(delay) for delay in given.delays.split(","))
    print(f"seed {seed}", flush=True)  # noqa: T201 - a report
    since = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-drops-"))
    work = run(folder, cycles=given.cycles, seed=seed, first=given.first, lanes=given.lanes, delays=delays)
    tally = asyncio.run(work)
    shutil.rmtree(folder)  # kept where a promise was broken
    print("\n".join(report(tally, time.monotonic() - since)))  # noqa: T201 - a report


if __name__ == "__main__":
    main()
