from pathlib import Path

from tests.conftest import Effort
from tests.faults import remote_kills

KILLS, MANY_KILLS = 8, 300


async def test_nothing_is_lost_doubled_or_taken_back_when_the_server_and_workers_elsewhere_are_killed(
    tmp_path: Path, effort: Effort
) -> None:
    wanted = effort.of(KILLS, MANY_KILLS)
    tally = await remote_kills.hunt(tmp_path, kills=wanted, seed=effort.seed)
    assert tally.kills >= wanted
    assert min(tally.servers, tally.workers) >= 1
    assert tally.jobs >= remote_kills.JOBS
