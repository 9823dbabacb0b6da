"""Runs the application on a socket of its own: uvicorn, with what the contract asks of the transport."""

import asyncio
import contextlib
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import uvicorn
from structlog.typing import EventDict, Processor

from shelfwire.address import announced
from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.fast_socket import FastSocket
from shelfwire.patient_http import PatientHttp
from shelfwire.settings import Settings
from shelfwire.web.socket import MAX_FRAME_BYTES

HEARTBEAT_SECONDS: Final = 30.0
HEARTBEAT_TIMEOUT_SECONDS: Final = 60.0
DEAD_PEER_MS: Final = 90_000
"""A peer that has not taken a byte for so long is cut off by the kernel, whatever waits to be sent to it."""
UNSENT_BYTES: Final = 16 * 1024
"""What the kernel takes of us ahead of the network. More would only grow old there: a slow follower is told less often
instead, and hears of the ending that much sooner."""
SWITCH_SECONDS: Final = 0.001
"""Below `jobs.context.SLICE_SECONDS`: a thread asks for the interpreter's lock only after nobody has let go of it for
so long. A loop that lets go more often than that, and takes it back first, starves the store's thread for seconds."""
KEEP_ALIVE_SECONDS: Final = 15
"""For the head of a request to come. Longer than HTTP clients keep an idle connection, most of them 5 s: a request must
not meet the close half-way."""
GRACE_SECONDS: Final = 5
QUERY: Final = re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*")
UVICORN_NOISE: Final = "ASGI callable returned without completing handshake."
"""uvicorn 0.54 logs this as an error after every refused handshake that was answered in full."""


class StartError(ShelfwireError):
    """The server could not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(Code.INTERNAL, reason, user_message=reason)


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command line owns the process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(application: Shelfwire, settings: Settings) -> AsyncIterator[str]:
    """Serve until the context ends, then shut down gracefully: sockets close with 1012 and jobs are handed back.

    Yields:
        The server's URL.

    Raises:
        StartError: the port is taken.
        ShelfwireError: the store could not be opened.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    with contextlib.closing(_bind(settings)) as listener:
        server = _Server(_uvicorn_config(application))
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(_run(application, server, listener, started))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        try:
            await started
            with announced(settings.data, url):
                yield url
        finally:
            server.should_exit = True
            if not running.done():
                # Event streams and polls would hold the shutdown up; sockets get the close that tells them why.
                application.service.dismiss_followers()
            await running


async def _run(
    application: Shelfwire, server: uvicorn.Server, listener: socket.socket, started: asyncio.Future[None]
) -> None:
    # A task of its own: what goes wrong in the caller's context must not pass through the application's task groups.
    try:
        async with application.lifespan():
            listener.listen(server.config.backlog)
            started.set_result(None)
            await server.serve([listener])
    except Exception as error:
        if started.done():
            raise
        started.set_exception(_innermost(error))


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _uvicorn_config(application: Shelfwire) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=PatientHttp,  # over h11, which bounds heads; the faster parser that uvicorn would prefer does not
        ws=FastSocket,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=HEARTBEAT_SECONDS,
        ws_ping_timeout=HEARTBEAT_TIMEOUT_SECONDS,
        ws_per_message_deflate=False,
        log_config=None,
        log_level=logging.WARNING,  # below, it logs handshakes with their queries
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def quiet_logs(level: int = logging.INFO) -> None:
    """Set up logging to standard error: structured, one line an event, no query string and so no token anywhere."""
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_queries,
    ]
    render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    structlog.configure(
        processors=[*chain, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    forget = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=chain, processors=[forget, render]))
    logging.basicConfig(level=logging.WARNING, handlers=[others])
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.getMessage() != UVICORN_NOISE)


def _without_queries(_: object, __: str, event: EventDict) -> EventDict:
    """Cut the query off every URL, wherever a library's message or an exception's text quotes one."""
    return {key: QUERY.sub("?…", value) if isinstance(value, str) else value for key, value in event.items()}
