"""Which server a job lives on: a named one, the one that holds a data folder, or one inside this process."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, NamedTuple, Self

import httpx2
from typing_extensions import TypeVar

from shelfwire.cli.errors import CommandError, Exit, FolderBusyError
from shelfwire.cli.extensions import gather
from shelfwire.client import Client, ConnectionLostError
from shelfwire.client.errors import GATEWAY
from shelfwire.client.http_client import checked_url
from shelfwire.clock import SystemClock, sleep
from shelfwire.protocol.reconnect import DELAYS
from shelfwire.server.discovery import running_server
from shelfwire.settings import LOOPBACK

T = TypeVar("T")
C = TypeVar("C", bound=Client, default=Client)
"""The client that a command uses: `Client`, or a plug-in's own."""
SERVER_VARIABLE: Final = "SHELFWIRE_SERVER"
KEY_VARIABLE: Final = "SHELFWIRE_API_KEY"
"""No flag: other users of a machine can see what was typed."""
ANSWER_SECONDS: Final = 3.0
"""A server that lives says so in this time."""
MOVED_DELAYS: Final = (0.1, 0.2, 0.4)
"""Seconds before a request to whoever holds a data folder is repeated: its successor can be asked soon."""
BUSY_SECONDS: Final = 15.0
"""How long a process may hold a data folder without listening yet, or any more."""
POLL_SECONDS: Final = 0.05


class JobLocation(NamedTuple):
    """Where a job lives: on the server at a URL, or in a data folder of this machine. One of them is set."""

    server: str | None
    data: Path | None


def choose_place(server: str | None, data: Path | None, environ: Mapping[str, str]) -> JobLocation:
    """Decide where a new job goes, by the flags, then by the environment.

    Raises:
        CommandError: both flags are given, or what is given cannot be used.
    """
    if server and data:
        raise CommandError("--server and --data exclude each other: a server has its own data folder. Give one of them")
    if data is None:
        server = server or environ.get(SERVER_VARIABLE)
    if server:
        return JobLocation(_checked_url(server), None)
    own = gather({"data": None if data is None else str(data)}, environ)  # as a text, whose ~ is read as ever
    return JobLocation(None, own.data.absolute())


async def alive(url: str) -> bool | None:
    """Ask a server for a sign of life; None if something answers that is no shelfwire server."""
    try:
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
            answer = await http.get(f"{url}/health/live")
    except httpx2.HTTPError:
        return False
    if answer.status_code in GATEWAY:
        return False
    try:
        return True if answer.is_success and answer.json()["status"] == "ok" else None
    except (ValueError, LookupError, TypeError):
        return None


class Session(Generic[C]):
    """The way to the server of one place. Use it as an asynchronous context manager.

    Args:
        place: where to go.
        work: whether a server that has to be started for this also runs the jobs it finds.
        client_class: the client to use; a plug-in's commands have their own.

    Attributes:
        client: speaks to the server.
        own: whether the server runs inside this process.

    Raises:
        CommandError: on entering, where there is no server and none can be started.
    """

    client: C

    def __init__(
        self,
        place: JobLocation,
        *,
        work: bool = True,
        client_class: type[C] = Client,  # type: ignore[assignment] # the default of the type variable
    ) -> None:
        self.place = place
        self.own = False
        self._work = work
        self._client_class = client_class
        self._stack = AsyncExitStack()

    @property
    def movable(self) -> bool:
        """Whether the server may leave while the data folder, and so the job, stays for somebody else to take."""
        return self.place.data is not None and not self.own

    async def __aenter__(self) -> Self:
        """Find the server, or start it."""
        try:
            url = await self._reach()
            self.client = self._client(url)
            await self._stack.enter_async_context(self.client)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; a server inside this process hands its jobs back."""
        await self._stack.aclose()

    async def again(self) -> None:
        """Find the server of this place anew, wherever it is now."""
        await self._stack.aclose()
        await self.__aenter__()

    async def ask(self, question: Callable[[C], Awaitable[T]]) -> T:
        """Ask the server something, and if it has just left the data folder to others, ask its successor.

        Raises:
            RefusedError: the server says no.
            ConnectionLostError: it cannot be reached.
        """
        try:
            return await question(self.client)
        except ConnectionLostError:
            if not self.movable:
                raise
        await self.again()
        return await question(self.client)

    async def _reach(self) -> str:
        if self.place.data is None:
            return await _require(self.place.server or "")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_SECONDS
        while True:
            url = running_server(self.place.data)
            if url is not None and await alive(url):
                self.own = False
                return url
            try:
                url = await self._start(self.place.data)
            except FolderBusyError:
                if loop.time() > deadline:
                    raise CommandError(
                        f"The process that holds the data folder {self.place.data} does not answer. "
                        "Stop it, or name another folder: --data",
                        Exit.UNREACHABLE,
                    ) from None
                await sleep(SystemClock(), POLL_SECONDS)
            else:
                self.own = True
                return url

    async def _start(self, data: Path) -> str:
        from shelfwire.cli.embedded_server import start  # noqa: PLC0415 - the server takes a second to import
        from shelfwire.server.logs import quiet_logs  # noqa: PLC0415 - likewise

        quiet_logs(logging.ERROR)
        # It serves this process alone, which needs no key.
        keyless = {"api_keys": (), "keys_file": data / "no-keys.toml"}
        own = gather({"data": data, "port": 0, "host": LOOPBACK, **keyless, "create_limit": 0}, os.environ)
        return await self._stack.enter_async_context(start(own, work=self._work))

    def _client(self, url: str) -> C:
        try:
            delays = MOVED_DELAYS if self.movable else DELAYS
            return self._client_class(url, api_key=os.environ.get(KEY_VARIABLE), delays=delays)
        except ValueError as error:
            raise CommandError(f"{KEY_VARIABLE} cannot be used. {error}") from None


async def running_url(place: JobLocation) -> str:
    """Return where the server of a place listens, which has to run already.

    Raises:
        CommandError: it does not.
    """
    if place.data is None:
        return await _require(place.server or "")
    url = running_server(place.data)
    if url is None or not await alive(url):
        raise CommandError(
            f"No server runs on the data folder {place.data}. Start one with `shelfwire serve`, or name it: --server",
            Exit.UNREACHABLE,
        )
    return url


async def _require(url: str) -> str:
    match await alive(url):
        case True:
            return url
        case None:
            raise CommandError(
                f"What answers at {url} is not a shelfwire server. Check the address, and whether the network wants "
                "you to sign in",
                Exit.UNREACHABLE,
            )
        case _:
            raise CommandError(
                f"No server answers at {url}. Start one with `shelfwire serve`, or check the address",
                Exit.UNREACHABLE,
            )


def _checked_url(url: str) -> str:
    try:
        return checked_url(url).rstrip("/")
    except ValueError as error:
        raise CommandError(str(error)) from None
