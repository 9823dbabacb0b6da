"""Reports what coroutines do."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from shelfwire.client.reporting.attempt import Plan, Retries, begin
from shelfwire.client.reporting.base import BaseReporter, Connection, delivering
from shelfwire.client.reporting.delivery import Delivery
from shelfwire.client.reporting.outbox import Outbox, done, failed
from shelfwire.errors import ShelfwireError


class AsyncReporter(BaseReporter):
    """One attempt at a job, reported by coroutines. Made by `Client.report`.

    Use it as an asynchronous context manager. Leaving completes the job; a `ShelfwireError` that is not retryable fails
    it, any other exception lets it be tried again, and `Stopped` confirms what the owner has asked for.

    Args:
        connection: what its client gives it.
        plan: what is to be reported.
    """

    def __init__(self, connection: Connection, plan: Plan) -> None:
        self._connection = connection
        self._plan = plan
        self._changed = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Make the job or claim it. Errors as in `Client.report`."""
        self._enter()
        given = self._connection
        retries = Retries(given.http, given.clock, given.random_fraction)
        attempt = self._attempt = await begin(retries, given.key, self._plan)
        loop = asyncio.get_running_loop()
        outbox = Outbox(
            attempt,
            self._plan.total,
            lambda urgent: delivery.wake(urgent=urgent),
            lambda: loop.call_soon_threadsafe(self._changed.set),
        )
        delivery = Delivery(retries, attempt, outbox, self._plan.patience)
        delivery.wake()
        self._outbox = outbox
        self._sending = await self._stack.enter_async_context(
            delivering(given, retries, attempt, outbox, delivery, apart=True)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the attempt; returns once that is durable.

        Raises:
            AttemptLostError, RefusedError: the end could not be reported.
        """
        box = self._box
        async with self._stack:
            end = self._end_after(error)
            if end is not None:
                box.end(dict(end))
                await self._sending
            self._left = True
        if error is None and box.error is not None:
            raise box.error

    async def record(
        self,
        index: int,
        result: Any = None,
        *,
        title: str | None = None,
        author: str | None = None,
        isbn: str | None = None,
    ) -> bool:
        """Record an item as done; see `Reporter.record`."""
        added = self._box.add(index, done(result, title, author, isbn))
        await self._wait(lambda: self._box.has_room)
        return added

    async def fail(
        self, index: int, error: ShelfwireError | str, user_message: str | None = None, *, title: str | None = None
    ) -> bool:
        """Record an item as failed; see `Reporter.fail`."""
        added = self._box.add(index, failed(error, user_message, title))
        await self._wait(lambda: self._box.has_room)
        return added

    async def flush(self) -> None:
        """Return once everything that was said is durable; see `Reporter.flush`."""
        mark = self._box.mark()
        await self._wait(lambda: self._box.is_durable(mark) or self._box.error is not None)
        self._box.check()

    async def _wait(self, met: Callable[[], bool]) -> None:
        while not met():
            self._changed.clear()
            await self._changed.wait()
