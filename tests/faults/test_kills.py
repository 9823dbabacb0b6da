import asyncio
import signal
import sqlite3
from pathlib import Path

import msgspec

from shelfwire.books.client import BooksClient
from shelfwire.client import JobHandle
from shelfwire.protocol.job import JobState
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from tests.conftest import Effort
from tests.faults import kills
from tests.faults.witness import Witness
from tests.servers import Server

KILLS, MANY_KILLS = 6, 200
SHORT_LEASE = 0.3


async def test_nothing_is_lost_doubled_or_taken_back_when_the_server_is_killed_at_random_moments(
    tmp_path: Path, effort: Effort
) -> None:
    wanted = effort.of(KILLS, MANY_KILLS)
    tally = await kills.hunt(tmp_path, kills=wanted, seed=effort.seed)
    assert tally.counted >= wanted
    assert tally.imports >= 1


async def test_a_server_told_to_stop_closes_with_1012_and_hands_its_job_back_with_nothing_held_against_it(
    tmp_path: Path,
) -> None:
    path = kills.make_file(tmp_path / "library.csv", seed=1)
    async with Server(tmp_path / "data") as server, BooksClient(server.url) as client:
        truth = await kills.undisturbed(server.url, path)
        job = await client.import_csv(path)
        witness = Witness(server.url, job)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.follow())
            await witness.sees(lambda: witness.processed > 0)
            status = await server.end(signal.SIGTERM)
            await witness.sees(lambda: bool(witness.closes))
            assert (status, witness.closes, witness.ending) == (0, [1012], None)
            row = _row(server, tmp_path / "data", job)
            assert (row.status, row.attempt, row.error_count, row.fruitless_claims, row.lease_until) == (
                "queued",
                1,
                0,
                0,
                0,
            )
            assert witness.processed <= row.processed < kills.ROWS
            await server.start()
    async with Server(tmp_path / "data") as server, BooksClient(server.url) as client:
        assert await kills.outcome(client, job) == truth
        assert (await client.state(job))["attempt"] == 2


async def test_a_server_frozen_for_longer_than_its_lease_ends_its_job_right_and_once(tmp_path: Path) -> None:
    path = kills.make_file(tmp_path / "library.csv", seed=2)
    async with Server(tmp_path / "data", {"lease": SHORT_LEASE}) as server, BooksClient(server.url) as client:
        truth = await kills.undisturbed(server.url, path)
        job = await client.import_csv(path)
        witness = Witness(server.url, job)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.follow())
            for share in (0.1, 0.5):
                await witness.sees(lambda share=share: witness.processed >= share * kills.ROWS)  # type: ignore[misc]
                server.send(signal.SIGSTOP)
                try:
                    await asyncio.sleep(4 * SHORT_LEASE)  # the fault itself
                finally:
                    server.send(signal.SIGCONT)
        assert await kills.outcome(client, job) == truth
        assert witness.closes == [1000]
        late = Witness(server.url, job)
        await late.follow()
        assert late.ending == witness.ending


def _row(server: Server, data: Path, job: JobHandle) -> JobState:
    assert server.log.exists()
    connection = sqlite3.connect(data / DATABASE_NAME)
    try:
        (state,) = connection.execute("select state from job where id = ?", [job.job_id]).fetchone()
        return msgspec.json.decode(state, type=JobState)
    finally:
        connection.close()
