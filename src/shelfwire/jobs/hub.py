"""Followers by job: each committed state is encoded once, and every follower takes the messages due to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Protocol

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Committed
from shelfwire.jobs.telemetry import NoTelemetry, Telemetry
from shelfwire.protocol.feed import RESUMING, Due, Feed, progress_message, started_message
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import encode


class Frame:
    """One encoded message, shared by all followers that receive it.

    Attributes:
        due: which message this is; nothing follows `Due.ENDING`.
        text: the message.
        size: bytes of the text.
        state: the state it shows.
        wire: the transport's framing of the text, made for the first follower and reused for the next.
    """

    __slots__ = ("due", "size", "state", "text", "wire")

    def __init__(self, due: Due, text: str, state: JobState) -> None:
        self.due = due
        self.text = text
        self.size = len(text.encode())
        self.state = state
        self.wire: Any = None


class Sink(Protocol):
    """A follower's connection that can be written to without waiting."""

    def ready(self) -> bool:
        """Whether a frame written now goes out now."""
        ...

    def write(self, frame: Frame) -> None:
        """Send a frame; the caller has checked `ready`."""
        ...


class Channel:
    """The newest committed state of one followed job, its messages and its followers."""

    def __init__(self) -> None:
        self.newest: Committed | None = None
        self.followers: set[Follower] = set()
        self._frames: dict[Due, Frame] = {}

    def offer(self, committed: Committed) -> None:
        """Take a state if it is newer than the present one, and notify the followers."""
        if self.newest is not None and committed.state.seq <= self.newest.state.seq:
            return
        self.newest = committed
        self._frames.clear()
        for follower in self.followers:
            follower.notify(committed)

    def frame(self, due: Due, newest: Committed) -> Frame:
        """Return a message of the newest state, encoded on first use."""
        frame = self._frames.get(due)
        if frame is None:
            frame = self._frames[due] = Frame(due, _encode(due, newest), newest.state)
        return frame


class Dismissal(Enum):
    """Why a follower receives nothing more although the job has not ended."""

    REVOKED = auto()
    LEAVING = auto()


class Follower:
    """One follower's position in a channel. It queues no messages: a slow one receives fewer, newer ones.

    Attributes:
        digest: of the token that authorized it; empty for one inside the process.
        dismissal: why it receives nothing more; None while it is attached.
        news: set when messages may be due.
        sink: where progress may be written at once, without waking the task that iterates over `frames`; that task
            still sends everything else, and whatever the sink is not ready for.
        sent_frames: number of frames handed over.
        sent_bytes: their size.
        transport: the name of its transport, for the statistics.
    """

    def __init__(self, channel: Channel, after: int, digest: bytes) -> None:
        self.digest = digest
        self.dismissal: Dismissal | None = None
        self.news = asyncio.Event()
        self.news.set()
        self.sink: Sink | None = None
        self.sent_frames = 0
        self.sent_bytes = 0
        self.transport = "none"
        self._channel = channel
        self._feed = Feed(after)
        self._idle = False
        self._sync = False

    @property
    def newest(self) -> Committed:
        """The job as it is committed now."""
        newest = self._channel.newest
        assert newest is not None  # noqa: S101 - whoever attaches a follower offers the job's row first
        return newest

    @property
    def pipeline(self) -> str:
        """The pipeline of the job it follows; empty before the row was read."""
        newest = self._channel.newest
        return newest.state.pipeline if newest else ""

    def notify(self, newest: Committed) -> None:
        """Write a new state to the sink if it is ready, else wake the task that iterates over `frames`."""
        if self.dismissal is not None:
            return
        sink = self.sink
        if sink is not None and self._idle and newest.terminal is None and sink.ready():
            for due in self._feed.next(newest.state):
                frame = self._channel.frame(due, newest)
                sink.write(frame)
                self.sent_frames += 1
                self.sent_bytes += frame.size
        else:
            self.news.set()

    def sync(self) -> None:
        """Answer a `sync_request`: send the state now, even if it was sent before."""
        self._sync = True
        self.news.set()

    def dismiss(self, reason: Dismissal) -> None:
        """Send it nothing more."""
        self.dismissal = self.dismissal or reason
        self.news.set()

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield the frames as they become due, in order, until the ending or a dismissal.

        The consumer may take its time with each: nothing of a batch is yielded once the token was revoked.
        """
        async for frames in self.batches():
            for frame in frames:
                if self.dismissal is Dismissal.REVOKED:
                    return
                yield frame

    async def batches(self) -> AsyncIterator[list[Frame]]:
        """Yield lists of frames, each time all that are due, until the ending or a dismissal."""
        while not self._feed.over:
            self._idle = True
            await self.news.wait()
            self._idle = False
            self.news.clear()
            if self.dismissal is not None:
                return
            frames = self.due()
            self.sent_frames += len(frames)
            self.sent_bytes += sum(frame.size for frame in frames)
            yield frames

    def due(self) -> list[Frame]:
        """Take the frames that are due now."""
        newest = self.newest
        sync, self._sync = self._sync, False
        if not sync:
            return [self._channel.frame(due, newest) for due in self._feed.next(newest.state)]
        return [
            Frame(due, encode(progress_message(newest.state, RESUMING)), newest.state)
            if due is Due.PROGRESS
            else self._channel.frame(due, newest)
            for due in self._feed.sync(newest.state)
        ]


class Hub:
    """Publishes committed rows to the followers in this process. It keeps nothing of jobs without followers.

    Args:
        telemetry: is notified of ended jobs.
    """

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self._channels: dict[str, Channel] = {}
        self._erased: set[Channel] = set()
        self._leaving = False
        self._telemetry = telemetry or NoTelemetry()
        self._departed_bytes = 0

    @property
    def followers(self) -> int:
        """Number of attached followers."""
        return sum(1 for _ in self._attached())

    @property
    def sent_bytes(self) -> int:
        """Size of all messages sent to followers, those that have left included."""
        return self._departed_bytes + sum(follower.sent_bytes for follower in self._attached())

    def transports(self) -> Counter[str]:
        """Count the attached followers by transport."""
        return Counter(follower.transport for follower in self._attached())

    def _attached(self) -> Iterator[Follower]:
        for channel in (*self._channels.values(), *self._erased):
            yield from channel.followers

    def publish(self, committed: Iterable[Committed]) -> None:
        """Notify the followers of rows that are durable; the caller has committed them."""
        for one in committed:
            if one.state.ended:
                self._telemetry.ended(one.state)
            channel = self._channels.get(one.state.id)
            if channel is not None:
                channel.offer(one)

    def erased(self, job_id: str) -> None:
        """Detach the channel of an erased job, its ending published: the id may be given to another job."""
        channel = self._channels.pop(job_id, None)
        if channel is not None:
            self._erased.add(channel)

    def revoke(self, job_id: str, digest: bytes) -> None:
        """Dismiss the followers of a job that were authorized by a token, now revoked."""
        channel = self._channels.get(job_id)
        for follower in channel.followers if channel is not None else ():
            if follower.digest == digest:
                follower.dismiss(Dismissal.REVOKED)

    def dismiss_all(self) -> None:
        """Dismiss all followers and admit no more, because the server shuts down."""
        self._leaving = True
        for follower in self._attached():
            follower.dismiss(Dismissal.LEAVING)

    @contextmanager
    def follow(
        self, job_id: str, after: int = 0, digest: bytes = b""
    ) -> Iterator[tuple[Follower, Callable[[Committed], None]]]:
        """Attach a follower, which receives every commit from now on.

        The caller then reads the job's row and passes it to the second value before it takes frames: with a row that
        was read before attaching, a commit in between would be lost.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the server shuts down.
        """
        if self._leaving:
            raise ShelfwireError(Code.OVERLOADED, "The server is shutting down. Connect again in a moment")
        channel = self._channels.setdefault(job_id, Channel())
        follower = Follower(channel, after, digest)
        channel.followers.add(follower)
        try:
            yield follower, channel.offer
        finally:
            channel.followers.discard(follower)
            self._departed_bytes += follower.sent_bytes
            if not channel.followers:
                self._erased.discard(channel)
                if self._channels.get(job_id) is channel:
                    del self._channels[job_id]


def _encode(due: Due, newest: Committed) -> str:
    match due:
        case Due.STARTED:
            return encode(started_message(newest.state))
        case Due.PROGRESS:
            return encode(progress_message(newest.state))
        case Due.ENDING:
            assert newest.terminal is not None  # noqa: S101 - an ended row comes with its ending
            return newest.terminal
