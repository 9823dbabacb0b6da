"""Lookups of several processes that share a database."""

from contextlib import AsyncExitStack
from pathlib import Path

import psycopg

from shelfwire.settings import Secret
from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, Catalogues, library
from tests.live import live_server

BOOKS = library(6)
TURNS = "SELECT split_part(name, ' ', 1), cardinality(begun) FROM shelfwire.lane"


async def test_all_processes_take_turns_at_each_service(tmp_path: Path, database: str) -> None:
    services = Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(services.serving())
        settings = {**services.settings, "database": Secret(database), "workers": 1}
        one, two = [
            await stack.enter_async_context(live_server(tmp_path / name, **settings)) for name in ("one", "two")
        ]
        for server, books in ((one, BOOKS[:3]), (two, BOOKS[3:])):
            answer = await server.http.post(
                "/api/pipelines/batch_enrichment/jobs", json={"books": [book.asked for book in books]}
            )
            assert answer.status_code == 202, answer.text
            assert (await server.ended(answer.json()["data"]))["successCount"] == 3
    with psycopg.connect(database) as connection:
        turns: dict[str, int] = dict(connection.execute(TURNS).fetchall())
    asked = {service: sum(ask.service == service for ask in services.asks) for service in turns}
    assert turns == asked
    assert sum(turns.values()) == len(services.asks) > 0
