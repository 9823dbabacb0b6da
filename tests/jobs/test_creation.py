"""Creation of a job whose caller is cancelled meanwhile."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from shelfwire import Job, Pipeline, Settings, Shelfwire
from shelfwire.protocol.messages import Metadata
from shelfwire.testing import FakeClock, MemoryDatabase, MemoryStore


class Idle(Pipeline):
    """Does nothing."""

    name = "idle"

    async def run(self, job: Job) -> str:
        raise NotImplementedError


class SlowStore(MemoryStore):
    """A store that makes jobs only when it may, though whoever wants one has gone."""

    may_create: asyncio.Event
    creating: asyncio.Event

    async def create(self, *args: Any, **options: Any) -> str:
        self.creating.set()
        making = asyncio.create_task(self._make(*args, **options))
        return await asyncio.shield(making)

    async def _make(self, *args: Any, **options: Any) -> str:
        await self.may_create.wait()
        return await super().create(*args, **options)


async def test_an_input_is_not_erased_under_a_job_that_is_being_made_of_it(tmp_path: Path) -> None:
    database, stores = MemoryDatabase(), list[SlowStore]()

    def open_store(**options: Any) -> SlowStore:
        store = SlowStore(database=database, **options)
        store.may_create, store.creating = asyncio.Event(), asyncio.Event()
        stores.append(store)
        return store

    app = Shelfwire(
        Settings(data=tmp_path), pipelines=[Idle()], plugins=[], open_store=open_store, work=False, clock=FakeClock()
    )
    async with app.lifespan():
        service = app.service

        async def create() -> None:
            async with service.upload() as upload:
                await upload.write("file", b"Title\nEmma\n")
                await service.create(upload, "idle", Metadata())

        calling = asyncio.create_task(create())
        await stores[0].creating.wait()
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
        stores[0].may_create.set()
        while service._background:
            await asyncio.wait(service._background)
    (job,) = database.jobs.values()
    assert list(job.inputs.values()) == [b"Title\nEmma\n"]
    assert database.uploads == {}
