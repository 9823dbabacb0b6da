"""Followers that are told by callbacks alone: those in step share one position, one decision and one frame.

A follower with a task of its own costs a decision, a queue and a wake-up for each message. A `DirectFollower` has
none of these. As long as it has received what others have, and takes what it is sent, it is one of a `Step`, for which
a message costs one call of `write` each. One whose connection is full, or that asks for the state again, goes on by
itself from a copy of the position, and joins again once it has caught up.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final, Protocol

from shelfwire.clock import Clock
from shelfwire.jobs.frames import Dismissal, Frame, Framing, Outlet
from shelfwire.jobs.store import Committed
from shelfwire.jobs.telemetry import Telemetry
from shelfwire.protocol.feed import RESUMING, Due, Feed, progress_message
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import encode_bytes

WRITES_PER_TURN: Final = 512
"""Followers of one job that are told in a turn of the event loop, some 4 ms; the others are told in the next ones."""


class Source(Protocol):
    """The job that is followed.

    Attributes:
        newest: the state.
        offered_at: when it was published, by the monotonic clock; minus infinity for one that was read.
    """

    newest: Committed | None
    offered_at: float

    def frame(self, due: Due, newest: Committed) -> Frame:
        """Return a message of the newest state, encoded on first use."""
        ...


class Step:
    """Direct followers of one framing that have received the same; at most `WRITES_PER_TURN`.

    Attributes:
        writes: the followers, each with what takes its bytes.
        feed: the position that they share.
        progress_at: when progress was sent to them, by the monotonic clock.
        frames: number of messages sent to the step so far.
        bytes: their size.
    """

    __slots__ = ("_steps", "bytes", "feed", "frames", "framing", "progress_at", "writes")

    def __init__(self, steps: "Steps", framing: Framing, feed: Feed, progress_at: float) -> None:
        self._steps = steps
        self.framing = framing
        self.feed = feed
        self.progress_at = progress_at
        self.writes: dict[DirectFollower, Callable[[bytes], object]] = {}
        self.frames = 0
        self.bytes = 0

    def tell(self, newest: Committed, now: float) -> int:
        """Write what is due to all of them as one; return the number of writes."""
        due = self.feed.next(newest.state, withhold=self._steps.early(self.progress_at, now))
        if self.feed.behind:
            # The next commit brings what is withheld, in the rhythm of commits. To send it in between would make that
            # one come too early as well, and so on: each message later, and two decisions for each.
            self._steps.remind(max(self.progress_at, now) + 1.5 * self._steps.interval)
        if not due:
            return 0
        frames = [self._steps.source.frame(one, newest) for one in due]
        # Before anything is written: a follower that leaves in the middle has been sent all of it.
        self.frames += len(frames)
        self.bytes += sum([frame.size for frame in frames])
        if Due.PROGRESS in due:
            self.progress_at = now
        over = self.feed.over
        data = _joined(frames, self.framing, newest.state, over=over)
        told = tuple(self.writes.items())
        for _, write in told:
            write(data)
        if over:
            for follower, _ in told:
                follower.leave_step()
                follower.end(newest)
        return len(told)


class DirectFollower:
    """One follower's position, without a task. Its outlet says when it can take more.

    Args:
        after: the newest `seq` it has already.
        digest: of the token that authorized it.
        transport: the name of its transport, for the statistics.

    Attributes:
        dismissal: why it receives nothing more; None while it is attached.
        outlet: its connection, once it is let in.
        paused: whether its connection takes nothing now.
        steps: of the job that it follows; None before the row was read.
    """

    __slots__ = (
        *("_bytes", "_feed", "_frames", "_progress_at", "_step", "_sync"),
        *("digest", "dismissal", "outlet", "paused", "steps", "transport"),
    )

    def __init__(self, after: int, digest: bytes, transport: str) -> None:
        self.digest = digest
        self.transport = transport
        self.dismissal: Dismissal | None = None
        self.outlet: Outlet | None = None
        self.paused = False
        self.steps: Steps | None = None
        self._feed: Feed | None = Feed(after)
        self._step: Step | None = None
        self._progress_at = -math.inf
        self._frames = 0
        self._bytes = 0
        self._sync = False

    @property
    def sent_frames(self) -> int:
        """Number of messages that were written to its connection."""
        return self._frames + (0 if self._step is None else self._step.frames)

    @property
    def sent_bytes(self) -> int:
        """Their size."""
        return self._bytes + (0 if self._step is None else self._step.bytes)

    @property
    def newest(self) -> Committed:
        """The job as it is committed now."""
        newest = None if self.steps is None else self.steps.source.newest
        assert newest is not None  # noqa: S101 - whoever attaches a follower offers the job's row first
        return newest

    @property
    def pipeline(self) -> str:
        """The pipeline of the job."""
        return self.newest.state.pipeline

    @property
    def behind(self) -> bool:
        """Whether progress was withheld that is due later."""
        return self._feed is not None and self._feed.behind

    def detach(self) -> None:
        """Receive nothing more."""
        if self.steps is not None:
            self.steps.detach(self)
            self.steps = None

    def begin(self, outlet: Outlet, head: bytes) -> None:
        """Let it in: write `head` and all that is due now as one."""
        assert self.steps is not None  # noqa: S101 - it is attached
        self.outlet = outlet
        self._send(self.newest, self.steps.now(), head)

    def tell(self, newest: Committed, now: float) -> int:
        """Write what is due to a follower that is in no step; return the number of writes."""
        if self.outlet is None or self.paused or self.dismissal is not None or self._feed is None or self._feed.over:
            return 0
        return self._send(newest, now)

    def sync(self) -> None:
        """Answer a `sync_request`: send the state now, even if it was sent before."""
        self._sync = True
        self.leave_step()
        self._catch_up()

    def pause(self) -> None:
        """Write nothing more to it until `resume`."""
        self.paused = True
        self.leave_step()

    def resume(self) -> None:
        """Write the newest state to it, if it has not received that."""
        self.paused = False
        self._catch_up()

    def dismiss(self, reason: Dismissal) -> None:
        """Send it nothing more."""
        if self.dismissal is None:
            self.dismissal = reason
            self.leave_step()
            if self.outlet is not None and self._feed is not None and not self._feed.over:
                self.outlet.dismissed(reason)

    def end(self, newest: Committed) -> None:
        """Have its connection closed, because it was sent the ending."""
        assert self.outlet is not None  # noqa: S101 - only who is let in is sent anything
        self.outlet.ended(newest.state)

    def join(self, step: Step) -> None:
        """Share the position of a step from here on, which is its own now."""
        assert self.outlet is not None  # noqa: S101 - only who is let in is in a step
        step.writes[self] = self.outlet.write
        self._frames -= step.frames
        self._bytes -= step.bytes
        self._step, self._feed = step, None

    def leave_step(self) -> None:
        """Go on from a copy of the step's position."""
        step = self._step
        if step is None or self.steps is None:
            return
        del step.writes[self]
        self._frames += step.frames
        self._bytes += step.bytes
        self._step, self._feed, self._progress_at = None, step.feed.copy(), step.progress_at
        self.steps.left(self, step)

    def _catch_up(self) -> None:
        if self.steps is not None and self.outlet is not None:
            self.tell(self.newest, self.steps.now())

    def _send(self, newest: Committed, now: float, head: bytes = b"") -> int:
        feed, outlet, steps = self._feed, self.outlet, self.steps
        assert feed is not None  # noqa: S101 - it is in no step
        assert outlet is not None  # noqa: S101 - it is let in
        assert steps is not None  # noqa: S101 - it is attached
        frames = self._due(feed, newest, steps, now)
        self._frames += len(frames)
        self._bytes += sum([frame.size for frame in frames])
        if any(frame.due is Due.PROGRESS for frame in frames):
            self._progress_at = now
        data = head + _joined(frames, outlet.framing, newest.state, over=feed.over)
        if data:
            outlet.write(data)
        if feed.over:
            self.end(newest)
        elif feed.behind:
            steps.remind_alone(outlet.framing, self._progress_at)
        elif not self.paused:
            steps.admit(self, outlet, feed, self._progress_at)
        return bool(data)

    def _due(self, feed: Feed, newest: Committed, steps: "Steps", now: float) -> list[Frame]:
        sync, self._sync = self._sync, False
        if not sync:
            due = feed.next(newest.state, withhold=steps.early(self._progress_at, now))
            return [steps.source.frame(one, newest) for one in due]
        return [
            Frame(one, encode_bytes(progress_message(newest.state, RESUMING)), newest.state)
            if one is Due.PROGRESS
            else steps.source.frame(one, newest)
            for one in feed.sync(newest.state)
        ]


class Steps:
    """The direct followers of one job, in step or each by itself.

    Args:
        source: the job.
        clock: the time.
        interval: seconds from one message of progress to the next of the same follower, at least.
        telemetry: is notified of news that were handed over in later turns.
    """

    def __init__(self, source: Source, clock: Clock, interval: float, telemetry: Telemetry) -> None:
        self.source = source
        self.interval = interval
        self.now = clock.monotonic
        self._clock = clock
        self._telemetry = telemetry
        self._steps: list[Step] = []
        self._alone: dict[DirectFollower, None] = {}
        self._untold: dict[Step | DirectFollower, None] = {}
        self._turning = False
        self._remind_at = math.inf
        self._sooner = asyncio.Event()
        self._reminding: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._alone) + sum(len(step.writes) for step in self._steps)

    def __bool__(self) -> bool:
        return bool(self._alone or self._steps)

    def __iter__(self) -> Iterator[DirectFollower]:
        return chain(self._alone, *(step.writes for step in self._steps))

    def attach(self, follower: DirectFollower) -> None:
        """Take a follower, which is not let in yet."""
        follower.steps = self
        self._alone[follower] = None

    def detach(self, follower: DirectFollower) -> None:
        """Forget a follower."""
        follower.leave_step()
        self._alone.pop(follower, None)
        self._untold.pop(follower, None)
        if self._reminding is not None and not self:
            self._reminding.cancel()
            self._reminding, self._remind_at = None, math.inf

    def tell(self, at: float | None = None) -> None:
        """Send the newest state to all; what is more than a turn of the event loop may take is sent in the next.

        For `at` see `Hub.publish`.
        """
        if self._steps:
            self._untold.update(dict.fromkeys(self._steps))
        if self._alone:
            self._untold.update(dict.fromkeys(self._alone))
        if not self._turning:
            self._go_on(at)

    def _go_on(self, at: float | None = None) -> None:
        self._turning = False
        newest, now, left = self.source.newest, self.now() if at is None else at, WRITES_PER_TURN
        assert newest is not None  # noqa: S101 - what is told was offered
        while self._untold:
            if left <= 0:
                self._turning = True
                asyncio.get_running_loop().call_soon(self._next_turn)
                return
            one = next(iter(self._untold))
            del self._untold[one]
            left -= one.tell(newest, now)

    def _next_turn(self) -> None:
        if self._untold:
            self._go_on()
            if self.source.offered_at > -math.inf:
                self._telemetry.handed_over(self.now() - self.source.offered_at)
        else:
            self._turning = False

    def early(self, progress_at: float, now: float) -> bool:
        """Whether it is too early for progress after some that was sent at `progress_at`."""
        return progress_at + self.interval > now

    def admit(self, follower: DirectFollower, outlet: Outlet, feed: Feed, progress_at: float) -> None:
        """Let a follower that received all that is due join those who did as well.

        One that received progress later than they did stays alone until the next message: with them it might receive
        that too soon.
        """
        steps = [step for step in self._steps if step.framing is outlet.framing and len(step.writes) < WRITES_PER_TURN]
        if not steps:
            steps = [Step(self, outlet.framing, feed, progress_at)]
            self._steps += steps
        for step in steps:
            if step.feed.position == feed.position and step.progress_at >= progress_at:
                del self._alone[follower]
                follower.join(step)
                return

    def left(self, follower: DirectFollower, step: Step) -> None:
        """Take back a follower that has left a step."""
        self._alone[follower] = None
        if not step.writes:
            self._untold.pop(step, None)
            self._steps.remove(step)

    def remind_alone(self, framing: Framing, progress_at: float) -> None:
        """Remind of a follower for which progress came too early; with luck it is sent with the next of a step."""
        at = progress_at + self.interval
        steps = [step.progress_at for step in self._steps if step.framing is framing]
        if steps:
            at = max(at, max(steps) + 1.5 * self.interval)
        self.remind(at)

    def remind(self, at: float) -> None:
        """See to it that what was withheld is sent at this monotonic time."""
        if at < self._remind_at:
            self._remind_at = at
            self._sooner.set()
        if self._reminding is None:
            self._reminding = asyncio.get_running_loop().create_task(self._remind())

    async def _remind(self) -> None:
        while self._remind_at < math.inf:
            self._sooner.clear()
            await self._clock.wait(self._sooner, max(0.0, self._remind_at - self.now()))
            if self.now() >= self._remind_at:
                self._remind_at = math.inf
                self._tell_those_behind()
        self._reminding = None

    def _tell_those_behind(self) -> None:
        self._untold.update((step, None) for step in self._steps if step.feed.behind)
        self._untold.update((follower, None) for follower in self._alone if follower.behind)
        if not self._turning:
            self._go_on()


def _joined(frames: Sequence[Frame], framing: Framing, state: JobState, *, over: bool) -> bytes:
    """Return the bytes of some messages, with the farewell if the last is the ending."""
    parts = [frame.framed(framing, is_last=frame is frames[-1]) for frame in frames]
    return b"".join((*parts, framing.farewell(state))) if over else b"".join(parts)
