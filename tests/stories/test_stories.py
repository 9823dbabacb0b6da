"""A client receives a legal sequence of messages, whatever happens to the job, the network and the transport.

Messages take some time to arrive here, and a cut loses those that have not.
"""

from collections import deque
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from shelfwire.jobs.frames import Frame
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.feed import RESUMING, Due, Feed, progress_message
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import JobProgress, Message, decode, encode
from shelfwire.protocol.reconnect import Deduplicator, Transport
from shelfwire.protocol.state import State, messages_of, state_of
from shelfwire.web.events import ERROR_EVENT, ERROR_TYPE
from shelfwire.web.events import encode as encode_events
from tests.stories.work import POLICY, Work
from tests.story import legal_story

TRAVELLERS = 2
VISITS = st.tuples(st.sampled_from(Transport), st.integers(0, 3), st.booleans())
"""The transport to connect by if need be, how many messages arrive before the next turn, whether a cut follows."""


@dataclass
class Connection:
    """A connection to one client, and the messages in transit on it.

    Attributes:
        transport: its transport.
        feed: what the server sends next, if it sends without a request.
        sync: whether a `sync_request` is to be answered.
        in_transit: the messages that the client has not received yet, each with the event's id if it has one.
    """

    transport: Transport
    feed: Feed
    sync: bool = False
    in_transit: deque[tuple[Message, int | None]] = field(default_factory=deque)


@dataclass
class Traveller:
    """A client over all its connections.

    Attributes:
        shown: drops what it has shown already.
        messages: the messages that it has shown.
        event_id: the last id that an event stream named.
        returning: whether it had a socket before.
    """

    shown: Deduplicator = field(default_factory=Deduplicator)
    messages: list[Message] = field(default_factory=list)
    event_id: int = 0
    returning: bool = False
    connection: Connection | None = None


class Journey(Work):
    """The same job; its followers change their transport whenever they are cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.travellers = [Traveller() for _ in range(TRAVELLERS)]

    @rule(number=st.integers(0, TRAVELLERS - 1), visits=st.lists(VISITS, min_size=1, max_size=4))
    def a_traveller_listens(self, number: int, visits: list[tuple[Transport, int, bool]]) -> None:
        traveller = self.travellers[number]
        for transport, arriving, cut in visits:
            self.listen(traveller, transport, arriving)
            if cut:
                traveller.connection = None

    def listen(self, traveller: Traveller, transport: Transport, arriving: int) -> None:
        if traveller.connection is None and not self.erased:
            self.connect(traveller, transport)
        connection = traveller.connection
        if connection is None:
            return
        complete = self.send(traveller, connection)
        for _ in range(min(arriving, len(connection.in_transit))):
            self.receive(traveller, connection)
        if complete and not connection.in_transit:
            self.knows_all(traveller)

    def connect(self, traveller: Traveller, transport: Transport) -> None:
        match transport:
            case Transport.WEBSOCKET:
                connection = Connection(transport, Feed(traveller.shown.after), sync=traveller.returning)
                traveller.returning = True
            case Transport.SSE:
                if self.row.ended and traveller.event_id == self.row.seq:
                    assert traveller.shown.over, "only a client that received the ending may receive nothing more"
                    return
                connection = Connection(transport, Feed(traveller.event_id))
            case Transport.POLLING:
                connection = Connection(transport, Feed())
        traveller.connection = connection

    def send(self, traveller: Traveller, connection: Connection) -> bool:
        """Send what the server sends now; return whether nothing is missing then."""
        match connection.transport:
            case Transport.WEBSOCKET:
                due = connection.feed.sync(self.row) if connection.sync else connection.feed.next(self.row)
                for one in due:
                    resuming = connection.sync and one is Due.PROGRESS
                    text = encode(progress_message(self.row, RESUMING)) if resuming else self.frame(one)
                    connection.in_transit.append((message_in(text), None))
                connection.sync = False
            case Transport.SSE:
                frames = [Frame(one, self.frame(one).encode(), self.row) for one in connection.feed.next(self.row)]
                connection.in_transit.extend(events_in(encode_events(frames) if frames else b""))
            case Transport.POLLING if not connection.in_transit:
                document = msgspec.json.encode(state_of(self.row, self.terminal))
                rebuilt = messages_of(msgspec.json.decode(document, type=State), traveller.shown.after)
                due = Feed(traveller.shown.after).next(self.row)
                assert [encode(message) for message in rebuilt] == [self.frame(one) for one in due]
                connection.in_transit.extend((message, None) for message in rebuilt)
            case Transport.POLLING:
                return False  # it polls again when it has read the answer
        return True

    def receive(self, traveller: Traveller, connection: Connection) -> None:
        message, event_id = connection.in_transit.popleft()
        traveller.event_id = traveller.event_id if event_id is None else event_id
        if traveller.shown.accept(message):
            traveller.messages.append(message)

    def knows_all(self, traveller: Traveller) -> None:
        """A client that has received everything has shown the newest state."""
        assert traveller.shown.seq == self.row.seq or not (self.row.processed or self.row.user_message)
        assert traveller.shown.over == self.row.ended
        counts = [m.payload.processed_count for m in traveller.messages if isinstance(m.payload, JobProgress)]
        assert counts[-1:] == [self.row.processed] or not self.row.processed

    @invariant()
    def every_story_is_legal_so_far(self) -> None:
        for traveller in self.travellers:
            legal_story(traveller.messages, self.terminal if traveller.shown.over else None)

    def teardown(self) -> None:
        """A client that still listens, or may still return, receives the same ending."""
        if hasattr(self, "row") and not self.row.ended:
            self.now += 10 * POLICY.lease
            self.commit(owner_transitions.cancel(self.row, POLICY, now=self.now))
        for number, traveller in enumerate(self.travellers):
            if traveller.connection is None and not self.erased and not traveller.shown.over:
                self.connect(traveller, list(Transport)[number % len(Transport)])
            connection = traveller.connection
            if connection is None:
                continue
            # Two rounds: an answer in transit may be older than the ending.
            for _ in range(2):
                self.send(traveller, connection)
                while connection.in_transit:
                    self.receive(traveller, connection)
            assert traveller.shown.over
            legal_story(traveller.messages, self.terminal)


def message_in(text: str) -> Message:
    message = decode(text)
    assert isinstance(message, Message)
    return message


def events_in(stream: bytes) -> list[tuple[Message, int | None]]:
    """The events of a stream, as a browser reads them."""
    events: list[tuple[Message, int | None]] = []
    for text in stream.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in text.split("\n"))
        message = message_in(fields["data"])
        assert fields["event"] == (ERROR_EVENT if message.type == ERROR_TYPE else message.type)
        events.append((message, int(fields["id"]) if "id" in fields else None))
    return events


def states() -> list[tuple[JobState, str | None]]:
    """A job that has begun, and its two kinds of ending, each with the message that is stored."""
    work = Work()
    work.begin(retried=False, begun=True)
    work.attempt(work.workers[0], lambda state: state)
    running = work.row
    work.commit(worker_transitions.complete(running, 1, "Done", POLICY, now=work.now))
    complete = work.row, work.terminal
    work.row, work.terminal = running, None
    work.commit(owner_transitions.cancel(running, POLICY, now=work.now + POLICY.lease))
    return [(running, None), complete, (work.row, work.terminal)]


@pytest.mark.parametrize(("state", "terminal"), states())
def test_a_stream_cut_between_any_two_events_of_one_revision_loses_none(state: JobState, terminal: str | None) -> None:
    journey = Journey()
    journey.row, journey.terminal, journey.erased, journey.committed = state, terminal, False, {state.seq: state}
    for cut in range(len(Due) + 1):
        traveller = Traveller()
        journey.listen(traveller, Transport.SSE, cut)
        traveller.connection = None
        journey.listen(traveller, Transport.SSE, len(Due))
        journey.knows_all(traveller)
        assert [message.type for message in traveller.messages][:2] == ["job_started", "job_progress"]


TestJourney = Journey.TestCase
TestJourney.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
