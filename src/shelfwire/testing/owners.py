"""The contract of every store, as tests to inherit: the operations of job owners."""

import asyncio

import msgspec
import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.store import Change, Idempotency, JobStore, Mended
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import IllegalTransitionError, JobState, Status
from shelfwire.protocol.tokens import GRACE, MAX_GRANTS, Grant, Scope
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing.stores import NOW, POLICY, MakeStore, add_job, claim, encoded, ending


class OwnersContract:
    """The duties of `JobStore` to owners: control, tokens, idempotency, retries."""

    async def test_a_queued_job_is_paused_at_once_and_stays_so_over_reopening(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            paused = await store.request("job-1", _pause, NOW)
            assert paused is not None
            assert paused.state.status is Status.PAUSED
        async with make_store() as store:
            assert await store.claim(("csv_import",), POLICY, NOW + 7 * POLICY.lease) is None
            resumed = await store.request("job-1", _resume, NOW)
            assert resumed is not None
            assert resumed.state.status is Status.QUEUED
            assert (await claim(store)).state.id == "job-1"

    async def test_a_pause_whose_worker_died_takes_effect_with_the_next_claim(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.request("job-1", _pause, NOW)
            claimed = await claim(store, now=NOW + POLICY.lease)
            assert await store.claim(("csv_import",), POLICY, NOW + 2 * POLICY.lease) is None
        assert (claimed.state.status, claimed.state.attempt, claimed.terminal) == (Status.PAUSED, 1, None)

    async def test_a_request_the_state_forbids_changes_nothing(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            made = await add_job(store)
            with pytest.raises(IllegalTransitionError):
                await store.request("job-1", _resume, NOW)
            found = await store.job("job-1")
            assert found is not None
            assert found.state == made
            assert await store.request("job-2", _pause, NOW) is None

    async def test_a_deleted_job_leaves_its_ending_to_its_followers_and_nothing_else(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.write_input("job-1", "file", 0, b"data")
            await add_job(store)
            await claim(store)
            await store.commit([_recorded(1, 0)], POLICY, NOW)
            deleted = await store.delete("job-1", POLICY, NOW)
            assert deleted is not None
            assert deleted.state.status is Status.CANCELED
            assert deleted.terminal is not None
            assert await store.commit([_recorded(1, 1)], POLICY, NOW) == [None], "the attempt is fenced off"
            assert await store.job("job-1") is None
            assert await store.grant(b"job-1".ljust(32), NOW) is None
            assert await store.read_input("job-1", "file") == b""
            assert await store.items("job-1", after=-1, limit=1) == []
            assert await store.delete("job-1", POLICY, NOW) is None

    async def test_deleting_an_ended_job_returns_the_ending_it_had(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            (ended,) = await store.commit([ending([0])], POLICY, NOW)
            assert await store.delete("job-1", POLICY, NOW + 1) == ended

    async def test_a_job_may_have_several_tokens_until_each_is_revoked(self, make_store: MakeStore) -> None:
        narrow = Grant(digest=b"n" * 32, job_id="job-1", scopes=frozenset({Scope.WATCH}), expires_at=NOW + 9, ttl=9)
        async with make_store() as store:
            await add_job(store)
            assert await store.add_grant(narrow, NOW)
            assert await store.grant(b"n" * 32, NOW) == narrow
            await store.revoke(b"n" * 32)
            assert await store.grant(b"n" * 32, NOW) is None
            assert await store.grant(b"job-1".ljust(32), NOW) is not None
            assert not await store.add_grant(msgspec.structs.replace(narrow, job_id="job-2"), NOW)

    async def test_a_token_that_was_revoked_meanwhile_obtains_no_other(self, make_store: MakeStore) -> None:
        wanted = Grant(digest=b"n" * 32, job_id="job-1")
        async with make_store() as store:
            await add_job(store)
            asking = Grant(digest=b"a" * 32, job_id="job-1")
            assert await store.add_grant(asking, NOW)
            await store.revoke(asking.digest)
            assert not await store.add_grant(wanted, NOW, authorized_by=asking.digest)
            assert await store.grant(wanted.digest, NOW) is None

    async def test_a_replaced_token_expires_after_the_grace_period(self, make_store: MakeStore) -> None:
        old = b"job-1".ljust(32)
        async with make_store() as store:
            await add_job(store)
            await store.add_grant(Grant(digest=b"a" * 32, job_id="job-1"), NOW, replaces=old)
            replaced = await store.grant(old, NOW)
            assert replaced is not None
            assert replaced.expires_at == NOW + GRACE
            await store.add_grant(Grant(digest=b"b" * 32, job_id="job-1"), NOW + 5, replaces=old)
            again = await store.grant(old, NOW)
            assert again is not None
            assert again.expires_at == NOW + GRACE, "asking again must not prolong it"

    async def test_the_number_of_tokens_is_limited_and_expired_ones_do_not_count(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            for number in range(MAX_GRANTS - 1):
                short = Grant(digest=bytes([number]) * 32, job_id="job-1", expires_at=NOW + 5)
                assert await store.add_grant(short, NOW)
            one_more = Grant(digest=b"one more".ljust(32), job_id="job-1")
            with pytest.raises(ShelfwireError) as refused:
                await store.add_grant(one_more, NOW)
            assert refused.value.code is Code.JOB_STATE
            assert await store.add_grant(one_more, NOW + 5)

    async def test_expired_tokens_make_room_the_oldest_first(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            for number in range(MAX_GRANTS - 1):
                short = Grant(digest=bytes([number]) * 32, job_id="job-1", expires_at=NOW + 200 - number)
                assert await store.add_grant(short, NOW)
            last = MAX_GRANTS - 2
            assert await store.add_grant(Grant(digest=b"one more".ljust(32), job_id="job-1"), NOW + 300)
            assert await store.grant(bytes([last]) * 32, NOW) is None
            assert await store.grant(bytes([last - 1]) * 32, NOW) is not None, "it answers that it has expired"
            assert await store.grant(b"job-1".ljust(32), NOW) is not None

    async def test_a_token_is_replaced_however_many_there_are_and_again(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await _fill(store)
            replaced = b"job-1".ljust(32)
            for number in range(3):
                new = f"new-{number}".encode().ljust(32)
                assert await store.add_grant(Grant(digest=new, job_id="job-1"), NOW + number, replaces=replaced)
                old = await store.grant(replaced, NOW)
                assert old is not None
                assert old.expires_at == NOW + number + GRACE
                replaced = new
            with pytest.raises(ShelfwireError):
                await store.add_grant(Grant(digest=b"one more".ljust(32), job_id="job-1"), NOW + 5)

    async def test_a_replacement_whose_answer_was_lost_is_answered_again_however_many_tokens_there_are(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await add_job(store)
            await _fill(store)
            first, newest = b"job-1".ljust(32), b""
            for number in range(11):
                newest = f"new-{number}".encode().ljust(32)
                assert await store.add_grant(Grant(digest=newest, job_id="job-1"), NOW + number, replaces=first)
            one_more = Grant(digest=b"one more".ljust(32), job_id="job-1")
            with pytest.raises(ShelfwireError) as refused:
                await store.add_grant(one_more, NOW + 20, replaces=first)
            assert refused.value.code is Code.JOB_STATE, "their number is limited all the same"
            assert await store.add_grant(one_more, NOW + 20, replaces=newest)

    async def test_a_repeated_request_is_answered_however_many_tokens_there_are(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            first = await _create(store, 200, _key())
            await _fill(store, first)
            assert await _create(store, 201, _key()) == first
            assert await store.grant(bytes([201]) * 32, NOW) is not None
            assert await store.grant(bytes([200]) * 32, NOW) is None, "the oldest makes room"
            assert await store.grant(bytes([0]) * 32, NOW) is not None
            with pytest.raises(ShelfwireError):
                await store.add_grant(Grant(digest=b"one more".ljust(32), job_id=first), NOW)

    async def test_inputs_written_under_an_upload_become_those_of_the_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("upload", "file", 0, b"data")
            state = jobs.create("job-1", "csv_import", now=NOW)
            made = await store.create(state, Grant(digest=b"a" * 32, job_id="job-1"), upload_id="upload")
            assert made == "job-1"
            assert await store.read_input("job-1", "file") == b"data"
            assert await store.read_input("upload", "file") == b""

    async def test_a_job_id_that_exists_does_not_take_the_upload_of_another(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("first", "file", 0, b"first")
            await store.write_input("second", "file", 0, b"second")
            state = jobs.create("job-1", "csv_import", now=NOW)
            await store.create(state, Grant(digest=b"a" * 32, job_id="job-1"), upload_id="first")
            with pytest.raises(ShelfwireError) as refused:
                await store.create(state, Grant(digest=b"b" * 32, job_id="job-1"), upload_id="second")
            assert refused.value.code is Code.JOB_EXISTS
            assert await store.read_input("job-1", "file") == b"first"
            assert await store.grant(b"b" * 32, NOW) is None

    async def test_of_many_repetitions_at_once_one_makes_the_job_and_all_get_a_token(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            made = await asyncio.gather(*(_create(store, number, _key()) for number in range(9)))
            assert len(set(made)) == 1
            grants = [await store.grant(bytes([number]) * 32, NOW) for number in range(9)]
            inputs = [await store.read_input(f"job-{number}", "file") for number in range(9)]
        assert {grant.job_id for grant in grants if grant is not None} == set(made)
        assert len([data for data in inputs if data]) == 1, "the other uploads are erased"

    async def test_the_same_key_with_other_input_is_refused_and_makes_nothing(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _create(store, 1, _key())
            with pytest.raises(ShelfwireError) as refused:
                await _create(store, 2, _key(fingerprint=b"other"))
            assert refused.value.code is Code.IDEMPOTENCY_MISMATCH
            assert await store.job("job-2") is None
            assert await store.grant(bytes([2]) * 32, NOW) is None
            assert await _create(store, 3, _key(key=b"another")) == "job-3"

    async def test_a_key_lives_as_long_as_its_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _create(store, 1, _key())
            await store.delete("job-1", POLICY, NOW)
            assert await _create(store, 2, _key(fingerprint=b"other")) == "job-2"

    async def test_a_key_whose_job_has_expired_is_free_even_before_the_job_is_swept(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _create(store, 1, _key())
            expired = await store.job("job-1")
            assert expired is not None
            now = expired.state.expires_at
            assert await _create(store, 2, _key(fingerprint=b"other"), now=now) == "job-2"
            assert await store.job("job-1") is None

    async def test_a_change_of_an_erased_job_never_reaches_a_later_one_with_its_id(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            await store.delete("job-1", POLICY, NOW)
            await add_job(store, now=NOW + 1)
            later = (await claim(store, now=NOW + 1)).state
            assert later.attempt == 1
            assert await store.commit([_recorded(1, 0)], POLICY, NOW + 1) == [None]
            assert await store.items("job-1", after=-1, limit=9) == []
            found = await store.job("job-1")
            assert found is not None
            assert found.state == later

    async def test_a_retry_covers_the_failed_and_the_unrecorded_items(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("job-1", "file", 0, b"data")
            await _ended_job(store)
            made = await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW)
            claimed = await claim(store)
            assert made == claimed.state.id == "retry"
            assert claimed.selection == [1, 3, 4]
            assert claimed.state.retry_of == "job-1"
            assert await store.read_input("retry", "file") == b"data"
            assert await store.kept("retry", "answer") == b"paid for"

            change = _recorded(1, 0, "retry", source=1)
            await store.commit([change], POLICY, NOW)
            (item,) = await store.items("retry", after=-1, limit=9)
            assert (item.index, item.source) == (0, 1)

    async def test_a_retry_of_a_retry_covers_the_items_that_one_left(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _ended_job(store)
            await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW)
            await claim(store)
            delta = ProgressDelta(total=3, succeeded=1)
            items = encoded((1, True, None, {}, 3))
            await store.commit(
                [Change(job_id="retry", attempt=1, created_at=NOW, delta=delta, items=items)], POLICY, NOW
            )
            await store.request("retry", _cancel, NOW + POLICY.lease)
            await store.retry("retry", "again", Grant(digest=b"s" * 32, job_id="again"), NOW)
            assert (await claim(store)).selection == [1, 4]

    async def test_a_retry_with_mended_items_has_them_as_an_input(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.write_input("job-1", "file", 0, b"data")
            await _ended_job(store)
            one = Mended(indices=[4, 1], alone=True, name="mended", data=b"one")
            await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW, mended=one)
            assert (await claim(store)).selection == [1, 4]
            assert await store.read_input("retry", "mended") == b"one"
            assert await store.read_input("retry", "file") == b"data"
            await store.commit(
                [
                    Change(
                        job_id="retry",
                        attempt=1,
                        created_at=NOW,
                        delta=ProgressDelta(total=2, failed=1),
                        items=encoded((0, False, None, {}, 1)),
                    )
                ],
                POLICY,
                NOW,
            )
            await store.request("retry", _cancel, NOW + POLICY.lease)
            two = Mended(indices=[0], alone=False, name="mended", data=b"two")
            await store.retry("retry", "again", Grant(digest=b"s" * 32, job_id="again"), NOW, mended=two)
            assert (await claim(store)).selection == [1, 4]
            assert await store.read_input("again", "mended") == b"two"
            assert await store.read_input("retry", "mended") == b"one"

    async def test_an_item_that_was_done_or_never_was_cannot_be_mended(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _ended_job(store)
            for index in (0, 2, 5, -1):
                mended = Mended(indices=[1, index], alone=True, name="mended", data=b"{}")
                with pytest.raises(ShelfwireError, match=f"Item {index} ") as refused:
                    await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW, mended=mended)
                assert refused.value.code is Code.ITEM_UNKNOWN
            assert await store.job("retry") is None

    async def test_a_job_that_never_counted_its_items_is_retried_whole(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await store.request("job-1", _cancel, NOW)
            await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW)
            assert (await claim(store)).selection is None

    async def test_a_retry_is_refused_while_the_job_runs_and_where_nothing_is_left(self, make_store: MakeStore) -> None:
        grant = Grant(digest=b"r" * 32, job_id="retry")
        async with make_store() as store:
            await add_job(store)
            await claim(store)
            with pytest.raises(IllegalTransitionError):
                await store.retry("job-1", "retry", grant, NOW)
            await store.commit([ending([0, 1, 2, 3, 4])], POLICY, NOW)
            with pytest.raises(ShelfwireError, match="nothing is left") as refused:
                await store.retry("job-1", "retry", grant, NOW)
            assert refused.value.code is Code.JOB_STATE
            assert await store.retry("job-2", "retry", grant, NOW) is None
            assert await store.job("retry") is None

    async def test_a_repeated_retry_makes_one_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _ended_job(store)
            first = await store.retry("job-1", "one", Grant(digest=b"1" * 32, job_id="one"), NOW, _key())
            second = await store.retry("job-1", "two", Grant(digest=b"2" * 32, job_id="two"), NOW, _key())
            grant = await store.grant(b"2" * 32, NOW)
            assert first == second == "one"
            assert grant is not None
            assert grant.job_id == "one"


async def _fill(store: JobStore, job_id: str = "job-1") -> None:
    """Give a job with one token as many as it may have."""
    for number in range(MAX_GRANTS - 1):
        assert await store.add_grant(Grant(digest=bytes([number]) * 32, job_id=job_id), NOW)


def _key(key: bytes = b"key", fingerprint: bytes = b"input") -> Idempotency:
    return Idempotency(key=key, fingerprint=fingerprint)


async def _create(store: JobStore, number: int, idempotency: Idempotency, now: int = NOW) -> str:
    job_id = f"job-{number}"
    await store.write_input(f"upload-{number}", "file", 0, b"data")
    state, grant = jobs.create(job_id, "csv_import", now=now), Grant(digest=bytes([number]) * 32, job_id=job_id)
    return await store.create(state, grant, upload_id=f"upload-{number}", idempotency=idempotency)


async def _ended_job(store: JobStore) -> None:
    """A job over five items that ended with the first and third done, the second failed and two never recorded."""
    await add_job(store)
    await claim(store)
    await store.keep("job-1", 1, "answer", b"paid for")
    items = encoded((0, True, None, {}), (2, True, None, {}), (1, False, None, {"code": "E_ROW_INVALID"}))
    change = Change(
        job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta(total=5, succeeded=2, failed=1), items=items
    )
    await store.commit([change], POLICY, NOW)
    await store.request("job-1", _cancel, NOW + POLICY.lease)


def _recorded(attempt: int, index: int, job_id: str = "job-1", source: int | None = None) -> Change:
    items = encoded((index, True, None, {}) if source is None else (index, True, None, {}, source))
    return Change(
        job_id=job_id, attempt=attempt, created_at=NOW, delta=ProgressDelta(total=5, succeeded=1), items=items
    )


def _cancel(state: JobState, now: int) -> JobState:
    return owner_transitions.cancel(state, POLICY, now=now)


def _pause(state: JobState, now: int) -> JobState:
    return owner_transitions.pause(state, now=now)


def _resume(state: JobState, now: int) -> JobState:
    return owner_transitions.resume(state, now=now)
