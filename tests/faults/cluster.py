"""Nodes on one database, each with a network of its own to it, and a balancer before them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import psycopg

from shelfwire.client import JobHandle
from tests import postgres
from tests.faults.relay import Relay
from tests.servers import Server

SCRIPT: Final = Path(__file__).with_name("lines_node.py")
LOOK_SECONDS: Final = 0.01
ROWS: Final = """
SELECT id, status, node, coalesce((state::json ->> 'attempt')::int, 0),
  (SELECT count(*) FROM shelfwire.item WHERE job_key = key)
FROM shelfwire.job
"""


class Row(msgspec.Struct, frozen=True):
    """A job as the database has it."""

    id: str
    status: str
    node: str | None
    attempt: int
    items: int


class Node:
    """A node with a network of its own to the database.

    Args:
        name: its name.
        folder: for its data.
        database: the URL of the database.
        lease: seconds.
    """

    def __init__(self, name: str, folder: Path, database: str, lease: float) -> None:
        self.name = name
        self._folder = folder
        self._lease = lease
        self._stack = AsyncExitStack()
        self._before, _, rest = database.rpartition(":")
        port, _, self._path = rest.partition("/")
        self.network = Relay(lambda: [int(port)])

    async def __aenter__(self) -> Self:
        """Start it."""
        await self._stack.enter_async_context(self.network)
        database = f"{self._before}:{self.network.port}/{self._path}"
        settings = {"database": database, "node": self.name, "lease": self._lease}
        self.server = await self._stack.enter_async_context(Server(self._folder / self.name, settings, script=SCRIPT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it."""
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.url.rpartition(":")[2])


class Cluster:
    """Nodes, their database, and a balancer before them.

    Args:
        nodes: the nodes.
        database: the database's server.
        url: the URL of the database.
    """

    def __init__(self, nodes: Sequence[Node], database: postgres.LocalServer, url: str) -> None:
        self.nodes = nodes
        self.database = database
        self._url = url
        self._turns = itertools.count()
        self._connection: psycopg.AsyncConnection | None = None
        self.given_up: set[Node] = set()
        self.front = Relay(self._targets)

    def _targets(self) -> list[int]:
        ports = [node.port for node in self.nodes if node not in self.given_up]
        first = next(self._turns) % len(ports)
        return ports[first:] + ports[:first]

    @property
    def url(self) -> str:
        """Where followers connect to."""
        return f"http://127.0.0.1:{self.front.port}"

    async def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return what the database has, however often it is restarted meanwhile."""
        while True:
            try:
                if self._connection is None:
                    self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
                return await (await self._connection.execute(query, values)).fetchall()
            except psycopg.OperationalError:
                await self.close()
                await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Close the connection of `read`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def rows(self, jobs: Iterable[JobHandle]) -> list[Row]:
        """Return jobs as the database has them."""
        ids = {job.job_id for job in jobs}
        return [row for row in msgspec.convert(await self._rows(), list[Row]) if row.id in ids]

    async def until(self, jobs: Iterable[JobHandle], truth: Callable[[list[Row]], bool]) -> list[Row]:
        """Return jobs once something holds of them."""
        while True:
            rows = await self.rows(jobs)
            if truth(rows):
                return rows
            await asyncio.sleep(LOOK_SECONDS)

    async def _rows(self) -> list[dict[str, object]]:
        return [dict(zip(Row.__struct_fields__, row, strict=True)) for row in await self.read(ROWS)]


@asynccontextmanager
async def cluster(folder: Path, count: int, lease: float) -> AsyncIterator[Cluster]:
    """Start a database, nodes and a balancer."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(postgres.server())
        url = stack.enter_context(database.database())
        nodes = [Node(f"node-{number}", folder, url, lease) for number in range(1, count + 1)]
        for node in nodes:
            await stack.enter_async_context(node)
        made = Cluster(nodes, database, url)
        stack.push_async_callback(made.close)
        await stack.enter_async_context(made.front)
        yield made
