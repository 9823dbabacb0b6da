"""Takes apart what a server sends, so that a fault can be aimed at a message instead of at a number of bytes.

It reads HTTP answers one after the other, WebSocket frames after an upgrade, and the parts of an event stream. What it
cannot read passes in whatever portions it came.
"""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

HEAD_END: Final = b"\r\n\r\n"
UPGRADED: Final = 101
BODILESS: Final = frozenset({204, 304})
TEXT, CLOSE = 0x1, 0x8
SHORT, LONG = 126, 127
ENDED: Final = frozenset({"complete", "failed", "canceled"})
ENDINGS: Final = ("job_complete", "error")
ENDING_EVENTS: Final = ("job_complete", "job_error")
"""What they are called in a stream of events."""


class Kind(StrEnum):
    """What a piece is."""

    HEAD = "head"
    """An answer's status line and header fields."""
    MESSAGE = "message"
    """A text frame, a part of an event stream with an event in it, or the state of a job that goes on."""
    ENDING = "ending"
    """The same, but terminal."""
    CLOSE = "close"
    """A close frame, or the end of an answer sent in parts."""
    OTHER = "other"
    """A heartbeat or any other body."""


class Piece(msgspec.Struct, frozen=True):
    """Some bytes that belong together.

    Attributes:
        kind: what they are.
        raw: all of them, as they were sent.
        text: what they say, without frame or chunk.
        status: of a head.
    """

    kind: Kind
    raw: bytes
    text: str = ""
    status: int = 0


class Pieces:
    """One connection's bytes from the server, in order."""

    def __init__(self) -> None:
        self._buffer = b""
        self._read: Callable[[], Piece | None] = self._head
        self._events = False

    @property
    def rest(self) -> bytes:
        """The beginning of a piece whose end has not come yet."""
        return self._buffer

    def feed(self, data: bytes) -> list[Piece]:
        """Take more bytes, and return the pieces that are whole now. Nothing is lost: they and `rest` are all bytes."""
        self._buffer += data
        found: list[Piece] = []
        while self._buffer and (piece := self._read()) is not None:
            self._buffer = self._buffer[len(piece.raw) :]
            found.append(piece)
        return found

    def _head(self) -> Piece | None:
        if not self._buffer.startswith(b"HTTP/1.1 "[: len(self._buffer)]):
            self._read = self._anything
            return self._anything()
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return None
        raw = self._buffer[: end + len(HEAD_END)]
        text = raw.decode("latin-1")
        status = int(text[9:12])
        fields = dict(line.lower().split(": ", 1) for line in text.split("\r\n")[1:] if ": " in line)
        self._events = fields.get("content-type", "").startswith("text/event-stream")
        length = int(fields.get("content-length", "0"))
        if status == UPGRADED:
            self._read = self._frame
        elif fields.get("transfer-encoding") == "chunked":
            self._read = self._chunk
        elif "content-length" in fields or status in BODILESS:
            self._read = (lambda: self._body(length)) if length and status not in BODILESS else self._head
        else:
            self._read = self._anything
        return Piece(Kind.HEAD, raw, text, status)

    def _frame(self) -> Piece | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        start, length = 2, buffer[1]
        if length in (SHORT, LONG):
            start = 4 if length == SHORT else 10
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return None
        raw = buffer[: start + length]
        opcode = raw[0] & 0xF
        if opcode != TEXT:
            return Piece(Kind.CLOSE if opcode == CLOSE else Kind.OTHER, raw)
        text = raw[start:].decode("utf-8", "replace")
        ending = text.startswith(tuple(f'{{"type":"{name}"' for name in ENDINGS))
        return Piece(Kind.ENDING if ending else Kind.MESSAGE, raw, text)

    def _chunk(self) -> Piece | None:
        size, found, _ = self._buffer.partition(b"\r\n")
        if not found:
            return None
        start, length = len(size) + 2, int(size, 16)
        if len(self._buffer) < start + length + 2:
            return None
        raw = self._buffer[: start + length + 2]
        if not length:
            self._read = self._head
            return Piece(Kind.CLOSE, raw)
        text = raw[start:-2].decode("utf-8", "replace")
        if not self._events or "data:" not in text:
            return Piece(Kind.OTHER, raw, text)
        ending = any(f"event: {name}" in text for name in ENDING_EVENTS)
        return Piece(Kind.ENDING if ending else Kind.MESSAGE, raw, text)

    def _body(self, length: int) -> Piece | None:
        if len(self._buffer) < length:
            return None
        self._read = self._head
        raw = self._buffer[:length]
        text = raw.decode("utf-8", "replace")
        try:
            ended = json.loads(text)["data"]["status"] in ENDED
        except (ValueError, KeyError, TypeError):
            return Piece(Kind.OTHER, raw, text)
        return Piece(Kind.ENDING if ended else Kind.MESSAGE, raw, text)

    def _anything(self) -> Piece | None:
        return Piece(Kind.OTHER, self._buffer)
