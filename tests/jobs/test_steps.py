"""Direct followers: whatever they and their job do, each receives what a follower by itself would receive."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shelfwire.jobs import steps
from shelfwire.jobs.frames import Dismissal, Frame, Framing
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.steps import DirectFollower
from shelfwire.jobs.store import Committed
from shelfwire.protocol import job as jobs
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.feed import RESUMING, Due, Feed
from shelfwire.protocol.job import JobState, Policy
from shelfwire.protocol.messages import Message, decode
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing import FakeClock

POLICY = Policy()
QUEUED = jobs.create("j", "csv_import", now=1000)
CLAIMED = worker_transitions.claim(QUEUED, POLICY, now=1000)
ENDING = '{"type":"job_complete","jobId":"j","pipeline":"csv_import","timestamp":1,"version":"1.0.0","payload":'
ENDING += '{"successCount":1,"failureCount":0,"duration":1,"results":[]}}'


def progress(state: JobState, count: int = 1) -> JobState:
    return worker_transitions.advance(state, 1, ProgressDelta(total=1000, succeeded=count), POLICY, now=2000)


def committed(state: JobState) -> Committed:
    return Committed(state=state, terminal=ENDING if state.ended else None)


class Lines:
    """A framing that can be read again: a line a message."""

    def frame(self, frame: Frame, *, is_last: bool) -> bytes:
        return b"%s %d %d %s\n" % (frame.due.encode(), frame.state.seq, is_last, frame.text.encode())

    def farewell(self, state: JobState) -> bytes:
        assert state.ended
        return b"farewell\n"


LINES, OTHER_LINES = Lines(), Lines()


class Line:
    """A follower's connection, and what came out of it."""

    def __init__(self, hub: Hub, after: int = 0, digest: bytes = b"", framing: Lines = LINES) -> None:
        self.framing: Framing = framing
        self.write: Callable[[bytes], object] = self.take
        self.follower = DirectFollower(after, digest, "test")
        self.full_after: int | None = None
        self.lines: list[bytes] = []
        self.times: list[float] = []
        self.closed: list[object] = []
        self.hub = hub
        hub.seat("j", self.follower)

    def begin(self, row: Committed) -> "Line":
        self.hub.attach("j", self.follower, row)
        self.follower.begin(self, b"head\n")
        return self

    def take(self, data: bytes) -> None:
        assert not self.closed, "nothing is written after the close"
        assert data
        came = data.splitlines()
        self.lines += came
        self.times += [self.hub._clock.monotonic()] * len(came)
        if self.full_after is not None:
            self.full_after -= 1
            if self.full_after <= 0:
                self.full_after = None
                self.follower.pause()

    def ended(self, state: JobState) -> None:
        assert state.ended
        self.closed.append(state.status)

    def dismissed(self, reason: Dismissal) -> None:
        self.closed.append(reason)

    @property
    def sent(self) -> list[tuple[Due, int]]:
        rows = [line.split(b" ", 2) for line in self.lines if line not in {b"head", b"farewell"}]
        return [(Due(due.decode()), int(seq)) for due, seq, _ in rows]

    @property
    def messages(self) -> list[Message]:
        texts = [line.split(b" ", 3)[3] for line in self.lines if line not in {b"head", b"farewell"}]
        return [message for message in map(decode, texts) if isinstance(message, Message)]


async def test_followers_in_step_share_one_decision_and_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions: list[Feed] = []
    original = Feed.next

    def counting(self: Feed, state: JobState, *, withhold: bool = False) -> tuple[Due, ...]:
        decisions.append(self)
        return original(self, state, withhold=withhold)

    hub = Hub()
    lines = [Line(hub).begin(committed(CLAIMED)) for _ in range(10)]
    state = progress(CLAIMED)
    hub.publish([committed(state)])
    monkeypatch.setattr(Feed, "next", counting)
    hub.publish([committed(progress(state))])
    assert len(decisions) == 1
    assert len({id(line.lines[-1]) for line in lines}) == 10
    assert {tuple(line.sent) for line in lines} == {tuple(lines[0].sent)}
    assert [due for due, _ in lines[0].sent] == [Due.PROGRESS, Due.STARTED, Due.PROGRESS, Due.PROGRESS]


async def test_one_whose_connection_fills_leaves_the_others_and_receives_the_newest_at_last() -> None:
    hub = Hub()
    slow, quick = (Line(hub).begin(committed(CLAIMED)) for _ in range(2))
    state = progress(CLAIMED)
    slow.full_after = 1
    for _ in range(5):
        hub.publish([committed(state)])
        state = progress(state)
    assert len(slow.sent) == 3
    assert len(quick.sent) == 7
    slow.follower.resume()
    assert slow.sent[-1] == quick.sent[-1]
    hub.publish([committed(state)])
    assert slow.sent[-1] == quick.sent[-1]
    assert (slow.follower.sent_frames, quick.follower.sent_frames) == (5, 8)


async def test_many_followers_are_told_in_several_turns_and_the_later_ones_of_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "WRITES_PER_TURN", 4)
    hub = Hub()
    lines = [Line(hub).begin(committed(progress(CLAIMED))) for _ in range(10)]
    for line in lines:
        line.lines.clear()
    second = progress(progress(CLAIMED))
    hub.publish([committed(second)])
    assert sum(bool(line.sent) for line in lines) == 4
    hub.publish([committed(progress(second))])
    await drain()
    assert [line.sent[-1] for line in lines] == [(Due.PROGRESS, second.seq + 1)] * 10
    assert sorted(len(line.sent) for line in lines) == [1] * 6 + [2] * 4


async def test_a_follower_that_came_just_now_receives_progress_no_sooner_than_after_the_interval() -> None:
    clock = FakeClock()
    hub = Hub(clock=clock, interval=0.05)
    early = Line(hub).begin(committed(CLAIMED))
    clock.advance(0.04)
    late = Line(hub).begin(committed(CLAIMED))
    clock.advance(0.01)
    state = progress(CLAIMED)
    hub.publish([committed(state)])
    assert [len(line.sent) for line in (early, late)] == [3, 2]
    assert late.sent[-1] == (Due.STARTED, state.seq)
    clock.advance(0.05)
    hub.publish([committed(progress(state))])
    assert early.sent[-1] == late.sent[-1] == (Due.PROGRESS, state.seq + 1)
    clock.advance(0.05)
    hub.publish([committed(progress(progress(state)))])
    assert early.lines[-1] == late.lines[-1]


async def test_what_was_withheld_of_the_last_change_is_sent_without_another_one() -> None:
    clock = FakeClock()
    hub = Hub(clock=clock, interval=0.05)
    lines = [Line(hub).begin(committed(CLAIMED)) for _ in range(3)]
    hub.publish([committed(progress(CLAIMED))])
    assert all(line.sent[-1][0] is Due.STARTED for line in lines)
    await drain()
    clock.advance(0.05)
    await drain()
    clock.advance(0.05)
    await drain()
    assert [line.sent[-1] for line in lines] == [(Due.PROGRESS, CLAIMED.seq + 1)] * 3


async def test_what_came_too_early_is_sent_with_the_next_commit_so_that_messages_keep_its_rhythm() -> None:
    clock = FakeClock()
    hub = Hub(clock=clock, interval=0.5)
    line = Line(hub).begin(committed(CLAIMED))
    clock.advance(0.25)
    state, sent = CLAIMED, []
    for _ in range(4):
        state = progress(state)
        hub.publish([committed(state)])
        sent.append(line.sent[-1] == (Due.PROGRESS, state.seq))
        for _ in range(4):
            await drain()
            clock.advance(0.125)
    assert sent == [False, True, True, True]
    assert [due for due, _ in line.sent].count(Due.PROGRESS) == 4, "that of the claim included"


async def test_one_that_leaves_the_others_keeps_the_interval_since_the_last_progress() -> None:
    clock = FakeClock()
    hub = Hub(clock=clock, interval=0.05)
    lines = [Line(hub).begin(committed(progress(CLAIMED))) for _ in range(2)]
    clock.advance(0.05)
    state = progress(progress(CLAIMED))
    hub.publish([committed(state)])
    clock.advance(0.01)
    lines[0].follower.pause()
    hub.publish([committed(progress(state))])
    lines[0].follower.resume()
    assert [line.sent[-1] for line in lines] == [(Due.PROGRESS, state.seq)] * 2


async def test_a_sync_is_answered_in_the_contracts_words_and_the_follower_goes_on_with_the_others() -> None:
    hub = Hub()
    asking, other = (Line(hub).begin(committed(CLAIMED)) for _ in range(2))
    state = progress(CLAIMED)
    hub.publish([committed(state)])
    asking.follower.sync()
    assert asking.messages[-1].payload.user_message == RESUMING  # type: ignore[union-attr]
    assert len(other.sent) == 3
    hub.publish([committed(progress(state))])
    assert asking.lines[-1] == other.lines[-1]


async def test_the_ending_and_the_farewell_are_one_write_and_nothing_follows() -> None:
    hub = Hub()
    lines = [Line(hub).begin(committed(progress(CLAIMED))) for _ in range(3)]
    ended = worker_transitions.complete(progress(CLAIMED), 1, "Done", POLICY, now=3000)
    hub.publish([committed(ended)])
    late = Line(hub).begin(committed(ended))
    assert [line.lines[-1] for line in (*lines, late)] == [b"farewell"] * 4
    assert [line.closed for line in (*lines, late)] == [[ended.status]] * 4
    for line in (*lines, late):
        line.follower.sync()
        line.follower.resume()
        assert [due for due, _ in line.sent].count(Due.ENDING) == 1
        hub.leave("j", line.follower)
    assert (hub.followers, hub._channels, hub._arriving) == (0, {}, {})


async def test_a_revoked_token_closes_its_followers_alone_in_step_or_not() -> None:
    hub = Hub()
    lines = [Line(hub, digest=digest).begin(committed(CLAIMED)) for digest in (b"a", b"a", b"b")]
    lines[0].follower.pause()
    hub.publish([committed(progress(CLAIMED))])
    hub.revoke("j", b"a")
    hub.publish([committed(progress(progress(CLAIMED)))])
    assert [line.closed for line in lines] == [[Dismissal.REVOKED], [Dismissal.REVOKED], []]
    lines[0].follower.resume()
    assert [len(line.sent) for line in lines] == [1, 3, 4]


async def drain() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


class Followers(RuleBasedStateMachine):
    """Followers that come, fill, ask, leave and are revoked at any moment, of a job that goes on meanwhile."""

    interval: ClassVar[float] = 0.0
    exact: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.hub = Hub(clock=self.clock, interval=self.interval)
        self.state = QUEUED
        self.published = QUEUED
        self.lines: list[Line] = []
        self.models: list[Model] = []
        self.writes = steps.WRITES_PER_TURN
        steps.WRITES_PER_TURN = 3  # type: ignore[misc]

    def teardown(self) -> None:
        self.settle()
        steps.WRITES_PER_TURN = self.writes  # type: ignore[misc]
        for line in self.lines:
            self.hub.leave("j", line.follower)
        self.do(lambda: None)
        assert (self.hub._channels, self.hub._arriving, self.hub._erased) == ({}, {}, {})
        self.loop.close()

    def do(self, act: Callable[[], Any]) -> None:
        async def acting() -> None:
            act()
            if self.exact:
                await drain()

        self.loop.run_until_complete(acting())
        for line, model in zip(self.lines, self.models, strict=True):
            model.check(line, exact=self.exact)

    def settle(self) -> None:
        """Everybody has time and room: whoever is still there has received the newest, and is in step again."""
        for line, model in zip(self.lines, self.models, strict=True):
            line.full_after = None
            model.resume()
            self.do(line.follower.resume)
        for _ in range(3):
            self.pass_time(0.2)
        for line, model in zip(self.lines, self.models, strict=True):
            follower = line.follower
            feed = follower._feed if follower._step is None else follower._step.feed
            assert feed is not None
            if not model.gone:
                assert (feed.seq, feed.behind) == (self.published.seq, False)
                assert bool(line.closed) == self.published.ended

    @initialize()
    def somebody_follows(self) -> None:
        self.come(after=0, framing=LINES, digest=b"a", row="newest")

    @rule(
        after=st.integers(0, 8),
        framing=st.sampled_from([LINES, OTHER_LINES]),
        digest=st.sampled_from([b"a", b"b"]),
        row=st.sampled_from(["newest", "published"]),
    )
    def come(self, after: int, framing: Lines, digest: bytes, row: str) -> None:
        def act() -> None:
            line = Line(self.hub, after, digest, framing)
            shown = self.state if row == "newest" else self.published
            self.published = self.state if row == "newest" else self.published
            model = Model(self, after)
            self.models.append(model)
            self.lines.append(line)
            for other in self.models[:-1]:
                other.offer(self.published)
            model.offer(self.published)
            line.begin(committed(shown))

        self.do(act)

    @precondition(lambda self: not self.state.ended)
    @rule(what=st.sampled_from(["claim", "progress", "progress", "progress", "end"]), publish=st.booleans())
    def change(self, what: str, publish: bool) -> None:  # noqa: FBT001 - drawn by name
        if self.state.attempt == 0:
            self.state = worker_transitions.claim(self.state, POLICY, now=2000)
        elif what == "end":
            self.state = worker_transitions.complete(progress(self.state), 1, "Done", POLICY, now=3000)
        else:
            self.state = progress(self.state)
        if publish or self.state.ended:
            self.publish()

    @rule()
    def publish(self) -> None:
        def act() -> None:
            self.published = self.state
            for model in self.models:
                model.offer(self.state)
            self.hub.publish([committed(self.state)])

        self.do(act)

    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        self.lines[self.one(data)].full_after = 1

    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        one = self.one(data)
        self.models[one].paused = True
        self.do(self.lines[one].follower.pause)

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        one = self.one(data)
        self.models[one].resume()
        self.do(self.lines[one].follower.resume)

    @rule(data=st.data())
    def sync(self, data: st.DataObject) -> None:
        one = self.one(data)
        self.models[one].asked_often += 1
        self.models[one].sync()
        self.do(self.lines[one].follower.sync)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        one = self.one(data)
        if len(self.lines) > 1:
            self.models.pop(one)
            line = self.lines.pop(one)
            self.do(lambda: self.hub.leave("j", line.follower))

    @rule(digest=st.sampled_from([b"a", b"b"]))
    def revoke(self, digest: bytes) -> None:
        for line, model in zip(self.lines, self.models, strict=True):
            model.gone = model.gone or line.follower.digest == digest
        self.do(lambda: self.hub.revoke("j", digest))

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.05, 0.2]))
    def pass_time(self, seconds: float) -> None:
        self.do(lambda: self.clock.advance(seconds))
        self.loop.run_until_complete(drain())
        self.do(lambda: None)

    def one(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.lines) - 1))


class Model:
    """What one follower is due by itself."""

    def __init__(self, machine: Followers, after: int) -> None:
        self.feed = Feed(after)
        self.due: list[tuple[Due, int]] = []
        self.paused = False
        self.gone = False
        self.asked = False
        self.newest: JobState | None = None
        self.machine = machine
        self.seen = 0
        self.asked_often = 0
        self.progress_at = -1.0

    def offer(self, state: JobState) -> None:
        self.newest = state
        self.go_on()

    def go_on(self) -> None:
        if self.gone or self.paused or self.newest is None or self.feed.over:
            return
        asked, self.asked = self.asked, False
        due = self.feed.sync(self.newest) if asked else self.feed.next(self.newest)
        self.due += [(one, self.newest.seq) for one in due]

    def resume(self) -> None:
        self.paused = False
        self.go_on()

    def sync(self) -> None:
        self.asked = True
        self.go_on()

    def check(self, line: Line, *, exact: bool) -> None:
        sent = line.sent
        if line.follower.paused and not self.paused:
            self.paused = True  # by a write that filled it
        if exact:
            assert sent == self.due
        self.check_promises(line, sent)

    def check_promises(self, line: Line, sent: list[tuple[Due, int]]) -> None:
        seqs = [seq for _, seq in sent]
        counts = [one.payload.processed_count for one in line.messages if one.type == "job_progress"]  # type: ignore[union-attr]
        assert seqs == sorted(seqs)
        assert counts == sorted(counts)
        kinds = [due for due, _ in sent]
        assert kinds.count(Due.STARTED) <= 1
        assert kinds.count(Due.ENDING) == int(kinds[-1:] == [Due.ENDING])
        assert len(line.closed) <= 1
        assert line.follower.sent_frames == len(sent)
        texts = [one.split(b" ", 3)[3] for one in line.lines if one not in {b"head", b"farewell"}]
        assert line.follower.sent_bytes == sum(map(len, texts))
        times = [at for at, one in zip(line.times, line.lines, strict=True) if one not in {b"head", b"farewell"}]
        for (due, _), now in list(zip(sent, times, strict=True))[self.seen :]:
            if due is Due.PROGRESS:
                if now - self.progress_at < self.machine.interval - 1e-9:
                    self.asked_often -= 1
                    assert self.asked_often >= 0, "progress came too soon, and not because it was asked for"
                self.progress_at = now
        self.seen = len(sent)


class HurriedFollowers(Followers):
    """The same with an interval, and with changes that come before everybody was told of the last."""

    interval = 0.05
    exact = False


TestFollowers = Followers.TestCase
TestFollowers.settings = settings(max_examples=60, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow])
TestHurriedFollowers = HurriedFollowers.TestCase
TestHurriedFollowers.settings = TestFollowers.settings
