"""A database that processes of two versions use at the same time, as while an update is rolled out."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg import sql

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.nodes import Position
from shelfwire.stores.postgres import migrations
from shelfwire.stores.postgres.address import Database
from shelfwire.stores.postgres.migrations.stepwise import upgrade_stepwise
from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.testing import (
    NOW,
    POLICY,
    MakeStore,
    NodesContract,
    add_job,
    announce,
    claim,
    encode_terminal,
    ending,
)
from shelfwire.testing.commits import CommitsContract
from shelfwire.testing.nodes import nodes_of
from shelfwire.testing.stores import AttemptsContract
from tests import postgres

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'shelfwire' AND tablename <> 'alembic_version'"


def opened(url: str) -> MakeStore:
    database = Database(url, node="test")
    return partial(PostgresStore, database, encode_terminal=encode_terminal, inline_limit=10_000, announce=announce)


@pytest.fixture(scope="module")
def newer_schema(postgres_server: postgres.Server) -> Iterator[str]:
    """The name of a database as a newer version may leave it: every table has one more column."""
    with postgres_server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for (table,) in connection.execute(TABLES).fetchall():
                added = sql.SQL("ALTER TABLE shelfwire.{} ADD COLUMN region text NOT NULL DEFAULT 'eu'")
                connection.execute(added.format(sql.Identifier(table)))
            connection.execute("UPDATE shelfwire.alembic_version SET version_num = '9999'")
        yield url.rpartition("/")[2]


@pytest.fixture
def make_node(postgres_server: postgres.Server, newer_schema: str) -> Iterator[MakeStore]:
    with postgres_server.database(template=newer_schema) as url:
        yield opened(url)


@pytest.fixture
def make_store(make_node: MakeStore) -> MakeStore:
    return make_node


class TestOnNewerSchema(NodesContract, CommitsContract, AttemptsContract):
    """What this version does is done as well where a newer one has migrated the database already."""


async def test_nodes_go_on_while_another_migrates(
    postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server.database(template="template0") as url:
        with monkeypatch.context() as older:
            older.setattr(migrations, "REVISIONS", migrations.REVISIONS[:-1])
            upgrade_stepwise(url, migrations.REVISIONS[-1])
            async with opened(url)() as before:
                await add_job(before)
                migrations.upgrade(url)
                older.undo()
                async with opened(url)() as after:
                    await claim(before)
                    assert (await after.commit([ending([0])], POLICY, NOW))[0] is not None
                    await add_job(after, "job-2")
                    assert (await claim(before)).state.id == "job-2"
        with psycopg.connect(url) as connection:
            newest = connection.execute("SELECT version_num FROM shelfwire.alembic_version").fetchall()
    assert newest == [(migrations.REVISIONS[-1],)]


async def test_a_status_of_a_newer_version_spoils_no_other_job(database: str) -> None:
    async with opened(database)() as store:
        made = [await add_job(store, f"job-{number}", now=NOW + number) for number in range(3)]
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "UPDATE shelfwire.job SET seq = seq + 1, state = (state::jsonb || %s)::text WHERE id = 'job-1'",
                ['{"status": "archived"}'],
            )
        assert [(await claim(store, now=NOW + 2)).state.id for _ in range(2)] == ["job-0", "job-2"]
        found = await store.jobs(JobFilter(), limit=9)
        assert {state.id for state in found.states} >= {"job-0", "job-2"}
        read = await nodes_of(store).reread([Position.of(state) for state in made], [])
        assert {row.state.id for row in read.rows} == {"job-0", "job-2"}
        assert read.gone == []
        with pytest.raises(ShelfwireError) as refused:
            await store.job("job-1")
        assert refused.value.code is Code.INTERNAL
