"""Followers by job: each committed state is encoded once, and every follower takes the messages due to it."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain

from shelfwire.clock import Clock, SystemClock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.frames import Dismissal, Frame, encoded
from shelfwire.jobs.nodes import Gone, Hint, HintKind, Position
from shelfwire.jobs.steps import DirectFollower, Steps
from shelfwire.jobs.store import Committed
from shelfwire.jobs.telemetry import NoTelemetry, Telemetry
from shelfwire.protocol.feed import RESUMING, Due, Feed, progress_message
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import encode_bytes
from shelfwire.protocol.tokens import Grant


class Channel:
    """The newest committed state of one followed job, its messages and its followers, in the order they came.

    Attributes:
        newest: the state.
        offered_at: when it was published, by the monotonic clock; minus infinity for one that was read.
        followers: those that have a task each.
        direct: the others; None as long as there were none.
        grants: tokens that followers were admitted with, by digest, as they are stored.
    """

    def __init__(self) -> None:
        self.newest: Committed | None = None
        self.offered_at = -math.inf
        self.followers: dict[Follower, None] = {}
        self.direct: Steps | None = None
        self.grants: dict[bytes, Grant] = {}
        self._frames: dict[Due, Frame] = {}

    def offer(self, committed: Committed, at: float | None = None) -> None:
        """Take a state if it is newer than the present one, and notify the followers; for `at` see `Hub.publish`."""
        if self.newest is not None and committed.state.seq <= self.newest.state.seq:
            return
        self.newest = committed
        self._frames.clear()
        for follower in self.followers:
            follower.notify()
        if self.direct is not None:
            self.direct.tell(at)

    @property
    def is_followed(self) -> bool:
        """Whether it has followers."""
        return bool(self.followers or self.direct)

    def attached(self) -> Iterator["Follower | DirectFollower"]:
        """Iterate over all followers."""
        return chain(self.followers, self.direct or ())

    def frame(self, due: Due, newest: Committed) -> Frame:
        """Return a message of the newest state, encoded on first use."""
        frame = self._frames.get(due)
        if frame is None:
            frame = self._frames[due] = Frame(due, encoded(due, newest), newest.state)
        return frame


class Follower:
    """One follower's position in a channel. It queues no messages: a slow one receives fewer, newer ones.

    Args:
        after: the newest `seq` it has already.
        digest: see below.
        clock: the time.
        interval: seconds from one message of progress to the next at least; those that answer a `sync_request` do not
            count.
        telemetry: is notified of news that were handed over.

    Attributes:
        digest: of the token that authorized it; empty for one inside the process.
        dismissal: why it receives nothing more; None while it is attached.
        news: set when messages may be due.
        sent_frames: number of frames handed over.
        sent_bytes: their size.
        transport: the name of its transport, for the statistics.
    """

    def __init__(
        self, after: int, digest: bytes, clock: Clock, interval: float, telemetry: Telemetry | None = None
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self.digest = digest
        self.dismissal: Dismissal | None = None
        self.news = asyncio.Event()
        self.news.set()
        self.sent_frames = 0
        self.sent_bytes = 0
        self.transport = "none"
        self._channel = Channel()
        self._feed = Feed(after)
        self._clock = clock
        self._interval = interval
        self._progress_at = -math.inf
        self._sync = False

    def attach(self, channel: Channel) -> None:
        """Receive what is offered to a channel from now on."""
        self._channel = channel
        channel.followers[self] = None

    def detach(self) -> None:
        """Receive nothing more."""
        self._channel.followers.pop(self, None)

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

    def notify(self) -> None:
        """Wake the task that iterates over `frames`."""
        if self.dismissal is None:
            self.news.set()

    def _early(self, now: float) -> float:
        """Seconds until progress may be sent again."""
        return self._progress_at + self._interval - now

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
            if not self._feed.behind:
                await self.news.wait()
            elif (early := self._early(self._clock.monotonic())) > 0:
                await self._clock.wait(self.news, early)
            self.news.clear()
            if self.dismissal is not None:
                return
            frames = self.due()
            self.sent_frames += len(frames)
            self.sent_bytes += sum(frame.size for frame in frames)
            offered_at = self._channel.offered_at
            yield frames
            if frames and offered_at > -math.inf:
                self._telemetry.handed_over(self._clock.monotonic() - offered_at)
            if any(frame.due is Due.PROGRESS for frame in frames):
                self._progress_at = self._clock.monotonic()

    def due(self) -> list[Frame]:
        """Take the frames that are due now."""
        newest = self.newest
        sync, self._sync = self._sync, False
        if not sync:
            due = self._feed.next(newest.state, withhold=self._early(self._clock.monotonic()) > 0)
            return [self._channel.frame(one, newest) for one in due]
        return [
            Frame(due, encode_bytes(progress_message(newest.state, RESUMING)), newest.state)
            if due is Due.PROGRESS
            else self._channel.frame(due, newest)
            for due in self._feed.sync(newest.state)
        ]


class Hub:
    """Publishes committed rows to the followers in this process. It keeps nothing of jobs without followers.

    An id may be given to another job once its own is erased, so jobs are told apart by when they were made as well.

    Args:
        telemetry: is notified of ended jobs.
        clock: the time; the machine's unless given.
        interval: seconds from one message of progress to the next of the same follower, at least. The committer keeps
            it for a job's own progress; a claim, a start or an owner's request may come right after that.
        ended: is called when jobs have ended.
        send: receives hints for other nodes, of what was committed here; None where there are none. See `jobs.nodes`.

    Attributes:
        telemetry: as it was given.
        token_changes: grows whenever a token may have changed that `known` has returned or may return.
    """

    def __init__(
        self,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
        interval: float = 0.0,
        ended: Callable[[], None] = lambda: None,
        send: Callable[[Iterable[Hint]], None] | None = None,
    ) -> None:
        self._channels: dict[str, dict[int, Channel]] = {}
        self._arriving: dict[str, dict[Follower | DirectFollower, None]] = {}
        self._erased: dict[Channel, None] = {}
        self._clock = clock or SystemClock()
        self._interval = interval
        self._leaving = False
        self.telemetry = telemetry or NoTelemetry()
        self._ended = ended
        self._send = send
        self._departed_bytes = 0
        self.token_changes = 0

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

    def transports_of(self, job_id: str) -> Counter[str]:
        """Count the followers of a job by transport."""
        return Counter(follower.transport for follower in self._followers_of(job_id))

    def _attached(self) -> Iterator[Follower | DirectFollower]:
        for job_id in dict.fromkeys((*self._channels, *self._arriving)):
            yield from self._followers_of(job_id)
        for channel in self._erased:
            yield from channel.attached()

    def _followers_of(self, job_id: str) -> Iterator[Follower | DirectFollower]:
        yield from self._arriving.get(job_id, ())
        for channel in self._channels.get(job_id, {}).values():
            yield from channel.attached()

    def publish(self, committed: Iterable[Committed], at: float | None = None) -> None:
        """Notify the followers of rows that are durable, here and on other nodes; the caller has committed them.

        Args:
            committed: the rows.
            at: the time from which the interval to the next progress counts, by the monotonic clock; now unless given.
                To write to all followers takes a while, and that of one job may be first now and last the next time.
        """
        rows = list(committed)
        at = self._clock.monotonic() if at is None else at
        for one in rows:
            if one.state.ended:
                self.telemetry.ended(one.state)
                self._ended()
            self._offer(one, at)
        if self._send is not None and rows:
            self._send([hint for one in rows for hint in _hints(one.state)])

    def hear(self, committed: Iterable[Committed]) -> None:
        """Notify the followers here of rows that another node has committed, or that were read again."""
        for one in committed:
            self._offer(one)

    def hear_gone(self, gone: Gone) -> None:
        """Let go the followers of a job that was erased elsewhere: with its ending if it is known.

        Otherwise they come back, and are answered that it is gone.
        """
        if gone.ending is not None:
            self._detach(gone.ending)
            return
        channel = self._channels.get(gone.position.job_id, {}).get(gone.position.created_at)
        for follower in [] if channel is None else list(channel.attached()):
            follower.dismiss(Dismissal.LEAVING)

    def positions(self) -> list[Position]:
        """Return the followed jobs that have not ended, as far as they are known here."""
        channels = (channel for made in self._channels.values() for channel in made.values() if channel.is_followed)
        states = (channel.newest.state for channel in channels if channel.newest is not None)
        return [Position.of(state) for state in states if not state.ended]

    def digests(self) -> dict[bytes, str]:
        """Return the digests of the tokens that followers are here by, each with its job."""
        ids = dict.fromkeys((*self._channels, *self._arriving))
        return {one.digest: job_id for job_id in ids for one in self._followers_of(job_id) if one.digest}

    def _offer(self, one: Committed, at: float | None = None) -> None:
        state = one.state
        channels = self._channels.get(state.id, {})
        if state.id in self._arriving:
            # Who is arriving has read no row yet, or an older one.
            channels = self._channels.setdefault(state.id, channels)
            channels.setdefault(state.created_at, Channel())
        if state.created_at in channels:
            channel = channels[state.created_at]
            channel.offered_at = self._clock.monotonic() if at is None else at
            is_followed = channel.is_followed
            channel.offer(one, channel.offered_at)
            if is_followed:
                self.telemetry.handed_over(self._clock.monotonic() - channel.offered_at)

    def show(self, row: Committed) -> None:
        """Take a row that somebody was shown: who is admitted without a read must not see an older one."""
        channel = self._channels.get(row.state.id, {}).get(row.state.created_at)
        if channel is not None and channel.newest is not None:
            channel.offer(row)

    def erased(self, ending: Committed) -> None:
        """Detach the channel of an erased job: another one may be made of its id within this millisecond.

        Its followers receive the ending first, if they have none: what ended it may never have been answered.
        """
        self._detach(ending)
        if self._send is not None:
            self._send([Hint(HintKind.GONE, ending.state.id)])

    def _detach(self, ending: Committed) -> None:
        state = ending.state
        self._offer(ending)
        if state.id in self._arriving:
            return  # who has read the row before must find the ending
        channel = self._channels.get(state.id, {}).pop(state.created_at, None)
        if channel is not None and channel.is_followed:
            self._erased[channel] = None

    def is_followed(self, job_id: str) -> bool:
        """Whether anybody follows a job, or is about to."""
        return job_id in self._channels or job_id in self._arriving

    def correct(self, job_id: str, row: Committed | None) -> None:
        """Show followers what is stored of a job, because a change of it was not answered and may have been made.

        Followers of a job that is gone are dismissed: they come back, and are answered that it is gone. Its ending
        nobody knows any more. So are those who are arriving, for the row that they read may be of it.

        Args:
            job_id: the job.
            row: what is stored of it; None if nothing is.
        """
        if row is not None:
            self._offer(row)
        leaving = list(self._arriving.get(job_id, ()))
        for created_at, channel in self._channels.get(job_id, {}).items():
            if row is None or row.state.created_at != created_at:
                leaving += channel.attached()
                channel.grants.clear()
        for follower in leaving:
            follower.dismiss(Dismissal.LEAVING)

    def revoke(self, job_id: str, digest: bytes) -> None:
        """Dismiss the followers of a job that were authorized by a token, now revoked, here and on other nodes."""
        self.hear_revoked(job_id, digest)
        for follower in tuple(chain.from_iterable(channel.attached() for channel in self._erased)):
            if follower.digest == digest:
                follower.dismiss(Dismissal.REVOKED)
        if self._send is not None:
            self._send([Hint(HintKind.TOKENS, job_id)])

    def hear_revoked(self, job_id: str, digest: bytes) -> None:
        """Dismiss the followers here of a token that was revoked elsewhere, or erased with its job.

        Those of an erased job still receive its ending.
        """
        self.forget_tokens(job_id)
        for follower in tuple(self._followers_of(job_id)):
            if follower.digest == digest:
                follower.dismiss(Dismissal.REVOKED)

    def dismiss_all(self) -> None:
        """Dismiss all followers and admit no more, because the server shuts down."""
        self._leaving = True
        for follower in tuple(self._attached()):
            follower.dismiss(Dismissal.LEAVING)

    @contextmanager
    def follow(
        self, job_id: str, after: int = 0, digest: bytes = b""
    ) -> Iterator[tuple[Follower, Callable[[Committed], None]]]:
        """Attach a follower, which receives every commit from now on.

        The caller then reads the job's row and passes it to the second value before it takes frames: with a row that
        was read before attaching, a commit in between would be lost. The row decides which job of this id it follows.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the server shuts down.
        """
        follower = Follower(after, digest, self._clock, self._interval, self.telemetry)
        self.seat(job_id, follower)
        try:
            yield follower, partial(self.attach, job_id, follower)
        finally:
            self.leave(job_id, follower)

    def seat(self, job_id: str, follower: Follower | DirectFollower) -> None:
        """Expect a follower, which receives every commit from now on; `follow` says what its caller does next.

        The caller calls `leave` in the end.

        Raises:
            ShelfwireError: `E_OVERLOADED`: the server shuts down.
        """
        if self._leaving:
            raise ShelfwireError(Code.OVERLOADED, "The server is shutting down. Connect again in a moment")
        self._arriving.setdefault(job_id, {})[follower] = None

    def expects(self, job_id: str, follower: Follower | DirectFollower) -> bool:
        """Whether a follower was seated, and neither attached nor forgotten since."""
        return follower in self._arriving.get(job_id, ())

    def attach(self, job_id: str, follower: Follower | DirectFollower, row: Committed) -> None:
        """Attach a follower that was seated to the job whose row was read since, and offer that row."""
        channel = self._channels.setdefault(job_id, {}).setdefault(row.state.created_at, Channel())
        if isinstance(follower, Follower):
            follower.attach(channel)
        else:
            if channel.direct is None:
                channel.direct = Steps(channel, self._clock, self._interval, self.telemetry)
            channel.direct.attach(follower)
        channel.offer(row)
        self._arrived(job_id, follower)

    def leave(self, job_id: str, follower: Follower | DirectFollower) -> None:
        """Forget a follower."""
        follower.detach()
        if self._erased:
            self._erased = {channel: None for channel in self._erased if channel.is_followed}
        self._arrived(job_id, follower)
        self._departed_bytes += follower.sent_bytes

    def known(self, job_id: str, digest: bytes) -> tuple[Grant, Committed] | None:
        """Return a token with the newest row of its job, if a follower of that job was admitted with it before.

        Never where other nodes commit as well: somebody may have been shown a newer row than there is here.
        """
        for channel in self._channels.get(job_id, {}).values() if self._send is None else ():
            grant = channel.grants.get(digest)
            if grant is not None and channel.newest is not None:
                return grant, channel.newest
        return None

    def remember(self, grant: Grant, row: Committed) -> None:
        """Keep a token for `known`, as long as its job has followers here.

        The caller has read it while a follower of the job was attached, and `token_changes` is what it was before.
        """
        channel = self._channels.get(grant.job_id, {}).get(row.state.created_at)
        if channel is not None and channel.is_followed:
            channel.grants[grant.digest] = grant

    def forget_tokens(self, job_id: str) -> None:
        """Have the tokens of a job read again, because one of them has changed or may have."""
        self.token_changes += 1
        for channel in self._channels.get(job_id, {}).values():
            channel.grants.clear()

    def _arrived(self, job_id: str, follower: Follower | DirectFollower) -> None:
        """Forget that a follower was arriving, and what nobody follows or is about to."""
        arriving = self._arriving.get(job_id, {})
        arriving.pop(follower, None)
        if arriving:
            return
        self._arriving.pop(job_id, None)
        followed = {made: one for made, one in self._channels.get(job_id, {}).items() if one.is_followed}
        self._channels.pop(job_id, None)
        if followed:
            self._channels[job_id] = followed


def _hints(state: JobState) -> Iterator[Hint]:
    """What other nodes may want to look at once a row is committed."""
    yield Hint(HintKind.ROW, state.id, state.seq)
    if state.status is Status.QUEUED:
        yield Hint(HintKind.QUEUE)
