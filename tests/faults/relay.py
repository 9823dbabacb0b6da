"""Passes TCP connections on, and can be told to stop doing so: a balancer before nodes, a network before a database."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self

CHUNK: Final = 64 * 1024
CONNECT_SECONDS: Final = 1.0


class Relay:
    """Listens on a port of its own. Use it as an asynchronous context manager.

    Args:
        targets: returns the ports on the loopback interface to try, in this order, for each connection.

    Attributes:
        port: where it listens.
        connections: how many it has passed on.
    """

    def __init__(self, targets: Callable[[], Sequence[int]]) -> None:
        self._targets = targets
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: dict[asyncio.Task[None], int] = {}
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and cut whatever is connected."""
        self._server.close()
        await self._cut(list(self._tasks))
        await self._server.wait_closed()

    def swallow(self) -> None:
        """Let nothing through in either direction any more; connections stay open, and new ones are accepted."""
        self._flows.clear()

    def flow(self) -> None:
        """Let everything through again, beginning with what has come meanwhile."""
        self._flows.set()

    async def cut_target(self, port: int) -> None:
        """Cut all connections to one of the targets, as a balancer does that finds it dead."""
        await self._cut([task for task, to in self._tasks.items() if to == port])

    async def cut_one(self, dice: random.Random) -> None:
        """Cut a connection that chance decides."""
        if self._tasks:
            await self._cut([dice.choice(list(self._tasks))])

    async def _cut(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks[task] = 0
        task.add_done_callback(self._tasks.pop)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            for port in self._targets():
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(CONNECT_SECONDS):
                        there, back = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            self._tasks[task] = port
            self.connections += 1
            try:
                await self._both(self._pump(reader, back), self._pump(there, writer))
            finally:
                back.transport.abort()
        finally:
            writer.transport.abort()

    async def _both(self, *pumps: Coroutine[Any, Any, None]) -> None:
        """Pass on until one side has ended: the other one then learns of it, as of a process that died."""
        tasks = [asyncio.create_task(pump) for pump in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._cut(tasks)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._flows.wait()
                target.write(data)
                await target.drain()
