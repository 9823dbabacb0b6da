"""The adapter to the real network: httpx2 for requests and event streams, websockets for the socket."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from shelfwire.client.http import (
    BlockedError,
    CutError,
    Event,
    Request,
    Response,
    Socket,
    UnexpectedAnswerError,
    UnreachableError,
    UntrustedError,
    Upload,
)
from shelfwire.protocol.messages import MAX_MESSAGE_BYTES

REQUEST_SECONDS: Final = 60.0
"""How long the server may send nothing; more than a long poll takes."""
HANDSHAKE_SECONDS: Final = 10.0
"""To open a socket, or to see the first event of a stream."""
SILENCE_SECONDS: Final = 45.0
"""How long a stream may send nothing; a living one sends a comment three times in it."""
GOODBYE_SECONDS: Final = 1.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_FRAME_BYTES: Final = 2 * MAX_MESSAGE_BYTES

_quiet: Final = logging.getLogger("shelfwire.client.http_client")
_quiet.setLevel(logging.INFO)  # in its debug log websockets writes every header, and with them the token


class NetworkHttpClient:
    """An `HttpClient` for the server at `url`.

    Args:
        url: without a slash at its end.
        handshake: seconds to open a socket, or to see the first event of a stream.
        transport: what carries requests in place of the network, such as `httpx2.ASGITransport`.

    Raises:
        ValueError: the URL cannot be a server's.
    """

    def __init__(
        self, url: str, *, handshake: float = HANDSHAKE_SECONDS, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = checked_url(url)
        self._handshake = handshake
        self._http = httpx2.AsyncClient(base_url=url, timeout=REQUEST_SECONDS, trust_env=False, transport=transport)

    async def request(self, request: Request) -> Response:
        """See `HttpClient.request`."""
        with ExitStack() as stack, _translated():
            files = [(field, _opened(file, stack)) for field, file in request.files]
            async with self._http.stream(
                request.method,
                request.path,
                headers=dict(request.headers),
                params=dict(request.params),
                json=request.json,
                content=request.content,
                files=files or None,
                data=dict(request.fields) or None,
            ) as response:
                return await _answer_in(response)

    @asynccontextmanager
    async def socket(self, request: Request) -> AsyncIterator[Socket]:
        """See `HttpClient.socket`."""
        url = f"ws{self._url.removeprefix('http')}{request.path}?{urlencode(request.params)}"
        with _translated():
            connection = await self._connected(url, request)
        try:
            yield _NetworkSocket(connection)
        finally:
            try:
                await connection.close()
            except asyncio.CancelledError:
                # A goodbye that nobody waits for is cut short, but the transport must be gone before the loop is: with
                # TLS it otherwise still waits for the peer's own goodbye.
                connection.transport.abort()
                await connection.wait_closed()
                raise

    async def _connected(self, url: str, request: Request) -> ClientConnection:
        try:
            return await _Connect(
                url,
                additional_headers=dict(request.headers),
                max_size=MAX_FRAME_BYTES,
                open_timeout=self._handshake,
                close_timeout=GOODBYE_SECONDS,
                proxy=None,
                logger=_quiet,
            )
        except (ssl.SSLCertVerificationError, ConnectionError, TimeoutError):
            raise
        except OSError as error:  # no such name or no route: what a device without a network reports
            raise UnreachableError(_reason(error)) from error

    @asynccontextmanager
    async def events(self, request: Request) -> AsyncIterator[AsyncIterator[Event]]:
        """See `HttpClient.events`."""
        async with aclosing(self._events(request)) as events:
            try:
                # If nothing is due there may be no first event, only the comments that keep the stream alive.
                patience = None if "Last-Event-ID" in request.headers else self._handshake
                async with asyncio.timeout(patience):
                    first = await anext(events, None)
            except TimeoutError:
                raise BlockedError("The event stream is held back on its way") from None
            yield _again(first, events)

    async def _events(self, request: Request) -> AsyncGenerator[Event]:
        timeout = httpx2.Timeout(self._handshake, read=SILENCE_SECONDS)
        headers = {**request.headers, "Accept-Encoding": "identity"}
        with _translated():
            async with self._http.sse(
                request.path, headers=headers, timeout=timeout, max_event_size=MAX_FRAME_BYTES
            ) as source:
                kind = source.response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if source.response.status_code != httpx2.codes.OK or kind != "text/event-stream":
                    raise UnexpectedAnswerError(await _answer_in(source.response))
                async for event in source:
                    yield Event(event.id, event.data)

    async def aclose(self) -> None:
        """See `HttpClient.aclose`."""
        await self._http.aclose()


def checked_url(url: str) -> str:
    """Return `url` if it can be the address of a server.

    Raises:
        ValueError: it cannot. A user and password, which no server takes, are not repeated.
    """
    try:
        parts = urlsplit(url)
        httpx2.URL(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        parts, usable = None, False
    if "@" in url:
        raise ValueError("A server's address takes no user and password; use an API key")
    if parts is None or not usable or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not a server's address. One looks like http://127.0.0.1:8787")
    return url


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """Follow no redirect: it could carry the token to another server."""
        return exc


class _NetworkSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        with _translated():
            await self._connection.send(text)

    async def receive(self) -> str | bytes:
        with _translated():
            return await self._connection.recv()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise UntrustedError(str(error)) from error
    except ConnectionClosed as error:
        raise CutError(str(error), None if error.rcvd is None else error.rcvd.code) from error
    except InvalidStatus as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise UnexpectedAnswerError(Response(answer.status_code, headers, bytes(answer.body or b""))) from error
    except (WebSocketException, ConnectionError, EOFError, TimeoutError) as error:
        refused = isinstance(error, ConnectionRefusedError)
        raise (UnreachableError if refused else CutError)(_reason(error)) from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
        raise (UntrustedError if _is_untrusted(error) else UnreachableError)(_reason(error)) from error
    except httpx2.HTTPError as error:
        raise CutError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _opened(file: Path | Upload, stack: ExitStack) -> tuple[str, Any]:
    name = file.name.encode(errors="replace").decode()  # a name on disk may be any bytes
    return (name, file.data if isinstance(file, Upload) else stack.enter_context(file.open("rb")))


async def _answer_in(response: httpx2.Response) -> Response:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise CutError(f"The answer exceeds {MAX_ANSWER_BYTES} bytes")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, headers, bytes(body))


async def _again(first: Event | None, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    if first is not None:
        yield first
        async for event in events:
            yield event
