"""The table of the codes with which the progress socket closes, and whether a client reconnects after each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class CloseCode(IntEnum):
    """Reasons to close a progress socket: the server's codes in section 2 of the contract."""

    ENDED = 1000
    MISUSE = 1008
    TOO_BIG = 1009
    SILENT = 1011
    RESTARTING = 1012
    OVERLOADED = 1013


@dataclass(frozen=True, slots=True)
class Close:
    """An entry of the table.

    Attributes:
        when: when the server closes with this code.
        reconnect: whether a client reconnects after it.
    """

    when: str
    reconnect: bool = True


CLOSES: Final[Mapping[CloseCode, Close]] = {
    CloseCode.ENDED: Close(
        "after the terminal message; the reason is `Job completed`, `Job failed` or `Job canceled`", reconnect=False
    ),
    CloseCode.MISUSE: Close("twenty frames could not be understood, or the token was revoked", reconnect=False),
    CloseCode.TOO_BIG: Close("a frame over 64 KiB"),
    CloseCode.SILENT: Close("no PONG for 60 s; the server sends a PING every 30 s"),
    CloseCode.RESTARTING: Close(
        "the server is shutting down or restarting, or the token has expired; a client that has no newer one is refused"
    ),
    CloseCode.OVERLOADED: Close("the server has too much to do"),
}
FINAL_CLOSE_CODES: Final = frozenset(code for code, close in CLOSES.items() if not close.reconnect)
"""Codes after which a client does not reconnect."""
