"""The progress of a job as Server-Sent Events, for clients whose network lets no WebSocket through."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.frames import Frame
from shelfwire.jobs.hub import Follower
from shelfwire.protocol.feed import type_of
from shelfwire.protocol.tokens import Scope
from shelfwire.web.credentials import bearer, position
from shelfwire.web.follower_log import follower_log, watched
from shelfwire.web.jobs import Seq
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import CACHE_CONTROL, ERROR_CODE, JSON_TYPE, NO_STORE, X_ERROR_CODE
from shelfwire.web.route import CACHING, TOKEN_OR_QUERY, Answer, Context, Header, job_route
from shelfwire.web.visitors import Visitor, visitor_of

BELOW: Final = "/events"
"""The path of a job's stream, below the job's own."""
EVENTS_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
"""The interval of comments, which keep proxies from taking a silent stream for a dead one."""
RETRY_MS: Final = 2000
"""How long a browser waits before it comes back: the first step of the contract's schedule."""
PADDING_BYTES: Final = 1024
"""The size of the comment that begins a stream: Apple's networking withholds the first 512 bytes of what is no JSON."""
ERROR_TYPE: Final = "error"
ERROR_EVENT: Final = "job_error"
"""What the message `error` is called as an event: a browser's EventSource fires `error` itself when it is cut off."""

RETRY: Final = f"retry: {RETRY_MS}\n\n".encode()
STILL_HERE: Final = b": still here\n\n"
STREAM_HEADERS: Final = {"Content-Type": EVENTS_TYPE, CACHE_CONTROL: NO_STORE, "X-Accel-Buffering": "no"}
PADDING: Final = b":".ljust(PADDING_BYTES - 1) + b"\n"


class EventsQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The query of a stream of events, without the token."""

    after: Annotated[Seq, msgspec.Meta(description="The `seq` that was seen already; 0 for none.")] = 0
    last_event_id: Annotated[
        str, msgspec.Meta(description="The same as the header `Last-Event-ID`, for libraries that cannot send it.")
    ] = ""


async def events(request: Request, context: Context) -> ASGIApp:
    """Send a job's progress as it goes, up to its ending. `Last-Event-ID` resumes, as `after` does."""
    query = query_of(request, EventsQuery)
    last = position(request.headers.get("last-event-id", query.last_event_id))
    token = bearer(request.headers) or request.query_params.get("token")
    visitor = visitor_of(request, context, Scope.WATCH, token)
    await visitor.note_read("events")
    return EventStream(context, visitor, last, query.after)


class EventStream:
    """The answer to one follower, as an ASGI application: it attaches only once there is somewhere to send to.

    Args:
        context: the application.
        visitor: who follows which job.
        last: the id of the last event that the follower has seen; 0 for none. If that was the ending, nothing follows.
        after: the `seq` that it has seen otherwise. It may have been cut off before the ending, which is always sent.
    """

    def __init__(self, context: Context, visitor: Visitor, last: int, after: int) -> None:
        self._context = context
        self._visitor = visitor
        self._last = last
        self._after = after

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send everything until the end, or until the follower leaves.

        Raises:
            ShelfwireError: it is not admitted.
        """
        async with AsyncExitStack() as stack:
            try:
                stack.enter_context(self._context.connections.enter())
                follower = await stack.enter_async_context(self._visitor.follow(self._last or self._after))
            except ShelfwireError as error:
                if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                await ask_to_return(scope, send, error)
                return
            await self._serve(follower, receive, send)

    async def _serve(self, follower: Follower, receive: Receive, send: Send) -> None:
        state = follower.newest.state
        if state.ended and state.seq == self._last:
            # A browser comes back after every end of a stream, unless the answer is that nothing more follows.
            await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        with (
            follower_log(follower, self._visitor.job_id, "events", self._context),
            watched(follower, receive),
        ):
            await _stream(follower, send)


async def ask_to_return(
    scope: AsgiScope, send: Send, error: ShelfwireError, extra: Mapping[str, str] | None = None
) -> None:
    """Answer with an empty stream where none can be served now: a browser's EventSource never returns after a 503.

    Args:
        scope: the request's scope.
        send: the answer goes there.
        error: why it cannot be served.
        extra: headers beside those of every stream.
    """
    scope["state"][ERROR_CODE] = str(error.code)
    await begin(send, {X_ERROR_CODE: str(error.code), **(extra or {})})
    await send({"type": "http.response.body", "body": RETRY, "more_body": False})


def encode(frames: Sequence[Frame]) -> bytes:
    """Return frames as events. Of several that show one revision only the last has its number as `id`.

    A client that is cut off between them comes back with an earlier number, and receives the rest.
    """
    pairs = zip(frames, [*frames[1:], None], strict=True)
    return b"".join(
        event(frame, is_last=following is None or following.state.seq != frame.state.seq) for frame, following in pairs
    )


def event(frame: Frame, *, is_last: bool) -> bytes:
    """Return a frame as an event, with its number if it is the last of its revision."""
    number = f"id: {frame.state.seq}\n" if is_last else ""
    kind = type_of(frame.due, frame.state)
    name = ERROR_EVENT if kind == ERROR_TYPE else kind
    return b"%bdata: %b\n\n" % (f"event: {name}\n{number}".encode(), frame.data)


async def _stream(follower: Follower, send: Send) -> None:
    await begin(send)
    await chunk(send, PADDING + RETRY)
    async for frames in _with_heartbeats(follower):
        await chunk(send, encode(frames) if frames else STILL_HERE)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def begin(send: Send, more: Mapping[str, str] | None = None) -> None:
    """Begin a stream of events, with the headers of each and `more`."""
    headers = {**STREAM_HEADERS, **(more or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": raw})


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


async def chunk(send: Send, body: bytes) -> None:
    """Send a part of a stream."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


_EVENT: Final = {
    "type": "object",
    "description": "One event. The stream ends after the one with the terminal message.",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "description": f"The message's type; `{ERROR_EVENT}` for `{ERROR_TYPE}`."},
        "id": {"type": "string", "description": "The message's `seq`; left out where the next event has the same."},
        "data": {
            "type": "string",
            "description": "The message.",
            "contentMediaType": JSON_TYPE,
            "contentSchema": {"$ref": "#/components/schemas/Message"},
        },
    },
}
_LAST_EVENT_ID: Final = Header(
    name="Last-Event-ID",
    description="The `id` of the last event that was seen; browsers send it when they come back. It wins over `after`.",
)

ROUTES: Final = (
    job_route(
        "GET",
        BELOW,
        events,
        {
            200: Answer(
                content={EVENTS_TYPE: _EVENT},
                headers=[CACHING],
                description="The events. Nothing but `retry`, with "
                f"`{X_ERROR_CODE}`, where a 503 would be due: the server is overloaded, shuts down or cannot read.",
            ),
            204: Answer(description="The job's ending was seen already; do not come back."),
        },
        security=TOKEN_OR_QUERY,
        query=EventsQuery,
        headers=[_LAST_EVENT_ID],
    ),
)
