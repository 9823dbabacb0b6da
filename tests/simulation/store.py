"""The disk between a node and its data: it takes time, keeps order, fails, hangs and loses answers."""

import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Self

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.nodes import REREAD_SECONDS, Hint, HintKind, Lane, Link, News, Position
from shelfwire.jobs.outbox import Outbox
from shelfwire.jobs.store import Change, Committed, EncodeTerminal, Swept
from shelfwire.protocol.job import HELD, JobState, Policy
from shelfwire.protocol.tokens import Grant
from shelfwire.testing import MemoryDatabase, MemoryStore
from shelfwire.testing.memory import MemoryJob
from shelfwire.testing.memory_nodes import MemoryNodes
from tests.simulation.loop import WORLD, SimulatedLoop, process
from tests.simulation.oracles import Oracles
from tests.simulation.plans import Conditions

OF_NODES: Final = frozenset({"reread", "next_due", "admit", "change_lane"})
READS: Final = frozenset(
    {"read_input", "inputs", "kept", "grant", "job", "items", "counts", "expired", "claimable", "recorded"}
    | {"reread", "next_due", "ahead"}
)
INSTANT: Final = 1e-7
"""Seconds between two things of which one comes first."""
HEALED: Final = 0.2
"""The share of lost hints after which a node learns that it was deaf."""
LONGEST: Final = 6.0
"""Seconds that a call hangs, or that its answer is late, at most."""


class WatchedDatabase(MemoryDatabase):
    """A database that shows the oracles all that is committed.

    Attributes:
        acting: the process whose call is executed.
    """

    def __init__(self, oracles: Oracles) -> None:
        super().__init__()
        self.oracles = oracles
        self.acting = WORLD

    def insert(self, job: MemoryJob) -> None:
        super().insert(job)
        self.oracles.created(job)

    def write(
        self, job: MemoryJob, state: JobState, encode_terminal: EncodeTerminal, results: msgspec.Raw | None = None
    ) -> None:
        before = job.state
        super().write(job, state, encode_terminal, results)
        self.oracles.committed(job, before)
        if state.attempt > before.attempt:
            self.oracles.claimed(state.id, before, self.acting)

    def erase(self, job_id: str) -> None:
        self.oracles.erased(self.jobs[job_id])
        super().erase(job_id)

    def leave(self, store: "WatchedStore") -> None:
        """Forget the store of a process that is dead."""
        self.stores.discard(store)
        if store.nodes is not None:
            store.nodes.disconnect()


class WatchedStore(MemoryStore):
    """A store that shows the oracles what the database does not know: tokens, and who wrote a change."""

    database: WatchedDatabase

    def _insert(self, job: MemoryJob, grant: Grant, idempotency: Any) -> None:
        super()._insert(job, grant, idempotency)
        self.database.oracles.token_made(grant)

    async def add_grant(self, grant: Grant, now: int, **options: Any) -> bool:
        added = await super().add_grant(grant, now, **options)
        if added:
            self.database.oracles.token_made(grant)
        return added

    def _applied(self, change: Change, policy: Policy, now: int, steady: int | None) -> JobState | None:
        state = super()._applied(change, policy, now, steady)
        if state is None:
            return None
        row = self.database.jobs[change.job_id].state
        if state is row:
            self.database.oracles.saw("a commit was sent again")
        elif (row.attempt, row.created_at) != (change.attempt, change.created_at) or row.status not in HELD:
            self.database.oracles.violated(
                "7 fence", f"attempt {change.attempt} wrote to attempt {row.attempt}, {row.status}"
            )
        return state


class Disk:
    """What all stores of a world share: the order of writes and the troubles.

    Attributes:
        troubled: whether anything goes wrong.
        outages: by node, until when calls fail or hang, which of both, and which calls; all if none is named.
        ordered: whether writes and their answers keep their order, and die with their process.
    """

    def __init__(
        self, loop: SimulatedLoop, dice: random.Random, conditions: Conditions, saw: Callable[[str], None]
    ) -> None:
        self.loop = loop
        self.saw = saw
        self.deaf = conditions.deaf
        self.troubled = True
        self.outages: list[tuple[float, str, Sequence[str]]] = [(0.0, "", ())] * conditions.nodes
        self.ordered = conditions.nodes == 1
        self.executed = 0.0
        self.answered = 0.0
        self.dice = dice
        self._conditions = conditions

    def delay(self) -> float:
        return self._conditions.lag * self.dice.random() ** 2

    def fail(self, until: float, trouble: str, calls: Sequence[str], node: int | None) -> None:
        """Let the calls of a node, or of all, fail or hang for a while."""
        for number in range(len(self.outages)) if node is None else [node]:
            self.outages[number] = until, trouble, calls

    def fate(self, name: str, node: int) -> str:
        """What happens to a call: nothing, or `fails`, `hangs`, `loses` or `late`."""
        if not self.troubled:
            return ""
        until, trouble, calls = self.outages[node]
        if self.loop.now < until and (name in calls or not calls):
            return trouble
        conditions, drawn = self._conditions, self.dice.random()
        for fate in ("failing", "hanging", "losing", "late"):
            drawn -= getattr(conditions, fate)
            if drawn < 0:
                return {"failing": "fails", "hanging": "hangs", "losing": "loses", "late": "late"}[fate]
        return ""


class FaultyStore:
    """A `JobStore` on a disk, or that several nodes have far away.

    As with SQLite, writes and their answers keep their order, and reads pass them. Where nodes share the store all
    calls may pass each other, and may be executed after their node has died.

    Args:
        inner: the store.
        disk: its troubles.
        node: the number of the node.
    """

    def __init__(self, inner: WatchedStore, disk: Disk, node: int = 0) -> None:
        self._inner = inner
        self._disk = disk
        self._node = node
        self._process = process()
        self.nodes = None if inner.nodes is None else FaultyNodes(inner.nodes, self._call, disk, node)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._inner.__aexit__(None, None, None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **options: self._call(name, args, options)

    @property
    def outbox(self) -> Outbox:
        """Nobody is told of endings in a simulation."""
        return self._inner.outbox

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """Each erasure is a transaction; the first that fails ends it, as in `SqliteStore`."""
        erased: list[str] = []
        endings: list[Committed] = []
        try:
            for job_id in await self._call("expired", (now,), {}):
                ending = await self._call("expire", (job_id, policy, now), {})
                erased.append(job_id)
                endings += [] if ending is None else [ending]
        except ShelfwireError as error:
            self._inner.database.oracles.saw("a sweep broke off" + (" after an ending" if endings else ""))
            return Swept(erased=len(erased), endings=endings, failure=error)
        return Swept(erased=len(erased), endings=endings)

    async def _call(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
        disk, loop = self._disk, self._disk.loop
        answer = loop.create_future()
        fate = disk.fate(name, self._node)
        if fate:
            self._inner.database.oracles.saw(f"the disk: {fate}")
        executes = loop.now + disk.delay()
        if fate == "hangs":
            executes = max(executes + disk.dice.random() ** 2 * LONGEST, disk.outages[self._node][0])
        if disk.ordered and name not in READS:
            executes = disk.executed = max(executes, disk.executed + INSTANT)
        loop.outside(executes - loop.now, self._execute, (name, args, options, fate, answer))
        return await answer

    def _execute(self, call: tuple[str, Sequence[Any], dict[str, Any], str, Any]) -> None:
        name, args, options, fate, answer = call
        disk, loop = self._disk, self._disk.loop
        if not self._process.alive and disk.ordered:
            return  # its queue died with the process
        result: Any = None
        error: Exception | None = None
        if fate == "fails":
            error = ShelfwireError(Code.STORAGE_UNAVAILABLE, "The disk failed")
        else:
            try:
                self._inner.database.acting = self._process
                of = self._inner.nodes if name in OF_NODES else self._inner
                result = _immediately(getattr(of, name)(*args, **options))
            except Exception as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            if fate == "loses" and error is None:
                error = ShelfwireError(Code.STORAGE_UNAVAILABLE, "The answer was lost")
        answers = loop.now + disk.delay() + (disk.dice.random() ** 2 * LONGEST if fate == "late" else 0)
        if disk.ordered and name not in READS:
            answers = disk.answered = max(answers, disk.answered + INSTANT)
        loop.outside(answers - loop.now, self._answer, answer, result, error)

    def _answer(self, answer: Any, result: Any, error: Exception | None) -> None:
        if not self._process.alive or answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


class FaultyNodes:
    """`Nodes` of which hints come late, or never."""

    def __init__(self, inner: MemoryNodes, call: Callable[..., Any], disk: Disk, node: int) -> None:
        self._inner = inner
        self._call = call
        self._disk = disk
        self._node = node
        self.reread_seconds = REREAD_SECONDS

    @property
    def connected_at(self) -> int:
        """See `Nodes.connected_at`: since the last outage."""
        since = int((self._disk.loop.now - self._disk.outages[self._node][0]) * 1000)
        return max(self._inner.connected_at, self._inner.steady() - since)

    @property
    def alive(self) -> int:
        return self._inner.alive

    @property
    def link(self) -> Link:
        return self._inner.link

    def send(self, hints: Iterable[Hint]) -> None:
        sent, disk = list(hints), self._disk
        for other in list(self._inner.others()):
            if disk.troubled and disk.dice.random() < disk.deaf:
                disk.saw("a hint was lost")
                if disk.dice.random() < HEALED:
                    disk.loop.outside(disk.dice.random() * LONGEST, other.hear, [Hint(HintKind.MISSED)])
            else:
                disk.loop.outside(disk.delay(), other.hear, sent)

    async def receive(self) -> Sequence[Hint]:
        return await self._inner.receive()

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        news: News = await self._call("reread", (positions, digests), {})
        for _ in (one for one in news.gone if one.ending is not None):
            self._disk.saw("a job was erased while another node followed it")
        return news

    async def next_due(self, pipelines: Sequence[str], after: int) -> int | None:
        due: int | None = await self._call("next_due", (pipelines, after), {})
        return due

    async def admit(self, identity: bytes, limit: int, now: int) -> int:
        wait: int = await self._call("admit", (identity, limit, now), {})
        return wait

    async def change_lane(self, name: str, change: Callable[[Lane], Lane]) -> Lane:
        lane: Lane = await self._call("change_lane", (name, change), {})
        return lane


def _immediately(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a store in memory waits for nothing")
