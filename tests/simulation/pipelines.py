"""Pipelines that behave in every way that a pipeline may, as their input says."""

import asyncio
import random
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.protocol.messages import Metadata
from tests.simulation.plans import Work

Stream = Callable[..., random.Random]


class Behavior(Pipeline):
    """A kind of job.

    Args:
        stream: returns a source of chance by its name.
        paid: is called with the job's id and the item that something is paid for.
        running: returns a context within which an attempt at a job runs, given its id and when it was made.
    """

    results_name = "books"
    kinds: ClassVar[list[type["Behavior"]]] = []

    def __init__(
        self,
        stream: Stream,
        paid: Callable[[str, int], None],
        running: Callable[[str, int], AbstractContextManager[None]],
    ) -> None:
        self._stream = stream
        self._running = running
        self.paid = paid

    def __init_subclass__(cls) -> None:
        Behavior.kinds.append(cls)

    async def run(self, job: Job) -> str:
        dice = self._stream("job", job.id, job.attempt)
        with self._running(job.id, job._draft.state.created_at):
            work = msgspec.json.decode(await job.input("file"), type=Work)
            await self.work(job, work, dice)
        return f"{job.succeeded} done"

    @abstractmethod
    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        """Do the job."""


class Fast(Behavior):
    name = "fast"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            job.record(index, {"index": index}, title=f"Book {index}")
            if dice.random() < 0.2:
                await asyncio.sleep(0)


class Slow(Behavior):
    name = "slow"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await asyncio.sleep(dice.random() * 0.3)
        await job.start(work.items, Metadata(file_name="books.csv"))
        async for index, _ in job.pending(range(work.items)):
            await asyncio.sleep(dice.random() * work.pace)
            if dice.random() < 0.2:
                job.show(f"Looking at {index}")
            job.record(index, {"index": index}, title=f"Book {index}", author="Austen")


class Failing(Behavior):
    name = "failing"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            await asyncio.sleep(dice.random() * 0.2)
            if index % 3 == 1:
                job.fail(index, ShelfwireError(Code.INVALID_REQUEST), title=f"Book {index}")
            else:
                job.record(index, {"index": index})


class Raising(Behavior):
    name = "raising"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            await asyncio.sleep(dice.random() * 0.2)
            if job.attempt <= work.until and dice.random() < 0.4:
                raise ShelfwireError(Code.INVALID_REQUEST) if work.final else RuntimeError("broken")
            job.record(index, {"index": index})


class Silent(Behavior):
    name = "silent"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            await asyncio.sleep(work.pace * (0.5 + dice.random()))
            job.record(index, {"index": index}, title="At last")


class Several(Behavior):
    name = "several"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        async def one(index: int, _: int) -> None:
            await asyncio.sleep(dice.random())
            if dice.random() < 0.1:
                job.fail(index, ShelfwireError(Code.INVALID_REQUEST))
            else:
                job.record(index, {"index": index}, title=f"Book {index}")

        await job.start(work.items)
        await job.each(range(work.items), one, 3)


class Keeping(Behavior):
    name = "keeping"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            if await job.kept(f"answer {index}") is None:
                self.paid(job.id, index)
                await asyncio.sleep(dice.random() * work.pace)
                await job.keep(f"answer {index}", b"an answer")
            job.record(index, {"index": index})


class Legacy(Behavior):
    name = "legacy"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for index in range(work.items):
                await asyncio.sleep(dice.random() * 0.2)
                job.update_progress(index / work.items, f"Enriching ({index + 1}/{work.items}): Book {index}")


class Clinging(Behavior):
    name = "clinging"

    async def work(self, job: Job, work: Work, dice: random.Random) -> None:
        await job.start(work.items)
        async for index, _ in job.pending(range(work.items)):
            try:
                await asyncio.sleep(dice.random() * work.pace)
            finally:
                await asyncio.sleep(dice.random() * work.cling)
            job.record(index, {"index": index})


def behaviors(*args: Any) -> Sequence[Pipeline]:
    """One pipeline of each kind; see `Behavior` for the arguments."""
    return [kind(*args) for kind in Behavior.kinds]
