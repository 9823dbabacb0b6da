"""Encodes the outcome of an item for the log, and finds out where it could not be read again.

Whatever is in the log goes into pages and terminal messages as it is, so one outcome that no reader takes would spoil
them for good. Only `msgspec.Raw`, which is encoded unread, can bring one in; the check is quick enough for all.
"""

import itertools
import math
import re
from typing import Any, Final

import msgspec

from shelfwire.errors import Code, ShelfwireError

MAX_ITEM_BYTES: Final = 256 * 1024
"""Size limit of an item's result or error as JSON. A page of results has up to a thousand of them."""
MAX_ITEM_DEPTH: Final = 64
"""Nesting limit of an item's lists and objects; programs that read them need not be prepared for more."""

_SHAPE: Final = bytes(ord(" 0e+"[(c in b"0123456789") + 2 * (c in b"eE") + 3 * (c in b"+")]) for c in range(256))
"""Digits become 0, and what an exponent begins with stays: numbers that may be too large can be searched for."""
SMALL_BYTES: Final = 300
"""An item below is read as a whole, which is quicker than to look for what may be wrong with it. It holds no number
beyond a double without an exponent, and no 65 levels with fewer than `_MIN_LISTS` lists: an object takes five bytes."""
_MIN_LISTS: Final = 12
_LONG: Final = b"0" * SMALL_BYTES
_LONG_NUMBER: Final = re.compile(rb"(?<![0-9.])[0-9]{300,}[0-9.eE+-]*")
_SIGNS: Final = bytes((c in b"[{") + 255 * (c in b"]}") for c in range(256))
"""Brackets become 1 and -1."""
_NO_BRACKETS: Final = bytes(c for c in range(256) if c not in b"[]{}")
_OPEN_CLOSE: Final = b"\x01\xff"
_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder().decode
_skip: Final = msgspec.json.Decoder(msgspec.Raw).decode


def encode_body(body: Any, title: str | None = None) -> str:
    """Encode the outcome of an item, in one line of JSON.

    Args:
        body: anything.
        title: the item's, which counts towards the limit of its size.

    Raises:
        ShelfwireError: `E_ITEM_TOO_LARGE` or `E_ITEM_INVALID`: the outcome cannot be kept; the message says why.
    """
    try:
        encoded = _encode(body)
    except Exception as error:  # noqa: BLE001 - objects may raise what they like when they are encoded
        raise _invalid(f"cannot be written as JSON: {error}") from None
    size = len(encoded) if title is None else len(encoded) + len(title.encode())
    try:
        if size < SMALL_BYTES and encoded.count(b"[") < _MIN_LISTS:
            _read(encoded)
        else:
            _check_limits(encoded, size)
            check_readable(encoded)
        if b"\n" in encoded or b"\r" in encoded:  # within a text they are escaped
            encoded = msgspec.json.format(encoded, indent=-1)
        return encoded.decode()
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _invalid(f"is not valid as JSON: {error}") from None


def _check_limits(encoded: bytes, size: int) -> None:
    if size > MAX_ITEM_BYTES:
        raise ShelfwireError(
            Code.ITEM_TOO_LARGE,
            f"What is recorded of the item is {size:,} bytes as JSON, and at most {MAX_ITEM_BYTES:,} are kept: "
            "put what is large elsewhere, and record where it is",
        )
    if encoded.count(b"[") + encoded.count(b"{") > MAX_ITEM_DEPTH and depth(encoded) > MAX_ITEM_DEPTH:
        raise _invalid(f"has more than {MAX_ITEM_DEPTH} lists and objects within one another: flatten it")


def check_readable(encoded: bytes) -> None:
    """Check that JSON which was put together unread can be read.

    Raises:
        msgspec.DecodeError: it is no JSON, or has a number beyond a double.
        UnicodeError: it is no UTF-8.
    """
    _skip(encoded)
    _check_skipped(encoded)


def _check_skipped(encoded: bytes) -> None:
    """Check what the decoder passes over where it skips a value: UTF-8, and the size of numbers."""
    encoded.decode()
    shape = encoded.translate(_SHAPE)
    if b"e0" in shape or b"e+" in shape:
        _read(encoded)
    if _LONG in shape and any(math.isinf(float(number)) for number in _LONG_NUMBER.findall(_without_strings(encoded))):
        raise msgspec.DecodeError("Number out of range")


def depth(encoded: bytes) -> int:
    """Return how deep the lists and objects of a JSON text are within one another.

    Peels off the innermost brackets while that halves their number, and then counts: some milliseconds for 256 KiB,
    whatever they hold. A loop over the brackets takes ten times as long.
    """
    brackets = _without_strings(encoded).translate(_SIGNS, _NO_BRACKETS)
    peeled = 0
    while brackets:
        inner = brackets.replace(_OPEN_CLOSE, b"")
        peeled += 1
        if len(inner) > len(brackets) // 2:
            return peeled + max(itertools.accumulate(memoryview(inner).cast("b")))
        brackets = inner
    return peeled


def _without_strings(encoded: bytes) -> bytes:
    if b"\\" in encoded:
        encoded = encoded.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(encoded.split(b'"')[::2])


def _invalid(reason: str) -> ShelfwireError:
    return ShelfwireError(Code.ITEM_INVALID, f"What is recorded of the item {reason}")
