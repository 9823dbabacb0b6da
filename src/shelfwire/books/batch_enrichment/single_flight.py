"""Sharing of requests: one request for all that want the same, and one batch for many that want different things."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any, Final, Generic, TypeVar

import msgspec

from shelfwire.clock import Clock

K = TypeVar("K")
V = TypeVar("V")
BATCHING_SECONDS: Final = 0.02
"""A batch is sent when no further key has come for this long; a fraction of what any request takes."""
MAX_BATCHING_SECONDS: Final = 0.5


class _Flight(msgspec.Struct, eq=False):
    task: asyncio.Task[Any]
    waiters: int = 0


class SingleFlight(Generic[K, V]):
    """Does work for a key once, however many callers ask for it at the same time."""

    def __init__(self) -> None:
        self._under_way: dict[K, _Flight] = {}

    async def do(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Do `work`, unless it is under way for the same key, and return its result or raise its exception.

        It is cancelled when the last of its callers is, not when the first is.
        """
        flight = self._under_way.get(key)
        if flight is None:
            # In a context of its own: the log context of one job does not belong to the others.
            flight = self._under_way[key] = _Flight(asyncio.create_task(work(), context=Context()))
            flight.task.add_done_callback(lambda task: self._finished(key, task))
        flight.waiters += 1
        try:
            result: V = await asyncio.shield(flight.task)
            return result
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._finished(key, flight.task)

    def _finished(self, key: K, task: asyncio.Task[Any]) -> None:
        if key in self._under_way and self._under_way[key].task is task:
            del self._under_way[key]


class Batcher(Generic[K, V]):
    """Collects single requests into batches; what comes while earlier batches are under way goes into the next one.

    Args:
        ask: requests a batch of different keys; the answer leaves out those that have none.
        max_size: keys in a batch at most.
        at_once: batches under way at a time.
        clock: the time.
    """

    def __init__(
        self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, max_size: int, at_once: int, clock: Clock
    ) -> None:
        self._ask = ask
        self._max_size = max_size
        self._at_once = at_once
        self._clock = clock
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._full = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the answer for a key, or None if there is none; raise what the request of its batch raised."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if len(self._waiting) >= self._max_size:
            self._full.set()
        self._start()
        return await future

    def _start(self) -> None:
        if self._waiting and len(self._batches) < self._at_once:
            task = asyncio.create_task(self._batch(), context=Context())
            self._batches.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._start()

    async def _batch(self) -> None:
        await self._collect()
        batch: dict[K, list[asyncio.Future[V | None]]] = {}
        rest: list[tuple[K, asyncio.Future[V | None]]] = []
        for key, future in self._waiting:
            if future.done():
                continue  # its caller is gone
            if key in batch or len(batch) < self._max_size:
                batch.setdefault(key, []).append(future)
            else:
                rest.append((key, future))
        self._waiting = rest
        if len(rest) < self._max_size:
            self._full.clear()
        if batch:
            await self._answer(batch)

    async def _collect(self) -> None:
        """Wait until no further key has come for a moment."""
        until = self._clock.monotonic() + MAX_BATCHING_SECONDS
        count = -1
        while len(self._waiting) != count and not self._full.is_set() and self._clock.monotonic() < until:
            count = len(self._waiting)
            await self._clock.wait(self._full, BATCHING_SECONDS)

    async def _answer(self, batch: Mapping[K, Sequence[asyncio.Future[V | None]]]) -> None:
        error: BaseException | None = None
        answers: Mapping[K, V] = {}
        try:
            answers = await self._ask(list(batch))
        except Exception as raised:  # noqa: BLE001 - it is for the callers
            error = raised
        for key, futures in batch.items():
            for future in futures:
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(answers.get(key))
