"""Recognises plain requests of followers, and serves them."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.steps import DirectFollower
from shelfwire.protocol.tokens import canonical, digest
from shelfwire.server.arrival import Arrival, Turnstile
from shelfwire.server.fast.connections import ADMITTED_PER_TURN, Shared, SocketFollower, StreamFollower
from shelfwire.server.fast.framing import chunk_of
from shelfwire.server.fast.heads import Request, accept_key, may_be_plain, parsed
from shelfwire.tracing import is_traced
from shelfwire.web.credentials import PROTOCOL, bearer, offered_token, position
from shelfwire.web.events import PADDING, RETRY, STREAM_HEADERS
from shelfwire.web.hosts import AllowedHosts
from shelfwire.web.middleware import SANE_ID
from shelfwire.web.responses import REQUEST_ID

_OF_STREAMS: Final = frozenset({"upgrade", "te", "sec-websocket-key"})
"""Headers with which a request for a stream takes the ordinary way."""
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}")
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %%b\r\n%%b%b: %%b\r\n\r\n" % REQUEST_ID.encode()
)
_SELECTED: Final = f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n".encode()


class _Wanted(NamedTuple):
    """What a request asks for, and how it is answered.

    Attributes:
        job_id: the job.
        token: the token that it shows, if any.
        after: the newest `seq` that was seen already.
        head: what is sent first, with a place for the id of the request.
        last: the id of the last event that was seen.
    """

    job_id: str
    token: str | None
    after: int
    head: bytes
    last: int = 0


class FastFollowers:
    """Recognises plain requests of followers, and serves them.

    Args:
        shared: what their connections share.
        new_id: makes a request's id.
        hosts: the hosts that the server answers for.

    Attributes:
        turnstile: says when a request is begun.
    """

    def __init__(self, shared: Shared, new_id: Callable[[], str], hosts: AllowedHosts) -> None:
        self.turnstile = Turnstile(ADMITTED_PER_TURN)
        self._shared = shared
        self._access = shared.context.access
        self._new_id = new_id
        self._hosts = hosts

    def may_take(self, data: bytes) -> bool:
        """Whether the first bytes of a connection may be the request of a follower."""
        return may_be_plain(data)

    def take(self, arrival: Arrival, data: bytes) -> bool:
        """Take over a connection by its first bytes; return False, and do nothing, if it has to be served otherwise."""
        request = parsed(data)
        if request is None or not self._hosts.include(request.headers["host"]):
            return False
        asked = request.headers.get("x-request-id", "")
        request_id = asked if SANE_ID.fullmatch(asked) else self._new_id()
        wanted = self._stream(request) if request.stream_of else self._socket(request)
        if wanted is None or not wanted.token or not wanted.job_id:
            return False
        try:
            self._shared.context.connections.join()
        except ShelfwireError:
            return False
        follower = DirectFollower(wanted.after, digest(wanted.token), "events" if request.stream_of else "websocket")
        named = wanted.head % request_id.encode()
        if request.stream_of:
            connection: SocketFollower | StreamFollower = StreamFollower(
                self._shared, arrival, follower, wanted.job_id, request_id, wanted.last
            )
            named = b"HTTP/1.1 200 OK\r\n%b%b" % (arrival.default_headers, named)
        else:
            connection = SocketFollower(self._shared, arrival, follower, wanted.job_id, request_id)
        connection.seat(wanted.token, named)
        return True

    def _socket(self, request: Request) -> _Wanted | None:
        _, headers, query = request
        accept = accept_key(headers)
        if accept is None:
            return None
        try:
            self._access.check_origin(headers.get("origin"), headers["host"])
        except ShelfwireError:
            return None
        protocols = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
        token = bearer(headers) or offered_token(protocols) or query.get("token")
        head = _SWITCHING % (accept, _SELECTED if PROTOCOL in protocols else b"", b"%b")
        return _Wanted(canonical(query.get("jobId", "")), token, position(query.get("after", "0")), head)

    def _stream(self, request: Request) -> _Wanted | None:
        job_id, headers, query = request
        after = query.get("after", "0")
        if (
            not _NUMBER.fullmatch(after)
            or not _OF_STREAMS.isdisjoint(headers)
            or headers.get("connection", "keep-alive").lower() != "keep-alive"
            or is_traced()
        ):
            return None
        last = position(headers.get("last-event-id", query.get("lastEventId", "")))
        lines = {**STREAM_HEADERS, **self._access.cors_headers(headers.get("origin"))}
        named = "".join(f"{name.lower()}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
        head = b"%b%b: %%b\r\ntransfer-encoding: chunked\r\n\r\n%b" % (
            named.replace(b"%", b"%%"),
            REQUEST_ID.lower().encode(),
            chunk_of(PADDING + RETRY).replace(b"%", b"%%"),
        )
        return _Wanted(canonical(job_id), bearer(headers) or query.get("token"), last or int(after), head, last)
