"""The handle of a caller that follows a job."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from shelfwire.client.handle import JobHandle
from shelfwire.client.subscription import Subscription, call
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Message
from shelfwire.protocol.reconnect import Transport

Callback = Callable[[Message], object]
"""A function or a coroutine function, which is awaited."""


class Following(AsyncIterator[Message]):
    """One follow: iterate over it for the job's messages, once, until its ending.

    Leaving the iteration closes the connection and leaves the job alone; `async with` does so at a known moment.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._messages = (
            subscription.messages()
        )  # refers not to `self`, so it ends when nobody refers to `self` any more

    @property
    def job(self) -> JobHandle:
        """The job, with the token that is valid now."""
        return self._subscription.job

    @property
    def transport(self) -> Transport | None:
        """The transport on which something was received last; None before that."""
        return self._subscription.transport

    async def __anext__(self) -> Message:
        """Return the next message.

        Raises:
            RefusedError: the token does not permit following, or the server closed for good.
            ConnectionLostError: every attempt to reconnect failed, or they were cancelled.
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
        """Follow to the end with callbacks, and return the terminal message.

        Args:
            on_started: receives `job_started`, once.
            on_progress: receives `job_progress`, any number of times.
            on_complete: receives `job_complete`.
            on_error: receives `error`: the job failed or was canceled.

        Raises:
            RefusedError: as in the iteration.
            ConnectionLostError: as in the iteration; its code is `E_MAX_RETRIES`.
        """
        callbacks = {JobStarted: on_started, JobProgress: on_progress, JobComplete: on_complete, JobError: on_error}
        async with self:
            async for message in self:
                callback = callbacks.get(type(message.payload))
                if callback is not None:
                    await call(callback, message)
                if message.terminal:
                    return message
        raise RuntimeError("this job has been followed to its end before")

    async def ping(self) -> float:
        """Return the round-trip time to the server in seconds.

        Raises:
            ConnectionLostError: no answer came in time.
        """
        return await self._subscription.pings.ping()

    def network_lost(self) -> None:
        """Pause: the device has no network. No attempts are used up until `network_restored`."""
        self._subscription.network_lost()

    def network_restored(self) -> None:
        """Reconnect at once, with all attempts left, over whatever transport now works best."""
        self._subscription.network_restored()

    def cancel_reconnection(self) -> None:
        """Make no further attempt: the iteration raises `ConnectionLostError` once the connection is lost."""
        self._subscription.cancel_reconnection()
