"""A follower that believes nothing: it checks the contract's promises on every raw frame, over all its connections."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from shelfwire.client import JobHandle

RECONNECT_SECONDS: Final = 0.02
MAX_FRAME: Final = 1024 * 1024


class PromiseBrokenError(AssertionError):
    """The server told something that the contract rules out."""


class Witness:
    """Follows a job over any number of connections until it ends.

    Each connection is a new one to the server, without `after`, so that each is told the whole snapshot again.

    Args:
        url: the server's.
        job: the job.
        cut: whether its connections may be cut at any moment, also between the ending and the close frame.

    Attributes:
        processed: the highest `processedCount` told.
        total: the `totalCount` told.
        seq: the highest `seq` told.
        ending: the terminal message, to the byte.
        connections: connections made.
        frames: frames received.
        closes: how each connection ended; 1006 without a close frame.
    """

    def __init__(self, url: str, job: JobHandle, *, cut: bool = False) -> None:
        self._url = f"ws{url.removeprefix('http')}/ws/progress?jobId={job.job_id}"
        self._job = job
        self._cut = cut
        self._news = asyncio.Event()
        self.processed = 0
        self.total: int | None = None
        self.seq = 0
        self.ending: str | None = None
        self.connections = 0
        self.frames = 0
        self.closes: list[int] = []

    async def follow(self) -> None:
        """Follow until the server closes after the ending; come back after everything else.

        Raises:
            PromiseBrokenError: at the first frame that breaks a promise.
        """
        while True:
            with contextlib.suppress(OSError, InvalidHandshake):
                if await self._connection():
                    return
            await asyncio.sleep(RECONNECT_SECONDS)

    async def sees(self, truth: Callable[[], bool]) -> None:
        """Wait until `truth` holds of what was told; only one may wait at a time."""
        while not truth():
            self._news.clear()
            await self._news.wait()

    async def _connection(self) -> bool:
        authorization = {"Authorization": f"Bearer {self._job.token}"}
        async with connect(self._url, additional_headers=authorization, max_size=MAX_FRAME, proxy=None) as socket:
            self.connections += 1
            hearing = _Hearing(self)
            try:
                while True:
                    hearing.hear(await socket.recv())
                    self._news.set()
            except ConnectionClosed:
                code = 1006 if socket.close_code is None else socket.close_code
            self.closes.append(code)
            self._news.set()
            ended = (code == 1000) == hearing.over or (self._cut and hearing.over and code == 1006)
            _promise(ended, f"closed with {code}, ending told: {hearing.over}")
            return hearing.over


class _Hearing:
    """One connection's frames."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._started = False
        self.over = False

    def hear(self, frame: str | bytes) -> None:
        known = self._witness
        _promise(isinstance(frame, str), "a binary frame")
        assert isinstance(frame, str)
        known.frames += 1
        message = json.loads(frame)
        kind, seq, payload = message["type"], message["seq"], message["payload"]
        _promise(not self.over, f"{kind} after the ending")
        _promise(seq >= known.seq, f"seq fell from {known.seq} to {seq} in {kind}")
        known.seq = seq
        match kind:
            case "job_started":
                _promise(not self._started, "job_started twice on a connection")
                self._started = True
                self._total(payload["totalCount"])
            case "job_progress":
                processed = payload["processedCount"]
                _promise(processed >= known.processed, f"processedCount fell from {known.processed} to {processed}")
                _promise(self._started or processed == 0, "progress before job_started")
                known.processed = processed
                if known.total is not None:
                    self._total(payload["totalCount"])
            case "job_complete" | "error":
                _promise(self._started or kind == "error", "an ending without job_started")
                _promise(known.ending in (None, frame), "another ending than before")
                self.over, known.ending = True, frame
                if kind == "job_complete":
                    self._count(payload)
            case _:
                raise PromiseBrokenError(f"a {kind} that nobody asked for")

    def _total(self, total: int) -> None:
        _promise(self._witness.total in (None, total), f"totalCount was {self._witness.total}, now {total}")
        _promise(total >= self._witness.processed, f"{self._witness.processed} of {total} processed")
        self._witness.total = total

    def _count(self, payload: dict[str, Any]) -> None:
        recorded = payload["successCount"] + payload["failureCount"]
        _promise(recorded == self._witness.total, f"{recorded} of {self._witness.total} at the ending")


def _promise(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - it is an assertion
    if not kept:
        raise PromiseBrokenError(otherwise)
