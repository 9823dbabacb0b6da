"""Logs when a follower comes and leaves and what it was sent, and notices when one over HTTP is gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.types import Receive

from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Follower
from shelfwire.jobs.steps import DirectFollower
from shelfwire.web.route import Context

log = structlog.get_logger(__name__)


class FollowerLog:
    """What the log says of one follower, as far as the setting `log_followers` has it.

    Args:
        follower: the follower.
        job_id: the job that it follows.
        context: the application.
        request_id: the name of its request, where the log does not have that from the surroundings.

    Attributes:
        code: the close code, where its transport has one.
    """

    __slots__ = ("_began", "_clock", "_context", "_follower", "_job_id", "_request_id", "code")

    def __init__(
        self, follower: Follower | DirectFollower, job_id: str, context: Context, request_id: str | None = None
    ) -> None:
        self.code: int | None = None
        self._follower = follower
        self._job_id = job_id
        self._context = context
        self._request_id = request_id
        self._clock = context.service.clock
        self._began = self._clock.monotonic()

    def attached(self) -> None:
        """Log that it has attached."""
        if self._context.settings.log_followers == "both":
            self._say("follower attached")

    def left(self) -> None:
        """Log how it left."""
        if self._context.settings.log_followers != "off":
            self._say(
                "follower left",
                code=None if self.code is None else int(self.code),
                frames=self._follower.sent_frames,
                bytes=self._follower.sent_bytes,
                seconds=round(self._clock.monotonic() - self._began, 3),
            )

    def _say(self, event: str, **more: object) -> None:
        named = {} if self._request_id is None else {"request_id": self._request_id}
        log.info(event, **named, job=self._job_id, transport=self._follower.transport, **more)


@contextmanager
def follower_log(follower: Follower, job_id: str, transport: str, context: Context) -> Iterator[FollowerLog]:
    """Log that a follower has attached and, when the context ends, how it left; until then count it by `transport`."""
    follower.transport = transport
    entry = FollowerLog(follower, job_id, context)
    entry.attached()
    try:
        yield entry
    finally:
        entry.left()


@contextmanager
def watched(follower: Follower, receive: Receive) -> Iterator[None]:
    """Dismiss a follower over HTTP once its client is gone, so that it counts no longer and nothing waits for it."""
    leaving = asyncio.create_task(_dismiss(follower, receive))
    try:
        yield
    finally:
        leaving.cancel()


async def _dismiss(follower: Follower, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.dismiss(Dismissal.LEAVING)
