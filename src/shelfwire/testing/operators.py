"""The contract of every store, as tests to inherit: what operators ask of it."""

import msgspec
import pytest

from shelfwire.errors import Code
from shelfwire.jobs.listing import JobFilter, Position
from shelfwire.jobs.operator_store import AUDIT_TTL, HOUR, TALLY_TTL, AuditEntry, AuditFilter, Tally
from shelfwire.jobs.store import JobStore
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import IllegalTransitionError, JobState, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import Grant, Scope
from shelfwire.testing.stores import NOW, POLICY, MakeStore, claim

IDS = [f"0123456{n}-0000-4000-8000-00000000000{n}" for n in range(8)]
ENTRY = AuditEntry(at=NOW, key="anna", action="cancel")


async def add(
    store: JobStore,
    number: int,
    *,
    made: int = 0,
    pipeline: str = "csv_import",
    file: str = "books.csv",
    tags: tuple[str, ...] = (),
) -> JobState:
    """Add the queued job of a number."""
    state = jobs.create(IDS[number], pipeline, now=NOW + made, metadata=Metadata(file_name=file))
    state = msgspec.structs.replace(state, tags=tags)
    await store.create(state, Grant(digest=IDS[number].encode()[:32], job_id=state.id))
    return state


async def found(store: JobStore, **wanted: object) -> list[int]:
    """Return the numbers of the jobs that match, in the order of the list."""
    page = await store.jobs(msgspec.convert(wanted, JobFilter), limit=100)
    assert page.next is None
    return [IDS.index(state.id) for state in page.states]


def canceled(state: JobState, now: int) -> JobState:
    """Cancel a job as its owner does."""
    return owner_transitions.cancel(state, POLICY, now=now)


class OperatorsContract:
    """The duties of `JobStore` to operators: `OperatorStore`."""

    async def test_the_tokens_of_a_jobs_owner_are_listed(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            state, _ = await add(store, 0), await add(store, 1)
            more = Grant(digest=bytes(32), job_id=state.id, scopes=frozenset({Scope.WATCH}), expires_at=NOW + 5)
            await store.add_grant(more, NOW)
            tokens = await store.tokens(state.id)
            assert {token.digest for token in tokens} == {IDS[0].encode()[:32], bytes(32)}
            assert more in tokens
            assert list(await store.tokens("no job")) == []

    async def test_jobs_are_listed_with_the_newest_first_and_page_by_page(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number, made in enumerate((5, 1, 3, 3, 9)):
                await add(store, number, made=made)
            pages, after = [], None
            for _ in range(3):
                page = await store.jobs(JobFilter(), after=after, limit=2)
                pages.append([IDS.index(state.id) for state in page.states])
                after = page.next
            oldest = await store.jobs(JobFilter(), limit=3, oldest_first=True)
            rest = await store.jobs(JobFilter(), after=oldest.next, limit=3, oldest_first=True)
            behind = await store.jobs(JobFilter(), after=Position(NOW + 3, IDS[2]), limit=9)
        assert pages == [[4, 0], [3, 2], [1]]
        assert after is None
        assert [IDS.index(state.id) for page in (oldest, rest) for state in page.states] == [1, 2, 3, 0, 4]
        assert [IDS.index(state.id) for state in behind.states] == [1]

    async def test_a_page_that_the_last_job_fills_is_the_last(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add(store, 0)
            await add(store, 1)
            assert (await store.jobs(JobFilter(), limit=2)).next is None
            assert (await store.jobs(JobFilter(), limit=1)).next is not None

    async def test_jobs_are_found_by_status_pipeline_and_time(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(4):
                await add(store, number, made=number, pipeline="ai_scan" if number % 2 else "csv_import")
            await store.request(IDS[0], canceled, NOW)
            await store.request(IDS[1], canceled, NOW)
            await claim(store, now=NOW + 9)
            assert await found(store, status=["canceled"]) == [1, 0]
            assert await found(store, status=["running", "canceled", "running"]) == [2, 1, 0]
            assert await found(store, pipeline="ai_scan") == [3, 1]
            assert await found(store, pipeline="ai_scan", status=["queued", "paused"]) == [3]
            assert await found(store, since=NOW + 1, until=NOW + 3) == [2, 1]
            assert await found(store, status=["canceled"], since=NOW + 1) == [1]
            assert await found(store, status=["queued"], until=NOW + 3) == []
            assert await found(store, pipeline="ai_scan", until=NOW + 3) == [1]
            assert await found(store, pipeline="video") == []

    async def test_jobs_are_found_by_their_tags_until_they_are_erased(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add(store, 0, tags=("user:17", "nightly"))
            await add(store, 1, made=1, tags=("user:17",), pipeline="ai_scan", file="Shelf.jpg")
            await add(store, 2, made=2, tags=("user:1",))
            await store.request(IDS[0], canceled, NOW)
            assert await found(store, tag="user:17") == [1, 0]
            assert await found(store, tag="user:17", status=["canceled"]) == [0]
            assert await found(store, tag="user:17", pipeline="ai_scan", since=NOW + 1) == [1]
            assert await found(store, tag="user:17", until=NOW + 1) == [0]
            assert await found(store, tag="user:17", q="shelf") == [1]
            assert await found(store, tag="user:17", q="E_JOB_CANCELED") == [0]
            assert await found(store, tag="user:17", q=IDS[1][:9]) == [1]
            assert await found(store, tag="user:17", q=IDS[2][:9]) == []
            assert await store.count_jobs(JobFilter(tag="user:17")) == {Status.QUEUED: 1, Status.CANCELED: 1}
            assert await store.count_jobs(JobFilter(tag="user:17", q="shelf")) == {Status.QUEUED: 1}
            await store.delete(IDS[0], POLICY, NOW)
            assert await found(store, tag="user:17") == [1]
            assert await found(store, tag="nightly") == []

    async def test_a_retry_is_found_by_the_tags_of_its_source(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add(store, 0, tags=("user:17",))
            await store.request(IDS[0], canceled, NOW)
            await store.retry(IDS[0], IDS[1], Grant(digest=b"r" * 32, job_id=IDS[1]), NOW + 1)
            assert await found(store, tag="user:17") == [1, 0]

    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            (IDS[1][:9], [1]),
            (IDS[1].upper().replace("-", ""), [1]),
            (IDS[1], [1]),
            ("0123456f", []),
            ("E_JOB_CANCELED", [0]),
            ("E_OTHER", []),
            ("ŒUVRES", [2]),
            ("œuvre", [2]),
            ("50%_of", [3]),
            ("50%of", []),
            ("_", [3]),
            ("%", [3]),
            ("\\", []),
            ("books", [1, 0]),
            ("  books ", [1, 0]),
            ("zzz", []),
        ],
    )
    async def test_jobs_are_found_by_a_text(self, make_store: MakeStore, text: str, numbers: list[int]) -> None:
        async with make_store() as store:
            for number, file in enumerate(("My Books.csv", "books 2.csv", "Œuvres complètes.csv", "50%_of it.csv")):
                await add(store, number, made=number, file=file)
            await store.request(IDS[0], canceled, NOW)
            assert await found(store, q=text) == numbers
            assert sum((await store.count_jobs(JobFilter(q=text))).values()) == len(numbers)

    async def test_a_search_keeps_to_the_other_conditions(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await add(store, 0)
            await add(store, 1, made=1, pipeline="ai_scan")
            await store.request(IDS[0], canceled, NOW)
            for text, all_of in (("books", [0, 1]), (IDS[0][:9], [0]), (IDS[1][:9], [1]), ("E_JOB_CANCELED", [0])):
                for wanted, those in (
                    ({"status": ["queued"]}, {1}),
                    ({"pipeline": "csv_import"}, {0}),
                    ({"since": NOW + 1}, {1}),
                    ({"until": NOW + 1}, {0}),
                ):
                    expected = [number for number in all_of if number in those]
                    assert await found(store, q=text, **wanted) == expected
                    counts = await store.count_jobs(msgspec.convert({"q": text, **wanted}, JobFilter))
                    assert sum(counts.values()) == len(expected)

    async def test_jobs_are_counted_by_status(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(4):
                await add(store, number, made=number, pipeline="ai_scan" if number % 2 else "csv_import")
            await store.request(IDS[0], canceled, NOW)
            assert await store.count_jobs(JobFilter()) == {Status.QUEUED: 3, Status.CANCELED: 1}
            assert await store.count_jobs(JobFilter(pipeline="ai_scan")) == {Status.QUEUED: 2}
            assert await store.count_jobs(JobFilter(status=(Status.CANCELED, Status.PAUSED))) == {Status.CANCELED: 1}
            assert await store.count_jobs(JobFilter(since=NOW + 3)) == {Status.QUEUED: 1}

    async def test_an_action_and_its_entry_in_the_audit_are_one(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(3):
                await add(store, number)
            await store.request(IDS[0], canceled, NOW, msgspec.structs.replace(ENTRY, job_id=IDS[0]))
            with pytest.raises(IllegalTransitionError):
                await store.request(IDS[0], canceled, NOW, msgspec.structs.replace(ENTRY, job_id=IDS[0]))
            again = msgspec.structs.replace(ENTRY, action="retry", job_id=IDS[0])
            await store.retry(IDS[0], IDS[5], Grant(digest=b"r" * 32, job_id=IDS[5]), NOW, audit=again)
            await store.delete(IDS[1], POLICY, NOW, msgspec.structs.replace(ENTRY, action="delete", job_id=IDS[1]))
            token = msgspec.structs.replace(ENTRY, action="token", job_id=IDS[2])
            assert await store.add_grant(Grant(digest=b"t" * 32, job_id=IDS[2]), NOW, audit=token)
            assert not await store.add_grant(Grant(digest=b"n" * 32, job_id="no-job"), NOW, audit=token)
            assert await store.request("no-job", canceled, NOW, ENTRY) is None
            assert await store.delete("no-job", POLICY, NOW, ENTRY) is None
            entries = await store.audited(AuditFilter(), limit=10)
        assert [(entry.action, entry.job_id) for entry in entries] == [
            ("token", IDS[2]),
            ("delete", IDS[1]),
            ("retry", IDS[0]),
            ("cancel", IDS[0]),
        ]

    async def test_the_audit_is_found_by_job_key_and_time_page_by_page(self, make_store: MakeStore) -> None:
        refused = AuditEntry(at=NOW + 2, key="ben", action="bulk", outcome=str(Code.FORBIDDEN), details="3 jobs")
        async with make_store() as store:
            for entry in (ENTRY, msgspec.structs.replace(ENTRY, at=NOW + 1, job_id="job-1"), refused):
                await store.audit(entry)
            entries = await store.audited(AuditFilter(), limit=10)
            assert msgspec.structs.replace(entries[0], n=0) == refused
            assert [entry.at - NOW for entry in entries] == [2, 1, 0]
            behind = AuditFilter(before=entries[1].n)
            assert await store.audited(AuditFilter(), limit=1) == entries[:1]
            assert await store.audited(behind, limit=10) == entries[2:]
            assert await store.audited(AuditFilter(job_id="job-1"), limit=10) == entries[1:2]
            assert await store.audited(AuditFilter(key="anna", since=NOW + 1), limit=10) == entries[1:2]

    async def test_a_sweep_erases_old_entries_and_old_figures(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.audit(ENTRY)
            await store.add_tallies(NOW, {"wrong": Tally(1, 2)})
            await store.sweep(POLICY, NOW + min(AUDIT_TTL, TALLY_TTL))
            assert len(await store.audited(AuditFilter(), limit=10)) == 1
            assert await store.tallies(0) == {"wrong": Tally(1, 2)}
            await store.sweep(POLICY, NOW + max(AUDIT_TTL, TALLY_TTL) + 1)
            assert await store.audited(AuditFilter(), limit=10) == []
            assert await store.tallies(0) == {}

    async def test_figures_are_added_up_by_the_hour(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.add_tallies(NOW, {"wrong": Tally(1, 5), "lost": Tally(0, 1)})
            await store.add_tallies(NOW, {"wrong": Tally(2, 3)})
            await store.add_tallies(NOW + HOUR, {"wrong": Tally(0, 4)})
            assert await store.tallies(NOW) == {"wrong": Tally(3, 12), "lost": Tally(0, 1)}
            assert await store.tallies(NOW + 1) == {"wrong": Tally(0, 4)}
