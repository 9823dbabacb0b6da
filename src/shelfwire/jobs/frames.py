"""Encoded messages, which followers share, and what a connection must be able to do with them."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from shelfwire.jobs.store import Committed
from shelfwire.protocol.feed import Due, progress_message, started_message
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import encode_bytes


class Dismissal(Enum):
    """Why a follower receives nothing more although the job has not ended."""

    REVOKED = auto()
    EXPIRED = auto()
    LEAVING = auto()


class Frame:
    """One encoded message, shared by all followers that receive it.

    Attributes:
        due: which message this is; nothing follows `Due.ENDING`.
        data: the message.
        size: its bytes.
        state: the state it shows.
    """

    __slots__ = ("_framed", "_text", "data", "due", "size", "state")

    def __init__(self, due: Due, data: bytes, state: JobState) -> None:
        self.due = due
        self.data = data
        self.size = len(data)
        self.state = state
        self._framed: dict[tuple[Framing, bool], bytes] = {}
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The message as text."""
        if self._text is None:
            self._text = self.data.decode()
        return self._text

    def framed(self, framing: "Framing", *, is_last: bool) -> bytes:
        """Return the bytes that a transport sends of the message, made on first use; see `Framing.frame`."""
        data = self._framed.get((framing, is_last))
        if data is None:
            data = self._framed[framing, is_last] = framing.frame(self, is_last=is_last)
        return data


class Framing(Protocol):
    """Makes of messages what a transport sends: the same bytes for all its followers."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        """Return the bytes of one message, which is the last of those that are sent together or is not."""
        ...

    def farewell(self, state: JobState) -> bytes:
        """Return the bytes that follow the terminal message, of an ended state."""
        ...


class Outlet(Protocol):
    """The connection of a direct follower. Nothing here waits.

    It calls the follower's `pause` when its buffer is full, also from within `write`, and `resume` later.

    Attributes:
        framing: the form of its messages.
        write: takes bytes to be sent.
    """

    framing: Framing
    write: Callable[[bytes], object]

    def ended(self, state: JobState) -> None:
        """Close, because the terminal message and the farewell were written."""
        ...

    def dismissed(self, reason: Dismissal) -> None:
        """Close, for this reason; nothing more is written."""
        ...


def encoded(due: Due, newest: Committed) -> bytes:
    """Return the JSON of a message of a row, which must be ended for `Due.ENDING`."""
    match due:
        case Due.STARTED:
            return encode_bytes(started_message(newest.state))
        case Due.PROGRESS:
            return encode_bytes(progress_message(newest.state))
        case Due.ENDING:
            assert newest.terminal is not None  # noqa: S101 - an ended row comes with its ending
            return newest.terminal.encode()
