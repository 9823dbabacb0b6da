"""The progress socket: a plain ASGI function between a follower and its client. Section 2 of the contract."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.datastructures import Headers
from starlette.types import Message as Event
from starlette.types import Receive, Scope, Send

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Follower
from shelfwire.jobs.steps import DirectFollower
from shelfwire.jobs.telemetry import Figure
from shelfwire.protocol.close_codes import CloseCode
from shelfwire.protocol.feed import CLOSE_REASONS, Due
from shelfwire.protocol.messages import (
    Message,
    Ping,
    Pong,
    SyncRequest,
    UndecodableError,
    decode,
    encode,
)
from shelfwire.web.credentials import PROTOCOL, bearer, offered_token, position
from shelfwire.web.follower_log import follower_log
from shelfwire.web.responses import ERROR_CODE, PROBLEM_TYPE, headers, problem
from shelfwire.web.route import Context

MAX_BAD_FRAMES: Final = 20
BAD_FRAMES: Final = f"{MAX_BAD_FRAMES} frames could not be understood"
REVOKED: Final = "The token was revoked"
EXPIRED: Final = "The token has expired"
RESTARTING: Final = "The server is restarting"
MAX_CLAIMED: Final = 100
"""The most mishaps that one frame of a client is believed."""
PATH: Final = "/ws/progress"
MAX_FRAME_BYTES: Final = 64 * 1024
ANSWER_EXTENSION: Final = "websocket.http.response"
"""The extension by which a server takes an HTTP answer to a handshake; not all have it."""
UPGRADE_REQUIRED: Final = 426


class ProgressSocket:
    """Serves `/ws/progress`.

    The server around it answers PINGs, sends its own every 30 s, and refuses frames over 64 KiB; one that takes larger
    frames has them refused here.

    Args:
        context: the application.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the follower or answer why not, then send it everything until the end or until it leaves."""
        if scope["type"] != "websocket":
            error = ShelfwireError(Code.INVALID_REQUEST, "This address takes only WebSocket upgrades")
            await refuse(scope, send, error, UPGRADE_REQUIRED, {"Upgrade": "websocket"})
            return
        await receive()
        try:
            with self._context.connections.enter():
                await self._serve(scope, receive, send)
        except ShelfwireError as error:
            await refuse(scope, send, error)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        job_id, after = query.get("jobId", [""])[0], position(query.get("after", ["0"])[0])
        if not job_id:
            raise ShelfwireError(Code.INVALID_REQUEST, "The query parameter jobId is missing")
        sent, protocols = Headers(scope=scope), scope["subprotocols"]
        self._context.access.check_origin(sent.get("origin"), sent.get("host"))
        token = bearer(sent) or offered_token(protocols) or query.get("token", [None])[0]
        async with self._context.service.follow_with(token, job_id, after) as follower:
            selected = PROTOCOL if PROTOCOL in protocols else None
            await send({"type": "websocket.accept", "subprotocol": selected, "headers": []})
            with follower_log(follower, job_id, "websocket", self._context) as entry:
                entry.code = await self._converse(job_id, follower, receive, send)

    async def _converse(self, job_id: str, follower: Follower, receive: Receive, send: Send) -> int | None:
        """Send and receive until one of both is over; return the close code."""
        # In one group: a follower that nothing can be sent to any more must not look alive to its client.
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send_frames(follower, send))
            code = await self._listen(job_id, follower, receive, send)
            sending.cancel()
        return code

    async def _listen(self, job_id: str, follower: Follower, receive: Receive, send: Send) -> int | None:
        bad = 0
        while True:
            event: Any = await receive()
            if event["type"] == "websocket.disconnect":
                code: int | None = event.get("code")
                return code
            frame: str | bytes = event.get("text") or event.get("bytes") or b""
            if len(frame) > MAX_FRAME_BYTES:
                await _close(send, CloseCode.TOO_BIG, f"A frame over {MAX_FRAME_BYTES} bytes")
                return CloseCode.TOO_BIG
            try:
                reply = answer(frame, job_id, follower, self._context)
            except UndecodableError:
                bad += 1
                if bad >= MAX_BAD_FRAMES:
                    await _close(send, CloseCode.MISUSE, BAD_FRAMES)
                    return CloseCode.MISUSE
                continue
            if reply:
                with contextlib.suppress(OSError, RuntimeError):
                    await send(_message(reply))


def answer(frame: str | bytes, job_id: str, follower: Follower | DirectFollower, context: Context) -> str:
    """Do what a follower's client asks for.

    Returns:
        The message to be sent in answer; empty for none.

    Raises:
        UndecodableError: the frame cannot be understood, or is none that a client sends.
    """
    match decode(frame):
        case Message(payload=Ping(client_time=client_time) as ping):
            _note(context, Figure.RECONNECTS, ping.lost)
            _note(context, Figure.UNDECODABLE, ping.undecodable)
            pong, now = Pong(client_time=client_time), context.service.now()
            return encode(Message(job_id=job_id, pipeline=follower.pipeline, timestamp=now, payload=pong))
        case Message(payload=SyncRequest(tries=tries)):
            if tries:
                context.metrics.noted(Figure.RECONNECTS)
                _note(context, Figure.ATTEMPTS, tries - 1, good=1)
            follower.sync()
            return ""
        case _:
            raise UndecodableError("It is no message of a client's")


def _note(context: Context, figure: Figure, bad: int | None, good: int = 0) -> None:
    """Count what a client says; it may say anything, so no more than it can have done."""
    bad = min(bad or 0, MAX_CLAIMED)
    if bad + good:
        context.metrics.noted(figure, bad, bad + good)


async def _send_frames(follower: Follower, send: Send) -> None:
    async for frame in follower.frames():
        try:
            await send(_message(frame.text))
        except (OSError, RuntimeError):
            # The client is gone, which `receive` reports as well. RuntimeError is how uvicorn refuses to send after it
            # closed the socket itself, for want of a heartbeat.
            return
        if frame.due is Due.ENDING:
            await _close(send, CloseCode.ENDED, CLOSE_REASONS[frame.state.status])
    if follower.dismissal is Dismissal.REVOKED:
        await _close(send, CloseCode.MISUSE, REVOKED)
    elif follower.dismissal is Dismissal.EXPIRED:
        # It comes back with a newer one, or is answered that this one has expired.
        await _close(send, CloseCode.RESTARTING, EXPIRED)
    elif follower.dismissal is Dismissal.LEAVING:
        await _close(send, CloseCode.RESTARTING, RESTARTING)


async def _close(send: Send, code: CloseCode, reason: str) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": code, "reason": reason})


def _message(text: str) -> Event:
    return {"type": "websocket.send", "text": text, "bytes": None}


async def refuse(
    scope: Scope,
    send: Send,
    error: ShelfwireError,
    status: int | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Answer a handshake, or a request that is none, with a problem document.

    Args:
        scope: its scope.
        send: the answer goes there.
        error: why it is refused.
        status: in place of the status of the error's code.
        extra: headers beside those that go with the error.
    """
    scope["state"][ERROR_CODE] = str(error.code)
    kind = "http.response"
    if scope["type"] == "websocket":
        if ANSWER_EXTENSION not in (scope.get("extensions") or {}):
            await _close(send, CloseCode.MISUSE, str(error.code))  # the server makes it a 403 without a body
            return
        kind = ANSWER_EXTENSION
    body = msgspec.json.encode(problem(error, status))
    fields = {"Content-Type": PROBLEM_TYPE, "Content-Length": str(len(body)), **headers(error), **(extra or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": f"{kind}.start", "status": status or error.status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
