import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from shelfwire.clock import sleep
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.patience import RETRY_SECONDS
from shelfwire.jobs.store import Change, Committed
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import Policy, Status
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import NOW, POLICY, FakeClock, MemoryStore, add_job, claim, encode_terminal, encoded
from tests.live import until


class Disk(SqliteStore):
    """A store whose disk is full while a test says so, or from some commit on, and that one job breaks."""

    full = False
    full_after = 1_000_000
    poison = ""
    commits = 0

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        if any(change.job_id == self.poison for change in changes):
            raise RuntimeError("nobody foresaw this")
        if self.full or self.commits >= self.full_after:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full")
        self.commits += 1
        return await super().commit(changes, policy, now, steady)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Disk]:
    async with Disk(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=1000) as store:
        yield store


async def draft_of(store: Disk, job_id: str) -> Draft:
    await add_job(store, job_id)
    return Draft((await claim(store)).state)


def note(draft: Draft, index: int) -> None:
    draft.items.extend(encoded((index, True, None, index)))
    draft.succeeded += 1


class Told:
    """Who is told of commits, and when."""

    def __init__(self) -> None:
        self.rows: list[Committed] = []
        self.news = asyncio.Event()
        self.at = -1.0

    def __call__(self, committed: Iterable[Committed], at: float) -> None:
        self.at = at
        self.rows.extend(committed)
        self.news.set()

    async def next(self) -> None:
        await self.news.wait()
        self.news.clear()


async def test_the_changes_of_all_jobs_share_one_commit(store: Disk) -> None:
    told = Told()
    committer = Committer(store, told, POLICY, FakeClock(NOW), interval=0.05)
    drafts = [await draft_of(store, f"job-{number}") for number in range(3)]
    for draft in drafts:
        note(draft, 0)
        committer.mark(draft)
    await committer.commit()
    assert store.commits == committer.commits == 1
    assert [row.state.processed for row in told.rows] == [1, 1, 1]
    assert [draft.state.processed for draft in drafts] == [1, 1, 1]


async def test_nothing_to_commit_is_no_transaction(store: Disk) -> None:
    committer = Committer(store, Told(), POLICY, FakeClock(NOW), interval=0.05)
    await committer.commit()
    assert store.commits == 0


async def test_an_error_of_the_connection_that_no_store_has_foreseen_costs_no_attempt(store: Disk) -> None:
    told = Told()
    committer = Committer(store, told, POLICY, FakeClock(NOW), interval=0.05)
    draft = await draft_of(store, "job-1")
    note(draft, 0)
    committer.mark(draft)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Disk, "commit", AsyncMock(side_effect=ConnectionResetError("by peer")))
        with pytest.raises(ShelfwireError) as failed:
            await committer.commit()
    assert failed.value.code is Code.STORAGE_UNAVAILABLE
    assert not draft.given_up
    await committer.commit()
    assert [(row.state.processed, row.state.error_count) for row in told.rows] == [(1, 0)]


async def test_a_failed_commit_publishes_nothing_and_loses_nothing(store: Disk) -> None:
    told = Told()
    committer = Committer(store, told, POLICY, FakeClock(NOW), interval=0.05)
    draft = await draft_of(store, "job-1")
    draft.total, draft.user_message = 9, "Looking…"
    note(draft, 0)
    committer.mark(draft)
    store.full = True
    with pytest.raises(ShelfwireError, match="disk full"):
        await committer.commit()
    assert told.rows == []
    note(draft, 1)
    store.full = False
    await committer.commit()
    (row,) = told.rows
    assert (row.state.processed, row.state.total, row.state.user_message) == (1, 9, "Looking…"), "as it was"
    await committer.commit()
    assert draft.state.processed == 2, "and what was recorded since, without another mark"
    assert [item.index for item in await store.items("job-1", after=-1, limit=9)] == [0, 1]


async def test_of_a_full_disk_the_first_failure_is_an_error_and_the_repetitions_are_warnings(store: Disk) -> None:
    clock = FakeClock(NOW)
    committer = Committer(store, Told(), POLICY, clock, interval=0.05)
    draft = await draft_of(store, "job-1")
    note(draft, 0)
    store.full = True
    with capture_logs() as logs:
        running = asyncio.create_task(committer.run())
        committer.mark(draft)
        for failures in (1, 2, 3):
            await until(lambda failures=failures: len(logs) == failures)  # type: ignore[misc]
            clock.advance(RETRY_SECONDS)
        store.full = False
        await until(lambda: len(logs) > 3)
        running.cancel()
    assert [log["log_level"] for log in logs[:3]] == ["error", "warning", "warning"]
    assert [log["event"] for log in logs[3:]] == ["commits succeed again"]


async def test_a_job_that_breaks_the_shared_commit_is_given_up_and_costs_the_others_nothing(store: Disk) -> None:
    told = Told()
    committer = Committer(store, told, POLICY, FakeClock(NOW), interval=0.05)
    drafts = [await draft_of(store, f"job-{number}") for number in range(3)]
    stopped: list[str] = []
    for draft in drafts:
        draft.stop = lambda draft=draft: stopped.append(draft.state.id)  # type: ignore[misc]
        note(draft, 0)
        committer.mark(draft)
    store.poison = "job-1"
    await committer.commit()
    assert [row.state.id for row in told.rows] == ["job-0", "job-2"]
    assert (stopped, [draft.lost for draft in drafts]) == (["job-1"], [False, True, False])
    store.poison = ""
    note(drafts[0], 1)
    committer.mark(drafts[0])
    await committer.commit()
    assert drafts[0].state.processed == 2
    claims = [await claim(store, now=NOW + POLICY.lease) for _ in drafts]
    again = {claimed.state.id: (claimed.state.attempt, claimed.recorded) for claimed in claims}
    assert again["job-1"] == (2, []), "it is tried again once its lease is over"


async def test_a_disk_that_fills_up_while_jobs_are_written_apart_loses_none_of_them(store: Disk) -> None:
    committer = Committer(store, Told(), POLICY, FakeClock(NOW), interval=0.05)
    drafts = [await draft_of(store, f"job-{number}") for number in range(3)]
    for draft in drafts:
        note(draft, 0)
        committer.mark(draft)
    store.poison, store.full_after = "job-1", 1
    with pytest.raises(ShelfwireError, match="disk full"):
        await committer.commit()
    store.full_after = 1_000_000
    await committer.commit()
    assert [draft.state.processed for draft in drafts] == [1, 0, 1]
    assert [len(await store.items(f"job-{number}", after=-1, limit=9)) for number in range(3)] == [1, 0, 1]


async def test_it_goes_on_by_itself_when_the_store_can_be_written_again(store: Disk) -> None:
    told, clock = Told(), FakeClock(NOW)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    draft = await draft_of(store, "job-1")
    note(draft, 0)
    committer.mark(draft)
    store.full = True
    running = asyncio.create_task(committer.run())
    await asyncio.wait({running}, timeout=0.01)
    assert told.rows == []
    store.full = False
    clock.advance(RETRY_SECONDS)
    await told.next()
    assert told.rows[0].state.processed == 1
    running.cancel()


async def test_progress_waits_for_the_tick_but_a_start_and_an_ending_do_not(store: Disk) -> None:
    told, clock = Told(), FakeClock(NOW)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    running = asyncio.create_task(committer.run())
    draft = await draft_of(store, "job-1")
    note(draft, 0)
    committer.mark(draft)
    await told.next()
    note(draft, 1)
    committer.mark(draft)
    await asyncio.wait({running}, timeout=0.01)
    assert len(told.rows) == 1, "the tick has not come yet"
    clock.advance(0.05)
    await told.next()
    assert told.rows[-1].state.processed == 2
    note(draft, 2)
    draft.total = 9
    committer.mark(draft, urgent=True)
    await told.next()
    assert (told.rows[-1].state.processed, told.rows[-1].state.total) == (3, 9)
    note(draft, 3)
    draft.closing = lambda state, now: worker_transitions.complete(state, 1, "Done", POLICY, now=now)
    committer.mark(draft, urgent=True)
    await told.next()
    assert (told.rows[-1].state.processed, told.rows[-1].state.status) == (4, Status.COMPLETE)
    running.cancel()


async def test_followers_are_notified_of_progress_once_an_interval_however_often_it_is_committed(store: Disk) -> None:
    told, clock = Told(), FakeClock(NOW)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    running = asyncio.create_task(committer.run())
    draft, other = await draft_of(store, "job-1"), await draft_of(store, "job-2")
    for number in range(100):
        note(draft, number)
        committer.mark(draft, urgent=True)
        commits = committer.commits
        await until(lambda: committer.commits > commits)  # noqa: B023 - it is called before the next turn
        clock.advance(0.01)
    assert committer.commits == 100
    assert 19 <= len(told.rows) <= 21
    note(draft, 100)
    other.total = 1
    for one in (draft, other):
        committer.mark(one, urgent=True)
    await until(lambda: committer.commits == 101)
    assert told.rows[-1].state.id == "job-2", "a start is news at once, and the progress beside it is not"
    clock.advance(0.05)
    await until(lambda: told.rows[-1].state.processed == 101)
    assert committer.commits == 101, "what was withheld comes without another commit"
    for status in ("canceling", "canceled"):
        if status == "canceling":
            await store.request("job-1", lambda state, now: owner_transitions.cancel(state, POLICY, now=now), NOW)
        else:
            draft.closing = lambda state, now: worker_transitions.release(state, 1, POLICY, now=now)
        note(draft, 101 + (status == "canceled"))
        committer.mark(draft, urgent=True)
        await until(lambda: told.rows[-1].state.status == status)  # noqa: B023 - likewise
    running.cancel()
    rows = [row.state for row in told.rows if row.state.id == "job-1"]
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})


async def test_jobs_that_are_due_soon_after_one_another_are_published_together_from_then_on() -> None:
    clock, store = FakeClock(NOW), MemoryStore(encode_terminal=encode_terminal)
    told: list[list[str]] = []
    committer = Committer(
        store, lambda rows, _: told.append([row.state.id for row in rows]), POLICY, clock, interval=0.25
    )
    drafts: list[Draft] = []
    for name in ("a", "b", "c"):
        await add_job(store, name)
        drafts.append(Draft((await claim(store)).state))
    running = asyncio.create_task(committer.run())
    for turn in range(3):
        for draft in drafts:
            note(draft, turn)
            committer.mark(draft, urgent=True)
            for _ in range(30):
                await asyncio.sleep(0)
            clock.advance(1 / 256)
        for _ in range(50):
            for _ in range(30):
                await asyncio.sleep(0)
            clock.advance(1 / 256)
    running.cancel()
    assert [names for names in told if names] == [["a"], ["b"], ["c"], ["a", "b", "c"], ["a", "b", "c"]]


class SlowStore(MemoryStore):
    """A store whose commits take some of a clock's time."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(encode_terminal=encode_terminal)
        self._clock = clock
        self.seconds = 0.0

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        await sleep(self._clock, self.seconds)
        return await super().commit(changes, policy, now, steady)


@pytest.mark.parametrize("late", [0.01, 0.02, 0.03, 0.04])
async def test_a_late_commit_does_not_push_the_next_ones_back_and_delays_no_more_than_one_update(late: float) -> None:
    told, clock = Told(), FakeClock(NOW)
    store = SlowStore(clock)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    await add_job(store, "job-1")
    draft = Draft((await claim(store)).state)
    running = asyncio.create_task(committer.run())
    shown: list[tuple[int, float]] = []
    for millisecond in range(1000):
        if millisecond % 50 == 25:
            note(draft, millisecond // 50)
            committer.mark(draft)
        store.seconds = late if 150 <= millisecond < 250 else 0.002
        for _ in range(10):
            await asyncio.sleep(0)
        shown += [(row.state.processed, round(told.at, 3)) for row in told.rows[len(shown) :]]
        clock.advance(0.001)
    running.cancel()
    gaps = [later - sooner for (_, sooner), (_, later) in itertools.pairwise(shown)]
    assert min(gaps) >= 0.05 - 1e-9
    assert len(shown) >= 18
    assert all(at - (processed - 1) * 0.05 <= 0.11 for processed, at in shown)
    assert [processed for processed, _ in shown[-5:]] == list(range(16, 21))


async def test_nobody_is_notified_of_progress_after_the_ending(store: Disk) -> None:
    told, clock = Told(), FakeClock(NOW)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    draft = await draft_of(store, "job-1")
    for number in range(3):
        note(draft, number)
        if number == 2:
            draft.closing = lambda state, now: worker_transitions.complete(state, 1, "Done", POLICY, now=now)
        committer.mark(draft)
        await committer.commit()
    running = asyncio.create_task(committer.run())
    clock.advance(1)
    await asyncio.wait({running}, timeout=0.01)
    running.cancel()
    assert [row.state.processed for row in told.rows] == [1, 3]


async def test_a_commit_holds_64_jobs_and_16_endings_and_the_rest_follows_at_once(store: Disk) -> None:
    told, clock = Told(), FakeClock(NOW)
    committer = Committer(store, told, POLICY, clock, interval=0.05)
    drafts = [await draft_of(store, f"job-{number}") for number in range(80)]
    for number, draft in enumerate(drafts):
        note(draft, 0)
        if number < 20:
            draft.closing = lambda state, now: worker_transitions.complete(state, 1, "Done", POLICY, now=now)
        committer.mark(draft)
    running = asyncio.create_task(committer.run())
    while len(told.rows) < 80:
        await told.next()
    running.cancel()
    assert clock.monotonic() == 0, "nobody waited for a tick"
    assert store.commits == 2
    assert sum(row.terminal is not None for row in told.rows[:64]) == 16
    assert {row.state.id for row in told.rows} == {draft.state.id for draft in drafts}


async def test_a_lost_job_is_stopped_and_settled_without_an_ending(store: Disk) -> None:
    told, stopped = Told(), []
    committer = Committer(store, told, POLICY, FakeClock(NOW), interval=0.05)
    draft = await draft_of(store, "job-1")
    draft.stop = lambda: stopped.append(1)
    await claim(store, now=NOW + POLICY.lease)
    note(draft, 0)
    committer.mark(draft)
    await committer.commit()
    assert draft.lost
    assert stopped == [1]
    assert told.rows == []
    committer.mark(draft)
    await committer.commit()
    assert store.commits == 1, "a settled draft is not committed again"


async def test_an_attempt_is_notified_of_a_cancel_with_its_next_commit(store: Disk) -> None:
    stopped: list[int] = []
    committer = Committer(store, Told(), POLICY, FakeClock(NOW), interval=0.05)
    draft = await draft_of(store, "job-1")
    draft.stop = lambda: stopped.append(1)
    await store.request("job-1", lambda state, now: owner_transitions.cancel(state, POLICY, now=now), NOW)
    committer.mark(draft)
    await committer.commit()
    assert stopped == [1]
    assert draft.state.status is Status.CANCELING


async def test_the_remaining_time_is_estimated_from_the_rate_between_commits(store: Disk) -> None:
    clock = FakeClock(NOW)
    committer = Committer(store, Told(), POLICY, clock, interval=0.05)
    draft = await draft_of(store, "job-1")
    draft.total = 11
    committer.mark(draft)
    await committer.commit()
    assert draft.state.eta_seconds is None
    for index in range(5):
        clock.advance(2)
        note(draft, index)
        committer.mark(draft)
        await committer.commit()
    assert draft.state.eta_seconds == 12


def test_a_change_to_repeat_comes_as_it_was_before_what_was_recorded_since() -> None:
    draft = Draft(jobs.create("j", "csv_import", now=NOW))
    note(draft, 0)
    draft.repeat = draft.take(now=0.0)
    note(draft, 1)
    assert draft.uncommitted == 2
    assert draft.take(now=1.0) is draft.repeat
    draft.repeat = None
    later = draft.take(now=2.0)
    assert [item[0] for item in later.items] == [1]
    assert (later.delta.succeeded, later.number) == (1, 2)


async def test_a_failure_that_cannot_be_committed_now_is_committed_later(store: Disk) -> None:
    committer = Committer(store, Told(), POLICY, FakeClock(NOW), interval=0.05)
    draft = await draft_of(store, "job-1")
    note(draft, 0)
    note(draft, 0)
    committer.mark(draft)
    store.full_after = 1
    with pytest.raises(ShelfwireError, match="disk full"):
        await committer.commit()
    store.full_after = 1_000_000
    await committer.commit()
    found = await store.job("job-1")
    assert found is not None
    assert (found.state.status, found.state.error_count, draft.lost) == (Status.QUEUED, 1, True)
