"""What a caller shows: the token of a job, the id it wants for one, and how far it has followed."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.tokens import canonical

PROTOCOL: Final = "shelfwire.v1"
"""The WebSocket subprotocol that the server selects."""
_BEARER: Final = "shelfwire.bearer."
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""As RFC 9562 writes it. What else could be read as one would not be found again by who sent it."""
MAX_SEQ_DIGITS: Final = 18
"""Whatever has more digits is no revision of a job."""


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token in the `Authorization` header, if there is one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def offered_token(protocols: Iterable[str]) -> str | None:
    """The token among the WebSocket subprotocols that a client offers: a browser's way to keep it out of the URL."""
    return next((name.removeprefix(_BEARER) for name in protocols if name.startswith(_BEARER)), None)


def job_id_of(text: str) -> str:
    """A caller's own choice of a job's id, in the form in which ids are compared.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no UUID.
    """
    if not _UUID.fullmatch(text):
        raise ShelfwireError(Code.INVALID_REQUEST, "jobId must be a UUID; leave it out to get one")
    return canonical(text)


def position(text: str) -> int:
    """The `seq` that a follower says it has shown; what is no such number counts as none shown, which is 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_SEQ_DIGITS else 0
