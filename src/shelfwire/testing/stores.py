"""The contract of every store, as tests to inherit: jobs, attempts and item logs."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Change, Claimed, Item, JobStore, NewItem, Swept
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import IllegalTransitionError, JobState, Policy, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import ALL_SCOPES, Grant, Scope
from shelfwire.protocol.worker_transitions import MAX_BACKOFF, ProgressDelta


class MakeStore(Protocol):
    """Opens the store under test; its data survive from one opening to the next."""

    def __call__(self) -> AbstractAsyncContextManager[JobStore]:
        """Open it."""
        ...


NOW = 1_700_000_000_000
POLICY = Policy()
BOOK = {"title": "Emma", "year": 1815}


def encoded(*items: tuple[Any, ...]) -> list[NewItem]:
    """Items as a `Change` carries them: index, ok, title, body, and in a retry the source."""
    return [
        (index, ok, title, msgspec.json.encode(body).decode(), source[0] if source else None)
        for index, ok, title, body, *source in items
    ]


async def add_job(
    store: JobStore, job_id: str = "job-1", *, now: int = NOW, pipeline: str = "csv_import", caller: str = ""
) -> JobState:
    """Add a queued job, with a token whose digest is derived from its id."""
    metadata = Metadata(file_name="books.csv", file_size=12)
    state = jobs.create(job_id, pipeline, now=now, metadata=metadata, caller=caller)
    await store.create(state, Grant(digest=job_id.encode().ljust(32), job_id=job_id))
    return state


async def claim(store: JobStore, *, now: int = NOW) -> Claimed:
    """Claim the one job that can be claimed."""
    claimed = await store.claim(("csv_import",), POLICY, now)
    assert claimed is not None
    return claimed


class AttemptsContract:
    """The duties of `JobStore` to workers and readers: jobs, attempts, item logs."""

    async def test_a_created_job_is_found_as_it_was_made(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            made = await add_job(store)
            found = await store.job("job-1")
        assert found is not None
        assert found.state == made
        assert found.terminal is None

    async def test_a_job_nobody_created_is_not_found(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            assert await store.job("job-1") is None
            assert await store.grant(b"?" * 32, NOW) is None
            assert await store.request("job-1", _cancel, NOW) is None

    async def test_a_job_id_that_exists_is_refused_and_nothing_changes(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            made = await add_job(store)
            with pytest.raises(ShelfwireError) as refused:
                await store.create(made, Grant(digest=b"x" * 32, job_id="job-1"))
            assert refused.value.code is Code.JOB_EXISTS
            assert await store.grant(b"x" * 32, NOW) is None

    async def test_a_grant_is_found_by_its_digest_with_scopes_and_expiry(self, make_store: MakeStore) -> None:
        grant = Grant(digest=b"d" * 32, job_id="job-1", scopes=frozenset({Scope.WATCH}), expires_at=NOW + 5)
        async with make_store() as store:
            await store.create(jobs.create("job-1", "csv_import", now=NOW), grant)
            assert await store.grant(b"d" * 32, NOW) == grant
            await add_job(store, "job-2")
            other = await store.grant(b"job-2".ljust(32), NOW)
        assert other is not None
        assert other.scopes == ALL_SCOPES
        assert other.expires_at is None

    async def test_tokens_are_looked_up_with_their_jobs_all_at_once(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store, "job-2")
            two = await store.request("job-2", _cancel, NOW)
            one = await add_job(store, "job-1")
            assert two is not None
            narrow = Grant(digest=b"d" * 32, job_id="job-1", scopes=frozenset({Scope.WATCH}), expires_at=NOW + 5, ttl=9)
            await store.add_grant(narrow, NOW)
            digests = [b"job-1".ljust(32), b"job-2".ljust(32), b"d" * 32, b"x" * 32, b"d" * 32]
            found = await store.look_up(digests, NOW)
            assert found == {
                digest: (await store.grant(digest, NOW), await store.job(job_id))
                for digest, job_id in zip(digests[:3], ("job-1", "job-2", "job-1"), strict=True)
            }
            assert (found[b"d" * 32][0], found[b"d" * 32][1].state) == (narrow, one)
            assert found[b"job-2".ljust(32)][1] == two
            assert await store.look_up(digests, two.state.expires_at + one.expires_at) == {}
            assert await store.look_up([b"x" * 32], NOW) == {}

    async def test_an_input_comes_back_whole_and_in_order(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            for part, data in enumerate([b"Title\n", b"\x00\xff", b"Emma\n"]):
                await store.write_input("job-1", "file", part, data)
            assert await store.read_input("job-1", "file") == b"Title\n\x00\xffEmma\n"
            assert await store.read_input("job-1", "other") == b""

    async def test_what_an_attempt_keeps_is_found_by_the_next_one_until_the_job_is_erased(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            assert await store.kept("job-1", "answer") is None
            for data in (b"first", b"\x00\xffsecond"):
                assert await store.keep("job-1", 1, "answer", data)
        async with make_store() as store:
            assert await store.kept("job-1", "answer") == b"\x00\xffsecond"
            assert await store.kept("job-1", "other") is None
            assert await store.read_input("job-1", "answer") == b"", "it is no input"
            await store.delete("job-1", POLICY, NOW)
            await add_job(store)
            assert await store.kept("job-1", "answer") is None

    async def test_an_attempt_that_does_not_hold_the_job_keeps_nothing(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            assert not await store.keep("job-1", 1, "answer", b"no job")
            await add_job(store)
            assert not await store.keep("job-1", 0, "answer", b"not claimed")
            await claim(store)
            await claim(store, now=NOW + POLICY.lease)
            assert not await store.keep("job-1", 1, "answer", b"overtaken")
            assert await store.kept("job-1", "answer") is None

    async def test_a_discarded_input_is_gone_but_never_that_of_a_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("job-1", "file", 0, b"kept")
            await store.write_input("job-2", "file", 0, b"gone")
            await add_job(store, "job-1")
            await store.discard_input("job-1")
            await store.discard_input("job-2")
            assert await store.read_input("job-1", "file") == b"kept"
            assert await store.read_input("job-2", "file") == b""

    async def test_the_job_that_waited_longest_is_claimed_first_and_only_once(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store, "late", now=NOW + 1, caller="one")
            await add_job(store, "early", now=NOW, caller="another")
            first, second = await claim(store, now=NOW + 2), await claim(store, now=NOW + 2)
            assert [first.state.id, second.state.id] == ["early", "late"]
            assert await store.claim(("csv_import",), POLICY, NOW + 2) is None
        assert first.state.status is Status.RUNNING
        assert first.state.attempt == 1
        assert first.state.lease_until == NOW + 2 + POLICY.lease

    async def test_a_worker_is_not_given_jobs_of_pipelines_it_does_not_run(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store, pipeline="another")
            assert await store.claim(("csv_import",), POLICY, NOW) is None

    async def test_many_claiming_at_once_never_get_the_same_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(5):
                await add_job(store, f"job-{number}")
            claims = await asyncio.gather(*(store.claim(("csv_import",), POLICY, NOW) for _ in range(9)))
        taken = [claimed.state.id for claimed in claims if claimed is not None]
        assert sorted(taken) == [f"job-{number}" for number in range(5)]

    async def test_a_job_whose_lease_ended_is_taken_over_with_what_is_recorded(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.commit([_progress(1, [0, 2])], POLICY, NOW)
            assert await store.claim(("csv_import",), POLICY, NOW + POLICY.lease - 1) is None
            taken = await claim(store, now=NOW + POLICY.lease)
        assert taken.state.attempt == 2
        assert sorted(taken.recorded) == [0, 2]
        assert taken.state.processed == 2

    @pytest.mark.parametrize("step", [3_600_000, -3_600_000])
    async def test_leases_are_kept_by_the_steady_time_whatever_the_clock_is_set_to(
        self, make_store: MakeStore, step: int
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            claimed = await store.claim(("csv_import",), POLICY, NOW, NOW)
            assert claimed is not None
            renewed = NOW + POLICY.lease - 1
            assert await store.claim(("csv_import",), POLICY, renewed + step, renewed) is None
            (committed,) = await store.commit([_progress(1, [0])], POLICY, renewed + step, renewed)
            assert committed is not None
            assert committed.state.lease_until == renewed + POLICY.lease
            assert await store.claim(("csv_import",), POLICY, renewed + step, renewed + POLICY.lease - 1) is None
            taken = await store.claim(("csv_import",), POLICY, renewed + step, renewed + POLICY.lease)
        assert taken is not None
        assert taken.state.attempt == 2

    @pytest.mark.parametrize("back", [1, MAX_BACKOFF, 3_600_000])
    async def test_a_job_that_waits_for_its_turn_gets_it_however_far_the_clock_was_set_back(
        self, make_store: MakeStore, back: int
    ) -> None:
        async with make_store() as store:
            await add_job(store)
        async with make_store() as store:
            released = await claim(store, now=NOW - back)
            change = Change(job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta(), closing=_release)
            await store.commit([change], POLICY, NOW)
            again = await claim(store, now=NOW - back)
        assert (released.state.attempt, again.state.attempt) == (1, 2)

    @pytest.mark.parametrize("step", [3_600_000, 500, -500, -3_600_000])
    async def test_a_job_waits_after_an_error_for_as_long_as_it_was_made_to(
        self, make_store: MakeStore, step: int
    ) -> None:
        def failed(state: JobState, now: int) -> JobState:
            return worker_transitions.retry_later(state, 1, "broken", 1000, POLICY, now=now, steady=NOW)

        async with make_store() as store:
            await add_job(store)
            await claim(store)
            change = Change(job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta(), closing=failed)
            await store.commit([change], POLICY, NOW, NOW)
            assert await store.claim(("csv_import",), POLICY, NOW + step, NOW + 999) is None
            assert await store.claim(("csv_import",), POLICY, NOW + step, NOW + 1000) is not None

    async def test_a_commit_raises_seq_by_one_and_is_there_after_reopening(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            before = (await claim(store)).state
            (committed,) = await store.commit([_progress(1, [0, 1, 2])], POLICY, NOW + 7)
        async with make_store() as store:
            found = await store.job("job-1")
            items = await store.items("job-1", after=-1, limit=10)
        assert committed is not None
        assert found is not None
        assert committed.state.seq == before.seq + 1
        assert (found.state.processed, found.state.title, found.state.total) == (3, "Book 2", 5)
        assert found.state.updated_at == NOW + 7
        assert [item.index for item in items] == [0, 1, 2]

    async def test_items_are_read_up_to_a_number_of_bytes_and_one_in_any_case(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.commit([_progress(1, [0, 1, 2])], POLICY, NOW)
            size = len((await store.items("job-1", after=-1, limit=1))[0].body)
            counts = [
                len(await store.items("job-1", after=after, limit=limit, ok=True, within=within))
                for after, limit, within in [(-1, 9, 0), (-1, 9, 2 * size), (-1, 9, 3 * size - 1), (-1, 2, 9 * size)]
            ]
            assert counts == [1, 2, 2, 2]
            assert await store.items("job-1", after=2, limit=9, within=0) == []

    async def test_a_commit_without_changes_renews_the_lease_and_keeps_seq(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            before = (await claim(store)).state
            renewal = Change(job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta())
            (committed,) = await store.commit([renewal], POLICY, NOW + 1000)
        assert committed is not None
        assert committed.state.seq == before.seq
        assert committed.state.lease_until == NOW + 1000 + POLICY.lease

    async def test_an_attempt_that_lost_its_job_drops_out_of_the_commit_alone(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store, "job-1")
            await claim(store)
            await claim(store, now=NOW + POLICY.lease)
            await add_job(store, "job-2")
            await claim(store)
            changes = [_progress(1, [0]), _progress(1, [0], "job-2"), _progress(1, [0], "no such job")]
            answers = await store.commit(changes, POLICY, NOW + POLICY.lease)
            assert await store.items("job-1", after=-1, limit=10) == []
            assert len(await store.items("job-2", after=-1, limit=10)) == 1
        assert [answer is not None for answer in answers] == [False, True, False]

    async def test_an_overtaken_attempt_writes_nothing_even_beside_the_one_that_holds_the_job(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await claim(store, now=NOW + POLICY.lease)
            answers = await store.commit([_progress(1, [0, 1]), _progress(2, [0])], POLICY, NOW + POLICY.lease)
            items = await store.items("job-1", after=-1, limit=10)
        assert [answer is not None for answer in answers] == [False, True]
        assert [item.index for item in items] == [0]

    async def test_the_ending_the_last_items_and_the_message_are_one_commit(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            (committed,) = await store.commit([ending([0, 1])], POLICY, NOW + 9)
            found = await store.job("job-1")
        assert committed is not None
        assert committed.state.status is Status.COMPLETE
        assert committed.state.ended_at == NOW + 9
        assert committed.terminal is not None
        assert "Book 1" in committed.terminal
        assert found == committed

    async def test_an_ended_job_never_changes_again(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            (ended,) = await store.commit([ending([0])], POLICY, NOW)
            assert await store.commit([_progress(1, [1])], POLICY, NOW) == [None]
            assert await store.claim(("csv_import",), POLICY, NOW + POLICY.lease) is None
            with pytest.raises(IllegalTransitionError):
                await store.request("job-1", _cancel, NOW)
            assert await store.job("job-1") == ended

    async def test_a_queued_job_is_canceled_at_once_with_its_ending(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            canceled = await store.request("job-1", _cancel, NOW)
            assert canceled is not None
            assert canceled.state.status is Status.CANCELED
            assert canceled.terminal is not None
            assert await store.job("job-1") == canceled

    async def test_a_running_job_is_canceling_until_its_worker_confirms(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            asked = await store.request("job-1", _cancel, NOW)
            assert asked is not None
            assert asked.state.status is Status.CANCELING
            confirm = Change(job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta(), closing=_release)
            (committed,) = await store.commit([confirm], POLICY, NOW)
        assert committed is not None
        assert committed.state.status is Status.CANCELED

    async def test_a_cancel_whose_worker_died_ends_with_the_next_claim(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.request("job-1", _cancel, NOW)
            claimed = await claim(store, now=NOW + POLICY.lease)
        assert claimed.state.status is Status.CANCELED
        assert claimed.terminal is not None

    async def test_items_are_paged_in_the_order_of_the_input(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.commit([_progress(1, [3, 0]), _failure(1, 1)], POLICY, NOW)
            await store.commit([_progress(1, [2])], POLICY, NOW)
            everything = await store.items("job-1", after=-1, limit=10)
            page = await store.items("job-1", after=0, limit=2)
            failed = await store.items("job-1", after=-1, limit=10, ok=False)
            done = await store.items("job-1", after=-1, limit=10, ok=True)
        assert [item.index for item in everything] == [0, 1, 2, 3]
        assert [item.index for item in page] == [1, 2]
        assert [item.index for item in failed] == [1]
        assert [item.index for item in done] == [0, 2, 3]
        assert msgspec.json.decode(failed[0].body) == {"code": "E_ROW_INVALID"}
        assert failed[0].title is None

    async def test_an_outcome_comes_back_as_it_was_recorded(self, make_store: MakeStore) -> None:
        outcome = {"title": 'Ōe "ø" \\ 🦉\n', "rating": 4.25, "none": None, "nested": [{"a": [1, True]}]}
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            change = Change(
                job_id="job-1",
                attempt=1,
                created_at=NOW,
                delta=ProgressDelta(succeeded=2),
                items=encoded((0, True, 'Ōe "ø"', outcome), (1, True, None, "only text")),
            )
            await store.commit([change], POLICY, NOW)
            first, second = await store.items("job-1", after=-1, limit=10)
        assert msgspec.json.decode(first.body) == outcome
        assert first.title == 'Ōe "ø"'
        assert msgspec.json.decode(second.body) == "only text"

    async def test_an_expired_job_is_erased_with_all_its_data(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("job-1", "file", 0, b"data")
            await add_job(store)
            await add_job(store, "job-2", now=NOW + 1)
            await claim(store)
            (ended,) = await store.commit([ending([0])], POLICY, NOW)
            assert ended is not None
            assert (await store.sweep(POLICY, ended.state.expires_at - 1)).erased == 0
            assert await store.grant(b"job-1".ljust(32), ended.state.expires_at - 1) is not None
            assert await store.grant(b"job-1".ljust(32), ended.state.expires_at) is None, "nothing may use it any more"
            assert await store.sweep(POLICY, ended.state.expires_at) == Swept(erased=1, endings=[])
            assert await store.job("job-1") is None
            assert await store.grant(b"job-1".ljust(32), NOW) is None
            assert await store.read_input("job-1", "file") == b""
            assert await store.items("job-1", after=-1, limit=1) == []
            assert await store.job("job-2") is not None

    async def test_a_job_that_expires_before_it_has_ended_is_ended_for_its_followers(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            state = (await claim(store)).state
            swept = await store.sweep(POLICY, state.expires_at)
            assert swept.erased == 1
            (ending,) = swept.endings
            assert (ending.state.status, ending.state.seq) == (Status.CANCELED, state.seq + 1)
            assert ending.state.error is not None
            assert "expired" in ending.state.error.message
            assert ending.terminal is not None
            assert await store.job("job-1") is None

    async def test_jobs_are_counted_by_pipeline_and_status_with_how_long_the_queue_is(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            empty = await store.counts(NOW)
            await add_job(store, "job-0")
            await claim(store)
            await add_job(store, "job-1", now=NOW + 5)
            await add_job(store, "job-2", now=NOW + 3, pipeline="another")
            await store.create(jobs.create("job-3", "another", now=NOW + 9), Grant(digest=b"d" * 32, job_id="job-3"))
            full = await store.counts(NOW + 8)
            early = await store.counts(NOW + 2)
        assert (dict(empty.jobs), empty.waiting_since, full.lapsed) == ({}, None, 0)
        assert dict(full.jobs) == {("csv_import", "running"): 1, ("csv_import", "queued"): 1, ("another", "queued"): 2}
        assert (full.waiting_since, early.waiting_since) == (NOW + 3, None)


def encode_terminal(state: JobState, head: Sequence[Item], results: msgspec.Raw | None = None) -> str:
    """A terminal message for tests, which shows its ingredients."""
    ingredients = {"status": state.status, "titles": [item.title for item in head], "results": results}
    return msgspec.json.encode(ingredients).decode()


def _progress(attempt: int, indices: list[int], job_id: str = "job-1") -> Change:
    items = encoded(*((index, True, f"Book {index}", BOOK) for index in indices))
    delta = ProgressDelta(total=5, succeeded=len(indices), title=f"Book {indices[-1]}")
    return Change(job_id=job_id, attempt=attempt, created_at=NOW, delta=delta, items=items)


def _failure(attempt: int, index: int) -> Change:
    items = encoded((index, False, None, {"code": "E_ROW_INVALID"}))
    return Change(job_id="job-1", attempt=attempt, created_at=NOW, delta=ProgressDelta(failed=1), items=items)


def ending(indices: list[int]) -> Change:
    """A change that records these items and completes the job."""

    def closing(state: JobState, now: int) -> JobState:
        return worker_transitions.complete(state, 1, "Done", POLICY, now=now)

    return msgspec.structs.replace(_progress(1, indices), closing=closing)


def _cancel(state: JobState, now: int) -> JobState:
    return owner_transitions.cancel(state, POLICY, now=now)


def _release(state: JobState, now: int) -> JobState:
    return worker_transitions.release(state, 1, POLICY, now=now)
