import asyncio

import pytest

from shelfwire.jobs import hub as hubs
from shelfwire.jobs.hub import Frame, Hub
from shelfwire.jobs.store import Committed
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import JobState, Policy
from shelfwire.protocol.messages import Message, encode
from shelfwire.protocol.worker_transitions import ProgressDelta

POLICY = Policy()
QUEUED = jobs.create("j", "csv_import", now=1000)
CLAIMED = worker_transitions.claim(QUEUED, POLICY, now=1000)


def progress(state: JobState, count: int = 1) -> JobState:
    return worker_transitions.advance(state, 1, ProgressDelta(total=1000, succeeded=count), POLICY, now=2000)


async def test_a_follower_receives_what_is_published_and_nothing_of_other_jobs() -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=QUEUED))
        assert [frame.due for frame in follower.due()] == [Due.PROGRESS]
        hub.publish([Committed(state=jobs.create("other", "csv_import", now=1))])
        assert follower.due() == []
        hub.publish([Committed(state=progress(CLAIMED))])
        assert [frame.due for frame in follower.due()] == [Due.STARTED, Due.PROGRESS]


async def test_a_follower_of_the_new_job_of_an_erased_id_receives_nothing_of_the_old_one() -> None:
    hub = Hub()
    ended = Committed(state=owner_transitions.delete(QUEUED, POLICY, now=2000), terminal="{}")
    with hub.follow("j") as (slow, offer_old):
        offer_old(Committed(state=QUEUED))
        hub.publish([ended])
        hub.erased("j")
        with hub.follow("j") as (follower, offer):
            offer(Committed(state=QUEUED))
            assert [frame.due for frame in follower.due()] == [Due.PROGRESS]
            assert [frame.due for frame in slow.due()] == [Due.ENDING]
            assert hub.followers == 2
    assert hub.followers == 0
    assert not hub._erased


async def test_a_commit_between_attaching_and_reading_the_row_is_not_lost() -> None:
    hub = Hub()
    newer = progress(CLAIMED)
    with hub.follow("j") as (follower, offer):
        hub.publish([Committed(state=newer)])
        offer(Committed(state=QUEUED))
        frames = follower.due()
    assert {frame.state.seq for frame in frames} == {newer.seq}


async def test_a_follower_that_sleeps_holds_no_messages_and_then_receives_the_newest() -> None:
    hub = Hub()
    with hub.follow("j") as (sleeper, offer), hub.follow("j") as (reader, _):
        offer(Committed(state=CLAIMED))
        state, told = CLAIMED, 0
        for _ in range(500):
            state = progress(state)
            hub.publish([Committed(state=state)])
            told += len(reader.due())
        frames = sleeper.due()
    assert told == 501, "nobody waited for the sleeper"
    assert [(frame.due, frame.state.processed) for frame in frames] == [(Due.STARTED, 500), (Due.PROGRESS, 500)]


async def test_each_message_is_encoded_once_for_all_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Message] = []

    def counting(message: Message) -> str:
        encoded.append(message)
        return encode(message)

    monkeypatch.setattr(hubs, "encode", counting)
    hub = Hub()
    with hub.follow("j") as (one, offer), hub.follow("j") as (two, _), hub.follow("j") as (three, _):
        offer(Committed(state=progress(CLAIMED)))
        texts = [[frame.text for frame in follower.due()] for follower in (one, two, three)]
    assert texts[0] == texts[1] == texts[2]
    assert len(encoded) == 2


async def test_waiting_followers_wake_and_the_iteration_ends_with_the_ending() -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=CLAIMED))

        async def listen() -> list[Due]:
            return [frame.due async for frame in follower.frames()]

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        ended = worker_transitions.complete(progress(CLAIMED), 1, "Done", POLICY, now=3000)
        hub.publish([Committed(state=ended, terminal="the end")])
        assert await listening == [Due.PROGRESS, Due.STARTED, Due.PROGRESS, Due.ENDING]


async def test_a_sync_answers_with_the_state_now_in_the_contracts_words() -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=progress(CLAIMED)))
        follower.due()
        follower.sync()
        (frame,) = follower.due()
        assert '"userMessage":"Resuming..."' in frame.text
        ended = worker_transitions.complete(progress(CLAIMED), 1, "Done", POLICY, now=3000)
        hub.publish([Committed(state=ended, terminal="the end")])
        follower.sync()
        assert [frame.due for frame in follower.due()] == [Due.PROGRESS, Due.ENDING]


class Pipe:
    """A connection that takes frames at once while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.taken: list[Frame] = []

    def ready(self) -> bool:
        return self.open

    def write(self, frame: Frame) -> None:
        self.taken.append(frame)


async def test_a_connection_that_can_take_progress_gets_it_without_a_turn_of_the_loop() -> None:
    hub, pipe = Hub(), Pipe()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=CLAIMED))
        follower.sink = pipe
        frames = follower.frames()
        assert (await anext(frames)).due is Due.PROGRESS
        waiting = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        hub.publish([Committed(state=progress(CLAIMED))])
        assert [frame.due for frame in pipe.taken] == [Due.STARTED, Due.PROGRESS]
        assert not waiting.done()
        waiting.cancel()


async def test_messages_that_a_full_connection_missed_are_sent_later_and_in_order() -> None:
    hub, pipe = Hub(), Pipe()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=CLAIMED))
        follower.sink = pipe
        frames = follower.frames()
        told = [await anext(frames)]
        waiting = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        pipe.open = False
        state = progress(CLAIMED)
        hub.publish([Committed(state=state)])
        told.append(await waiting)
        pipe.open = True
        hub.publish([Committed(state=progress(state))])
        assert pipe.taken == [], "what the task was handed goes out first"
        told += [await anext(frames), await anext(frames)]
    assert [frame.due for frame in told] == [Due.PROGRESS, Due.STARTED, Due.PROGRESS, Due.PROGRESS]
    seqs = [frame.state.seq for frame in told]
    assert seqs == sorted(seqs)


async def test_the_ending_is_sent_by_the_task_which_closes_the_connection() -> None:
    hub, pipe = Hub(), Pipe()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=progress(CLAIMED)))
        follower.sink = pipe
        frames = follower.frames()
        await anext(frames)
        await anext(frames)
        waiting = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        ended = worker_transitions.complete(progress(CLAIMED), 1, "Done", POLICY, now=3000)
        hub.publish([Committed(state=ended, terminal="the end")])
        assert pipe.taken == []
        assert [(await waiting).due, (await anext(frames)).due] == [Due.PROGRESS, Due.ENDING]


async def test_nothing_is_kept_of_a_job_without_followers() -> None:
    hub = Hub()
    with hub.follow("j") as (_, offer):
        offer(Committed(state=QUEUED))
        with hub.follow("j"):
            assert hub.followers == 2
        assert hub.followers == 1
    assert hub.followers == 0
    assert hub._channels == {}


async def test_a_revoked_follower_receives_nothing_of_the_batch_that_its_connection_was_too_full_for() -> None:
    hub = Hub()
    with hub.follow("j", digest=b"token") as (follower, offer):
        offer(Committed(state=progress(CLAIMED)))
        frames = follower.frames()
        assert (await anext(frames)).due is Due.STARTED
        hub.revoke("j", b"token")
        assert [frame.due async for frame in frames] == []
