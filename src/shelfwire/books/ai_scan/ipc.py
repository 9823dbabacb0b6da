"""What the server and the process that opens photos tell each other, over pipes: frames of a length and MessagePack."""

import struct
from typing import Final, Literal

import msgspec

LENGTH: Final = struct.Struct(">I")
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""More than any photo or answer needs."""


class Ask(msgspec.Struct, frozen=True):
    """Open a photo, and do something with it.

    Attributes:
        photo: the file.
        want: `books`: read what is on it; `jpeg`: make a JPEG that may leave this machine.
    """

    photo: bytes
    want: Literal["books", "jpeg"]


class Spotted(msgspec.Struct, frozen=True, tag=True):
    """A book whose spine has just been read; the answer follows later.

    Attributes:
        title: its title, as far as it is known.
    """

    title: str


class Spine(msgspec.Struct, frozen=True, kw_only=True):
    """A book as it stands on a photo.

    Attributes:
        title: its title.
        authors: whoever is named beside it; may be empty.
        confidence: how sure the reading is, from 0 to 1.
        polygon: its outline, in pixels of the photo as it is meant to be looked at; empty where it is not known.
        text: all that was read on it.
    """

    title: str
    authors: tuple[str, ...]
    confidence: float
    polygon: tuple[tuple[int, int], ...]
    text: str


class Books(msgspec.Struct, frozen=True, tag=True):
    """The answer to `books`.

    Attributes:
        spines: what was found.
        width, height: of the photo as it is meant to be looked at.
    """

    spines: tuple[Spine, ...]
    width: int
    height: int


class Jpeg(msgspec.Struct, frozen=True, tag=True):
    """The answer to `jpeg`.

    Attributes:
        data: the file.
        sent_width, sent_height: its size.
        width, height: of the photo as it is meant to be looked at.
    """

    data: bytes
    sent_width: int
    sent_height: int
    width: int
    height: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The photo cannot be opened.

    Attributes:
        message: why, for a developer.
        user_message: why, for a person.
    """

    message: str
    user_message: str


Answer = Spotted | Books | Jpeg | Refused
encode: Final = msgspec.msgpack.Encoder().encode
ask_decoder: Final = msgspec.msgpack.Decoder(Ask)
answer_decoder: Final = msgspec.msgpack.Decoder(Answer)


def framed(message: Ask | Answer) -> bytes:
    """One frame."""
    body = encode(message)
    return LENGTH.pack(len(body)) + body
