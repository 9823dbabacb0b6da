"""The one table of the codes that the progress socket closes with, and what each asks of a client."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class CloseCode(IntEnum):
    """Why a progress socket was closed: the server's codes of section 2 of the contract."""

    ENDED = 1000
    MISUSE = 1008
    TOO_BIG = 1009
    SILENT = 1011
    RESTARTING = 1012
    OVERLOADED = 1013


@dataclass(frozen=True, slots=True)
class Close:
    """What the table knows of one code.

    Attributes:
        when: what makes the server close with it.
        reconnect: whether a client comes back after it.
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
    CloseCode.RESTARTING: Close("the server is shutting down or restarting"),
    CloseCode.OVERLOADED: Close("the server has too much to do"),
}
FINAL_CLOSE_CODES: Final = frozenset(code for code, close in CLOSES.items() if not close.reconnect)
"""A client reconnects after every close but these."""
