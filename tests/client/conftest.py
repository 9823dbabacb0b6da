"""A client of a server in memory, on which no wait takes any time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shelfwire.client import Client, Following
from shelfwire.client.http import HttpClient
from shelfwire.client.testing import InstantClock
from shelfwire.protocol.messages import Message

MakeClient = Callable[..., Client]


@pytest.fixture
def clock() -> InstantClock:
    return InstantClock()


@pytest.fixture
def client_to(clock: InstantClock) -> MakeClient:
    """Makes a client of a server; the delays are the contract's, without jitter."""

    def make(http: HttpClient, **options: Any) -> Client:
        return Client(http=http, **{"clock": clock, "random_fraction": lambda: 0.0, **options})

    return make


@asynccontextmanager
async def begun(following: Following, messages: int = 1) -> AsyncIterator[list[Message]]:
    """A follow, and the first messages that it received."""
    async with following:
        yield [await anext(following) for _ in range(messages)]
