"""Messages as the bytes that transports send, the same for all their followers."""

from typing import Final

from websockets.frames import Close, Opcode
from websockets.frames import Frame as WebSocketFrame

from shelfwire.jobs.frames import Frame
from shelfwire.protocol.close_codes import CloseCode
from shelfwire.protocol.feed import CLOSE_REASONS
from shelfwire.protocol.job import JobState
from shelfwire.web.events import STILL_HERE, event

_HEAD_AND_MASK: Final = 6
_SHORT, _SIZE_16, _SIZE_64 = 125, 126, 127


def text_frame(data: bytes) -> bytes:
    """Return a text frame of a server: it is not masked, and so the same for all clients (RFC 6455, section 5.1)."""
    size = len(data)
    if size <= _SHORT:
        return b"\x81%c%b" % (size, data)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), data)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), data)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame of a server."""
    return WebSocketFrame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)


class SocketFraming:
    """Messages as text frames."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        """See `Framing`."""
        del is_last
        return text_frame(frame.data)

    def farewell(self, state: JobState) -> bytes:
        """See `Framing`."""
        return close_frame(CloseCode.ENDED, CLOSE_REASONS[state.status])


class StreamFraming:
    """Messages as Server-Sent Events, each in a chunk of its own."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        """See `Framing`."""
        return chunk_of(event(frame, is_last=is_last))

    def farewell(self, state: JobState) -> bytes:
        """See `Framing`."""
        del state
        return END


def chunk_of(data: bytes) -> bytes:
    """Return a chunk of a body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


END: Final = b"0\r\n\r\n"
"""The end of a stream."""
COMMENT: Final = chunk_of(STILL_HERE)
SOCKET: Final = SocketFraming()
STREAM: Final = StreamFraming()


def is_whole(data: bytes) -> bool:
    """Whether some masked frames end exactly where the data ends."""
    place = 0
    while place + _HEAD_AND_MASK <= len(data):
        size = data[place + 1] & 0x7F
        if size > _SHORT:
            wide = 2 if size == _SIZE_16 else 8
            size = wide + int.from_bytes(data[place + 2 : place + 2 + wide], "big")
        place += _HEAD_AND_MASK + size
    return place == len(data)
