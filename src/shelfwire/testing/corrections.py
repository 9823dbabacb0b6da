"""The contract of every store, as tests to inherit: what owners correct of items."""

import msgspec
import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.operator_store import AuditEntry, AuditFilter
from shelfwire.jobs.store import JobStore
from shelfwire.testing.stores import NOW, POLICY, MakeStore, add_job

LIMIT = 100
DUNE, EMMA = msgspec.Raw(b'[{"book":0,"title":"Dune"}]'), msgspec.Raw(b'[{"book":1,"title":"\xc3\x89mma"}]')


async def kept(store: JobStore, job_id: str = "job-1", first: int = 0, last: int | None = None) -> dict[int, bytes]:
    """Return what is corrected, by index."""
    found = await store.corrections(job_id, first=first, last=last)
    assert list(found) == sorted(found)
    return {index: bytes(body) for index, body in found.items()}


class CorrectionsContract:
    """The duties of `JobStore` to owners who correct items: `CorrectionStore`."""

    async def test_what_is_corrected_of_an_item_takes_the_place_of_what_was_before(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            assert await store.correct("job-1", {7: EMMA, 2: DUNE}, whole=False, limit=LIMIT)
            assert await kept(store) == {2: bytes(DUNE), 7: bytes(EMMA)}
            assert await kept(store, first=3) == await kept(store, first=7, last=7) == {7: bytes(EMMA)}
            assert await kept(store, last=6) == {2: bytes(DUNE)}
            assert await store.correct("job-1", {7: DUNE, 9: None}, whole=False, limit=LIMIT)
            assert await kept(store) == {2: bytes(DUNE), 7: bytes(DUNE)}
            assert await store.correct("job-1", {7: None}, whole=False, limit=LIMIT)
            assert await kept(store) == {2: bytes(DUNE)}
            assert await store.correct("job-1", {3: EMMA}, whole=True, limit=LIMIT)
            assert await kept(store) == {3: bytes(EMMA)}
            assert await store.correct("job-1", {}, whole=True, limit=LIMIT)
            assert await kept(store) == {}

    async def test_corrections_leave_the_row_and_the_log_as_they_are(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            before = await store.job("job-1")
            await store.correct("job-1", {0: DUNE}, whole=False, limit=LIMIT)
            assert await store.job("job-1") == before
            assert await store.items("job-1", after=-1, limit=9) == []

    async def test_more_corrections_than_a_job_may_have_change_nothing(self, make_store: MakeStore) -> None:
        entry = AuditEntry(at=NOW, key="anna", action="correct")
        async with make_store() as store:
            await add_job(store)
            full = len(bytes(DUNE)) + len(bytes(EMMA))
            await store.correct("job-1", {0: DUNE, 1: EMMA}, whole=False, limit=full)
            with pytest.raises(ShelfwireError) as refused:
                await store.correct("job-1", {0: EMMA}, whole=False, limit=full, audit=entry)
            assert refused.value.code is Code.FILE_TOO_LARGE
            assert await kept(store) == {0: bytes(DUNE), 1: bytes(EMMA)}
            assert await store.audited(AuditFilter(), limit=9) == []
            await store.correct("job-1", {0: EMMA}, whole=True, limit=full, audit=entry)
            assert [one.key for one in await store.audited(AuditFilter(), limit=9)] == ["anna"]

    async def test_corrections_are_erased_with_their_job(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add_job(store)
            await store.correct("job-1", {0: DUNE}, whole=False, limit=LIMIT)
            await store.delete("job-1", POLICY, NOW)
            assert await kept(store) == {}
            assert not await store.correct("job-1", {0: DUNE}, whole=False, limit=LIMIT)
            await add_job(store, now=NOW + 1)
            assert await kept(store) == {}
