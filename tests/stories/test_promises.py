"""The seven promises of the contract, over any interleaving of work, crashes, takeovers, requests and reconnects.

A lost connection is one more step of the model in `work.py`.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from shelfwire.protocol import owner_transitions
from shelfwire.protocol.feed import Due, Feed
from shelfwire.protocol.messages import JobProgress, JobStarted, Message, decode
from shelfwire.protocol.reconnect import Deduplicator
from tests.stories.work import POLICY, Work


@dataclass
class Connection:
    """One connection of a client: its feed, and the frames it received."""

    after: int = 0
    frames: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = Feed(self.after)


@dataclass
class Client:
    """A client over all its connections."""

    shown: Deduplicator = field(default_factory=Deduplicator)
    connection: Connection | None = None
    past: list[Connection] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)


class Story(Work):
    """The job and its clients."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Client] = []

    @precondition(lambda self: not self.erased and len(self.clients) < 3)
    @rule()
    def a_client_comes(self) -> None:
        self.clients.append(Client(connection=Connection()))

    @precondition(lambda self: not self.erased and any(client.connection is None for client in self.clients))
    @rule(data=st.data(), amnesia=st.booleans())
    def a_client_returns(self, data: st.DataObject, amnesia: bool) -> None:  # noqa: FBT001
        client = data.draw(st.sampled_from([client for client in self.clients if client.connection is None]))
        client.connection = Connection(after=0 if amnesia else client.shown.seq)

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
        assert len(due) <= len(Due), "promise 6: whatever it missed, a follower holds and receives a bounded number"
        for one in due:
            frame = self.frame(one)
            connection.frames.append(frame)
            message = decode(frame)
            assert isinstance(message, Message)
            if client.shown.accept(message):
                client.accepted.append(message)

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
            messages = [decode(frame) for frame in connection.frames]
            raw = [message.seq or 0 for message in messages if isinstance(message, Message)]
            assert raw == sorted(raw)

    @invariant()
    def promise_3_one_ending(self) -> None:
        for connection in self.connections():
            endings = [frame for frame in connection.frames if frame == self.terminal]
            terminal = [frame for frame in connection.frames if decode(frame).terminal]  # type: ignore[union-attr]
            assert terminal == endings
            assert len(terminal) <= 1
            if terminal:
                assert connection.frames[-1] == terminal[0]

    @invariant()
    def promise_4_late_is_never_lost(self) -> None:
        late = Client(connection=Connection())
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
            kinds = [type(decode(frame).payload) for frame in connection.frames]  # type: ignore[union-attr]
            assert kinds.count(JobStarted) <= 1
            if connection.feed.seq and JobProgress in kinds:
                newest = self.committed[connection.feed.seq]
                first = self.committed[decode(connection.frames[0]).seq or 0]  # type: ignore[union-attr]
                # Who has shown a state of the started job already has had its start on an earlier connection.
                shown = self.committed.get(connection.after)
                had_it = shown is not None and shown.started_at is not None
                assert JobStarted in kinds or newest.started_at is None or first.ended or had_it

    def connections(self) -> list[Connection]:
        return [one for client in self.clients for one in [*client.past, client.connection] if one is not None]

    def messages(self) -> list[Message]:
        decoded = [decode(frame) for connection in self.connections() for frame in connection.frames]
        return [message for message in decoded if isinstance(message, Message)]

    def teardown(self) -> None:
        """A follower that still listens at the end receives the ending."""
        if not hasattr(self, "row"):
            return
        self.now += 10 * POLICY.lease
        if not self.row.ended:
            state = owner_transitions.cancel(self.row, POLICY, now=self.now)
            self.commit(state)
        for client in self.clients:
            if client.connection is None and self.erased:
                continue
            if client.connection is None:
                client.connection = Connection(after=client.shown.seq)
            self.read(client)
            assert client.shown.over, "promise 4: a follower that stays or returns gets the ending"
            assert client.accepted[-1].terminal


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
