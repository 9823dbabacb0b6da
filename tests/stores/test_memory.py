from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from shelfwire.jobs.store import JobStore
from shelfwire.testing import (
    NOW,
    POLICY,
    MemoryDatabase,
    MemoryStore,
    NodesContract,
    StoreContract,
    add_job,
    announce,
    claim,
    encode_terminal,
)

Open = Callable[[], AbstractAsyncContextManager[JobStore]]


@pytest.fixture
def make_store() -> Open:
    return partial(MemoryStore, encode_terminal=encode_terminal, database=MemoryDatabase(), announce=announce)


@pytest.fixture
def make_node() -> Open:
    database = MemoryDatabase()
    return partial(MemoryStore, encode_terminal=encode_terminal, database=database, announce=announce, shared=True)


class TestMemoryStore(StoreContract):
    pass


class TestSharedMemoryStore(NodesContract):
    pass


async def test_a_store_without_a_database_has_one_of_its_own() -> None:
    async with MemoryStore(encode_terminal=encode_terminal) as one, MemoryStore(encode_terminal=encode_terminal) as two:
        await add_job(one)
        assert await two.job("job-1") is None


async def test_jobs_of_a_dead_process_are_claimable_at_once(make_store: Open) -> None:
    async with make_store() as store:
        await add_job(store)
        await claim(store)
    async with make_store() as store:
        assert (await claim(store)).state.attempt == 2


async def test_stores_that_are_open_on_one_database_share_its_jobs_and_respect_their_leases(make_store: Open) -> None:
    async with make_store() as one, make_store() as two:
        await add_job(one)
        await claim(one)
        assert await two.claim(("csv_import",), POLICY, NOW) is None
        assert await two.job("job-1") == await one.job("job-1")
        assert (await claim(two, now=NOW + POLICY.lease)).state.attempt == 2
