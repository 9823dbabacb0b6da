"""One history: a node with the real application, its disk, its network, its owners and followers, run by a plan."""

import asyncio
import contextlib
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec
import pytest
import structlog

from shelfwire import app as application
from shelfwire import clock as clocks
from shelfwire import tracing
from shelfwire.app import Shelfwire
from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError
from shelfwire.client.following import Following
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.hub import Channel
from shelfwire.jobs.service import JobService, Token
from shelfwire.jobs.store import Committed, EncodeTerminal
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.reconnect import Transport
from shelfwire.protocol.tokens import ALL_SCOPES, Scope, digest
from shelfwire.settings import Settings
from tests.simulation.loop import MOST_STEPS, Process, SimulatedLoop
from tests.simulation.network import Connection, SimulatedHttp
from tests.simulation.oracles import Oracles, Story, Violation
from tests.simulation.pipelines import behaviors
from tests.simulation.plans import FAULTS_END, RETRIES, Act, FollowerPlan, Plan
from tests.simulation.store import Disk, FaultyStore, WatchedDatabase, WatchedStore

EPOCH: Final = 1_700_000_000_000
SWEEP_SECONDS: Final = 7.0
HOUR: Final = 3600.0
TICK: Final = 2.0
"""Seconds between two looks at whether everything has come to its end."""
SETTLING: Final = 6.0
SHORTEST: Final = 1e-6
"""Seconds that a wait takes at least: while nothing takes time, a shorter one could be repeated for ever."""
AGAIN: Final = 3.0
"""Seconds after which somebody who gave up tries again."""


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


class NodeClock:
    """The clock of one process: somebody may set what people see."""

    def __init__(self, world: "World") -> None:
        self._loop = world.loop
        self._world = world
        self._started = world.clock_offset

    def now(self) -> int:
        return self._world.now

    def steady(self) -> int:
        return EPOCH + self._started + int(self._loop.now * 1000)

    def monotonic(self) -> float:
        return self._loop.now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, SHORTEST)):
                await event.wait()


class Node:
    """A server: one process after the other on the same data.

    Attributes:
        up: whether there is a process.
        serving: whether it listens.
        app: the application of the living process.
        connections: those that are open.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._lives = 0
        self.up = self.serving = False
        self.connections: dict[Connection, None] = {}
        self.process = Process("node")
        self.app: Shelfwire
        self._store: WatchedStore
        self._leaving: asyncio.Event
        self._down = 0.0
        self._handlers: dict[asyncio.Task[Any], None] = {}

    def boot(self) -> None:
        if self.up:
            return
        world = self._world
        self._lives += 1
        self.process = Process(f"node {self._lives}")
        world.disk.executed = world.disk.answered = world.loop.now
        world.trace("the node starts")
        dice = world.stream("node", self._lives)
        conditions = world.plan.conditions
        settings = Settings(
            flush_interval=conditions.flush_interval,
            lease=conditions.lease,
            stall_after=conditions.stall_after,
            token_ttl=conditions.token_ttl,
            job_ttl=conditions.job_ttl,
            workers=conditions.workers,
        )
        clock = NodeClock(world)
        pipelines = behaviors(world.stream, world.paid, self._running)
        self.app = Shelfwire(
            settings,
            pipelines=pipelines,
            plugins=[],
            clock=clock,
            random_bytes=dice.randbytes,
            open_store=self._open_store,
        )
        self.up = True
        self._handlers = {}
        world.loop.spawn(self.process, self._live())

    def crash(self, *, silently: bool = False) -> None:
        """End the process as `kill -9` does."""
        world = self._world
        self.up = self.serving = False
        world.loop.kill(self.process)
        world.running = Counter()
        world.database.stores.clear()
        for connection in list(self.connections):
            connection.die(silently=silently)
        self.connections.clear()

    def stop(self, down: float) -> None:
        """End the process as it ends by itself when it is told to, and start another one later."""
        self._leaving.set()
        self._down = down

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something that a server waits for before it ends, and cancels when it takes too long."""
        task = self._world.loop.spawn(self.process, coroutine)
        self._handlers[task] = None
        task.add_done_callback(lambda done: self._handlers.pop(done, None))

    async def _live(self) -> None:
        world = self._world
        self._leaving = asyncio.Event()
        async with self.app.lifespan():
            self.serving = True
            await self._leaving.wait()
            self.serving = False
            self.app.service.dismiss_followers()
            await asyncio.sleep(world.stream("stop", self._lives).random() * 0.2)
            for task in [*self._handlers]:
                task.cancel()
            if self._handlers:
                await asyncio.wait([*self._handlers])
        world.oracles.saw("a server stopped")
        world.loop.outside(0, self._ended, self._lives)

    def _ended(self, life: int) -> None:
        if self.up and life == self._lives:
            self.crash()
            self._world.loop.outside(self._down, self.boot)

    def _open_store(self, *, encode_terminal: EncodeTerminal, steady: Callable[[], int]) -> FaultyStore:
        world = self._world
        store = WatchedStore(encode_terminal=encode_terminal, steady=steady, database=world.database)
        return FaultyStore(store, world.disk)

    @contextlib.contextmanager
    def _running(self, job_id: str) -> Iterator[None]:
        """Note that an attempt at a job runs here; the id's next job is another one."""
        oracles, running = self._world.oracles, self._world.running
        job = job_id, len(oracles.generations[job_id])
        running[job] += 1
        if running[job] > 1:
            oracles.violated("engine", f"{job_id} was taken over by the process that runs it")
        try:
            yield
        finally:
            running[job] -= 1


class Owned:
    """A job, as its owner knows it: the tokens, the first one first."""

    def __init__(self) -> None:
        self.tokens: list[JobHandle] = []


class Follower:
    """Somebody who follows a job until its ending, whatever happens.

    Attributes:
        state: `waits` for a token, `follows`, `away`, `ended`, `refused` or `lost`.
        handle: the token it uses.
    """

    def __init__(self, world: "World", number: int, plan: FollowerPlan) -> None:
        self.plan = plan
        self.state = "waits"
        self.handle: JobHandle | None = None
        self._world = world
        self._number = number
        self._visits = 0
        self._following: Following | None = None
        self._process = Process(f"follower {number}")
        dice = world.stream("follower", number)
        self._dice = dice
        transports = tuple(Transport) if plan.by == "all" else (Transport(plan.by),)
        http = SimulatedHttp(world, plan.window, lambda connection: world.stream("connection", number, connection))
        self._client = Client(
            "http://simulated", http=http, clock=NodeClock(world), transports=transports, random_fraction=dice.random
        )

    def begin(self) -> None:
        owned = self._world.owned.get(self.plan.job)
        if owned is None or not owned.tokens:
            self._world.loop.outside(0.5, self.begin)
            return
        if self.state in {"waits", "lost"}:
            self.handle = owned.tokens[self.plan.token % len(owned.tokens)]
        self.state = "follows"
        self._world.loop.spawn(self._process, self._follow())

    def network(self, *, lost: bool) -> None:
        """The device says that its network is gone, or back."""
        if self._following is not None and self.state == "follows":
            change = self._following.network_lost if lost else self._following.network_restored
            self._world.loop.within(self._process, change)

    async def _follow(self) -> None:
        world, handle = self._world, self.handle
        assert handle is not None
        self._visits += 1
        story = Story(world.oracles, digest(handle.token), fresh=True, interval=None)
        shown = 0
        try:
            async with self._client.follow(handle, on_token=self._replace) as following:
                self._following = following
                async for message in following:
                    story.hear(message)
                    shown += 1
                    if self.plan.slow:
                        await asyncio.sleep(self._dice.random() * self.plan.slow)
                    if self._leaves(shown):
                        return
            self.state = "ended" if story.ending else "broken"
        except RefusedError as error:
            self.state = "refused"
            world.trace(f"follower {self._number} was refused: {error}")
        except ConnectionLostError:
            self.state = "lost"
            world.oracles.saw("a client gave up")
            world.loop.outside(AGAIN, self.begin)

    def _replace(self, handle: JobHandle) -> None:
        self.handle = handle
        self._world.oracles.saw("a client replaced its token")

    def _leaves(self, shown: int) -> bool:
        plan = self.plan
        flickers = self._visits <= plan.flickers
        if not flickers and not (shown == plan.leaves and self._visits == plan.flickers + 1):
            return False
        self.state = "away"
        self._world.oracles.saw("a follower left and came back")
        self._world.loop.outside(0.02 + self._dice.random() * (0.3 if flickers else 5), self.begin)
        return True


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
        self.oracles = Oracles(lambda: self.loop.now, self.trace)
        self.troubled = True
        self.clock_offset = 0
        self._latest = 0
        self.running: Counter[tuple[str, int]] = Counter()
        self.paid_for: Counter[tuple[str, int]] = Counter()
        self.owned: dict[int, Owned] = {}
        self.database = WatchedDatabase(self.oracles)
        self.disk = Disk(self.loop, self.stream("disk"), conditions)
        self.node = Node(self)
        self.followers = [Follower(self, number, follower) for number, follower in enumerate(plan.followers)]

    def stream(self, *name: object) -> random.Random:
        """A source of chance of this history; each has a name, so that one act more or less changes few others."""
        return random.Random(f"{self.plan.schedule}/{name}")  # noqa: S311 - repeatable, not secret

    @property
    def now(self) -> int:
        """What a clock on the wall shows."""
        return EPOCH + self.clock_offset + int(self.loop.now * 1000)

    def trace(self, what: str) -> None:
        if self._write is not None:
            self._write(f"{self.loop.now:9.4f} {what}")

    def paid(self, job_id: str, item: int) -> None:
        self.paid_for[job_id, item] += 1
        if self.paid_for[job_id, item] > 1:
            self.oracles.saw("an answer was paid for twice")

    def run(self) -> Outcome:
        loop, plan = self.loop, self.plan
        self.node.boot()
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
        self.trace(f"act: {act.do} {act.job}")
        match act.do:
            case "crash":
                if self.node.up:
                    self.oracles.saw("a crash")
                    self.node.crash(silently=act.silent)
                    self.loop.outside(act.down, self.node.boot)
            case "stop":
                if self.node.serving:
                    self.node.stop(act.down)
            case "freeze":
                self.oracles.saw("a freeze")
                self.loop.freeze(self.node.process)
                self.loop.outside(act.down, self.loop.thaw, self.node.process)
            case "disk fails" | "disk hangs" | "disk loses":
                self.disk.outage = (self.loop.now + act.down, act.do.removeprefix("disk "), act.calls)
            case "clock":
                self.oracles.saw("the clock was set " + ("forward" if act.seconds > 0 else "back"))
                self._latest = max(self._latest, self.now)
                self.clock_offset += round(act.seconds * 1000)
            case "network lost" | "network restored":
                self.followers[act.follower].network(lost=act.do == "network lost")
            case _:
                self._ask(act)

    def _make_peace(self) -> None:
        self.trace("peace")
        self.troubled = self.disk.troubled = False
        self.loop.thaw(self.node.process)
        self.node.boot()
        for job in self.owned if self.plan.conditions.resumes else ():
            self.loop.outside(1.0, self._ask, Act(at=0, do="resume", job=job))

    # Owners.

    def _ask(self, act: Act) -> None:
        if self.node.serving:
            self.node.spawn(self._owner(act))
        elif act.do in {"create", "resume"}:
            self.loop.outside(1.0, self._ask, act)

    async def _owner(self, act: Act) -> None:
        try:
            async with asyncio.timeout(act.cut_off):
                await self._call(act, self.node.app.service)
            self.oracles.saw(f"owner: {act.do}")
        except TimeoutError:
            self.oracles.saw(f"owner: {act.do} was cut off")
        except ShelfwireError as error:
            self.trace(f"owner: {act.do} refused: {error}")
            self.oracles.saw(f"owner: {act.do} was refused")
            if act.do in {"create", "resume"} and error.retryable:
                self.loop.outside(1.0, self._ask, act)

    async def _call(self, act: Act, service: JobService) -> None:
        owned = self.owned.setdefault(act.job, Owned())
        if act.do == "create":
            await self._create(act, service, owned)
            return
        if not owned.tokens:
            return
        handle = owned.tokens[0]
        if act.do == "revoke":
            handle = owned.tokens[int(act.which * len(owned.tokens))]
            grant = await service.authorize(handle.job_id, handle.token, Scope.WATCH)
            await service.revoke(grant)
            self.trace("a token is revoked")
            self.oracles.revoked.setdefault(grant.digest, self.loop.now)
            return
        grant = await service.authorize(handle.job_id, handle.token, Scope.CONTROL)
        match act.do:
            case "cancel" | "pause" | "resume":
                committed: Committed = await getattr(service, act.do)(grant.job_id)
                document = {"seq": committed.state.seq, "status": str(committed.state.status)}
                self.oracles.answered({**document, "processedCount": committed.state.processed}, grant.digest)
            case "delete":
                await service.delete(grant.job_id)
            case "retry":
                retry = self.owned.setdefault(act.job + RETRIES, Owned())
                retry.tokens.insert(0, _handle(await service.retry(grant.job_id, grant)))
            case "token":
                scopes = frozenset({Scope.WATCH}) if act.which < 0.5 else ALL_SCOPES
                owned.tokens.append(_handle(await service.derive_token(grant, scopes=scopes)))
            case "results":
                page = await service.results(grant.job_id, after=-1, limit=1000, ok=None)
                if page.next is not None and [item.index for item in page.items] != list(range(len(page.items))):
                    self.oracles.violated("7 page", f"{[item.index for item in page.items]}")

    async def _create(self, act: Act, service: JobService, owned: Owned) -> None:
        job_id = str(self.stream("id", act.job).getrandbits(100)) if act.own_id else None
        async with service.upload() as upload:
            await upload.write("file", msgspec.json.encode(act.work))
            token = await service.create(upload, act.kind, Metadata(file_name="a.csv"), job_id=job_id)
        owned.tokens.insert(0, _handle(token))

    # The end.

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
        if not leaps and self.database.jobs[grant.job_id].state.expires_at > max(self._latest, self.now):
            self.oracles.violated("4 refused", f"a follower of {grant.job_id} was refused with a valid token")

    def _look_for_leftovers(self) -> None:
        """Check that after two minutes nothing is left of what is over, and that all parts of the engine live."""
        waiting = sum(follower.state == "follows" for follower in self.followers)
        left = ""
        for _ in range(12):
            self.loop.run(self.loop.now + 10)
            service = self.node.app.service
            left = f"{len(service._worker._runs)} attempts, {service._hub.followers} followers"
            if not service._worker._runs and service._hub.followers <= waiting:
                break
        else:
            self.oracles.violated("6 leftovers", left)
        if not self.node.app.service._healthy():
            self.oracles.violated("engine", "a part of the engine has ended, or commits still fail")


def _handle(token: Token) -> JobHandle:
    return JobHandle(token.job_id, token.token, token.expires_at)


@contextlib.contextmanager
def _replaced(world: World) -> Iterator[None]:
    """Put the world's chance, loop and logs in place of the system's, and watch the channels of the hub."""
    offer, configuration = Channel.offer, structlog.get_config()

    def watched(channel: Channel, committed: Committed) -> None:
        before = channel.newest
        offer(channel, committed)
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
