"""Several processes on one database, as one service."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import psycopg
import pytest

from shelfwire.cli.embedded_server import start
from shelfwire.cli.errors import CommandError, FolderBusyError
from shelfwire.settings import Secret, Settings
from tests.live import bearer
from tests.servers import Server

ROWS = 20_000
IMPORT = "/api/import/csv-gemini"


def value_in(database: str, query: str, *params: str) -> object:
    with psycopg.connect(database) as connection:
        row = connection.execute(query, params).fetchone()
    return None if row is None else row[0]


async def test_an_import_whose_process_is_killed_goes_on_in_another_one_with_every_row_once(
    tmp_path: Path, database: str
) -> None:
    books = "Title,Author\n" + "".join(f"Book number {n * 7919},Author {n}\n" for n in range(ROWS))
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(Server(tmp_path / name, {"database": database, "node": name}))
            for name in ("one", "two")
        }
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=60))
        answer = await http.post(f"{servers['one'].url}{IMPORT}", files={"file": ("books.csv", books, "text/csv")})
        made = answer.json()["data"]
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(value_in, database, "SELECT count(*) FROM shelfwire.item"):
                """Each look takes some milliseconds."""
        running = str(value_in(database, "SELECT node FROM shelfwire.job WHERE id = %s", made["jobId"]))
        await servers.pop(running).end(signal.SIGKILL)
        (other,) = servers.values()
        seen: list[int] = []
        state = {"status": "running"}
        async with asyncio.timeout(60):
            while state["status"] == "running":
                answer = await http.get(f"{other.url}/api/jobs/{made['jobId']}", headers=bearer(made["token"]))
                assert answer.status_code == 200, answer.text
                state = answer.json()["data"]
                seen.append(int(state["processedCount"]))
    assert (state["status"], seen) == ("complete", sorted(seen))
    assert value_in(database, "SELECT count(DISTINCT index) FROM shelfwire.item WHERE ok") == ROWS
    assert value_in(database, "SELECT state::json->>'attempt' FROM shelfwire.job") == "2"


async def test_a_job_that_is_deleted_at_one_process_is_gone_at_the_other(tmp_path: Path, database: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(Server(tmp_path / name, {"database": database})) for name in ("one", "two")
        ]
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=60))
        answer = await http.post(f"{one.url}{IMPORT}", files={"file": ("books.csv", "Title\nEmma\n", "text/csv")})
        made = answer.json()["data"]
        there = f"{two.url}/api/jobs/{made['jobId']}"
        assert (await http.get(there, headers=bearer(made["token"]))).status_code == 200
        gone = await http.delete(f"{one.url}/api/jobs/{made['jobId']}", headers=bearer(made["token"]))
        assert gone.status_code < 300
        assert (await http.get(there, headers=bearer(made["token"]))).status_code == 401


async def test_a_caller_may_make_as_many_jobs_a_minute_at_all_processes_together(tmp_path: Path, database: str) -> None:
    settings = {"database": database, "create_limit": 2}
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(Server(tmp_path / name, settings)) for name in ("one", "two")]
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=60))
        answers = [
            await http.post(f"{server.url}{IMPORT}", files={"file": ("books.csv", "Title\nEmma\n", "text/csv")})
            for server in (one, two, two, one)
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


async def test_two_processes_need_two_data_folders(tmp_path: Path, database: str) -> None:
    settings = Settings(data=tmp_path / "data", port=0, database=Secret(database))
    async with start(settings):
        with pytest.raises(FolderBusyError):
            async with start(settings):
                pass


async def test_a_server_whose_database_cannot_be_reached_says_so_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://user:secret@127.0.0.1:1/x"
    with pytest.raises(CommandError, match=r"The database cannot be used: .*refused") as refused:
        async with start(Settings(data=tmp_path / "data", port=0, database=Secret(url))):
            pass
    assert "secret" not in str(refused.value)
