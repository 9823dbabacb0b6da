from functools import partial

import pytest

from shelfwire.stores.postgres.address import Database
from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.testing import MakeStore, NodesContract, StoreContract, announce, encode_terminal


@pytest.fixture
def make_store(database: str) -> MakeStore:
    return partial(
        PostgresStore,
        Database(database, node="test"),
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
