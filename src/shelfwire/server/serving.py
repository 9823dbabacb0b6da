"""Runs the application on a socket of its own: uvicorn, configured as the contract demands of the transport."""

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import uvicorn

from shelfwire.addresses import address_of, holder_of
from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.server.arrival import Arrival, Turnstile
from shelfwire.server.connection_cap import ConnectionCap
from shelfwire.server.discovery import announced
from shelfwire.server.fast.connections import Shared
from shelfwire.server.fast.followers import FastFollowers
from shelfwire.server.open_files import allow_open_files
from shelfwire.server.ws_protocol import WebSocketProtocol
from shelfwire.settings import Settings
from shelfwire.web.hosts import AllowedHosts
from shelfwire.web.proxies import TrustedProxies
from shelfwire.web.socket import MAX_FRAME_BYTES

HEARTBEAT_SECONDS: Final = 30.0
HEARTBEAT_TIMEOUT_SECONDS: Final = 60.0
DEAD_PEER_MS: Final = 90_000
"""The time after which the kernel drops a peer that takes no byte, whatever waits to be sent to it."""
UNSENT_BYTES: Final = 16 * 1024
"""The bytes that the kernel buffers ahead of the network. More would only grow old there: a slow follower is sent
progress less often instead, and receives the ending that much sooner."""
SWITCH_SECONDS: Final = 0.001
"""The interpreter's switch interval, below `jobs.job.SLICE_SECONDS`. A thread requests the interpreter's lock only once
it was held for that long: a loop that releases it more often, and takes it back first, starves the store's thread."""
GRACE_SECONDS: Final = 5
COLLECTIONS: Final = 20_000, 20, 50
"""Thresholds of the garbage collector: with Python's own a collection among 2,000 followers took 140 ms."""
ACCEPTED_PER_TURN: Final = 32
"""Connections that are accepted in one turn of the event loop: libuv takes one for each socket that listens. A health
check comes behind all followers who come back at once, and 2,000 turns are seconds while these attach."""
CONNECTIONS_PER_LISTENER: Final = 16
"""Where few files may be open, fewer of them listen."""
CONNECTIONS_PER_ADDRESS: Final = 1000
"""As many phones may be behind one address of a carrier. Loopback is not counted unless the setting says so: a proxy
that `trusted_proxies` does not name may be there, and with it everybody."""


class StartError(ShelfwireError):
    """The server could not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(Code.INTERNAL, reason, user_message=reason)


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Of connections that name no protocol asyncio does not know that they are TCP, and leaves them Nagle's delay.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise StartError(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Try --port 0") from None
    return listener


def collect_rarely() -> None:
    """Spare what is there already from garbage collections, which stop everything, and have fewer of them.

    Called once, by a process that does nothing but serve, when it listens.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command line owns the process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(application: Shelfwire, settings: Settings) -> AsyncIterator[str]:
    """Serve until the context ends, then shut down gracefully: sockets close with 1012 and jobs are released.

    Yields:
        The server's URL.

    Raises:
        StartError: the port is taken.
        ShelfwireError: the store could not be opened.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    limit = allow_open_files(settings.max_followers)
    copies = max(1, min(ACCEPTED_PER_TURN, limit // CONNECTIONS_PER_LISTENER))
    cap = _connection_cap(settings, limit - copies)
    with contextlib.closing(_bind(settings)) as listener:
        server = _Server(_uvicorn_config(application, settings, cap))
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(_run(application, server, listener, copies, started))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        try:
            await started
        except BaseException:  # what stops it while it starts, too
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise
        try:
            with announced(settings.data, url, application.new_local_key()):
                yield url
        finally:
            server.should_exit = True
            if not running.done():
                # Event streams and polls would delay the shutdown; sockets are closed with the reason.
                application.dismiss()
            await running


def _connection_cap(settings: Settings, limit: int) -> ConnectionCap:
    each = settings.connections_per_address
    usual = min(CONNECTIONS_PER_ADDRESS, max(1, limit // 2))
    proxies = TrustedProxies(settings.trusted_proxies)

    def counted_as(host: str) -> str | None:
        address = address_of(host)
        if address is None or proxies.trusts(address) or (each is None and address.is_loopback):
            return None
        return holder_of(host)

    return ConnectionCap(limit, None if each == 0 else each or usual, counted_as)


async def _run(
    application: Shelfwire,
    server: uvicorn.Server,
    listener: socket.socket,
    copies: int,
    started: asyncio.Future[None],
) -> None:
    # A task of its own: what goes wrong in the caller's context must not pass through the application's task groups.
    try:
        async with application.lifespan():
            if started.cancelled():
                return
            listener.listen(server.config.backlog)
            started.set_result(None)
            with contextlib.ExitStack() as listeners:
                same = [listeners.enter_context(contextlib.closing(listener.dup())) for _ in range(copies)]
                await server.serve(same)
    except Exception as error:
        if started.done():
            raise
        started.set_exception(_innermost(error))


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _uvicorn_config(application: Shelfwire, settings: Settings, cap: ConnectionCap) -> uvicorn.Config:
    hosts = AllowedHosts(settings, standalone=True)
    beats = HEARTBEAT_SECONDS, HEARTBEAT_TIMEOUT_SECONDS
    shared = Shared(application.context, cap, *beats)
    fast = FastFollowers(shared, application.new_request_id, hosts) if settings.fast else None
    return uvicorn.Config(
        application.standalone(),
        # Over h11, which bounds heads; the faster parser that uvicorn would prefer does not.
        http=partial(Arrival, cap=cap, turnstile=Turnstile(), fast=fast),  # type: ignore[arg-type]  # it is only called
        ws=WebSocketProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=HEARTBEAT_SECONDS,
        ws_ping_timeout=HEARTBEAT_TIMEOUT_SECONDS,
        ws_per_message_deflate=False,
        log_config=None,
        log_level=logging.WARNING,  # below, it logs handshakes with their queries
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # `web.proxies` reads them: uvicorn believes whoever is on this machine
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]  # it is passed to `loop.call_later`
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
