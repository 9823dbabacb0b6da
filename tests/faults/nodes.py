"""Several nodes on one database, and all that can happen to them, with followers that move from node to node.

By hand: `python tests/faults/nodes.py --rounds 20 --seed 7`. A round makes each fault happen once, and prints in the
end how long takeovers took. The suite makes fewer through `test_nodes.py`.
"""

import argparse
import asyncio
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shelfwire.client import Client, JobHandle, Transport
from tests.faults import worker_kills
from tests.faults.cluster import LOOK_SECONDS, Cluster, Node, Row, cluster
from tests.faults.lines_worker import title
from tests.faults.witness import Witness
from tests.processes import share_certificates

NODES: Final = 3
JOBS: Final = 3
ITEMS: Final = 300
LEASE: Final = 1.5
LIMIT: Final = 2.0
"""Seconds that a takeover may take with this lease."""
DELAYS: Final = (0.05,) * 400
"""The followers' schedule of reconnecting."""
MOVE_SECONDS: Final = (0.05, 0.3)
"""How long until the balancer cuts one more connection."""
DROP_SECONDS: Final = 0.3
"""How long until the balancer gives up the connections to a node that stands still."""
PHASE_SECONDS: Final = 0.3
"""Within which a fault happens once all jobs run, so that it hits any phase of a commit and of a lease."""
STOP_SECONDS: Final = 20.0
DEAF_SECONDS: Final = 1.5
ROUND_SECONDS: Final = 120.0
QUIET_LEASES: Final = 2.2
"""Leases after which a node that the last fault disturbed takes jobs over again, and a little more."""
TITLES: Final = "SELECT index, title FROM shelfwire.item WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %s)"
ENDING: Final = "SELECT message FROM shelfwire.ending WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %s)"
DEAFEN: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"


class Fault(StrEnum):
    """What happens."""

    KILL = "node killed"
    FREEZE = "node stopped for longer than its lease"
    FREEZE_IN_TRANSACTION = "node stopped in a transaction"
    CUT_OFF = "node cut off from the database"
    TERMINATE = "node told to end"
    DEAF = "hints lost"
    RESTART = "database restarted"


TIMED: Final = (Fault.KILL, Fault.FREEZE, Fault.FREEZE_IN_TRANSACTION, Fault.CUT_OFF, Fault.TERMINATE)
"""The faults of one node, whose jobs others take over."""


class Tally(msgspec.Struct):
    """What a run came to.

    Attributes:
        takeovers: seconds from a fault until another node had made the next item of each job durable.
        cancels: seconds from a cancel at a node that does not run the job until it was canceled, with all hints lost.
        jobs: jobs that ended right.
        kept: jobs that stayed at their node while the database was restarted, and all that ran then.
        followers: followers that received the stored ending.
        connections: connections of followers, and requests of those that poll.
    """

    takeovers: dict[Fault, list[float]] = msgspec.field(default_factory=lambda: {fault: [] for fault in TIMED})
    cancels: list[float] = msgspec.field(default_factory=list)
    jobs: int = 0
    kept: tuple[int, int] = (0, 0)
    followers: int = 0
    connections: int = 0


class Round:
    """Some jobs with their followers, to which one fault happens.

    Args:
        cluster: the nodes.
        jobs: the jobs, which run.
        dice: decides whom it happens to, and when.
        tally: takes the figures.
    """

    def __init__(self, cluster: Cluster, jobs: Sequence[JobHandle], dice: random.Random, tally: Tally) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._dice = dice
        self._tally = tally
        self._fenced: dict[str, set[int]] = {}

    async def strike(self, fault: Fault) -> None:
        """Let it happen, wait until the jobs go on elsewhere, and mend what is broken."""
        await asyncio.sleep(self._dice.uniform(0, PHASE_SECONDS))
        match fault:
            case Fault.RESTART:
                await self._restart()
            case Fault.DEAF:
                await self._deafen()
            case _:
                running = [row for row in await self._cluster.rows(self._jobs) if row.status == "running"]
                name = self._dice.choice([row.node for row in running])
                (victim,) = (node for node in self._cluster.nodes if node.name == name)
                await self._strike(victim, fault)

    async def _strike(self, victim: Node, fault: Fault) -> None:
        server = victim.server
        match fault:
            case Fault.KILL:
                held = await self._held(victim)
                self._cluster.given_up.add(victim)
                await self._taken_over(fault, held, server.end(signal.SIGKILL))
                await server.start()
            case Fault.TERMINATE:
                held = await self._held(victim)
                self._cluster.given_up.add(victim)
                await self._taken_over(fault, held, server.end(signal.SIGTERM))
                await server.start()
            case Fault.CUT_OFF:
                held = await self._held(victim)
                victim.network.swallow()
                await self._taken_over(fault, held)
                victim.network.flow()
            case _:
                server.send(signal.SIGUSR1 if fault is Fault.FREEZE_IN_TRANSACTION else signal.SIGSTOP)
                await _stopped(server.pid)
                try:
                    self._cluster.given_up.add(victim)
                    await self._taken_over(fault, await self._held(victim), self._dropped(victim))
                finally:
                    server.send(signal.SIGCONT)
        self._cluster.given_up.discard(victim)

    async def _dropped(self, victim: Node) -> None:
        await asyncio.sleep(DROP_SECONDS)
        await self._cluster.front.cut_target(victim.port)

    async def _held(self, victim: Node) -> dict[str, Row]:
        rows = await self._cluster.rows(self._jobs)
        return {row.id: row for row in rows if row.status == "running" and row.node == victim.name}

    async def _taken_over(
        self, fault: Fault, held: dict[str, Row], also: Coroutine[Any, Any, object] | None = None
    ) -> None:
        """Wait until other nodes have recorded items of these jobs, and note when."""
        began = time.monotonic()
        doing = None if also is None else asyncio.create_task(also)
        claimed: dict[str, int] = {}
        waiting = dict(held)
        while waiting:
            for row in await self._cluster.rows(self._jobs):
                before = waiting.get(row.id)
                if before is None:
                    continue
                if row.attempt > before.attempt and row.id not in claimed:
                    claimed[row.id] = row.items
                    self._fenced[row.id] = await self._recorded(row.id, before.attempt)
                if row.items > claimed.get(row.id, row.items):
                    self._tally.takeovers[fault].append(time.monotonic() - began)
                elif row.status not in {"complete", "failed"}:
                    continue
                del waiting[row.id]
            await asyncio.sleep(LOOK_SECONDS)
        if doing is not None:
            await doing

    async def _recorded(self, job_id: str, attempt: int) -> set[int]:
        """Return the items that an attempt has recorded."""
        rows = msgspec.convert(await self._cluster.read(TITLES, job_id), list[tuple[int, str]])
        return {index for index, text in rows if text == title(index, attempt)}

    async def _restart(self) -> None:
        before = {row.id: row for row in await self._cluster.rows(self._jobs) if row.status == "running"}
        await asyncio.to_thread(self._cluster.database.end)
        await asyncio.sleep(self._dice.choice((0, 0, 2)))
        await asyncio.to_thread(self._cluster.database.start)
        rows = await self._cluster.until(self._jobs, lambda rows: all(row.status == "complete" for row in rows))
        kept, all_of_them = self._tally.kept
        kept += sum(row.id in before and row.attempt == before[row.id].attempt for row in rows)
        self._tally.kept = kept, all_of_them + len(before)

    async def _deafen(self) -> None:
        """Lose all hints for a while, and cancel a job meanwhile at a node that does not run it."""
        job = await worker_kills.submit(self._cluster.nodes[0].server.url, ITEMS)  # a balancer may cut it off
        (row,) = await self._cluster.until([job], lambda rows: rows[0].items > 0)
        witness = Witness(self._cluster.url, job, cut=True)
        following = asyncio.create_task(witness.follow())
        others = [node for node in self._cluster.nodes if node.name != row.node]
        deafening = asyncio.create_task(self._lose_hints())
        try:
            async with Client(self._dice.choice(others).server.url) as client:
                began = time.monotonic()
                await client.cancel(job)
            (row,) = await self._cluster.until([job], lambda rows: rows[0].status not in {"running", "canceling"})
            self._tally.cancels.append(time.monotonic() - began)
            await following
        finally:
            deafening.cancel()
            following.cancel()
        assert row.status == "canceled", row
        assert witness.ending == (await self._cluster.read(ENDING, job.job_id))[0][0]

    async def _lose_hints(self) -> None:
        for _ in range(round(DEAF_SECONDS / LOOK_SECONDS)):
            await self._cluster.read(DEAFEN)
            await asyncio.sleep(LOOK_SECONDS)

    async def check(self, witnesses: Sequence[Witness], items: int) -> None:
        """Check that every job ended right, that its followers know it, and that nothing late was let in."""
        async with Client(self._cluster.url) as client:
            for job, witness in zip(self._jobs, witnesses, strict=True):
                await worker_kills.check(client, job, items)
                ((ending,),) = await self._cluster.read(ENDING, job.job_id)
                assert witness.ending == ending, f"{witness.ending} instead of {ending}"
                self._tally.jobs += 1
        for row in await self._cluster.rows(self._jobs):
            assert row.status == "complete", row
            if (then := self._fenced.get(row.id)) is not None:
                late = await self._recorded(row.id, 1) - then
                assert not late, f"attempt 1 of {row.id} has recorded {late} after it was taken over"


async def one_round(cluster: Cluster, fault: Fault, items: int, dice: random.Random, tally: Tally) -> None:
    """Run some jobs with followers on every transport that move from node to node, let a fault happen, and check."""
    jobs = [await worker_kills.submit(cluster.url, items) for _ in range(JOBS)]
    running = Round(cluster, jobs, dice, tally)
    witnesses = [Witness(cluster.url, job, cut=True) for job in jobs]
    before = cluster.front.connections
    async with asyncio.timeout(ROUND_SECONDS):
        async with asyncio.TaskGroup() as tasks:
            moving = tasks.create_task(_move(cluster, dice))
            async with asyncio.TaskGroup() as following:
                for witness in witnesses:
                    following.create_task(witness.follow())
                for job, transport in itertools.product(jobs, Transport):
                    following.create_task(worker_kills.follow(cluster.url, job, transport, DELAYS))
                for witness in witnesses:
                    await witness.sees(lambda witness=witness: witness.processed > 0)  # type: ignore[misc]
                await running.strike(fault)
            moving.cancel()
        await running.check(witnesses, items)
    tally.followers += JOBS * (1 + len(Transport))
    tally.connections += cluster.front.connections - before


async def _stopped(pid: int) -> None:
    """Wait until a process stands still."""
    for _ in range(round(STOP_SECONDS / LOOK_SECONDS)):
        if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"process {pid} has not stopped within {STOP_SECONDS} s")


async def _move(cluster: Cluster, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(*MOVE_SECONDS))
        await cluster.front.cut_one(dice)


async def hunt(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    lease: float = LEASE,
    items: int = ITEMS,
    count: int = NODES,
    quiet: float = QUIET_LEASES,
) -> Tally:
    """Let each fault happen so often.

    Args:
        folder: for the nodes' data.
        rounds: how often each fault happens.
        seed: of all choices; the moments also depend on the machine.
        lease: seconds.
        items: of each job.
        count: the number of nodes.
        quiet: leases to wait before a fault of one node.

    Raises:
        AssertionError: a promise was broken; it is noted with the seed and where the nodes' logs are.
    """
    dice, tally = random.Random(seed), Tally()  # noqa: S311 - repeatable, not secret
    async with cluster(folder, count, lease) as made:
        for number, fault in itertools.product(range(rounds), Fault):
            if fault in TIMED:
                await asyncio.sleep(quiet * lease)
            try:
                await one_round(made, fault, items, dice, tally)
            except BaseException as error:
                error.add_note(f"seed {seed}, round {number}, {fault}, after {tally}; the nodes' logs are in {folder}")
                raise
    return tally


def report(tally: Tally, seconds: float) -> list[str]:
    """The run's figures, one a line."""
    lines = [f"{'':42} {'number':>6} {'p50 s':>6} {'p99 s':>6} {'max s':>6} {'limit':>6} {'max of limit':>12}"]
    every = [one for found in tally.takeovers.values() for one in found]
    for name, found in [*tally.takeovers.items(), ("all takeovers", every), ("cancel with hints lost", tally.cancels)]:
        if found:
            ranked = sorted(found)
            p50, p99 = (ranked[min(len(ranked) - 1, len(ranked) * share // 100)] for share in (50, 99))
            figures = f"{p50:6.2f} {p99:6.2f} {ranked[-1]:6.2f} {LIMIT:6.1f} {ranked[-1] / LIMIT:12.2f}"
            lines.append(f"{name:42} {len(ranked):6} {figures}")
    within = sum(one <= LIMIT for one in every)
    kept, restarted = tally.kept
    return [
        *lines,
        f"{within} of {len(every)} takeovers within {LIMIT} s",
        f"{kept} of {restarted} jobs stayed at their nodes while the database was restarted",
        f"{tally.jobs} jobs ended once with every item once",
        f"{tally.followers} followers received the stored ending, over {tally.connections} connections",
        f"{seconds:.0f} s",
    ]


def main() -> None:
    """Read the command line, hunt, print how long takeovers took."""
    parser = argparse.ArgumentParser(description="Harm the nodes of a cluster and its database, and look for damage.")
    parser.add_argument("--rounds", type=int, default=20, help="how often each fault happens (20)")
    parser.add_argument("--nodes", type=int, default=NODES, choices=(2, 3), help=f"nodes ({NODES})")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices (random)")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed  # noqa: S311 - not secret
    before = f"seed {seed}, {given.nodes} nodes, lease {LEASE} s, load before {os.getloadavg()[0]:.2f}"
    print(before, flush=True)  # noqa: T201 - a report
    share_certificates()  # to make a client takes long otherwise, and the networks of the nodes stand still meanwhile
    folder, since = Path(tempfile.mkdtemp(prefix="shelfwire-nodes-")), time.monotonic()
    tally = asyncio.run(hunt(folder, rounds=given.rounds, seed=seed, count=given.nodes))
    shutil.rmtree(folder)  # kept where a promise was broken
    print("\n".join(report(tally, time.monotonic() - since)))  # noqa: T201 - a report


if __name__ == "__main__":
    main()
