"""All that the client asks of a network. `network.py` is the real one; `testing.py` answers from memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec


def header_value(text: str, what: str) -> str:
    """Give back a text that fits into a header.

    Raises:
        ValueError: it does not. What is said names `what` it is and not the text, which may be a secret.
    """
    if not text or any(not "!" <= character <= "~" for character in text):
        raise ValueError(f"{what} holds what none can: a space, the end of a line or no ASCII, or nothing at all")
    return text


class Upload(msgspec.Struct, frozen=True):
    """A file to send that is not on disk.

    Attributes:
        name: what the server is told it is called.
        data: its bytes.
    """

    name: str
    data: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked once and answered once.

    Attributes:
        method: an HTTP method.
        path: below the server's URL.
        headers: those beyond what HTTP itself needs.
        params: the query; holds no secret.
        json: the body, as JSON; None for none.
        files: the body, as a form: files on disk or in memory, each with its field.
        fields: text fields of that form.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    params: Mapping[str, str] = {}
    json: Any = None
    files: Sequence[tuple[str, Path | Upload]] = ()
    fields: Mapping[str, str] = {}


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer, read to its end. The names of the headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - what HTTP calls success


class Event(NamedTuple):
    """One server-sent event. `id` is the last id that the stream has named, and empty before the first."""

    id: str
    data: str


class NetworkError(Exception):
    """The network did not do what it should. The text names no secret."""


class UnreachableError(NetworkError):
    """Nothing of the request can have arrived: no connection came to be."""


class UntrustedError(UnreachableError):
    """Who answers cannot prove to be the server; trying again changes nothing."""


class CutError(NetworkError):
    """The connection ended, or went silent, before its time: the server may have heard us.

    Attributes:
        code: the WebSocket's close code, where the server gave one.
    """

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class BlockedError(NetworkError):
    """A stream was opened but does not flow, as behind a proxy that collects it first."""


class UnexpectedAnswerError(NetworkError):
    """An HTTP answer came where a socket or a stream was asked for.

    Attributes:
        answer: what came.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(f"The server answered {answer.status}")
        self.answer = answer


class Socket(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            CutError: the connection is gone.
        """
        ...

    async def receive(self) -> str | bytes:
        """Return the next frame, once there is one.

        Raises:
            CutError: the connection is gone.
        """
        ...


class HttpClient(Protocol):
    """The way to one server. Every method must bear being cancelled."""

    async def request(self, request: Request) -> Response:
        """Ask something; whatever the server answers, good or bad, is returned.

        Raises:
            OSError: a file to send cannot be read.
            UnreachableError: the server cannot be reached.
            CutError: the answer did not come.
        """
        ...

    def socket(self, request: Request) -> AbstractAsyncContextManager[Socket]:
        """Open a WebSocket; leaving the context closes it.

        Raises:
            UnexpectedAnswerError: the upgrade was refused.
            UnreachableError: the server cannot be reached.
            CutError: the connection ended during the handshake.
        """
        ...

    def events(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Open a stream of server-sent events; leaving the context closes it.

        The iteration ends when the server ends the stream; it raises `CutError` when the connection is gone.

        Raises:
            UnexpectedAnswerError: the answer is no such stream.
            BlockedError: it is one, but nothing comes.
            UnreachableError: the server cannot be reached.
            CutError: the connection ended before the stream began.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
