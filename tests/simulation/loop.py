"""An event loop with virtual time, in which several processes run, crash and freeze as a seed decides."""

import asyncio
import contextlib
import contextvars
import heapq
import random
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final

LONGEST_STEP: Final = 0.003
"""Seconds that a callback may seem to take."""
MOST_STEPS: Final = 300_000
"""Callbacks after which a history stands still, and so fails: the longest need a tenth of them."""
MOST_AWAITS: Final = 20
"""How often a task that is disposed of may wait for something in its `finally`."""


class Process:
    """What crashes and freezes as one: its callbacks run in the order in which they became ready.

    Attributes:
        name: for traces.
        alive: whether its callbacks run at all.
        frozen: whether they wait.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.ready: deque[Call] = deque()
        self.listed = False


WORLD: Final = Process("world")
_process: Final = contextvars.ContextVar("process", default=WORLD)


def process() -> Process:
    """The process whose code runs now."""
    return _process.get()


class Call:
    """A scheduled callback, as `asyncio.TimerHandle` is one."""

    __slots__ = ("_when", "args", "callback", "canceled", "context", "process")

    def __init__(
        self, callback: Callable[..., object], args: Any, context: contextvars.Context, of: Process, when: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = of
        self.canceled = False
        self._when = when

    def cancel(self) -> None:
        self.canceled = True

    def cancelled(self) -> bool:
        return self.canceled

    def when(self) -> float:
        return self._when


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have the same order in every run."""

    def __init__(self, coro: Any, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks without waiting: time moves to the next timer when nothing is ready.

    Which process goes next, and in which order timers of one moment fire, is decided by `dice`.

    Args:
        dice: the source of chance.
        shuffled: whether the callbacks of one process may overtake each other, which no loop does.
        stepping: the share of callbacks that take time, up to `LONGEST_STEP`.

    Attributes:
        now: seconds since the beginning.
        steps: the number of callbacks run.
        errors: what asyncio reported as an error.
    """

    def __init__(self, dice: random.Random, *, shuffled: bool = False, stepping: float = 0.0) -> None:
        self.now = 0.0
        self.steps = 0
        self.errors: list[dict[str, Any]] = []
        self._dice = dice
        self._shuffled = shuffled
        self._stepping = stepping
        self._timers: list[tuple[float, float, int, Call]] = []
        self._active: list[Process] = []
        self._numbers = 0
        self._closed = False
        self._tasks: list[NumberedTask] = []
        self._generators: dict[int, Process] = {}
        WORLD.ready.clear()
        WORLD.listed = False

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        self._numbers += 1
        if self._closed:
            coro.close()
            return self.create_future()
        task = NumberedTask(coro, self._numbers, loop=self, name=name or f"task {self._numbers}", context=context)
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        context = contextvars.copy_context() if context is None else context
        call = Call(callback, args, context, context.get(_process, WORLD), self.now)
        self._make_ready(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        context = contextvars.copy_context() if context is None else context
        return self._set_timer(Call(callback, args, context, context.get(_process, WORLD), when))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    default_exception_handler = call_exception_handler

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Nothing to do: a canceled call is passed over when its time comes."""

    # What a world asks of it.

    def spawn(self, of: Process, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine in a process."""
        task: asyncio.Task[Any] = self.within(of, lambda: self.create_task(coroutine))
        return task

    def within(self, of: Process, work: Callable[[], Any]) -> Any:
        """Call a function as code of a process."""
        context = contextvars.copy_context()
        context.run(_process.set, of)
        return context.run(work)

    def outside(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Call a function of the world around all processes: the network, the disk, people."""
        self._set_timer(Call(callback, args, _OUTSIDE, WORLD, self.now + max(0.0, delay)))

    def kill(self, of: Process) -> None:
        """Let nothing of a process run any more, no `finally` either."""
        of.alive = False
        of.ready.clear()

    def freeze(self, of: Process) -> None:
        of.frozen = True

    def thaw(self, of: Process) -> None:
        of.frozen = False
        if of.ready and not of.listed:
            of.listed = True
            self._active.append(of)

    def run(self, until: float) -> None:
        """Run everything up to a time."""
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._began, self._forgotten)
        try:
            while self._has_work(until) and self.steps < MOST_STEPS:
                self._step()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(running)

    def close(self) -> None:
        """End all that is left, without a word about tasks that never ended."""
        self._closed = True
        self._timers.clear()
        self._active.clear()
        WORLD.ready.clear()
        left, self._tasks = self._tasks, []
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            for _ in range(MOST_AWAITS):
                with contextlib.suppress(BaseException):
                    coroutine.close()
                    break

    def _set_timer(self, call: Call) -> Call:
        if not self._closed:
            self._numbers += 1
            heapq.heappush(self._timers, (call.when(), self._dice.random(), self._numbers, call))
        return call

    def _make_ready(self, call: Call) -> None:
        of = call.process
        if self._closed or not of.alive:
            return
        of.ready.append(call)
        if not of.listed and not of.frozen:
            of.listed = True
            self._active.append(of)

    def _has_work(self, until: float) -> bool:
        timers = self._timers
        while True:
            while timers and timers[0][0] <= self.now:
                call = heapq.heappop(timers)[3]
                if not call.canceled:
                    self._make_ready(call)
            if self._active:
                return True
            if not timers or timers[0][0] > until:
                self.now = max(self.now, until)
                return False
            self.now = timers[0][0]

    def _step(self) -> None:
        chance, active = self._dice.random, self._active
        at = int(chance() * len(active)) if len(active) > 1 else 0
        of = active[at]
        if not of.ready or of.frozen:
            of.listed = False
            active[at] = active[-1]
            active.pop()
            return
        if self._shuffled and of is not WORLD and len(of.ready) > 1:
            of.ready.rotate(int(chance() * len(of.ready)))
        call = of.ready.popleft()
        if call.canceled:
            return
        self.steps += 1
        if self._stepping and chance() < self._stepping:
            self.now += chance() * LONGEST_STEP
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio does, so that an oracle sees it
            self.errors.append({"message": "a callback raised", "exception": error})

    def _began(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators[id(generator)] = process()

    def _forgotten(self, generator: AsyncGenerator[Any, Any]) -> None:
        of = self._generators.pop(id(generator), WORLD)
        if of.alive and not self._closed:
            self.spawn(of, generator.aclose())


_OUTSIDE: Final = contextvars.Context()
