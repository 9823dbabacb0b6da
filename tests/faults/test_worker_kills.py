import asyncio
import signal
import uuid
from pathlib import Path

import pytest

from shelfwire.client import Client, Transport
from tests.conftest import Effort
from tests.faults import worker_kills
from tests.recipes.celery_worker import celery_worker, send, words
from tests.servers import Server

KILLS, MANY_KILLS = 4, 50
PAGES = 600


def deaths_in(folder: Path) -> list[int]:
    """The pages that have killed the process of their task."""
    return sorted(int(path.name.removeprefix("died-")) for path in folder.glob("died-*"))


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
async def test_every_item_is_recorded_once_whatever_happens_to_processes_that_run_pipelines(
    tmp_path: Path, effort: Effort, by: signal.Signals
) -> None:
    wanted = effort.of(KILLS, MANY_KILLS)
    assert await worker_kills.hunt(tmp_path, kills=wanted, seed=effort.seed, by=by)


async def test_every_page_is_recorded_once_however_often_the_processes_of_celery_die(
    tmp_path: Path, effort: Effort
) -> None:
    deaths = effort.of(3, MANY_KILLS)
    jobs = effort.of(1, 5)
    fatal = [PAGES * death // (deaths + 1) for death in range(1, deaths + 1)]
    async with Server(tmp_path / "data") as server, Client(server.url) as client:
        handles = [await client.start("pdf_report", json={}) for _ in range(jobs)]
        with celery_worker(tmp_path, server.url, deaths=fatal, pause=0.002):
            await send(tmp_path, server.url, *((PAGES, job.job_id, str(uuid.uuid4())) for job in handles))
            async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
                for job in handles:
                    for kind in Transport:
                        tasks.create_task(worker_kills.follow(server.url, job, kind))
        for job in handles:
            items = [(item["index"], item["result"]) async for item in client.results(job)]
            assert items == words(PAGES)
    assert deaths_in(tmp_path) == fatal
