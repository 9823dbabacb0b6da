"""One client for all that a server offers: HTTP for what is asked once, the progress socket to follow."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx2
import msgspec
import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from shelfwire.errors import CODES, Code
from shelfwire.protocol.closes import FINAL_CLOSE_CODES
from shelfwire.protocol.follow import DELAYS, Backoff, Shown
from shelfwire.protocol.messages import MAX_MESSAGE_BYTES, Message, SyncRequest, UndecodableError, decode, encode

TIMEOUT_SECONDS: Final = 60.0
MAX_PAGE: Final = 1000
RETRYABLE_STATUS: Final = 500
"""From this status on a refused handshake is tried again; 429 is, too."""
TOO_MANY: Final = 429


class JobRef(msgspec.Struct, frozen=True):
    """What it takes to come back to a job. The token is a secret: keep it where only its owner can read it."""

    job_id: str
    token: str


class RefusedError(Exception):
    """The server said no.

    Attributes:
        code: an error code; this client may not know it.
        message: technical.
        user_message: for a person, with what to do next.
        status: the HTTP status, or the WebSocket's close code.
    """

    def __init__(self, code: str, message: str, user_message: str, status: int) -> None:
        self.code = code
        self.message = message
        self.user_message = user_message
        self.status = status
        super().__init__(f"{code}: {message}")


class ConnectionLostError(RefusedError):
    """The server cannot be reached, or all tries to reconnect failed. The job, if there is one, goes on."""

    def __init__(self, reason: str) -> None:
        entry = CODES[Code.MAX_RETRIES]
        super().__init__(Code.MAX_RETRIES, f"{entry.message}: {reason}", entry.user_message, entry.status)


class Client:
    """A connection to one server. Use it as an asynchronous context manager.

    Args:
        url: the server's, such as `http://127.0.0.1:8787`.
        delays: seconds before each try to reconnect; the contract's unless a test has less time.
        random_fraction: gives fractions in [0, 1), which shorten the delays.
    """

    def __init__(
        self,
        url: str,
        *,
        delays: tuple[float, ...] = DELAYS,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/")
        self._delays = delays
        self._random_fraction = random_fraction
        self._http = httpx2.AsyncClient(base_url=self._url, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections. Jobs go on."""
        await self._http.__aexit__(kind, error, trace)

    async def import_csv(self, path: Path) -> JobRef:
        """Send a CSV file and start its import.

        Raises:
            OSError: the file cannot be read.
            RefusedError: the server does not take it.
            ConnectionLostError: the server cannot be reached.
        """
        with path.open("rb") as file:
            answer = await self._ask("POST", "/api/import/csv-gemini", files={"file": (path.name, file, "text/csv")})
        return JobRef(answer["jobId"], answer["token"])

    async def state(self, job: JobRef) -> dict[str, Any]:
        """Return a job's state, as section 4 of the contract has it.

        Raises:
            RefusedError: the token does not let its holder look.
            ConnectionLostError: the server cannot be reached.
        """
        return await self._ask("GET", f"/api/jobs/{job.job_id}", headers=_bearer(job))

    async def cancel(self, job: JobRef) -> dict[str, Any]:
        """Ask for a job to stop, and return its state.

        Raises:
            RefusedError: the job has ended, or the token does not let its holder do this.
            ConnectionLostError: the server cannot be reached.
        """
        return await self._ask("POST", f"/api/jobs/{job.job_id}/cancel", headers=_bearer(job))

    async def results(self, job: JobRef, *, status: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the items that are recorded now, in the order of the input.

        Args:
            job: the job.
            status: only `ok` or only `failed` items.

        Raises:
            RefusedError: the token does not let its holder read results.
            ConnectionLostError: the server cannot be reached.
        """
        cursor: str | None = None
        while True:
            wanted = {"limit": str(MAX_PAGE), "status": status, "cursor": cursor}
            params = {name: value for name, value in wanted.items() if value is not None}
            page = await self._ask("GET", f"/api/jobs/{job.job_id}/results", headers=_bearer(job), params=params)
            for item in page["items"]:
                yield item
            if page["next"] is None or page["next"] == cursor:
                return
            cursor = page["next"]

    async def follow(self, job: JobRef, on_wait: Callable[[float], None] = lambda _: None) -> AsyncIterator[Message]:
        """Iterate over a job's messages until its ending, whatever happens to the connection.

        Messages older than what was yielded are dropped. Leaving the iteration leaves the job alone.

        Args:
            job: the job.
            on_wait: hears how many seconds it is until the next try to reconnect.

        Raises:
            RefusedError: the server does not let the token's holder follow, or closed for good.
            ConnectionLostError: every try to reconnect failed.
        """
        shown, backoff, reason = Shown(), Backoff(self._delays), ""
        while True:
            try:
                async for message in self._messages(job, shown, backoff):
                    yield message
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                _raise_if_final(error)
                reason = str(error)
            if shown.over:
                return
            delay = backoff.next(self._random_fraction())
            if delay is None:
                raise ConnectionLostError(reason)
            on_wait(delay)
            await asyncio.sleep(delay)

    async def _messages(self, job: JobRef, shown: Shown, backoff: Backoff) -> AsyncIterator[Message]:
        query = urlencode({"jobId": job.job_id, "after": shown.seq})
        url = f"ws{self._url.removeprefix('http')}/ws/progress?{query}"
        async with connect(url, additional_headers=_bearer(job), max_size=2 * MAX_MESSAGE_BYTES, proxy=None) as socket:
            if backoff.tries:
                with contextlib.suppress(ConnectionClosed):  # an ended job closes at once; what it said can be read yet
                    await socket.send(_sync_request(job))
            backoff.connected()
            while not shown.over:
                try:
                    message = decode(await socket.recv())
                except UndecodableError:
                    continue
                if isinstance(message, Message) and shown.accept(message):
                    yield message

    async def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise ConnectionLostError(f"{self._url} cannot be reached: {error}") from error
        if response.is_error:
            raise _refused(response.status_code, response.content)
        data: dict[str, Any] = response.json()["data"]
        return data


def _bearer(job: JobRef) -> dict[str, str]:
    return {"Authorization": f"Bearer {job.token}"}


def _sync_request(job: JobRef) -> str:
    return encode(Message(job_id=job.job_id, pipeline="", timestamp=0, payload=SyncRequest()))


def _refused(status: int, body: bytes) -> RefusedError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        return RefusedError(problem["code"], problem["detail"], problem["userMessage"], status)
    except (msgspec.MsgspecError, KeyError):
        entry = CODES[Code.INTERNAL]
        return RefusedError(Code.INTERNAL, f"The server answered {status}", entry.user_message, status)


def _raise_if_final(error: Exception) -> None:
    match error:
        case InvalidStatus(response=response):
            if response.status_code < RETRYABLE_STATUS and response.status_code != TOO_MANY:
                raise _refused(response.status_code, bytes(response.body or b"")) from error
        case ConnectionClosed(rcvd=websockets.frames.Close(code=code, reason=reason)) if code in FINAL_CLOSE_CODES:
            raise RefusedError(Code.INVALID_REQUEST, reason, "The server ended the connection.", code) from error
        case ssl.SSLError():
            raise ConnectionLostError(str(error)) from error
