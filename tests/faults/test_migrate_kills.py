"""Followers go on at a server on the database that the folder of a killed server went into; the copy is killed too."""

import asyncio
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg

from shelfwire.books.client import BooksClient
from shelfwire.client import JobHandle
from shelfwire.protocol.messages import JobProgress
from tests.conftest import Effort
from tests.faults import kills
from tests.faults.witness import Witness
from tests.processes import Process
from tests.receiver import SECRET, receiver
from tests.servers import Server

SECONDS = 60
KEY = "a-key-that-nobody-guesses"
SMALL_JOBS, KILLS, MANY_KILLS = 40, 3, 100


def migrating(folder: Path, database: str) -> Process:
    env = {**os.environ, "SHELFWIRE_DATABASE": database}
    return Process("-m", "shelfwire", "migrate", "--from", str(folder), env=env)


def migrate(folder: Path, database: str) -> None:
    with migrating(folder, database) as process:
        out, err = process.communicate(timeout=SECONDS)
        assert process.wait() == 0 or "before, completely" in err, out + err


async def followed(client: BooksClient, job: JobHandle) -> list[int]:
    """Follow a job to its end with one client; return the revisions of what it received."""
    async with client.follow(job) as following:
        return [message.seq or 0 async for message in following if isinstance(message, JobProgress)]


async def test_followers_of_a_job_go_on_with_their_tokens_where_its_folder_went_into_a_database(
    tmp_path: Path, database: str
) -> None:
    path = kills.make_file(tmp_path / "library.csv", seed=5)
    async with (
        receiver(None) as them,
        Server(tmp_path / "old", settings := _telling(them.port)) as old,
        BooksClient(old.url, delays=kills.DELAYS) as client,
        httpx2.AsyncClient(base_url=old.url) as http,
    ):
        truth = await kills.undisturbed(old.url, path)
        told = await _ended_elsewhere(http, them.port)
        call = await them.next()
        job = await client.import_csv(path, idempotency_key=KEY)
        witness = Witness(old.url, job)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.follow())
            own = tasks.create_task(followed(client, job))
            await witness.sees(lambda: witness.processed >= 0.2 * kills.ROWS)
            await old.end(signal.SIGKILL)
            before = witness.processed
            assert before < kills.ROWS
            await asyncio.to_thread(migrate, tmp_path / "old", database)
            port = urlsplit(old.url).port
            new = await tasks.create_task(
                _started(Server(tmp_path / "new", {**settings, "database": database, "port": port}))
            )
            again = await client.import_csv(path, idempotency_key=KEY)
            assert again.job_id == job.job_id
            assert (await them.next()).headers["webhook-id"] == call.headers["webhook-id"]
        assert call.verified["jobId"] == told
        assert own.result() == sorted(own.result())
        assert await kills.outcome(client, job) == truth
        assert (await client.state(job))["attempt"] == 2
        await new.end(signal.SIGTERM)


async def test_a_migration_that_is_killed_again_and_again_goes_on_and_ends(
    tmp_path: Path, database: str, effort: Effort
) -> None:
    async with Server(tmp_path / "old") as old, BooksClient(old.url) as client:
        jobs = [
            await client.import_csv(kills.make_file(tmp_path / f"{number}.csv", seed=number, rows=200))
            for number in range(SMALL_JOBS)
        ]
        truth = [await kills.outcome(client, job) for job in jobs]
        await old.end(signal.SIGTERM)
    for _ in range(effort.of(KILLS, MANY_KILLS)):
        there = await asyncio.to_thread(_copied, database)
        with migrating(tmp_path / "old", database) as process:
            while process.returncode is None and await asyncio.to_thread(_copied, database) < there + SMALL_JOBS // 8:
                """Each look takes some milliseconds."""
            process.kill()
    await asyncio.to_thread(migrate, tmp_path / "old", database)
    async with Server(tmp_path / "new", {"database": database}) as new, BooksClient(new.url) as client:
        assert [await kills.outcome(client, job) for job in jobs] == truth


def _telling(port: int) -> dict[str, object]:
    return {"callback_hosts": [f"127.0.0.1:{port}"], "callback_secrets": [SECRET]}


async def _ended_elsewhere(http: httpx2.AsyncClient, port: int) -> str:
    """End a job of which a receiver at that port is to be told; return its id."""
    wanted = {"pipeline": "pdf_report", "callbackUrl": f"http://127.0.0.1:{port}/"}
    made = (await http.post("/api/jobs", json=wanted)).json()["data"]
    report = {"number": 1, "end": {"complete": {}}}
    authorization = {"Authorization": f"Bearer {made['reportToken']}"}
    answer = await http.post(f"/api/jobs/{made['jobId']}/report", json=report, headers=authorization)
    assert answer.status_code == 200, answer.text
    return str(made["jobId"])


async def _started(server: Server) -> Server:
    await server.start()
    return server


def _copied(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM shelfwire.job").fetchone()
    return 0 if row is None else int(row[0])
