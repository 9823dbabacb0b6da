"""Logs when a follower comes and leaves and what it was sent, and notices when one over HTTP is gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.types import Receive

from shelfwire.clock import Clock
from shelfwire.jobs.hub import Dismissal, Follower

log = structlog.get_logger(__name__)


class FollowerLog:
    """What the log is to say of a follower when it leaves.

    Attributes:
        code: the close code, where its transport has one.
    """

    def __init__(self) -> None:
        self.code: int | None = None


@contextmanager
def follower_log(follower: Follower, job_id: str, transport: str, clock: Clock) -> Iterator[FollowerLog]:
    """Log that a follower has attached and, when the context ends, how it left; until then count it by `transport`."""
    bound = log.bind(job=job_id, transport=transport)
    bound.info("follower attached")
    follower.transport = transport
    entry, began = FollowerLog(), clock.monotonic()
    try:
        yield entry
    finally:
        bound.info(
            "follower left",
            code=None if entry.code is None else int(entry.code),
            frames=follower.sent_frames,
            bytes=follower.sent_bytes,
            seconds=round(clock.monotonic() - began, 3),
        )


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
