import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from structlog.testing import capture_logs

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.nodes import News, Nodes, Position
from shelfwire.jobs.rereading import Rereader
from shelfwire.jobs.store import Committed
from shelfwire.jobs.workers import Workers
from shelfwire.protocol import job as jobs
from shelfwire.testing import FakeClock

FAILURES = 12


class Away:
    """A database that is away for some readings."""

    reread_seconds = 0.25

    def __init__(self) -> None:
        self.left = FAILURES
        self.succeeded = asyncio.Event()

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        assert positions
        assert not digests
        if self.left:
            self.left -= 1
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE, "the database is away")
        self.succeeded.set()
        return News()


async def test_a_database_that_is_away_is_logged_once_and_once_when_it_is_back() -> None:
    nodes, hub, clock = Away(), Hub(), FakeClock()
    inside: Any = SimpleNamespace(positions=list, hear=lambda _rows, _gone: None)
    workers = cast("Workers", SimpleNamespace(inside=inside))
    with capture_logs() as logs, hub.follow("j") as (_, offer):
        offer(Committed(state=jobs.create("j", "csv_import", now=1000)))
        task = asyncio.create_task(Rereader(cast("Nodes", nodes), hub, workers, clock).run())
        while not nodes.succeeded.is_set():
            clock.advance(0.25)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    lines = [line for line in logs if line["event"].startswith("reading again")]
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert lines[0]["reason"] == "the database is away"
    assert lines[1]["seconds"] >= 0.25 * (FAILURES - 1)
