import asyncio
from typing import cast

from structlog.testing import capture_logs

from shelfwire import app as apps
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.store import Committed, JobStore, Swept
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import Policy, canceled, create
from shelfwire.testing import FakeClock


async def test_endings_reach_followers_even_if_the_sweep_then_breaks_off() -> None:
    ended = canceled(create("job-1", "csv_import", now=1), Policy(), now=2)
    swept = Swept(
        erased=1,
        endings=[Committed(state=ended, terminal="{}")],
        damaged=("job-2",),
        failure=ShelfwireError(Code.STORAGE_UNAVAILABLE, "disk full"),
    )

    class Store:
        async def sweep(self, _policy: Policy, _now: int) -> Swept:
            return swept

    hub = Hub()
    with hub.follow("job-1") as (follower, offer), capture_logs() as logs:
        offer(Committed(state=create("job-1", "csv_import", now=1)))
        sweeping = asyncio.create_task(apps._sweep(cast("JobStore", Store()), hub, Policy(), FakeClock()))
        async with asyncio.timeout(60):
            *_, last = [frame async for frame in follower.frames()]
        sweeping.cancel()
    assert last.due is Due.ENDING
    assert [(log["log_level"], log.get("job"), log.get("reason")) for log in logs[1:]] == [
        ("error", "job-2", None),
        ("warning", None, "disk full"),
    ]
