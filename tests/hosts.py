"""Applications of somebody else, with shelfwire mounted into them, on a plain uvicorn."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from shelfwire.app import Shelfwire

MOUNT: Final = "/shelfwire"


def in_fastapi(jobs: Shelfwire, mount: str = MOUNT) -> FastAPI:
    app = FastAPI(lifespan=jobs.lifespan)
    app.mount(mount, jobs)
    return app


def in_starlette(jobs: Shelfwire, mount: str = MOUNT) -> Starlette:
    app = Starlette(lifespan=jobs.lifespan)
    app.mount(mount, jobs)
    return app


HOSTS: Final[dict[str, Callable[..., Any]]] = {"fastapi": in_fastapi, "starlette": in_starlette}


class _Server(uvicorn.Server):
    """uvicorn that says when it is up, stops when it is told, and leaves the test's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.over = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.over.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def hosting(app: Any, ws: Any = "auto", **options: Any) -> AsyncIterator[str]:
    """Serve an application as `uvicorn app` does, with its lifespan, and give the URL."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, ws=ws, log_config=None, **options))
        running = asyncio.create_task(server.serve([listener]))
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait({running, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        assert not running.done(), "the application did not start; its log says why"
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.over.set()
            await running
