"""Tells one job's story over any number of connections, in a task of its own, to one listener."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from shelfwire.client.errors import ConnectionLostError, RefusedError
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import HttpClient, NetworkError
from shelfwire.client.pings import Pings
from shelfwire.client.transports import (
    SERVER_ERROR,
    TOO_MANY,
    Position,
    by_events,
    by_polling,
    by_websocket,
    judge,
)
from shelfwire.clock import Clock
from shelfwire.protocol.messages import Message, Ping, Pong, SyncRequest
from shelfwire.protocol.reconnect import Backoff, Transport, TransportFallback, refresh_in

BUFFER_SIZE: Final = 64
"""Messages that may wait for the listener before the connection waits, too."""
CLOSED: Final = "the client was closed"


@dataclass(frozen=True)
class ClientConfig:
    """What every follow of one client has in common.

    Attributes:
        wire: the way to the server.
        clock: where the time comes from.
        random_fraction: gives fractions in [0, 1), which shorten the delays.
        delays: seconds before each try to reconnect.
        transports: the ways to follow by, in the order in which they are tried.
    """

    wire: HttpClient
    clock: Clock
    random_fraction: Callable[[], float]
    delays: tuple[float, ...]
    transports: tuple[Transport, ...]


class Subscription:
    """One follow.

    Args:
        means: see there.
        job: the job to follow.
        rotate: replaces a token.
        on_wait: hears how many seconds it is until the next try to reconnect.
        on_token: hears of the token that replaces one about to end; may be a coroutine function.

    Attributes:
        job: the job, with the token that is valid now.
        transport: what the job was heard on last.
        pings: the signs of life asked for.
    """

    def __init__(
        self,
        means: ClientConfig,
        job: JobHandle,
        rotate: Callable[[JobHandle], Awaitable[JobHandle]],
        on_wait: Callable[[float], None],
        on_token: Callable[[JobHandle], object],
    ) -> None:
        self.job = job
        self.transport: Transport | None = None
        self.pings = Pings(means.wire, means.clock)
        self._means = means
        self._rotate = rotate
        self._on_wait = on_wait
        self._on_token = on_token
        self._ways = TransportFallback(means.transports)
        self._backoff = Backoff(means.delays)
        self._position = Position()
        self._outbox = _Outbox()
        self._asked = asyncio.Event()
        self._attempt: asyncio.Task[NetworkError | None] | None = None
        self._heard = False
        self._heard_last = False
        self._online = True
        self._canceled = False
        self._closed = False
        self._running: asyncio.Task[None] | None = None

    async def messages(self) -> AsyncGenerator[Message]:
        """Tell the story, once. Leaving it closes the connection."""
        if self._closed:
            raise ConnectionLostError(CLOSED)
        running = self._running = asyncio.create_task(self._run())
        try:
            while (message := await self._outbox.take()) is not None:
                yield message
            await asyncio.wait({running})
            if running.cancelled():
                raise ConnectionLostError(CLOSED)
            running.result()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End it for whoever listens or would; returns when its connection is closed."""
        self._closed = True
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # who has left does not need to hear how it ended

    def network_lost(self) -> None:
        """Wait for `network_restored`, without using up tries."""
        self._online = False
        self._interrupt()

    def network_restored(self) -> None:
        """Connect anew, at once, whatever was going on: the network may be another one."""
        self._online = True
        self._backoff.connected()
        self._ways.start_over()
        self._interrupt()

    def cancel_reconnection(self) -> None:
        """End the story with the connection it is told on now; at once if there is none."""
        self._canceled = True
        if self._heard:
            self._asked.set()
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        self._asked.set()
        if self._attempt is not None:
            self._attempt.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._keep_token())
                await self._follow()
                keeping.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group.exceptions[0].__cause__
        finally:
            self._outbox.end()

    async def _follow(self) -> None:
        while True:
            self._asked.clear()
            if self._canceled:
                raise ConnectionLostError("reconnecting was cancelled")
            if not self._online:
                await self._asked.wait()
                continue
            error = await self._try()
            if self._position.shown.over:
                return
            if error is not None and not self._ways.failed(judge(error, heard=self._heard_last)):
                await self._wait(str(error))

    async def _wait(self, reason: str) -> None:
        if self._canceled or not self._online:
            return
        delay = self._backoff.next(self._means.random_fraction())
        if delay is None:
            raise ConnectionLostError(reason)
        self._on_wait(delay)
        await self._means.clock.wait(self._asked, delay)

    async def _try(self) -> NetworkError | None:
        """One connection, to its end: how it failed, or None if the story is over or somebody broke it off."""
        attempt = self._attempt = asyncio.create_task(self._listen())
        try:
            await asyncio.wait({attempt})
        except asyncio.CancelledError:
            attempt.cancel()
            await asyncio.wait({attempt})
            raise
        finally:
            self._attempt = None
        return None if attempt.cancelled() else attempt.result()

    async def _listen(self) -> NetworkError | None:
        try:
            async with aclosing(self._connection()) as messages:
                async for message in messages:
                    self._sign_of_life()
                    await self._tell(message)
                    if self._position.shown.over:
                        return None
        except NetworkError as error:
            return error
        finally:
            self._heard_last, self._heard = self._heard, False
        return None

    def _connection(self) -> AsyncGenerator[Message | None]:
        wire, position = self._means.wire, self._position
        match self._ways.current:
            case Transport.WEBSOCKET:
                return by_websocket(wire, self.job, position, self.pings.use)
            case Transport.SSE:
                return by_events(wire, self.job, position)
            case Transport.POLLING:
                return by_polling(wire, self.job, position, self._means.clock)

    def _sign_of_life(self) -> None:
        if not self._heard:
            self._heard = True
            self.transport = self._ways.current
            self._ways.works()
            self._backoff.connected()

    async def _tell(self, message: Message | None) -> None:
        match message:
            case None | Message(payload=Ping() | SyncRequest()):
                pass
            case Message(payload=Pong(client_time=client_time)):
                self.pings.answered(client_time)
            case _ if self._position.shown.accept(message):
                self._outbox.put(message)
                await self._outbox.room()

    async def _keep_token(self) -> None:
        clock = self._means.clock
        while self.job.expires_at is not None:
            await clock.wait(asyncio.Event(), refresh_in(self.job.expires_at, clock.now()))
            if self.job.expires_at <= clock.now():
                return  # too late; whoever uses it next is told so
            try:
                self.job = await self._rotate(self.job)
            except ConnectionLostError:
                continue
            except RefusedError as error:
                if error.status != TOO_MANY and error.status < SERVER_ERROR:
                    return  # a token without the scope to do so follows as long as it lasts
                continue
            await tell(self._on_token, self.job)


class _Outbox:
    """What was heard and not yet taken. Putting never waits, so that nothing is lost between hearing and telling."""

    def __init__(self) -> None:
        self._queue = asyncio.Queue[Message | None]()
        self._room = asyncio.Event()

    def put(self, message: Message) -> None:
        self._queue.put_nowait(message)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def take(self) -> Message | None:
        message = await self._queue.get()
        self._room.set()
        return message

    async def room(self) -> None:
        while self._queue.qsize() > BUFFER_SIZE:
            self._room.clear()
            await self._room.wait()


async def tell(callback: Callable[[Any], object], value: object) -> None:
    """Call a function or a coroutine function."""
    answer = callback(value)
    if inspect.isawaitable(answer):
        await answer
