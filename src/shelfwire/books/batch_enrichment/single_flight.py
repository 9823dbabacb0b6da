"""Single flight and batching: equal requests are sent once, and requests that a service accepts together as one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any, Final, Generic, TypeVar

import msgspec

from shelfwire.clock import Clock

K = TypeVar("K")
V = TypeVar("V")
GATHERING_SECONDS: Final = 0.02
"""A batch is complete when no key was added for this long; a fraction of the time of any request."""
MOST_GATHERING_SECONDS: Final = 0.5


class _Flight(msgspec.Struct, eq=False):
    task: asyncio.Task[Any]
    waiters: int = 0


class Flights(Generic[K, V]):
    """Work that is under way, by key, so that equal requests share it."""

    def __init__(self) -> None:
        self._under_way: dict[K, _Flight] = {}

    async def join(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Do `work` unless it is under way for the same key, and return its result, or raise its exception.

        It is cancelled only when nobody waits for it any more, whoever began it.
        """
        flight = self._under_way.get(key)
        if flight is None:
            # In a context of its own: the log context of one job does not belong to the others.
            flight = self._under_way[key] = _Flight(asyncio.create_task(work(), context=Context()))
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.waiters += 1
        try:
            result: V = await asyncio.shield(flight.task)
            return result
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._landed(key, flight.task)

    def _landed(self, key: K, task: asyncio.Task[Any]) -> None:
        if key in self._under_way and self._under_way[key].task is task:
            del self._under_way[key]


class Gathering(Generic[K, V]):
    """Gathers single keys into batches: keys that arrive while batches are under way go into the next.

    Args:
        ask: asks a batch of different keys; the answer leaves out those that have none.
        most: keys in a batch.
        at_once: batches under way at a time.
        clock: the time.
    """

    def __init__(
        self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int, at_once: int, clock: Clock
    ) -> None:
        self._ask = ask
        self._most = most
        self._at_once = at_once
        self._clock = clock
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._full = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the answer for a key, or None if there is none. Raises what asking for its batch raised."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if len(self._waiting) >= self._most:
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
        await self._gather()
        batch: dict[K, list[asyncio.Future[V | None]]] = {}
        rest: list[tuple[K, asyncio.Future[V | None]]] = []
        for key, future in self._waiting:
            if future.done():
                continue  # its caller was cancelled
            if key in batch or len(batch) < self._most:
                batch.setdefault(key, []).append(future)
            else:
                rest.append((key, future))
        self._waiting = rest
        if len(rest) < self._most:
            self._full.clear()
        if batch:
            await self._answer(batch)

    async def _gather(self) -> None:
        """Wait for others, until none has come for a moment."""
        until = self._clock.monotonic() + MOST_GATHERING_SECONDS
        count = -1
        while len(self._waiting) != count and not self._full.is_set() and self._clock.monotonic() < until:
            count = len(self._waiting)
            await self._clock.wait(self._full, GATHERING_SECONDS)

    async def _answer(self, batch: Mapping[K, Sequence[asyncio.Future[V | None]]]) -> None:
        error: BaseException | None = None
        answers: Mapping[K, V] = {}
        try:
            answers = await self._ask(list(batch))
        except Exception as raised:  # noqa: BLE001 - the callers get it
            error = raised
        for key, futures in batch.items():
            for future in futures:
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(answers.get(key))
