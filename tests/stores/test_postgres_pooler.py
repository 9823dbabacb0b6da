"""The store behind a pooler that gives each transaction another session."""

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from shelfwire.stores.postgres.address import Database
from shelfwire.stores.postgres.nodes import DEAF_REREAD_SECONDS
from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.testing import MakeStore, NodesContract, announce, encode_terminal
from shelfwire.testing.commits import CommitsContract


@pytest.fixture
def make_store(pooled: str, database: str) -> MakeStore:
    return _maker(Database(pooled, listen=database, node="test"))


@pytest.fixture
def make_node(make_store: MakeStore) -> MakeStore:
    return make_store


def _maker(database: Database) -> MakeStore:
    return partial(PostgresStore, database, encode_terminal=encode_terminal, inline_limit=10_000, announce=announce)


class TestNodesBehindPooler(NodesContract):
    pass


class TestCommitsBehindPooler(CommitsContract):
    pass


async def test_a_pooler_where_the_listener_should_be_direct_is_found_out_and_named(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwire.stores.postgres.nodes.ANSWER_SECONDS", 0.2)
    with capture_logs() as logs:
        async with PostgresStore(Database(pooled), encode_terminal=encode_terminal, inline_limit=0) as store:
            async with asyncio.timeout(10):
                while not any("database_listen" in entry["event"] for entry in logs):
                    await store.nodes.receive()
            assert store.nodes.reread_seconds == DEAF_REREAD_SECONDS
