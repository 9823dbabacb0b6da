"""Messages between the server and its image worker, over pipes: MessagePack in frames that begin with their length."""

import struct
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

LENGTH: Final = struct.Struct(">I")
ANY_WIDTH: Final = 1 << 30
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""More than any photo or answer needs."""
LIKELY: Final = 0.4
"""A spine that is less likely a book is left out, unless a catalogue knows it. Of 16 photos, each judged by weights
fitted to the others, 79 % of the books remain, and 82 % of what remains are books."""


class ImageRequest(msgspec.Struct, frozen=True):
    """A request to open a photo and read or convert it.

    Attributes:
        photo: the file.
        want: `books`: detect the books on it; `jpeg`: make a JPEG without metadata, which may leave this machine.
        width: that of the JPEG at most, in pixels.
    """

    photo: bytes
    want: Literal["books", "jpeg"]
    width: int = ANY_WIDTH


class TitleRead(msgspec.Struct, frozen=True, tag=True):
    """Progress: text on a spine has been read; the answer follows later.

    Attributes:
        title: the title, as far as it is known.
    """

    title: str


class Hint(StrEnum):
    """What stood in the way of reading a photo."""

    BLURRED = "blurred"
    """Its letters are not sharp."""
    SCRIPT = "script_not_read"
    """It has text in a script that the reader does not know."""


class Reading(msgspec.Struct, frozen=True):
    """A way to give title and authors to the text of a book."""

    title: str
    authors: tuple[str, ...]


class DetectedBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book detected on a photo.

    Attributes:
        title: its title.
        authors: their names; may be empty.
        confidence: how sure the reading is, from 0 to 1.
        polygon: its outline as (x, y), in pixels of the upright photo; empty if it is unknown.
        text: all that was read on it, lines separated by ` | `.
        readings: ways to give it title and authors, the likeliest first; empty if the reader did not weigh any.
    """

    title: str
    authors: tuple[str, ...]
    confidence: float
    polygon: tuple[tuple[int, int], ...]
    text: str
    readings: tuple[Reading, ...] = ()

    @property
    def likely(self) -> bool:
        """Whether it is taken for a book without a catalogue that knows it."""
        return not self.readings or self.confidence >= LIKELY


class Findings(NamedTuple):
    """What a reader has found on a photo: the books, and what stood in the way of reading it."""

    books: tuple[DetectedBook, ...]
    hints: tuple[Hint, ...] = ()


class DetectedBooks(msgspec.Struct, frozen=True, tag=True):
    """The answer to `books`.

    Attributes:
        books: the books.
        width, height: of the upright photo, in pixels.
        hints: what stood in the way of reading it.
    """

    books: tuple[DetectedBook, ...]
    width: int
    height: int
    hints: tuple[Hint, ...] = ()


class JpegCopy(msgspec.Struct, frozen=True, tag=True):
    """The answer to `jpeg`.

    Attributes:
        data: the file.
        sent_width, sent_height: its size, in pixels.
        width, height: of the upright photo, in pixels.
    """

    data: bytes
    sent_width: int
    sent_height: int
    width: int
    height: int


class ImageRefused(msgspec.Struct, frozen=True, tag=True):
    """The answer if the photo cannot be opened.

    Attributes:
        message: why, for a developer.
        user_message: why, for a person.
    """

    message: str
    user_message: str


WorkerMessage = TitleRead | DetectedBooks | JpegCopy | ImageRefused
encode: Final = msgspec.msgpack.Encoder().encode
request_decoder: Final = msgspec.msgpack.Decoder(ImageRequest)
message_decoder: Final = msgspec.msgpack.Decoder(WorkerMessage)


def framed(message: ImageRequest | WorkerMessage) -> bytes:
    """Encode a message as one frame."""
    body = encode(message)
    return LENGTH.pack(len(body)) + body
