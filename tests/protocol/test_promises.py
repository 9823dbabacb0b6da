"""The seven promises of the contract, over any interleaving of work, crashes, takeovers, cancels and reconnects.

The model is as simple as the design says: a row, a log and positions. Time, crashes and lost connections are steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import control
from shelfwire.protocol import job as jobs
from shelfwire.protocol.feed import Due, Feed, ending_message, progress_message, started_message
from shelfwire.protocol.follow import Shown
from shelfwire.protocol.job import Advance, JobState, LeaseLostError, Policy, Status
from shelfwire.protocol.messages import JobProgress, JobStarted, Message, decode, encode, error_of

POLICY = Policy(max_strikes=3)
TOTAL = 12


@dataclass
class Worker:
    """An attempt that believes it holds the job, and what it has not committed."""

    attempt: int
    recorded: set[int]
    draft: list[tuple[int, bool]] = field(default_factory=list)
    started: bool = False


@dataclass
class Connection:
    """One connection of a client: its feed, and the frames it was told."""

    feed: Feed
    told: list[str] = field(default_factory=list)


@dataclass
class Client:
    """A client over all its connections."""

    shown: Shown = field(default_factory=Shown)
    connection: Connection | None = None
    past: list[Connection] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)


class Story(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 1_000_000
        self.row = jobs.create("j", "csv_import", now=self.now)
        self.log: dict[int, bool] = {}
        self.times_recorded: dict[int, int] = {}
        self.committed: dict[int, JobState] = {self.row.seq: self.row}
        self.terminal: str | None = None
        self.workers: list[Worker] = []
        self.clients: list[Client] = []

    def commit(self, state: JobState) -> None:
        """What a store does at the end of its transaction."""
        assert not self.row.ended or state == self.row, "promise 3: an ended job never changes again"
        self.row = state
        self.committed[state.seq] = state
        if state.ended and self.terminal is None:
            self.terminal = encode(ending_message(state, {"log": len(self.log)}, results_url="/r", truncated=False))

    def attempt(self, worker: Worker, change: Callable[[JobState], JobState]) -> bool:
        """One change of a draft and its closing, as one transaction."""
        step = Advance(
            total=None if worker.started else TOTAL,
            succeeded=sum(ok for _, ok in worker.draft),
            failed=sum(not ok for _, ok in worker.draft),
        )
        try:
            state = change(jobs.advance(self.row, worker.attempt, step, POLICY, now=self.now))
        except LeaseLostError:
            self.workers.remove(worker)
            return False
        for index, ok in worker.draft:
            self.log[index] = ok
            self.times_recorded[index] = self.times_recorded.get(index, 0) + 1
        worker.draft, worker.started = [], True
        self.commit(state)
        return True

    @rule(milliseconds=st.sampled_from([0, 1, 100, POLICY.lease, 60_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @precondition(lambda self: jobs.claimable(self.row, now=self.now))
    @rule()
    def a_worker_claims(self) -> None:
        state = jobs.claim(self.row, POLICY, now=self.now)
        self.commit(state)
        if not state.ended:
            self.workers.append(Worker(state.attempt, set(self.log)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), count=st.integers(1, 5), ok=st.booleans())
    def a_worker_records(self, data: st.DataObject, count: int, ok: bool) -> None:  # noqa: FBT001
        worker = data.draw(st.sampled_from(self.workers))
        left = [index for index in range(TOTAL) if index not in worker.recorded]
        for index in data.draw(st.permutations(left))[:count]:
            worker.recorded.add(index)
            worker.draft.append((index, ok))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_commits(self, data: st.DataObject) -> None:
        self.attempt(data.draw(st.sampled_from(self.workers)), lambda state: state)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_is_killed(self, data: st.DataObject) -> None:
        self.workers.remove(data.draw(st.sampled_from(self.workers)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), how=st.sampled_from(["finish", "hand back", "exception", "give up", "confirm"]))
    def an_attempt_ends(self, data: st.DataObject, how: str) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        number, now = worker.attempt, self.now
        error = error_of(ShelfwireError(Code.CSV_UNREADABLE))
        endings: dict[str, Callable[[JobState], JobState]] = {
            "finish": lambda state: jobs.complete(state, number, "Done", POLICY, now=now),
            "hand back": lambda state: jobs.hand_back(state, number, POLICY, now=now),
            "exception": lambda state: jobs.retry_later(state, number, "why", 1000, POLICY, now=now),
            "give up": lambda state: jobs.fail(state, number, error, POLICY, now=now),
            "confirm": lambda state: jobs.hand_back(state, number, POLICY, now=now),
        }
        if how == "finish" and len(worker.recorded) < TOTAL:
            return
        if how == "confirm" and self.row.status is not Status.CANCELING:
            return
        if self.attempt(worker, endings[how]):
            self.workers.remove(worker)

    @precondition(lambda self: not self.row.ended)
    @rule()
    def the_owner_cancels(self) -> None:
        state = control.cancel(self.row, POLICY, now=self.now)
        if state != self.row:
            self.commit(state)

    @precondition(lambda self: len(self.clients) < 3)
    @rule()
    def a_client_comes(self) -> None:
        self.clients.append(Client(connection=Connection(Feed())))

    @precondition(lambda self: any(client.connection is None for client in self.clients))
    @rule(data=st.data(), amnesia=st.booleans())
    def a_client_returns(self, data: st.DataObject, amnesia: bool) -> None:  # noqa: FBT001
        client = data.draw(st.sampled_from([client for client in self.clients if client.connection is None]))
        client.connection = Connection(Feed(after=0 if amnesia else client.shown.seq))

    @precondition(lambda self: any(client.connection for client in self.clients))
    @rule(data=st.data())
    def a_connection_is_lost(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from([client for client in self.clients if client.connection]))
        assert client.connection is not None
        client.past.append(client.connection)
        client.connection = None

    @precondition(lambda self: any(client.connection for client in self.clients))
    @rule(data=st.data(), sync=st.booleans())
    def a_client_reads(self, data: st.DataObject, sync: bool) -> None:  # noqa: FBT001
        self.read(data.draw(st.sampled_from([client for client in self.clients if client.connection])), sync=sync)

    def read(self, client: Client, *, sync: bool = False) -> None:
        connection = client.connection
        assert connection is not None
        due = connection.feed.sync(self.row) if sync else connection.feed.next(self.row)
        assert len(due) <= len(Due), "promise 6: whatever it missed, a follower holds and is told a bounded number"
        for one in due:
            frame = self.frame(one)
            connection.told.append(frame)
            message = decode(frame)
            assert isinstance(message, Message)
            if client.shown.accept(message):
                client.accepted.append(message)

    def frame(self, due: Due) -> str:
        if due is Due.ENDING:
            assert self.terminal is not None
            return self.terminal
        return encode(started_message(self.row) if due is Due.STARTED else progress_message(self.row))

    @invariant()
    def promise_1_durable_before_visible(self) -> None:
        for message in self.messages():
            state = self.committed[message.seq or 0]
            if isinstance(message.payload, JobProgress):
                assert message.payload.processed_count == state.processed
                assert message.payload.state == state.status

    @invariant()
    def promise_2_monotone(self) -> None:
        for client in self.clients:
            seqs = [message.seq or 0 for message in client.accepted]
            counts = [m.payload.processed_count for m in client.accepted if isinstance(m.payload, JobProgress)]
            assert seqs == sorted(seqs)
            assert counts == sorted(counts)
        for connection in self.connections():
            told = [decode(frame) for frame in connection.told]
            raw = [message.seq or 0 for message in told if isinstance(message, Message)]
            assert raw == sorted(raw)
        history = [self.committed[seq] for seq in sorted(self.committed)]
        assert [state.processed for state in history] == sorted(state.processed for state in history)

    @invariant()
    def promise_3_one_ending(self) -> None:
        for connection in self.connections():
            endings = [frame for frame in connection.told if frame == self.terminal]
            terminal = [frame for frame in connection.told if decode(frame).terminal]  # type: ignore[union-attr]
            assert terminal == endings
            assert len(terminal) <= 1
            if terminal:
                assert connection.told[-1] == terminal[0]

    @invariant()
    def promise_4_late_is_never_lost(self) -> None:
        late = Client(connection=Connection(Feed()))
        self.read(late)
        if self.row.ended:
            assert late.shown.over
        elif self.row.processed:
            newest = late.accepted[-1].payload
            assert isinstance(newest, JobProgress)
            assert newest.processed_count == self.row.processed

    @invariant()
    def promise_5_lossless_by_class(self) -> None:
        for connection in self.connections():
            kinds = [type(decode(frame).payload) for frame in connection.told]  # type: ignore[union-attr]
            assert kinds.count(JobStarted) <= 1
            if connection.feed.seq and JobProgress in kinds:
                told = self.committed[connection.feed.seq]
                first = self.committed[decode(connection.told[0]).seq or 0]  # type: ignore[union-attr]
                assert JobStarted in kinds or told.started_at is None or first.ended

    @invariant()
    def promise_7_once(self) -> None:
        assert all(times == 1 for times in self.times_recorded.values())
        assert self.row.processed == len(self.log)
        assert (self.row.succeeded, self.row.failed) == (
            sum(self.log.values()),
            len(self.log) - sum(self.log.values()),
        )

    def connections(self) -> list[Connection]:
        return [one for client in self.clients for one in [*client.past, client.connection] if one is not None]

    def messages(self) -> list[Message]:
        decoded = [decode(frame) for connection in self.connections() for frame in connection.told]
        return [message for message in decoded if isinstance(message, Message)]

    def teardown(self) -> None:
        """Whoever still listens when the story is over hears its ending."""
        if not hasattr(self, "row"):
            return
        self.now += 10 * POLICY.lease
        if not self.row.ended:
            state = control.cancel(self.row, POLICY, now=self.now)
            self.commit(state)
        for client in self.clients:
            if client.connection is None:
                client.connection = Connection(Feed(after=client.shown.seq))
            self.read(client)
            assert client.shown.over, "promise 4: a follower that stays or returns gets the ending"
            assert client.accepted[-1].terminal


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
