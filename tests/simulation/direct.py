"""Sockets that are served without a task for each message, as `server/fast` serves plain requests of followers."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from shelfwire.errors import ShelfwireError
from shelfwire.jobs.frames import Dismissal, Frame, Framing
from shelfwire.jobs.steps import DirectFollower
from shelfwire.protocol.close_codes import CloseCode
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import Message, Ping, Pong, SyncRequest, decode, encode

if TYPE_CHECKING:
    from tests.simulation.network import Connection
    from tests.simulation.node import Node

CLOSES: Final = {
    Dismissal.REVOKED: CloseCode.MISUSE,
    Dismissal.EXPIRED: CloseCode.RESTARTING,
    Dismissal.LEAVING: CloseCode.RESTARTING,
}


class _Lines:
    """Messages as lines."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        del is_last
        return frame.data + b"\n"

    def farewell(self, state: JobState) -> bytes:
        del state
        return b""


class DirectSocket:
    """The server's side of one socket, as `jobs.frames.Outlet` has it.

    Args:
        connection: the socket.
        node: the server.
        job_id: the job.
        follower: its follower.

    Attributes:
        framing: see `Outlet`.
        write: see `Outlet`.
    """

    def __init__(self, connection: "Connection", node: "Node", job_id: str, follower: DirectFollower) -> None:
        self._connection = connection
        self._node = node
        self._job_id = job_id
        self._follower = follower
        self._admission = node.app.service.admission
        self._seated = False
        self._paused = asyncio.Event()
        self.framing: Framing = _Lines()
        self.write: Callable[[bytes], object] = self._write

    async def serve(self, token: str) -> bool:
        """Serve it until it is over; return False, having done nothing, if it has to be served otherwise."""
        admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._admission.admit(token, self._job_id, self._follower, admitted.set_result)
        except ShelfwireError:
            return False
        self._seated = True
        try:
            if not await admitted or self._follower.dismissal is not None:
                return False
            self._connection.accept()
            self._follower.begin(self, b"")
            resuming = asyncio.get_running_loop().create_task(self._resume())
            try:
                await self._listen()
            finally:
                resuming.cancel()
        finally:
            self._leave()
        return True

    def _write(self, data: bytes) -> None:
        for line in data.splitlines():
            self._connection.direct(line.decode())
        if self._connection.is_full and not self._follower.paused:
            self._follower.pause()
            self._paused.set()

    def ended(self, state: JobState) -> None:
        """See `Outlet`."""
        del state
        self._close(CloseCode.ENDED)

    def dismissed(self, reason: Dismissal) -> None:
        """See `Outlet`."""
        self._close(CLOSES[reason])

    def _close(self, code: int) -> None:
        self._leave()
        self._connection.close_direct(int(code))

    def _leave(self) -> None:
        if self._seated:
            self._seated = False
            self._admission.leave(self._job_id, self._follower)

    async def _resume(self) -> None:
        while True:
            await self._paused.wait()
            self._paused.clear()
            await self._connection.wait_for_room()
            self._follower.resume()

    async def _listen(self) -> None:
        while (event := await self._connection.receive())["type"] != "websocket.disconnect":
            self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        match decode(event["text"]):
            case Message(payload=SyncRequest()):
                if self._seated:
                    self._follower.sync()
            case Message(payload=Ping(client_time=client_time)):
                if self._seated:
                    now, pong = self._node.app.service.now(), Pong(client_time=client_time)
                    message = Message(
                        job_id=self._job_id, pipeline=self._follower.pipeline, timestamp=now, payload=pong
                    )
                    self._connection.direct(encode(message))

    def _pong(self, client_time: int | None) -> Message:
        now, payload = self._node.app.service.now(), Pong(client_time=client_time)
        return Message(job_id=self._job_id, pipeline=self._follower.pipeline, timestamp=now, payload=payload)
