"""Values as the catalogue's file keeps them. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shelfwire.books.bibliography.records import BookRecord

Numbers = int | str | None
"""No, one, or several numbers as a JSON array: as a column that SQLite can mostly join by."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(BookRecord)


def numbers_of(values: Sequence[int]) -> Numbers:
    """Different numbers as a column has them."""
    if len(values) == 1:
        return values[0]  # what most have, and it is done for each line of a dump
    return f"[{','.join(map(str, dict.fromkeys(values)))}]" if values else None


def pack(book: BookRecord) -> bytes:
    """A book of a list as it is kept."""
    return _ENCODER.encode(book)


def unpack(data: bytes) -> BookRecord:
    """Read a book of a list."""
    return _DECODER.decode(data)
