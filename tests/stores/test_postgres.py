from functools import partial

import pytest

from shelfwire.stores.postgres.store import PostgresStore
from shelfwire.testing import MakeStore, StoreContract, announce, encode_terminal


@pytest.fixture
def make_store(database: str) -> MakeStore:
    return partial(
        PostgresStore, database, encode_terminal=encode_terminal, inline_limit=10_000, announce=announce, node="test"
    )


class TestPostgresStore(StoreContract):
    pass
