import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

from shelfwire.clock import Clock, DatabaseClock, SystemClock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.nodes import HintKind, Nodes, Position
from shelfwire.jobs.store import Idempotency, JobStore
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import MAX_GRANTS, Grant
from shelfwire.stores.postgres import commits
from shelfwire.stores.postgres.address import OFF, Database
from shelfwire.stores.postgres.connections import BEGIN
from shelfwire.stores.postgres.nodes import DEAF_REREAD_SECONDS
from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.testing import (
    NOW,
    POLICY,
    MakeStore,
    NodesContract,
    StoreContract,
    add_job,
    announce,
    claim,
    encode_terminal,
    ending,
)
from tests import postgres
from tests.conftest import Effort
from tests.live import until

COUNT_CHANGES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'job'"


@pytest.fixture
def make_store(database: str, effort: Effort, request: pytest.FixtureRequest) -> MakeStore:
    """Opens stores on the database; in a long run through a pooler, where there is one."""
    through_pooler = effort.long and postgres.pooler_program() is not None
    url = request.getfixturevalue("pooled") if through_pooler else database
    return partial(
        PostgresStore,
        Database(url, listen=database, node="test"),
        encode_terminal=encode_terminal,
        inline_limit=10_000,
        announce=announce,
    )


@pytest.fixture
def make_node(make_store: MakeStore) -> MakeStore:
    return make_store


class TestPostgresStore(StoreContract):
    pass


class TestPostgresNodes(NodesContract):
    pass


def run(url: str, query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Run a statement beside the store, as somebody else does."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def nodes_of(store: JobStore) -> Nodes:
    assert store.nodes is not None
    return store.nodes


async def repeated(work: Callable[[], Awaitable[Any]]) -> Any:
    """Return what succeeds in the end, as those do who repeat what could not be stored."""
    while True:
        try:
            return await work()
        except ShelfwireError as error:
            if error.code is not Code.STORAGE_UNAVAILABLE:
                raise
            await asyncio.sleep(0.01)


async def test_the_node_that_has_a_job_is_named_also_after_it_took_the_job_over(
    make_store: MakeStore, database: str
) -> None:
    def named() -> str:
        ((node,),) = run(database, "SELECT node FROM shelfwire.job")
        return str(node)

    async with make_store() as store:
        state = await add_job(store)
        claimed = await claim(store)
        assert named() == "test"
        run(database, "UPDATE shelfwire.job SET node = 'one that died'")
        assert await store.claim([state.pipeline], POLICY, claimed.state.lease_until + 1) is not None
    assert named() == "test"


async def test_a_job_is_taken_over_from_a_node_that_stopped_within_a_statement_with_the_row_locked(
    make_store: MakeStore, database: str
) -> None:
    async with make_store() as store:
        state = await add_job(store)
        claimed = await claim(store)
        with closing(psycopg.connect(database, autocommit=True, application_name="shelfwire that stopped")) as stopped:
            stopped.execute(BEGIN)
            stopped.execute("SELECT FROM shelfwire.job FOR NO KEY UPDATE")
            stopped.pgconn.send_query(commits.COPY_ITEMS.encode())
            stopped.pgconn.flush()
            async with asyncio.timeout(30):
                taken = None
                while taken is None:
                    taken = await store.claim([state.pipeline], POLICY, claimed.state.lease_until + 1)
    assert taken.state.attempt == claimed.state.attempt + 1


async def test_many_creations_with_one_key_on_two_nodes_make_one_job(make_node: MakeStore) -> None:
    same = Idempotency(key=b"key", fingerprint=b"input")

    async def create(store: JobStore, number: int) -> str:
        state = jobs.create(f"job-{number}", "csv_import", now=NOW)
        return await store.create(state, Grant(digest=bytes([number]) * 32, job_id=state.id), idempotency=same)

    async with make_node() as one, make_node() as two:
        made = await asyncio.gather(*(create((one, two)[number % 2], number) for number in range(12)))
        assert len(set(made)) == 1
        assert all([await one.grant(bytes([number]) * 32, NOW) for number in range(12)])


async def test_of_many_creations_with_one_id_on_two_nodes_one_succeeds(make_node: MakeStore) -> None:
    async def create(store: JobStore, number: int) -> bool:
        state = jobs.create("job-1", "csv_import", now=NOW)
        try:
            await store.create(state, Grant(digest=bytes([number]) * 32, job_id="job-1"))
        except ShelfwireError as error:
            return error.code is not Code.JOB_EXISTS
        return True

    async with make_node() as one, make_node() as two:
        assert sum(await asyncio.gather(*(create((one, two)[number % 2], number) for number in range(8)))) == 1


async def test_the_last_token_is_given_once_by_two_nodes(make_node: MakeStore) -> None:
    async def add(store: JobStore, number: int) -> bool:
        try:
            return await store.add_grant(Grant(digest=bytes([number]) * 32, job_id="job-1"), NOW)
        except ShelfwireError as error:
            return error.code is not Code.JOB_STATE

    async with make_node() as one, make_node() as two:
        await add_job(one)
        for number in range(MAX_GRANTS - 2):
            assert await add(one, number)
        assert sum(await asyncio.gather(add(one, 200), add(two, 201))) == 1


async def test_a_job_that_two_nodes_sweep_is_erased_and_ended_once(make_node: MakeStore) -> None:
    async with make_node() as one, make_node() as two:
        for number in range(6):
            made = await add_job(one, f"job-{number}")
        swept = await asyncio.gather(*(node.sweep(POLICY, made.expires_at) for node in (one, two)))
    assert sum(one.erased for one in swept) == 6
    assert sorted(ending.state.id for one in swept for ending in one.endings) == [f"job-{n}" for n in range(6)]


async def test_the_jobs_of_one_caller_that_two_nodes_make_at_once_have_turns_of_their_own(make_node: MakeStore) -> None:
    async with make_node() as one, make_node() as two:
        await asyncio.gather(*(add_job((one, two)[n % 2], f"job-{n}", caller="busy") for n in range(8)))
        await add_job(one, "quiet", caller="quiet")
        found = await one.jobs(JobFilter(), limit=20)
    assert sorted(state.turn for state in found.states if state.caller == "busy") == list(range(8))


async def test_a_store_that_lost_its_connections_goes_on_with_new_ones(make_store: MakeStore, database: str) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
        connected = nodes_of(store).connected_at
        run(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert await store.job("job-1") is not None, "a read that met a lost connection is repeated"
        (committed,) = await store.commit([ending([0])], POLICY, NOW)
        assert committed is not None
        assert committed.state.status is Status.COMPLETE
        assert nodes_of(store).connected_at >= connected
        async with asyncio.timeout(10):
            while HintKind.MISSED not in {hint.kind for hint in await nodes_of(store).receive()}:
                """The first of them is of the opening."""


async def test_a_commit_is_repeated_where_another_transaction_has_the_row_for_too_long(
    make_store: MakeStore, database: str
) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
        with psycopg.connect(database) as other:
            other.execute("SELECT 1 FROM shelfwire.job FOR UPDATE")
            with pytest.raises(ShelfwireError) as refused:
                await store.commit([ending([0])], POLICY, NOW)
            assert refused.value.code is Code.STORAGE_UNAVAILABLE
        (committed,) = await repeated(lambda: store.commit([ending([0])], POLICY, NOW))
        assert committed is not None


async def test_damaged_rows_are_passed_over_said_once_and_can_be_deleted(make_store: MakeStore, database: str) -> None:
    async with make_store() as store:
        await add_job(store, "broken")
        await add_job(store, "whole", now=NOW + 1)
        run(database, "UPDATE shelfwire.job SET state = '{\"id\":1' WHERE id = 'broken'")
        with capture_logs() as logs:
            assert (await claim(store, now=NOW + 1)).state.id == "whole"
            assert await store.claim(("csv_import",), POLICY, NOW + 1) is None
        assert [entry["job"] for entry in logs] == ["broken"]
        page = await store.jobs(JobFilter(), limit=9)
        assert [state.id for state in page.states] == ["whole", "broken"]
        with pytest.raises(ShelfwireError) as refused:
            await store.request("broken", lambda state, _now: state, NOW)
        assert refused.value.code is Code.INTERNAL
        assert await nodes_of(store).reread([Position("broken", NOW, 0)], []) is not None
        deleted = await store.delete("broken", POLICY, NOW)
        assert deleted is not None
        assert deleted.state.status is Status.CANCELED


async def test_members_of_a_newer_version_outlast_what_this_one_writes(make_store: MakeStore, database: str) -> None:
    stored = "SELECT state::json->>'newer' FROM shelfwire.job"
    async with make_store() as store:
        await add_job(store)
        run(database, 'UPDATE shelfwire.job SET state = (state::jsonb || \'{"newer": "kept"}\')::text')
        await claim(store)
        change = msgspec.structs.replace(ending([0]), closing=None)
        await store.commit([change], POLICY, NOW)
        assert run(database, stored) == [("kept",)]
        await store.commit([ending([1])], POLICY, NOW)
    assert run(database, stored) == [("kept",)]


async def test_texts_may_have_every_character_that_clients_send(make_store: MakeStore) -> None:
    odd = "a\0b\u202e\ufeff\U0001f989'\"\\%_"
    state = jobs.create("job-1", "csv_import", now=NOW, metadata=Metadata(file_name=odd, file_size=1))
    state = msgspec.structs.replace(state, tags=(odd,), user_message=odd, caller=odd.replace("\0", ""))
    async with make_store() as store:
        await store.create(state, Grant(digest=b"d" * 32, job_id="job-1"))
        found = await store.job("job-1")
        assert found is not None
        assert found.state == state
        for wanted in (JobFilter(tag=odd), JobFilter(q=odd), JobFilter(q="\U0001f989'\"\\%_")):
            assert [one.id for one in (await store.jobs(wanted, limit=9)).states] == ["job-1"]


async def test_an_ending_shows_the_first_items_that_fit_however_many_there_are(make_store: MakeStore) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
        (committed,) = await store.commit([ending(list(range(1200)))], POLICY, NOW)
    assert committed is not None
    assert committed.terminal is not None
    titles = msgspec.json.decode(committed.terminal)["titles"]
    assert titles == [f"Book {number}" for number in range(len(titles))]
    assert 0 < len(titles) < 1200


async def test_the_input_that_retries_share_goes_with_the_last_of_them(make_store: MakeStore, database: str) -> None:
    async with make_store() as store:
        await store.write_input("job-1", "file", 0, b"data")
        await add_job(store)
        await store.request("job-1", _cancel, NOW)
        await store.retry("job-1", "retry", Grant(digest=b"r" * 32, job_id="retry"), NOW)
        await store.delete("job-1", POLICY, NOW)
        assert await store.read_input("retry", "file") == b"data"
        await store.delete("retry", POLICY, NOW)
    assert run(database, "SELECT count(*) FROM shelfwire.input_part") == [(0,)]
    assert run(database, "SELECT count(*) FROM shelfwire.remains") == [(0,)]


async def test_uploads_that_became_no_job_and_old_farewells_are_swept(make_store: MakeStore, database: str) -> None:
    async with make_store() as store:
        for upload in ("old", "new"):
            await store.write_input(upload, "file", 0, b"data")
        await add_job(store)
        await store.delete("job-1", POLICY, NOW)
        run(database, "UPDATE shelfwire.upload SET written_at = 0 WHERE input_key = md5('upload old')::uuid")
        await store.sweep(POLICY, NOW)
        assert await store.read_input("old", "file") == b""
        assert await store.read_input("new", "file") == b"data"
        assert run(database, "SELECT id FROM shelfwire.farewell") == [("job-1",)]
        run(database, "UPDATE shelfwire.farewell SET gone_at = 0")
        await store.sweep(POLICY, NOW)
    assert run(database, "SELECT id FROM shelfwire.farewell") == []


async def test_progress_changes_no_column_that_an_index_has(make_store: MakeStore, database: str) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
        for number in range(20):
            change = msgspec.structs.replace(ending([number]), closing=None)
            await store.commit([change], POLICY, NOW + number)
    changed, in_place = 0, 0
    while changed < 21:  # the claim, and the progress; they are counted once the connection has ended
        ((changed, in_place),) = run(database, COUNT_CHANGES)
    assert in_place >= 20


async def test_a_node_that_is_to_hear_nothing_reads_again_more_often(database: str) -> None:
    deaf = PostgresStore(Database(database, listen=OFF), encode_terminal=encode_terminal, inline_limit=0)
    async with deaf as store:
        assert store.nodes.reread_seconds == DEAF_REREAD_SECONDS
        assert not store.nodes.link.hears


class Shifted(SystemClock):
    """The clock of a machine that somebody has set wrong, by milliseconds."""

    shift = 0

    def steady(self) -> int:
        return super().steady() + self.shift


@pytest.mark.parametrize("clock", [DatabaseClock(), Shifted()], ids=["of the database", "of the machine"])
async def test_a_node_knows_how_far_its_clock_is_from_that_of_the_database(database: str, clock: Clock) -> None:
    store = PostgresStore(Database(database), encode_terminal=encode_terminal, inline_limit=0, clock=clock)
    async with store:
        assert abs(store.nodes.link.clock_offset) < 2000
        if isinstance(clock, Shifted):
            clock.shift = -3_600_000
            await until(lambda: abs(store.nodes.link.clock_offset - 3_600_000) < 2000)
        assert store.nodes.link.clock_age < 60


async def test_a_node_that_is_cut_off_knows_since_when_and_that_it_hears_nothing(
    make_store: MakeStore, database: str
) -> None:
    async with make_store() as store:
        nodes = nodes_of(store)
        await until(lambda: nodes.link.hears)
        name = database.rpartition("/")[2]
        shut = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS'
        other = database.replace(name, "postgres")
        run(other, f"{shut} false")
        run(other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
        await until(lambda: not nodes.link.hears and nodes.link.clock_age > 1.5)
        run(other, f"{shut} true")
        await until(lambda: nodes.link.hears and nodes.link.clock_age < 1.5)


async def test_nodes_that_live_are_counted(make_node: MakeStore, database: str) -> None:
    async with make_node() as one, make_node() as two:
        for node in (one, two, one):
            await node.check()
        assert (nodes_of(one).alive, nodes_of(two).alive) == (2, 2)
    run(database, "UPDATE shelfwire.probe SET at = at - 31000")
    async with make_node() as alone:
        await alone.check()
        assert nodes_of(alone).alive == 1


def _cancel(state: JobState, now: int) -> JobState:
    return owner_transitions.cancel(state, POLICY, now=now)
