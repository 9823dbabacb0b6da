"""What the log says of a follower: when it came, when it went, and what it was told; and how its leaving is noticed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from litestar.types import Receive

from shelfwire.clock import Clock
from shelfwire.jobs.hub import Dismissal, Follower

log = structlog.get_logger(__name__)


class FollowerLog:
    """One follower's stay.

    Attributes:
        code: the close code it left with, where its transport has such a thing.
    """

    def __init__(self) -> None:
        self.code: int | None = None


@contextmanager
def follower_log(follower: Follower, job_id: str, transport: str, clock: Clock) -> Iterator[FollowerLog]:
    """Log that a follower has attached, and how it left when the context ends; until then it counts by `transport`."""
    bound = log.bind(job=job_id, transport=transport)
    bound.info("follower attached")
    follower.transport = transport
    attending, began = FollowerLog(), clock.monotonic()
    try:
        yield attending
    finally:
        told = {"frames": follower.sent_frames, "bytes": follower.sent_bytes}
        bound.info(
            "follower left",
            code=None if attending.code is None else int(attending.code),
            **told,
            seconds=round(clock.monotonic() - began, 3),
        )


@contextmanager
def watched(follower: Follower, receive: Receive) -> Iterator[None]:
    """Dismiss a follower over HTTP once its client is gone, that its place is free and nobody waits for it."""
    leaving = asyncio.create_task(_dismiss(follower, receive))
    try:
        yield
    finally:
        leaving.cancel()


async def _dismiss(follower: Follower, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.dismiss(Dismissal.LEAVING)
