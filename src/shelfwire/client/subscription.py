"""Receives the messages of one job over any number of connections, in a task of its own, for one consumer."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from shelfwire.client.errors import ConnectionLostError, RefusedError, refusal
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import HttpClient, NetworkError, Request, UnexpectedAnswerError
from shelfwire.client.pings import Pings
from shelfwire.client.server_time import ServerTime
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
"""Messages buffered for the consumer; beyond it nothing more is read from the connection (backpressure)."""
TIME_RETRY_SECONDS: Final = 10.0
"""The pause before a server that could not be reached is asked for its time again."""
CLOSED: Final = "the client was closed"


@dataclass(frozen=True)
class ClientConfig:
    """The configuration that all subscriptions of one client share.

    Attributes:
        http: the connection to the server.
        clock: the source of the time.
        random_fraction: returns fractions in [0, 1), which shorten the delays.
        delays: seconds before each attempt to reconnect.
        transports: the transports to use, in the order in which they are tried.
        server_time: the time by the server's clock.
        given_up: the jobs that all attempts to return to have failed, and that the server was not told of yet.
    """

    http: HttpClient
    clock: Clock
    random_fraction: Callable[[], float]
    delays: tuple[float, ...]
    transports: tuple[Transport, ...]
    server_time: ServerTime
    given_up: list[str] = field(default_factory=list)


class Subscription:
    """One consumer's subscription to a job.

    Args:
        config: the client's configuration.
        job: the job.
        rotate: replaces a token.
        on_wait: receives the seconds until the next attempt to reconnect.
        on_token: receives the token that replaces one about to expire; may be a coroutine function.

    Attributes:
        job: the job, with the token that is valid now.
        transport: the transport on which something was received last.
        pings: measures round-trip times.
    """

    def __init__(
        self,
        config: ClientConfig,
        job: JobHandle,
        rotate: Callable[[JobHandle], Awaitable[JobHandle]],
        on_wait: Callable[[float], None],
        on_token: Callable[[JobHandle], object],
    ) -> None:
        self.job = job
        self.transport: Transport | None = None
        self._position = Position()
        self.pings = Pings(config.http, config.clock, self._mishaps)
        self._config = config
        self._rotate = rotate
        self._on_wait = on_wait
        self._on_token = on_token
        self._fallback = TransportFallback(config.transports)
        self._backoff = Backoff(config.delays)
        self._buffer = _Buffer()
        self._interrupted = asyncio.Event()
        self._attempt: asyncio.Task[NetworkError | None] | None = None
        self._receiving = False
        self._received_last = False
        self._online = True
        self._canceled = False
        self._closed = False
        self._running: asyncio.Task[None] | None = None

    async def messages(self) -> AsyncGenerator[Message]:
        """Iterate over the messages, once. Leaving the iteration closes the connection.

        Raises:
            RefusedError: the server refused for good.
            ConnectionLostError: all attempts to reconnect failed, or they were cancelled, or the client was closed.
        """
        if self._closed:
            raise ConnectionLostError(CLOSED)
        running = self._running = asyncio.create_task(self._run())
        try:
            while (message := await self._buffer.take()) is not None:
                yield message
            await asyncio.wait({running})
            if running.cancelled():
                raise ConnectionLostError(CLOSED)
            running.result()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End the subscription; return when its connection is closed."""
        self._closed = True
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # nobody is left to whom it could be raised

    def network_lost(self) -> None:
        """Wait for `network_restored`, without using up attempts."""
        self._online = False
        self._interrupt()

    def network_restored(self) -> None:
        """Reconnect at once, over the best transport again: the network may be another one."""
        self._online = True
        self._backoff.connected()
        self._fallback.start_over()
        self._interrupt()

    def cancel_reconnection(self) -> None:
        """Make no further attempt: end with the current connection, or at once if there is none."""
        self._canceled = True
        if self._receiving:
            self._interrupted.set()
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        self._interrupted.set()
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
            self._buffer.end()

    async def _follow(self) -> None:
        while True:
            self._interrupted.clear()
            if self._canceled:
                raise ConnectionLostError("reconnecting was cancelled")
            if not self._online:
                await self._interrupted.wait()
                continue
            error = await self._try()
            if self._position.shown.over:
                return
            if error is not None and not self._fallback.failed(judge(error, received=self._received_last)):
                await self._wait(_reason(error))

    async def _wait(self, reason: str) -> None:
        if self._canceled or not self._online:
            return
        delay = self._backoff.next(self._config.random_fraction())
        if delay is None:
            self._config.given_up.append(self.job.job_id)
            raise ConnectionLostError(reason)
        self._on_wait(delay)
        await self._config.clock.wait(self._interrupted, delay)

    async def _try(self) -> NetworkError | None:
        """Listen on one connection; return its failure, or None if the job has ended or it was interrupted."""
        self._position.tries += 1
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
                    self._received()
                    await self._handle(message)
                    if self._position.shown.over:
                        return None
        except NetworkError as error:
            return error
        finally:
            self._received_last, self._receiving = self._receiving, False
        return None

    def _connection(self) -> AsyncGenerator[Message | None]:
        http, position = self._config.http, self._position
        match self._fallback.current:
            case Transport.WEBSOCKET:
                return by_websocket(http, self.job, position, self.pings.use)
            case Transport.SSE:
                return by_events(http, self.job, position)
            case Transport.POLLING:
                return by_polling(http, self.job, position, self._config.clock)

    def _received(self) -> None:
        if not self._receiving:
            self._receiving = True
            self._position.tries = 0
            self.transport = self._fallback.current
            self._fallback.works()
            self._backoff.connected()

    def _mishaps(self) -> tuple[int, int]:
        """Take what the server is told with the next ping: jobs given up by the client, messages not understood."""
        lost, undecodable = len(self._config.given_up), self._position.undecodable
        self._config.given_up.clear()
        self._position.undecodable = 0
        return lost, undecodable

    async def _handle(self, message: Message | None) -> None:
        match message:
            case None | Message(payload=Ping() | SyncRequest()):
                pass
            case Message(payload=Pong(client_time=client_time)):
                self.pings.answered(client_time)
            case _ if self._position.shown.accept(message):
                self._buffer.put(message)
                await self._buffer.wait_for_space()

    async def _keep_token(self) -> None:
        clock, server = self._config.clock, self._config.server_time
        while self.job.expires_at is not None:
            if not await self._knows_time():
                await clock.wait(asyncio.Event(), TIME_RETRY_SECONDS)
                continue
            await clock.wait(asyncio.Event(), refresh_in(self.job.expires_at, server.now()))
            if self.job.expires_at <= server.now():
                return  # too late; the next request with it is refused
            try:
                self.job = await self._rotate(self.job)
            except ConnectionLostError:
                continue
            except RefusedError as error:
                if error.status != TOO_MANY and error.status < SERVER_ERROR:
                    return  # without the scope to rotate it, the token is used until it expires
                continue
            await call(self._on_token, self.job)

    async def _knows_time(self) -> bool:
        """Return whether the server's time is known, or it does not say; ask for it if no answer had it yet."""
        if self._config.server_time.known:
            return True
        try:
            answer = await self._config.http.request(
                Request(method="GET", path=self.job.path(), headers=self.job.bearer)
            )
        except NetworkError:
            return False
        self._config.server_time.learn(answer)
        return answer.good or self._config.server_time.known


def _reason(error: NetworkError) -> str:
    return refusal(error.answer).message if isinstance(error, UnexpectedAnswerError) else str(error)


class _Buffer:
    """Messages received and not yet taken. Putting never waits, so a cancelled connection loses nothing it received."""

    def __init__(self) -> None:
        self._queue = asyncio.Queue[Message | None]()
        self._taken = asyncio.Event()

    def put(self, message: Message) -> None:
        self._queue.put_nowait(message)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def take(self) -> Message | None:
        message = await self._queue.get()
        self._taken.set()
        return message

    async def wait_for_space(self) -> None:
        while self._queue.qsize() > BUFFER_SIZE:
            self._taken.clear()
            await self._taken.wait()


async def call(callback: Callable[[Any], object], value: object) -> None:
    """Call a function or a coroutine function."""
    returned = callback(value)
    if inspect.isawaitable(returned):
        await returned
