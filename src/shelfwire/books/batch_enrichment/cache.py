"""The cache on disk that all services of a node share.

hishel's own asynchronous storage goes to a thread and back some thirty times for an answer; this one goes once, so that
a list of a thousand books that is asked for again takes a second and not five.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, TypeVar

from hishel import AsyncBaseStorage, Entry, Headers, Request, Response, SqliteStorage

T = TypeVar("T")
MOST_BYTES: Final = 512 * 1024 * 1024


class Cache(AsyncBaseStorage):
    """Keeps answers in a file, which never grows beyond `MOST_BYTES`. Survives the death of the process.

    Args:
        path: the file; it and its folder are made when the first answer comes.
        seconds: how long an answer is kept, at most.
    """

    def __init__(self, path: Path, seconds: int) -> None:
        super().__init__(default_ttl=seconds)
        self._storage = SqliteStorage(database_path=path, default_ttl=seconds, max_size=MOST_BYTES)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")

    async def create_entry(
        self, request: Request, response: Response, key: str, *, ttl: float | None = None, tti: float | None = None
    ) -> Entry:
        """See `hishel.AsyncBaseStorage`; the entry is stored once this returns."""
        body = b"".join([part async for part in _parts(response)])

        def create() -> Entry:
            told = replace(response, stream=iter([body]))
            entry = self._storage.create_entry(request, told, key, ttl=ttl, tti=tti)
            return _whole(entry)

        return await self._run(create)

    async def get_entries(self, key: str) -> list[Entry]:
        """See `hishel.AsyncBaseStorage`."""
        return await self._run(lambda: [_whole(entry) for entry in self._storage.get_entries(key)])

    async def update_headers(self, id: uuid.UUID, headers: Headers) -> None:  # noqa: A002 - its name in hishel
        """See `hishel.AsyncBaseStorage`."""
        await self._run(lambda: self._storage.update_headers(id, headers))

    async def remove_entry(self, id: uuid.UUID) -> None:  # noqa: A002 - its name in hishel
        """See `hishel.AsyncBaseStorage`."""
        await self._run(lambda: self._storage.remove_entry(id))

    async def __aenter__(self) -> Self:
        """Return it; the file is opened with the first answer."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file."""
        await self.close()

    async def close(self) -> None:
        """Close the file, when what is under way is done."""
        await self._run(self._storage.close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _whole(entry: Entry) -> Entry:
    """An entry with its body in memory, read to its end, which is what stores that of a new one."""
    stream = entry.response.stream
    assert not isinstance(stream, AsyncIterator)  # noqa: S101 - for the type checker
    return replace(entry, response=replace(entry.response, stream=_Body(b"".join(stream or ()))))


async def _parts(response: Response) -> AsyncIterator[bytes]:
    assert isinstance(response.stream, AsyncIterator)  # noqa: S101 - for the type checker
    async for part in response.stream:
        yield part


class _Body(AsyncIterator[bytes]):
    """A body in one part."""

    def __init__(self, body: bytes) -> None:
        self._left: bytes | None = body

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        body, self._left = self._left, None
        return body
