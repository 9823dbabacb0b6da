"""The contract of every store, as tests to inherit: commits whose answer is lost, and commits that are refused."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.store import Change, Committed, JobStore
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.worker_transitions import MAX_BACKOFF, ProgressDelta, complete, release
from shelfwire.testing.clock import FakeClock
from shelfwire.testing.stores import NOW, POLICY, MakeStore, add_job, claim, encoded


class LostAnswers:
    """A store whose commits are made, and whose answers to the first of them are lost.

    Args:
        store: the store itself.
        lost: number of commits whose answers are lost.
    """

    def __init__(self, store: JobStore, lost: int = 1) -> None:
        self._store = store
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        """Everything but `commit` is the store's."""
        return getattr(self._store, name)

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        """Commit; then lose the answer, as a connection does that breaks."""
        answers = await self._store.commit(changes, policy, now, steady)
        if self._lost:
            self._lost -= 1
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the connection is lost")
        return answers


class CommitsContract:
    """The duties of `JobStore` to the committer."""

    async def test_a_change_that_is_sent_again_is_answered_as_before_and_applied_once(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            change = _change([0, 1], number=1)
            first = await store.commit([change], POLICY, NOW)
            assert await store.commit([change], POLICY, NOW + 1) == first
            assert [item.index for item in await store.items("job-1", after=-1, limit=9)] == [0, 1]
            (later,) = await store.commit([_change([2], number=2)], POLICY, NOW + 1)
        assert later is not None
        assert later.state.succeeded == 3

    async def test_an_ending_that_is_sent_again_is_answered_with_its_message(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            change = msgspec.structs.replace(_change([0], number=1), closing=_complete)
            (first,) = await store.commit([change], POLICY, NOW)
            assert first is not None
            assert first.terminal is not None
            assert await store.commit([change], POLICY, NOW + 1) == [first]

    async def test_the_numbers_of_an_attempt_say_nothing_about_the_next_one(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            handed_back = msgspec.structs.replace(_change([0], number=1), closing=_release)
            await store.commit([handed_back], POLICY, NOW)
            assert (await claim(store)).state.attempt == 2
            assert await store.commit([handed_back], POLICY, NOW) == [None], "another attempt holds the job"
            (next_one,) = await store.commit([_change([1], number=1, attempt=2)], POLICY, NOW)
        assert next_one is not None
        assert next_one.state.succeeded == 2

    async def test_an_attempt_of_which_the_store_has_lost_confirmed_changes_writes_nothing_more(
        self, make_store: MakeStore
    ) -> None:
        """Such as after a failover to a copy that was behind: the ending would be one of a log with holes."""
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            (first,) = await store.commit([_change([0], number=1, follows=0)], POLICY, NOW)
            assert first is not None
            late = msgspec.structs.replace(_change([2], number=3, follows=2), closing=_complete)
            assert await store.commit([late], POLICY, NOW) == [None]
            (second,) = await store.commit([_change([1], number=2, follows=1)], POLICY, NOW)
            assert second is not None
            assert [item.index for item in await store.items("job-1", after=-1, limit=9)] == [0, 1]

    async def test_an_item_that_is_recorded_already_is_refused_for_good_and_nothing_of_the_commit_is_written(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _claimed(store, "job-1", "job-2")
            await store.commit([_change([0], number=1)], POLICY, NOW)
            with pytest.raises(ShelfwireError) as refused:
                await store.commit([_change([1], job_id="job-2", number=1), _change([0], number=2)], POLICY, NOW)
            assert refused.value.code is not Code.STORAGE_UNAVAILABLE, "the same commit would be refused again"
            assert await store.items("job-2", after=-1, limit=9) == []

    async def test_jobs_whose_commit_was_made_and_whose_answer_was_lost_go_on(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            drafts = await _claimed(store, "job-1", "job-2")
            committer = Committer(LostAnswers(store), _nobody, POLICY, FakeClock(NOW), interval=0.05)
            for draft in drafts:
                _record(draft, 0)
                committer.mark(draft)
            with pytest.raises(ShelfwireError):
                await committer.commit()
            for draft in drafts:
                _record(draft, 1)
            await committer.commit()
            await committer.commit()
            assert [draft.state.succeeded for draft in drafts] == [2, 2]
            assert [draft.uncommitted for draft in drafts] == [0, 0]
            for job_id in ("job-1", "job-2"):
                assert [item.index for item in await store.items(job_id, after=-1, limit=9)] == [0, 1]

    async def test_what_cannot_be_stored_costs_its_own_job_an_attempt_and_the_others_nothing(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            broken, bystander = await _claimed(store, "job-1", "job-2")
            committer = Committer(store, _nobody, POLICY, FakeClock(NOW), interval=0.05)
            stopped: list[int] = []
            broken.stop = lambda: stopped.append(1)
            for index in (0, 0):
                _record(broken, index)
            _record(bystander, 0)
            for draft in (broken, bystander):
                committer.mark(draft)
            await committer.commit()
            assert (bystander.lost, bystander.state.succeeded) == (False, 1)
            assert (broken.lost, stopped, broken.finished.is_set()) == (True, [1], True)
            found = await store.job("job-1")
            assert found is not None
            assert (found.state.status, found.state.error_count) == (Status.QUEUED, 1)
            claims = [await claim(store, now=NOW + MAX_BACKOFF) for _ in range(2)]
        again = {claimed.state.id: (claimed.state.attempt, claimed.recorded) for claimed in claims}
        assert again["job-1"] == (2, []), "it is tried again"


async def _claimed(store: JobStore, *job_ids: str) -> list[Draft]:
    for job_id in job_ids:
        await add_job(store, job_id)
    drafts = [Draft((await claim(store)).state) for _ in job_ids]
    return sorted(drafts, key=lambda draft: draft.state.id)


def _nobody(committed: Iterable[Committed], at: float) -> None:
    del committed, at


def _record(draft: Draft, index: int) -> None:
    draft.items.extend(encoded((index, True, None, index)))
    draft.succeeded += 1


def _change(
    indices: list[int], *, number: int, job_id: str = "job-1", attempt: int = 1, follows: int | None = None
) -> Change:
    return Change(
        job_id=job_id,
        attempt=attempt,
        created_at=NOW,
        delta=ProgressDelta(succeeded=len(indices)),
        items=encoded(*((index, True, None, {}) for index in indices)),
        number=number,
        follows=follows,
    )


def _complete(state: JobState, now: int) -> JobState:
    return complete(state, 1, "Done", POLICY, now=now)


def _release(state: JobState, now: int) -> JobState:
    return release(state, 1, POLICY, now=now)
