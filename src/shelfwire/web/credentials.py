"""Reads what a caller presents: the token of a job, the id it chooses for one, and the `seq` it has shown."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.tokens import canonical

PROTOCOL: Final = "shelfwire.v1"
"""The WebSocket subprotocol that the server selects."""
_BEARER: Final = "shelfwire.bearer."
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""As RFC 9562 writes it. Other spellings are refused: the caller would not recognise its id in ours."""
MAX_SEQ_DIGITS: Final = 18
"""A number with more digits is no revision of a job."""


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token in the `Authorization` header, if there is one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def offered_token(protocols: Iterable[str]) -> str | None:
    """Return the token among the WebSocket subprotocols offered: a browser's way to keep it out of the URL."""
    return next((name.removeprefix(_BEARER) for name in protocols if name.startswith(_BEARER)), None)


def job_id_of(text: str) -> str:
    """Return a caller's own choice of a job's id, in the form in which ids are compared.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no UUID.
    """
    if not _UUID.fullmatch(text):
        raise ShelfwireError(Code.INVALID_REQUEST, "jobId must be a UUID; leave it out to get one")
    return canonical(text)


def position(text: str) -> int:
    """Return the `seq` that a follower has shown, by its own account; 0, which is none, if that is no such number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_SEQ_DIGITS else 0
