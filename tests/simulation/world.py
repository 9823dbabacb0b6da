"""One history: a node, its disk, its network, its owners and followers, run by a plan."""

import asyncio
import contextlib
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

import pytest
import structlog

from shelfwire import app as application
from shelfwire import clock as clocks
from shelfwire import tracing
from shelfwire.jobs.hub import Channel
from shelfwire.jobs.store import Committed
from shelfwire.protocol.job import Status
from shelfwire.protocol.tokens import digest
from tests.simulation.loop import MOST_STEPS, SimulatedLoop
from tests.simulation.node import Node
from tests.simulation.oracles import Oracles, Violation
from tests.simulation.people import Follower, Owners
from tests.simulation.plans import EPOCH, FAULTS_END, Act, Plan
from tests.simulation.store import Disk, WatchedDatabase

SWEEP_SECONDS: Final = 7.0
HOUR: Final = 3600.0
TICK: Final = 2.0
"""Seconds between two looks at whether everything has come to its end."""
SETTLING: Final = 6.0


class Outcome(NamedTuple):
    """How a history went.

    Attributes:
        violations: what was broken.
        seen: how often each state was reached.
        steps: callbacks that ran.
        seconds: virtual time.
    """

    violations: list[Violation]
    seen: Counter[str]
    steps: int
    seconds: float

    @property
    def signature(self) -> str:
        """Equal for equal histories."""
        whole = (self.steps, round(self.seconds, 6), sorted(self.seen.items()), self.violations)
        return hashlib.sha256(repr(whole).encode()).hexdigest()[:16]


class World:
    """Everything in one history.

    Args:
        plan: what happens.
        trace: receives what happens, for people.
    """

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        conditions = plan.conditions
        self.loop = SimulatedLoop(  # type: ignore[abstract]  # nothing uses the rest
            self.stream("schedule"), shuffled=conditions.shuffled, stepping=conditions.stepping
        )
        self._write = trace
        self.oracles = Oracles(lambda: self.loop.now, conditions, self.trace)
        self.troubled = True
        self.clock_offset = 0
        self._latest = EPOCH
        self.paid_for: Counter[tuple[str, int]] = Counter()
        self.owners = Owners(self)
        self.database = WatchedDatabase(self.oracles)
        self.disk = Disk(self.loop, self.stream("disk"), conditions, self.oracles.saw)
        self.nodes = [Node(self, number) for number in range(conditions.nodes)]
        self.followers = [Follower(self, number, follower) for number, follower in enumerate(plan.followers)]

    def stream(self, *name: object) -> random.Random:
        """A source of chance of this history; each has a name, so that one act more or less changes few others."""
        return random.Random(f"{self.plan.schedule}/{name}")  # noqa: S311 - repeatable, not secret

    @property
    def elapsed(self) -> int:
        """Milliseconds since the beginning, as the clock on the wall has it."""
        return self.clock_offset + int(self.loop.now * 1000)

    def serving(self, node: int | None, dice: random.Random) -> Node | None:
        """A server that listens, as a balancer finds one; None if there is none."""
        serving = [one for one in self.nodes if one.serving and node in {None, one.number}]
        return dice.choice(serving) if len(serving) > 1 else next(iter(serving), None)

    def trace(self, what: str) -> None:
        if self._write is not None:
            self._write(f"{self.loop.now:9.4f} {what}")

    def paid(self, job_id: str, item: int) -> None:
        self.paid_for[job_id, item] += 1
        if self.paid_for[job_id, item] > 1:
            self.oracles.saw("an answer was paid for twice")

    def run(self) -> Outcome:
        loop, plan = self.loop, self.plan
        for node in self.nodes:
            node.boot()
        for act in plan.acts:
            loop.outside(act.at, self._act, act)
        for follower in self.followers:
            loop.outside(follower.plan.at, follower.begin)
        loop.outside(FAULTS_END, self._make_peace)
        end = FAULTS_END + plan.conditions.patience
        while loop.now < end and loop.steps < MOST_STEPS and not self._over():
            loop.run(loop.now + TICK)
        if not self.oracles.violations:
            self._look_at_the_end()
        return Outcome(list(self.oracles.violations), self.oracles.seen.copy(), loop.steps, loop.now)

    def _over(self) -> bool:
        """Whether nothing can happen any more, or something was broken."""
        if self.oracles.violations:
            return True
        calm = self.loop.now > self.plan.last + SETTLING and (self.loop.now > FAULTS_END + SETTLING or self._idle())
        return calm and self._idle()

    def _idle(self) -> bool:
        jobs_rest = all(job.state.ended or job.state.status is Status.PAUSED for job in self.database.jobs.values())
        waits_for_resume = self.plan.conditions.resumes and self.loop.now < FAULTS_END + SETTLING
        paused = any(job.state.status is Status.PAUSED for job in self.database.jobs.values())
        return jobs_rest and not (paused and waits_for_resume) and all(map(self._is_content, self.followers))

    def _is_content(self, follower: Follower) -> bool:
        """Whether a follower has what it is promised."""
        if follower.state in {"ended", "refused"} or follower.handle is None:
            return True
        job = self.database.jobs.get(follower.handle.job_id)
        paused = job is not None and job.state.status is Status.PAUSED
        return follower.state == "follows" and paused

    def _act(self, act: Act) -> None:
        self.trace(f"act: {act.do} {act.job if act.node is None else f'of node {act.node}'}")
        node = self.nodes[act.node or 0]
        match act.do:
            case "crash":
                if node.up:
                    self.oracles.saw("a crash")
                    node.crash(silently=act.silent)
                    self.loop.outside(act.down, node.boot)
            case "stop":
                if node.serving:
                    node.stop(act.down)
            case "freeze":
                self.oracles.saw("a freeze")
                self.loop.freeze(node.process)
                self.loop.outside(act.down, self.loop.thaw, node.process)
            case "disk fails" | "disk hangs" | "disk loses":
                self.disk.fail(self.loop.now + act.down, act.do.removeprefix("disk "), act.calls, act.node)
            case "clock":
                self._set_clock(act)
            case "network lost" | "network restored":
                self.followers[act.follower].network(lost=act.do == "network lost")
            case _:
                self.owners.ask(act)

    def _set_clock(self, act: Act) -> None:
        self.oracles.saw("the clock was set " + ("forward" if act.seconds > 0 else "back"))
        self._latest = max(self._latest, self._furthest())
        if act.node is None:
            self.clock_offset += round(act.seconds * 1000)
        else:
            self.nodes[act.node].clock_offset += round(act.seconds * 1000)

    def _furthest(self) -> int:
        """The time by the clock that is ahead of the others."""
        return EPOCH + self.elapsed + max(node.clock_offset for node in self.nodes)

    def _make_peace(self) -> None:
        self.trace("peace")
        self.troubled = self.disk.troubled = False
        for node in self.nodes:
            self.loop.thaw(node.process)
            node.boot()
        for job in self.owners.jobs if self.plan.conditions.resumes else ():
            self.loop.outside(1.0, self.owners.ask, Act(at=0, do="resume", job=job))

    def _look_at_the_end(self) -> None:
        if self.loop.steps >= MOST_STEPS:
            self.oracles.violated("engine", f"it is busy without end: {self.loop.steps} steps")
        for error in self.loop.errors:
            self.oracles.violated("engine", repr(error))
        for job in self.database.jobs.values():
            if not job.state.ended and job.state.status is not Status.PAUSED:
                self.oracles.violated("4 waiting", f"a job does not end: {job.state}")
        for number, follower in enumerate(self.followers):
            if not self._is_content(follower):
                self.oracles.violated("3 waiting", f"follower {number} is {follower.state} and has no ending")
            elif follower.state == "refused":
                if self.plan.conditions.steadfast:
                    self.oracles.violated("3 waiting", f"follower {number} was refused before it had the ending")
                self._check_refusal(follower)
        if not self.oracles.violations:
            self._look_for_leftovers()

    def _check_refusal(self, follower: Follower) -> None:
        assert follower.handle is not None
        token = digest(follower.handle.token)
        grant = self.database.grants.get(token)
        if grant is None or token in self.oracles.revoked or grant.expires_at is not None:
            return
        leaps = any(abs(act.seconds) > HOUR for act in self.plan.acts)  # a job may expire, and then go on all the same
        if not leaps and self.database.jobs[grant.job_id].state.expires_at > max(self._latest, self._furthest()):
            self.oracles.violated("4 refused", f"a follower of {grant.job_id} was refused with a valid token")

    def _look_for_leftovers(self) -> None:
        """Check that after two minutes nothing is left of what is over, and that all parts of the engine live."""
        waiting = sum(follower.state == "follows" for follower in self.followers)
        for _ in range(12):
            self.loop.run(self.loop.now + 10)
            services = [node.app.service for node in self.nodes]
            attempts = sum(len(service._workers.inside._runs) for service in services)
            followers = sum(service._hub.followers for service in services)
            is_empty = not attempts and followers <= waiting
            is_healthy = not any(one.readiness.problems() for one in services)
            if is_empty and is_healthy:  # a store that loses answers may have lost the last one
                break
        else:
            if not is_empty:
                self.oracles.violated("6 leftovers", f"{attempts} attempts, {followers} followers")
        if not is_healthy:
            self.oracles.violated("engine", "a part of the engine has ended, or commits still fail")


@contextlib.contextmanager
def _replaced(world: World) -> Iterator[None]:
    """Put the world's chance, loop and logs in place of the system's, and watch the channels of the hub."""
    offer, configuration = Channel.offer, structlog.get_config()

    def watched(channel: Channel, committed: Committed, at: float | None = None) -> None:
        before = channel.newest
        offer(channel, committed, at)
        if before is None or channel.newest is None:
            return
        if committed.state.seq < before.state.seq:
            after = " after the ending" if before.state.ended else ""
            world.oracles.saw(f"an older row was offered{after}")
        if channel.newest.state.seq < before.state.seq:
            world.oracles.violated("2 channel", f"{before.state.seq} -> {channel.newest.state.seq}")

    asyncio._set_running_loop(world.loop)
    structlog.configure(processors=[_Log(world)], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clocks, "random", world.stream("backoff"))
            patch.setattr(tracing, "installed", False)
            patch.setattr(application, "SWEEP_SECONDS", SWEEP_SECONDS)
            # Nothing is installed, and what checks declarations would take half of the time of a history.
            patch.setattr(application, "compose", lambda _, pipelines: {own.name: own for own in pipelines})
            patch.setattr(application, "check_names", lambda *_: None)
            patch.setattr(application, "GRACE_SECONDS", world.plan.conditions.grace)
            patch.setattr(Channel, "offer", watched)
            yield
    finally:
        structlog.configure(**configuration)
        asyncio._set_running_loop(None)


class _Log:
    """Takes the warnings of a world's processes."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, _: Any, level: str, event: MutableMapping[str, Any]) -> Any:
        self._world.trace(f"log: {level} {event}")
        if level == "critical":
            self._world.oracles.violated("engine", str(event))
        raise structlog.DropEvent


def run(plan: Plan, trace: Callable[[str], None] | None = None) -> Outcome:
    """Run a history."""
    world = World(plan, trace)
    with _replaced(world):
        try:
            return world.run()
        finally:
            world.loop.close()
