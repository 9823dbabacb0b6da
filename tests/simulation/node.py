"""A server of the simulation: one process after the other, each with the real application, on the same data."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final

from shelfwire.app import Shelfwire
from shelfwire.jobs.outbox import Announce
from shelfwire.jobs.store import EncodeTerminal
from shelfwire.settings import Settings
from tests.simulation.loop import Process
from tests.simulation.pipelines import behaviors
from tests.simulation.plans import EPOCH
from tests.simulation.store import FaultyStore, WatchedStore

if TYPE_CHECKING:
    from tests.simulation.network import Connection
    from tests.simulation.world import World

SHORTEST: Final = 1e-6
"""Seconds that a wait takes at least: while nothing takes time, a shorter one could be repeated for ever."""


class NodeClock:
    """The clock of one process: somebody may set what people see.

    Args:
        world: where it is.
        node: whose clock it is, if it is not the world's.
    """

    def __init__(self, world: "World", node: "Node | None" = None) -> None:
        self._loop = world.loop
        self._world = world
        self._node = node
        shared = world.plan.conditions.nodes > 1
        self._started = world.clock_offset if node is None or not shared else node.skew

    def now(self) -> int:
        own = 0 if self._node is None else self._node.clock_offset
        return EPOCH + self._world.elapsed + own

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

    Args:
        world: where it is.
        number: from 0.

    Attributes:
        number: as given.
        clock_offset: milliseconds by which its clock was set forward.
        skew: milliseconds by which its clock of leases is wrong.
        running: the attempts that run here, by job.
        up: whether there is a process.
        serving: whether it listens.
        app: the application of the living process.
        connections: those that are open.
    """

    def __init__(self, world: "World", number: int) -> None:
        self._world = world
        self.number = number
        self._name = f"node {number}." if world.plan.conditions.nodes > 1 else "node "
        self.clock_offset = 0
        self.skew = round(1000 * world.plan.conditions.skew * (2 * world.stream("skew", number).random() - 1))
        self.running: Counter[tuple[str, int]] = Counter()
        self._lives = 0
        self.up = self.serving = False
        self.connections: dict[Connection, None] = {}
        self.process = Process(self._name)
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
        self.process = Process(f"{self._name}{self._lives}")
        world.disk.executed = world.disk.answered = world.loop.now
        world.trace(f"{self.process.name} starts")
        dice = world.stream(*self._stream("node"))
        conditions = world.plan.conditions
        settings = Settings(
            flush_interval=conditions.flush_interval,
            lease=conditions.lease,
            stall_after=conditions.stall_after,
            token_ttl=conditions.token_ttl,
            job_ttl=conditions.job_ttl,
            workers=conditions.workers,
        )
        clock = NodeClock(world, self)
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
        self.running = Counter()
        world.database.leave(self._store)
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
            await asyncio.sleep(world.stream(*self._stream("stop")).random() * 0.2)
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

    def _open_store(
        self, *, encode_terminal: EncodeTerminal, steady: Callable[[], int], announce: Announce
    ) -> FaultyStore:
        world = self._world
        self._store = WatchedStore(
            encode_terminal=encode_terminal,
            steady=steady,
            database=world.database,
            announce=announce,
            shared=world.plan.conditions.nodes > 1,
        )
        return FaultyStore(self._store, world.disk, self.number)

    def _stream(self, name: str) -> tuple[object, ...]:
        return (name, self._lives) if self.number == 0 else (name, self.number, self._lives)

    @contextlib.contextmanager
    def _running(self, job_id: str, created_at: int) -> Iterator[None]:
        """Note that an attempt at a job runs here; the id's next job is another one."""
        oracles, running = self._world.oracles, self.running
        job = job_id, created_at
        running[job] += 1
        if running[job] > 1:
            oracles.violated("engine", f"{job_id} was taken over by the process that runs it")
        try:
            yield
        finally:
            running[job] -= 1
