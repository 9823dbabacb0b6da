"""A lock that those who share it take in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairLock:
    """A lock for the requests of many jobs: each job that waits has one turn a round, however many requests it has."""

    def __init__(self) -> None:
        self._locked = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, job: str) -> AsyncIterator[None]:
        """Hold the lock, after one request at most of each other job that waits for each own one before it.

        Args:
            job: whose turn it is.
        """
        if self._locked:
            await self._wait(job)
        self._locked = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, job: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it has come already
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            job, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(job)
            else:
                del self._waiting[job]
            if not turn.done():
                turn.set_result(None)
                return
        self._locked = False
