"""The contract of every store, as tests to inherit: attempts whose workers are outside of the server."""

import asyncio
from typing import Any

import msgspec
import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Change, Claimed, InputSize, JobStore, RemoteClaim
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.tokens import MAX_GRANTS, Grant, Scope
from shelfwire.protocol.worker_transitions import ProgressDelta, RemoteWorker
from shelfwire.testing.stores import NOW, POLICY, MakeStore, add_job, claim, encoded

LEASE = 10_000
WORKER = RemoteWorker(lease=LEASE, name="a worker")


class RemoteContract:
    """The duties of `JobStore` to workers outside of the server."""

    async def test_a_remote_claim_stores_its_report_token_with_the_attempt(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            claimed = await _claim(store, b"1")
            assert (claimed.state.attempt, claimed.state.worker) == (1, "a worker")
            assert claimed.state.lease_until == NOW + LEASE
            grant = await store.grant(_digest(b"1"), NOW)
            assert grant == Grant(digest=_digest(b"1"), job_id="job-1", scopes=frozenset({Scope.REPORT}), attempt=1)
            assert await store.claim(("csv_import",), POLICY, NOW, remote=_remote(b"2")) is None
            assert await store.grant(_digest(b"2"), NOW) is None, "nothing was claimed with it"

    async def test_a_certain_job_is_claimed_and_no_other(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in (1, 2):
                await add_job(store, f"job-{number}")
            remote = RemoteClaim(digest=_digest(b"1"), worker=WORKER, job_id="job-2")
            claimed = await store.claim(("csv_import",), POLICY, NOW, remote=remote)
            again = await store.claim(("csv_import",), POLICY, NOW, remote=remote)
        assert claimed is not None
        assert (claimed.state.id, again) == ("job-2", None)

    async def test_many_remote_workers_claiming_at_once_never_get_the_same_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(5):
                await add_job(store, f"job-{number}")
            claims = await asyncio.gather(
                *(store.claim(("csv_import",), POLICY, NOW, remote=_remote(b"%d" % number)) for number in range(9))
            )
        taken = [claimed.state.id for claimed in claims if claimed is not None]
        assert sorted(taken) == [f"job-{number}" for number in range(5)]

    async def test_a_job_is_created_for_its_own_worker_with_both_tokens(self, make_store: MakeStore) -> None:
        state = worker_transitions.claim(jobs.create("job-1", "csv_import", now=NOW), POLICY, now=NOW, remote=WORKER)
        report = _remote(b"1").grant(state)
        async with make_store() as store:
            await store.create(state, Grant(digest=b"owner".ljust(32), job_id="job-1"), report=report)
            found = await store.job("job-1")
            assert found is not None
            assert found.state == state
            assert await store.grant(_digest(b"1"), NOW) == report
            assert await store.claim(("csv_import",), POLICY, NOW) is None
            with pytest.raises(ShelfwireError) as refused:
                await store.create(state, Grant(digest=b"x" * 32, job_id="job-1"), report=_remote(b"2").grant(state))
            assert refused.value.code is Code.JOB_EXISTS
            assert await store.grant(_digest(b"2"), NOW) is None

    async def test_report_tokens_of_the_last_ten_attempts_are_known_and_none_counts_as_an_owners(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            for attempt in range(1, 13):
                claimed = await _claim(store, b"%d" % attempt)
                change = _change(claimed.state, closing=_release, number=1, succeeded=0)
                await store.commit([change], POLICY, NOW)
            known = [await store.grant(_digest(b"%d" % attempt), NOW) is not None for attempt in range(1, 13)]
            assert known == [False, False, *[True] * 10]
            for number in range(MAX_GRANTS - 1):
                assert await store.add_grant(Grant(digest=b"more %d" % number, job_id="job-1"), NOW)
            with pytest.raises(ShelfwireError):
                await store.add_grant(Grant(digest=b"one too many", job_id="job-1"), NOW)

    async def test_the_row_keeps_the_number_and_the_checksum_of_the_newest_report(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            state = (await _claim(store, b"1")).state
            (first,) = await store.commit([_change(state, number=1, crc=77)], POLICY, NOW)
            (renewed,) = await store.commit([_change(state, succeeded=0)], POLICY, NOW + 5)
            assert first is not None
            assert renewed is not None
            assert (renewed.state.number, renewed.state.crc) == (1, 77), "a renewal has none"
            assert (renewed.state.seq, renewed.state.lease_until) == (first.state.seq, NOW + 5 + LEASE)
            again = _change(state, number=1, crc=77)
            assert await store.commit([again], POLICY, NOW + 5) == [renewed], "it was applied before"

    async def test_an_ending_shows_the_results_that_come_with_it(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            state = (await _claim(store, b"1")).state
            change = _change(state, number=1, closing=_complete)
            own = msgspec.structs.replace(change, results=msgspec.Raw(b'{"own":[1]}'))
            (committed,) = await store.commit([own], POLICY, NOW)
            found = await store.job("job-1")
        assert committed is not None
        assert committed.terminal is not None
        assert '{"own":[1]}' in committed.terminal
        assert found == committed

    async def test_leases_that_end_are_shown_once_and_others_are_left_alone(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for job_id in ("job-1", "job-2", "job-3"):
                await add_job(store, job_id)
            await claim(store)  # inside the server
            await _claim(store, b"2")
            state = (await _claim(store, b"3", now=NOW + 5)).state
            early = await store.lapse(POLICY, NOW + LEASE - 1)
            assert (list(early.changed), early.next_at) == ([], NOW + LEASE)
            lapses = await store.lapse(POLICY, NOW + LEASE)
            (lapsed,) = lapses.changed
            assert (lapsed.state.id, lapsed.state.lapsed, lapsed.state.status) == ("job-2", True, Status.RUNNING)
            assert lapses.next_at == NOW + LEASE + 5
            assert list((await store.lapse(POLICY, NOW + LEASE)).changed) == []
            assert (await store.counts(NOW + LEASE)).lapsed == 1
            found = await store.job("job-2")
            assert found is not None
            assert found.state == lapsed.state
            (back,) = await store.commit([_change(lapsed.state, succeeded=0)], POLICY, NOW + LEASE)
            assert back is not None
            assert (back.state.lapsed, back.state.seq) == (False, lapsed.state.seq + 1)
            assert (await store.counts(NOW + LEASE)).lapsed == 0
            (other,) = await store.commit([_change(state, succeeded=0)], POLICY, NOW + LEASE)
            assert other is not None
            assert other.state.seq == state.seq

    async def test_a_stop_that_was_asked_for_takes_effect_when_the_lease_ends(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await _claim(store, b"1")
            await store.request("job-1", _cancel, NOW)
            (canceled,) = (await store.lapse(POLICY, NOW + LEASE)).changed
            assert await store.job("job-1") == canceled
        assert canceled.state.status is Status.CANCELED
        assert canceled.terminal is not None

    async def test_a_job_that_no_worker_has_for_too_long_fails(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            made = msgspec.structs.replace(jobs.create("job-1", "csv_import", now=NOW), lost_after=60_000)
            state = worker_transitions.claim(made, POLICY, now=NOW, remote=WORKER)
            await store.create(state, Grant(digest=b"owner".ljust(32), job_id="job-1"))
            await store.lapse(POLICY, NOW + LEASE)
            due = NOW + LEASE + 60_000
            waiting = await store.lapse(POLICY, due - 1)
            assert (list(waiting.changed), waiting.next_at) == ([], due)
            (lost,) = (await store.lapse(POLICY, due)).changed
            assert await store.job("job-1") == lost
            assert (await store.lapse(POLICY, due)).next_at is None
        assert lost.state.error is not None
        assert (lost.state.status, lost.state.error.code) == (Status.FAILED, Code.WORKER_LOST)

    async def test_the_pipelines_are_named_that_have_a_job_to_be_claimed(self, make_store: MakeStore) -> None:
        names = ("csv_import", "pdf_report", "video_cut")
        async with make_store() as store:
            assert await store.claimable(names, NOW) == []
            for number, pipeline in enumerate(("pdf_report", "csv_import", "pdf_report", "other")):
                await add_job(store, f"job-{number}", pipeline=pipeline, now=NOW + number)
            assert await store.claimable((), NOW + 9) == []
            assert sorted(await store.claimable(names, NOW + 9)) == ["csv_import", "pdf_report"]
            await _claim(store, b"1", now=NOW + 1)
            assert await store.claimable(("csv_import",), NOW + 9) == []
            assert await store.claimable(("csv_import",), NOW + 1 + LEASE) == ["csv_import"]

    async def test_how_far_a_log_is_can_be_asked_at_any_time(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            state = (await _claim(store, b"1")).state
            await store.commit([_change(state, number=1, indices=(0, 3))], POLICY, NOW)
            recorded = await store.recorded(state)
        assert (sorted(recorded.indices), recorded.selection) == ([0, 3], None)

    async def test_inputs_are_listed_with_their_sizes_and_without_what_is_kept(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            for name, part, data in (("b", 0, b"12345"), ("b", 1, b"678"), ("a", 0, b"\x00\xff")):
                await store.write_input("job-1", name, part, data)
            await _claim(store, b"1")
            await store.keep("job-1", 1, "answer", b"kept")
            assert await store.inputs("job-1") == [InputSize(name="a", size=2), InputSize(name="b", size=8)]
            assert await store.inputs("job-2") == []

    async def test_what_would_be_kept_beyond_the_limit_is_refused_and_what_was_kept_stays(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            await _claim(store, b"1")
            assert await store.keep("job-1", 1, "a", b"12345", limit=10)
            assert await store.keep("job-1", 1, "b", b"12345", limit=10)
            for name, data in (("c", b"1"), ("a", b"123456")):
                with pytest.raises(ShelfwireError) as refused:
                    await store.keep("job-1", 1, name, data, limit=10)
                assert refused.value.code is Code.FILE_TOO_LARGE
            assert await store.keep("job-1", 1, "a", b"54321", limit=10), "it takes the place of the same size"
            assert [await store.kept("job-1", name) for name in "abc"] == [b"54321", b"12345", None]


def _digest(secret: bytes) -> bytes:
    return b"report " + secret.ljust(25)


def _remote(secret: bytes) -> RemoteClaim:
    return RemoteClaim(digest=_digest(secret), worker=WORKER)


async def _claim(store: JobStore, secret: bytes, *, now: int = NOW) -> Claimed:
    claimed = await store.claim(("csv_import",), POLICY, now, remote=_remote(secret))
    assert claimed is not None
    return claimed


def _change(state: JobState, *, indices: tuple[int, ...] = (0,), succeeded: int | None = None, **more: Any) -> Change:
    """Record some items; none with `succeeded=0`."""
    items = encoded(*((index, True, None, {}) for index in indices)) if succeeded is None else []
    return Change(
        job_id=state.id,
        attempt=state.attempt,
        created_at=state.created_at,
        delta=ProgressDelta(succeeded=len(items)),
        items=items,
        **more,
    )


def _release(state: JobState, now: int) -> JobState:
    return worker_transitions.release(state, state.attempt, POLICY, now=now)


def _complete(state: JobState, now: int) -> JobState:
    return worker_transitions.complete(state, state.attempt, "Done", POLICY, now=now)


def _cancel(state: JobState, now: int) -> JobState:
    return owner_transitions.cancel(state, POLICY, now=now)
