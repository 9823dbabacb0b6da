"""Reads the heads of plain requests of followers."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_connection, parse_extension, parse_subprotocol

from shelfwire.web.events import BELOW
from shelfwire.web.socket import PATH

MAX_HEAD_BYTES: Final = 8 * 1024
_SOCKET, _STREAM = f"GET {PATH}?".encode(), b"GET /api/jobs/"
_TARGET: Final = re.compile(
    rb"GET (?:%b|/api/jobs/(?P<job>[0-9A-Za-z-]{1,64})%b)(?:\?(?P<query>[!-~]*))? HTTP/1\.1"
    % (re.escape(PATH.encode()), re.escape(BELOW.encode()))
)
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_PLAIN: Final = re.compile(r"[0-9A-Za-z_.~-]*")
_UNUSUAL: Final = frozenset(
    {
        *("content-length", "transfer-encoding", "expect", "http2-settings"),
        *("x-forwarded-host", "x-forwarded-prefix", "forwarded"),
    }
)
"""Headers with which a request takes the ordinary way."""
_EVENTS: Final = BELOW.encode()
_KEY_CHARS: Final = 24
_KEY_BYTES: Final = 16
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of RFC 6455, section 1.3."""


class Request(NamedTuple):
    """A plain request of a follower.

    Attributes:
        stream_of: the job whose events are asked for; empty for the progress socket.
        headers: by name, in lower case.
        query: the parameters, by name.
    """

    stream_of: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


def parsed(head: bytes) -> Request | None:
    """Return a head that is plainly good and whole, with nothing behind it; None for any other."""
    if len(head) > MAX_HEAD_BYTES or head.find(b"\r\n\r\n") != len(head) - 4:
        return None
    first, *lines = head[:-4].split(b"\r\n")
    target = _TARGET.fullmatch(first)
    if target is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode().lower()
        if name in headers or name in _UNUSUAL:
            return None
        headers[name] = match[2].decode("latin-1").strip(" \t")
    query: dict[str, str] = {}
    for pair in (target["query"] or b"").decode().split("&"):
        name, _, value = pair.partition("=")
        if name in query or not (_PLAIN.fullmatch(name) and _PLAIN.fullmatch(value)):
            return None
        query[name] = value
    stream_of = (target["job"] or b"").decode()
    return Request(stream_of, headers, query) if headers.get("host") else None


@lru_cache(maxsize=256)
def _is_readable(connection: str, extensions: str | None, protocols: str | None) -> bool:
    """Whether headers of a handshake, which many clients send alike, are as the ordinary way demands."""
    try:
        upgrades = "upgrade" in [option.lower() for option in parse_connection(connection)]
        parse_extension(extensions) if extensions is not None else None
        parse_subprotocol(protocols) if protocols is not None else None
    except InvalidHeader:
        return False
    return upgrades


def accept_key(headers: Mapping[str, str]) -> bytes | None:
    """Return the key that accepts a handshake; None if it is not plainly a good one."""
    key = headers.get("sec-websocket-key", "")
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or headers.get("sec-websocket-version") != "13"
        or len(key) != _KEY_CHARS
        or not _is_readable(
            headers.get("connection", ""),
            headers.get("sec-websocket-extensions"),
            headers.get("sec-websocket-protocol"),
        )
    ):
        return None
    try:
        if len(base64.b64decode(key, validate=True)) != _KEY_BYTES:
            return None
    except (binascii.Error, ValueError):
        return None
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())


def may_be_plain(data: bytes) -> bool:
    """Whether the first bytes of a connection may be such a request."""
    return data.startswith(_SOCKET) or (data.startswith(_STREAM) and _EVENTS in data)
