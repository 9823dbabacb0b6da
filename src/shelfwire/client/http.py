"""The port to the network. `http_client` is the real adapter; `testing.server` answers from memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec


def header_value(text: str, what: str) -> str:
    """Return `text` if it can be the value of a header.

    Raises:
        ValueError: it cannot. The message names `what` it is but not the text, which may be a secret.
    """
    if not text or any(not "!" <= character <= "~" for character in text):
        raise ValueError(f"{what} is empty, or holds a space, a line break or a character outside ASCII")
    return text


def key_header(api_key: str | None) -> Mapping[str, str]:
    """Return the header that carries an API key; none without one.

    Raises:
        ValueError: it cannot be a key.
    """
    return {} if api_key is None else {"X-API-Key": header_value(api_key, "The API key")}


class Upload(msgspec.Struct, frozen=True):
    """A file to send that is not on disk.

    Attributes:
        name: its name.
        data: its bytes.
    """

    name: str
    data: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request.

    Attributes:
        method: an HTTP method.
        path: below the server's URL.
        headers: the headers beyond what HTTP itself needs.
        params: the query; it must hold no secret.
        json: the body, as JSON; None for none.
        files: the body, as a form: files on disk or in memory, each with its field.
        fields: text fields of that form.
        content: the body, as the bytes that it is; None for none.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    params: Mapping[str, str] = {}
    json: Any = None
    files: Sequence[tuple[str, Path | Upload]] = ()
    fields: Mapping[str, str] = {}
    content: bytes | None = None


class Response(msgspec.Struct, frozen=True):
    """An HTTP response, read to its end. The names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the range that HTTP calls success


class Event(NamedTuple):
    """One server-sent event. `id` is the last id that the stream has named, and empty before the first."""

    id: str
    data: str


class NetworkError(Exception):
    """A failure of the network. The text holds no secret."""


class UnreachableError(NetworkError):
    """No connection was made, so the request cannot have arrived."""


class UntrustedError(UnreachableError):
    """What answers cannot prove to be the server; trying again changes nothing."""


class CutError(NetworkError):
    """The connection ended, or went silent, too early: the server may have received the request.

    Attributes:
        code: the WebSocket's close code, where the server gave one.
    """

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class BlockedError(NetworkError):
    """A stream was opened but delivers nothing, as behind a proxy that buffers it."""


class UnexpectedAnswerError(NetworkError):
    """An HTTP response came in place of a socket or a stream.

    Attributes:
        answer: the response.
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
    """A connection to one server. Every method must tolerate cancellation."""

    async def request(self, request: Request) -> Response:
        """Send a request, and return the response whatever its status.

        Raises:
            OSError: a file to send cannot be read.
            UnreachableError: the server cannot be reached.
            CutError: no answer came.
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
            UnexpectedAnswerError: the answer is not such a stream.
            BlockedError: nothing comes on the stream.
            UnreachableError: the server cannot be reached.
            CutError: the connection ended before the stream began.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
