"""The progress of a job as Server-Sent Events, for clients whose network lets no WebSocket through."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from shelfwire.errors import Code
from shelfwire.jobs.hub import Follower, Frame
from shelfwire.jobs.service import JobService
from shelfwire.protocol.feed import type_of
from shelfwire.web.connection_limit import ConnectionLimit
from shelfwire.web.credentials import bearer, position
from shelfwire.web.follower_log import follower_log, watched
from shelfwire.web.openapi_annotations import (
    EVENTS,
    LAST_EVENT_ID,
    NOTHING_MORE,
    OWNER,
    TOKEN_OR_QUERY,
    operation,
    refusals,
)
from shelfwire.web.reading import MAX_SEQ

EVENTS_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
"""A comment so often keeps proxies from taking a silent stream for a dead one."""
RETRY_MS: Final = 2000
"""How long a browser waits before it comes back: the first step of the contract's schedule."""
NO_CONTENT: Final = 204
OK: Final = 200

HttpRequest = Request[Any, Any, Any]


@get(
    "/api/jobs/{job_id:str}/events",
    media_type=EVENTS_TYPE,
    security=TOKEN_OR_QUERY,
    responses={**refusals(*OWNER, Code.OVERLOADED), NO_CONTENT: NOTHING_MORE},
    operation_class=operation(headers=[LAST_EVENT_ID], answers={EVENTS_TYPE: EVENTS}),
)
async def events(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    room: NamedDependency[ConnectionLimit],
    token: Annotated[str | None, QueryParameter(include_in_schema=False)] = None,
    after: Annotated[
        int, QueryParameter(ge=0, le=MAX_SEQ, description="The `seq` that was seen already; 0 for none.")
    ] = 0,
) -> ASGIApp:
    """Tell a job's progress as it goes, up to its ending. `Last-Event-ID` resumes, as `after` does."""
    last = position(request.headers.get("last-event-id", ""))
    return EventStream(service, room, bearer(request.headers) or token, job_id, last, after)


class EventStream:
    """The answer to one follower, as an ASGI application: it attaches only while it can be told.

    Args:
        service: the engine.
        room: where followers are counted.
        token: what the follower shows.
        job_id: the job it means.
        last: the id of the last event that it was told; 0 for none. If that was the ending, there is nothing to tell.
        after: the `seq` it has shown otherwise. It may have been cut off before the ending, which is told in any case.
    """

    def __init__(
        self, service: JobService, room: ConnectionLimit, token: str | None, job_id: str, last: int, after: int
    ) -> None:
        self._service = service
        self._room = room
        self._token = token
        self._job_id = job_id
        self._last = last
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell everything until the end, or until the follower leaves.

        Raises:
            ShelfwireError: it is not let in.
        """
        del scope
        with self._room.enter():
            async with self._service.follow_with(self._token, self._job_id, self._last or self._after) as follower:
                state = follower.newest.state
                if state.ended and state.seq == self._last:
                    # A browser comes back after every end of a stream, unless it is told that there is nothing more.
                    await send({"type": "http.response.start", "status": NO_CONTENT, "headers": []})
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                with follower_log(follower, self._job_id, "events", self._service.clock), watched(follower, receive):
                    await _tell(follower, send)


def encode(frames: Sequence[Frame]) -> bytes:
    """Frames as events. Where several show one revision only the last has its number as `id`.

    Who is cut off between them comes back with an earlier number, and is told the rest.
    """
    events = []
    for frame, following in zip(frames, [*frames[1:], None], strict=True):
        last = following is None or following.state.seq != frame.state.seq
        number = f"id: {frame.state.seq}\n" if last else ""
        events.append(f"event: {type_of(frame.due, frame.state)}\n{number}data: {frame.text}\n\n")
    return "".join(events).encode()


async def _tell(follower: Follower, send: Send) -> None:
    headers = {"content-type": EVENTS_TYPE, "cache-control": "no-store", "x-accel-buffering": "no"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": OK, "headers": raw})
    await _chunk(send, f"retry: {RETRY_MS}\n\n".encode())
    async for frames in _with_heartbeats(follower):
        await _chunk(send, encode(frames) if frames else b": still here\n\n")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _with_heartbeats(follower: Follower) -> AsyncIterator[list[Frame]]:
    batches = follower.batches()
    pending = asyncio.ensure_future(anext(batches, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield []
                continue
            frames = pending.result()
            if frames is None:
                return
            if frames:
                yield frames
            pending = asyncio.ensure_future(anext(batches, None))
    finally:
        pending.cancel()


async def _chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
