"""The three transports of a job's messages, and what their failures mean.

All three deliver the same messages. None among them means that the connection is alive but nothing has changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

from shelfwire.client.errors import ConnectionLostError, RefusedError, problem_in, read
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import (
    BlockedError,
    CutError,
    HttpClient,
    NetworkError,
    Request,
    Response,
    Socket,
    UnexpectedAnswerError,
    UntrustedError,
)
from shelfwire.clock import Clock
from shelfwire.errors import Code
from shelfwire.protocol.close_codes import FINAL_CLOSE_CODES, CloseCode
from shelfwire.protocol.messages import Message, SyncRequest, UndecodableError, decode, encode
from shelfwire.protocol.reconnect import Deduplicator, FailureKind
from shelfwire.protocol.state import State, messages_of

WAIT_SECONDS: Final = 25
"""How long a poll may wait for a change; within what proxies allow."""
EMPTY_SECONDS: Final = 2.0
"""The pause after a poll that brought no change and did not wait for one, as with a server that cannot."""
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
NOT_HERE: Final = frozenset({404, 405, 426})
"""A server's own answers where it lacks the transport, or sees no upgrade because a proxy has removed it."""


class Position:
    """The position of a subscription, over all its connections.

    Attributes:
        shown: drops what was shown already.
        event_id: the last id that an event stream named; empty for none. Not `shown.seq`: of several events with one
            `seq` only the last has an id, so that a cut between them loses none.
        returning: whether there was a socket before, on which something may have been missed.
        tries: attempts to connect since something was received last.
        undecodable: messages that could not be read and that the server was not told of yet.
    """

    def __init__(self) -> None:
        self.shown = Deduplicator()
        self.event_id = ""
        self.returning = False
        self.tries = 0
        self.undecodable = 0

    def decoded(self, frame: str | bytes) -> Message | None:
        """Decode a message; None for one that is of a later version or cannot be read, which is counted."""
        try:
            message = decode(frame)
        except UndecodableError:
            self.undecodable += 1
            return None
        return message if isinstance(message, Message) else None


async def by_websocket(
    http: HttpClient, job: JobHandle, position: Position, on_socket: Callable[[Socket | None], None]
) -> AsyncGenerator[Message | None]:
    """Receive a job's messages on the progress socket; `on_socket` is called when it opens and closes."""
    params = {"jobId": job.job_id, "after": str(position.shown.after)}
    async with http.socket(Request(method="GET", path="/ws/progress", headers=job.bearer, params=params)) as socket:
        if position.returning:
            with contextlib.suppress(CutError):  # an ended job closes at once; what was sent before can still be read
                sync = SyncRequest(tries=position.tries or None)
                await socket.send(encode(Message(job_id=job.job_id, pipeline="", timestamp=0, payload=sync)))
        position.returning = True
        on_socket(socket)
        try:
            while True:
                yield position.decoded(await socket.receive())
        finally:
            on_socket(None)


async def by_events(http: HttpClient, job: JobHandle, position: Position) -> AsyncGenerator[Message | None]:
    """Receive a job's messages on a stream of server-sent events."""
    last, position.event_id = (
        position.event_id,
        "",
    )  # should the server refuse it, the next stream starts from the beginning
    headers = {**job.bearer, "Last-Event-ID": last} if last else job.bearer
    request = Request(method="GET", path=job.path("/events"), headers=headers)
    async with http.events(request) as events:
        position.event_id = last
        async for event in events:
            position.event_id = event.id or last
            yield position.decoded(event.data)
    raise CutError("The event stream ended before the job did")


async def by_polling(
    http: HttpClient, job: JobHandle, position: Position, clock: Clock
) -> AsyncGenerator[Message | None]:
    """Receive a job's messages by requesting its state, again and again."""
    after = position.shown.after
    while True:
        asked_at = clock.monotonic()
        params = {"after": str(after), "wait": str(WAIT_SECONDS)}
        request = Request(method="GET", path=job.path(), headers=job.bearer, params=params)
        changes = _messages_in(await http.request(request), after)
        yield None
        for message in changes:
            yield message
            after = max(after, message.seq or 0)
        if not changes and clock.monotonic() - asked_at < EMPTY_SECONDS:
            await clock.wait(asyncio.Event(), EMPTY_SECONDS)


def judge(error: NetworkError, *, received: bool) -> FailureKind:
    """Classify the failure of a connection.

    Args:
        error: the failure.
        received: whether anything was received on the connection.

    Raises:
        RefusedError: the server refused for good, and no other transport would change that.
        ConnectionLostError: what answers cannot prove to be the server.
    """
    match error:
        case UntrustedError():
            raise ConnectionLostError(str(error)) from error
        case BlockedError():
            return FailureKind.BLOCKED
        case UnexpectedAnswerError(answer=answer):
            return _judge_answer(answer)
        case CutError(code=CloseCode.ENDED):
            return FailureKind.UNFINISHED
        case CutError(code=int(code)) if code in FINAL_CLOSE_CODES:
            raise _closed(code, str(error)) from error
        case CutError() if not received:
            return FailureKind.MUTE
        case _:
            return FailureKind.LOST


def _closed(code: int, reason: str) -> RefusedError:
    if code == CloseCode.MISUSE:  # for a client that sends no bad frames, this is about its token
        return RefusedError(Code.UNAUTHORIZED, reason, Code.UNAUTHORIZED.entry.user_message, code)
    return RefusedError(Code.INVALID_REQUEST, reason, "The server ended the connection.", code)


def _judge_answer(answer: Response) -> FailureKind:
    problem = problem_in(answer)
    if problem is None or answer.status in NOT_HERE:
        return FailureKind.BLOCKED
    if answer.status == TOO_MANY or answer.status >= SERVER_ERROR:
        return FailureKind.LOST
    raise problem


def _messages_in(answer: Response, after: int) -> tuple[Message, ...]:
    if not answer.good:
        raise UnexpectedAnswerError(answer)
    try:
        return messages_of(read(answer, State), after)
    except (RefusedError, UndecodableError) as error:
        raise BlockedError(str(error)) from error
