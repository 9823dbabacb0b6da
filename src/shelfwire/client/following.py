"""What a caller holds while it follows a job."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from shelfwire.client.handle import JobHandle
from shelfwire.client.subscription import Subscription, tell
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Message
from shelfwire.protocol.reconnect import Transport

Callback = Callable[[Message], object]
"""A function or a coroutine function, which is awaited."""


class Following(AsyncIterator[Message]):
    """One follow: iterate over it for the job's messages, once, until its ending.

    Leaving the iteration closes the connection and leaves the job alone; `async with` does so at a known moment.
    """

    def __init__(self, story: Subscription) -> None:
        self._story = story
        self._messages = story.messages()  # holds no way back to here, so it ends when nobody holds us any more

    @property
    def job(self) -> JobHandle:
        """The job, with the token that is valid now."""
        return self._story.job

    @property
    def transport(self) -> Transport | None:
        """What the job was heard on last; None before it was."""
        return self._story.transport

    async def __anext__(self) -> Message:
        """Return the next message.

        Raises:
            RefusedError: the server does not let the token's holder follow, or closed for good.
            ConnectionLostError: every try to reconnect failed, or they were cancelled.
        """
        return await anext(self._messages)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following. The job goes on."""
        await self._messages.aclose()

    async def run(
        self,
        *,
        on_started: Callback | None = None,
        on_progress: Callback | None = None,
        on_complete: Callback | None = None,
        on_error: Callback | None = None,
    ) -> Message:
        """Follow to the end with callbacks, and return the ending.

        Args:
            on_started: hears once how many items there are.
            on_progress: hears where the job stands, any number of times.
            on_complete: hears the good ending.
            on_error: hears the other ending: the job failed or was canceled.

        Raises:
            RefusedError: as in the iteration.
            ConnectionLostError: as in the iteration; its code is `E_MAX_RETRIES`.
        """
        callbacks = {JobStarted: on_started, JobProgress: on_progress, JobComplete: on_complete, JobError: on_error}
        async with self:
            async for message in self:
                callback = callbacks.get(type(message.payload))
                if callback is not None:
                    await tell(callback, message)
                if message.terminal:
                    return message
        raise RuntimeError("this follow has been iterated to its end before")

    async def ping(self) -> float:
        """Return the round-trip time to the server in seconds.

        Raises:
            ConnectionLostError: no answer came in time.
        """
        return await self._story.pings.ping()

    def network_lost(self) -> None:
        """Pause: the device has no network. No tries are used up until `network_restored`."""
        self._story.network_lost()

    def network_restored(self) -> None:
        """Connect anew at once, with all tries and over whatever transport now works best."""
        self._story.network_restored()

    def cancel_reconnection(self) -> None:
        """Try no more: the iteration ends with a `ConnectionLostError`, at once or when the connection is lost."""
        self._story.cancel_reconnection()
