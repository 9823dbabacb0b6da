import asyncio

import pytest

from shelfwire.jobs import frames
from shelfwire.jobs.frames import Dismissal, Frame
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.store import Committed
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import JobState, Policy
from shelfwire.protocol.messages import Message, encode_bytes
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing import FakeClock

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


@pytest.mark.parametrize("late", [False, True])
async def test_followers_of_the_two_jobs_of_an_id_receive_each_their_own(*, late: bool) -> None:
    hub = Hub()
    old = jobs.create("j", "csv_import", now=999)
    ending = Committed(state=owner_transitions.delete(old, POLICY, now=2000), terminal="{}")
    with hub.follow("j") as (slow, offer_old):
        offer_old(Committed(state=old))
        if not late:
            hub.publish([ending])
        with hub.follow("j") as (follower, offer):
            hub.publish([Committed(state=CLAIMED)])
            offer(Committed(state=QUEUED))
            if late:
                hub.publish([ending])
            assert [frame.state for frame in follower.due()] == [CLAIMED]
            assert [(frame.due, frame.state.created_at) for frame in slow.due()] == [(Due.ENDING, 999)]
            assert hub.followers == 2
    assert hub.followers == 0
    assert (hub._channels, hub._arriving, hub._erased) == ({}, {}, {})


async def test_a_commit_between_attaching_and_reading_the_row_is_not_lost() -> None:
    hub = Hub()
    newer = progress(CLAIMED)
    with hub.follow("j") as (follower, offer):
        hub.publish([Committed(state=newer)])
        offer(Committed(state=QUEUED))
        frames = follower.due()
    assert {frame.state.seq for frame in frames} == {newer.seq}


async def test_a_follower_with_the_row_of_a_job_that_is_deleted_before_it_is_attached_receives_the_ending() -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer):
        ended = owner_transitions.delete(CLAIMED, POLICY, now=2000)
        hub.publish([Committed(state=ended, terminal="{}")])
        hub.erased(Committed(state=ended, terminal="{}"))
        offer(Committed(state=CLAIMED))
        assert [frame.due for frame in follower.due()] == [Due.ENDING]
    assert (hub._channels, hub._arriving, hub._erased) == ({}, {}, {})


async def test_a_revoked_follower_of_an_erased_job_receives_nothing_more() -> None:
    hub = Hub()
    with (
        hub.follow("j", digest=b"token") as (follower, offer),
        hub.follow("j", digest=b"other") as (other, offer_other),
    ):
        offer(Committed(state=CLAIMED))
        offer_other(Committed(state=CLAIMED))
        hub.erased(Committed(state=owner_transitions.delete(CLAIMED, POLICY, now=2000), terminal="{}"))
        hub.revoke("j", b"token")
        assert (follower.dismissal, other.dismissal) == (Dismissal.REVOKED, None)


async def test_an_erased_job_ends_for_its_followers_also_where_its_ending_was_not_published() -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer), hub.follow("j") as (arriving, offer_late):
        offer(Committed(state=CLAIMED))
        ended = worker_transitions.complete(progress(CLAIMED), 1, "Done", POLICY, now=3000)
        hub.erased(Committed(state=ended, terminal="{}"))
        offer_late(Committed(state=CLAIMED))
        assert [one.due()[-1].due for one in (follower, arriving)] == [Due.ENDING, Due.ENDING]


async def test_where_the_row_of_a_job_is_another_ones_its_followers_are_sent_back_and_those_of_the_other_see_it() -> (
    None
):
    hub = Hub()
    old = jobs.create("j", "csv_import", now=999)
    with hub.follow("j") as (of_old, offer_old), hub.follow("j") as (of_new, offer_new), hub.follow("j") as (late, _):
        offer_old(Committed(state=old))
        offer_new(Committed(state=QUEUED))
        hub.correct("j", Committed(state=CLAIMED))
        assert [one.dismissal for one in (of_old, of_new, late)] == [Dismissal.LEAVING, None, Dismissal.LEAVING]
        assert of_new.newest.state == CLAIMED
        assert hub.is_followed("j")
    assert not hub.is_followed("j")


async def test_a_follower_that_sleeps_holds_no_messages_and_then_receives_the_newest() -> None:
    hub = Hub()
    with hub.follow("j") as (sleeper, offer), hub.follow("j") as (reader, offer_reader):
        offer(Committed(state=CLAIMED))
        offer_reader(Committed(state=CLAIMED))
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

    def counting(message: Message) -> bytes:
        encoded.append(message)
        return encode_bytes(message)

    monkeypatch.setattr(frames, "encode_bytes", counting)
    hub = Hub()
    with hub.follow("j") as (one, offer_1), hub.follow("j") as (two, offer_2), hub.follow("j") as (three, offer_3):
        for offer in (offer_1, offer_2, offer_3):
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


async def test_progress_comes_once_an_interval_and_starts_and_endings_at_once() -> None:
    clock = FakeClock()
    hub, told = Hub(clock=clock, interval=0.05), asyncio.Queue[Frame]()
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=QUEUED))

        async def listen() -> None:
            async for frame in follower.frames():
                told.put_nowait(frame)

        listening = asyncio.create_task(listen())
        assert (await told.get()).state.seq == QUEUED.seq
        await yield_often()
        hub.publish([Committed(state=CLAIMED)])
        hub.publish([Committed(state=progress(CLAIMED))])
        assert (await told.get()).due is Due.STARTED
        await yield_often()
        assert told.empty()
        newest = progress(progress(CLAIMED))
        hub.publish([Committed(state=newest)])
        clock.advance(0.05)
        shown = await told.get()
        assert (shown.due, shown.state) == (Due.PROGRESS, newest)
        hub.publish([Committed(state=worker_transitions.complete(newest, 1, "Done", POLICY, now=3000), terminal="{}")])
        await listening
        assert [told.get_nowait().due for _ in range(told.qsize())] == [Due.ENDING]


async def test_a_sync_is_answered_at_once_whatever_was_sent_just_now() -> None:
    hub = Hub(clock=FakeClock(), interval=0.05)
    with hub.follow("j") as (follower, offer):
        offer(Committed(state=progress(CLAIMED)))
        frames = follower.frames()
        assert [(await anext(frames)).due, (await anext(frames)).due] == [Due.STARTED, Due.PROGRESS]
        follower.sync()
        assert (await anext(frames)).due is Due.PROGRESS


async def yield_often() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
