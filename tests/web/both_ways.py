"""Two servers, with and without the fast way, for tests that compare how they answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.servers import Server

Begun = TypeVar("Begun")


@contextmanager
def both_ways(
    folder: Path,
    begin: Callable[[Server], Awaitable[Begun]],
    settings: Mapping[str, Any] | None = None,
    *,
    serve: Callable[..., Server] = Server,
) -> Iterator[list[Begun]]:
    """Run both, the one with the fast way first, and yield what `begin` makes of each.

    Args:
        folder: for the data of both.
        begin: starts a server, and brings it to where a test takes it over.
        settings: of both.
        serve: makes a server of its folder and settings.
    """
    loop = asyncio.new_event_loop()
    servers = [serve(folder / f"fast-{fast}", {**(settings or {}), "fast": fast}) for fast in (True, False)]

    async def begun() -> list[Begun]:
        return [await begin(server) for server in servers]

    async def end() -> None:
        for server in servers:
            await server.__aexit__(None, None, None)

    try:
        yield loop.run_until_complete(begun())
    finally:
        loop.run_until_complete(end())
        loop.close()
