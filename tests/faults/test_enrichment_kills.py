from pathlib import Path

from tests.conftest import Effort
from tests.faults import enrichment_kills

KILLS, MANY_KILLS = 3, 60


async def test_no_book_is_lost_or_doubled_and_none_asked_for_again_when_the_server_is_killed_at_random_moments(
    tmp_path: Path, effort: Effort
) -> None:
    wanted = effort.of(KILLS, MANY_KILLS)
    tally = await enrichment_kills.hunt(tmp_path, kills=wanted, seed=effort.seed)
    assert tally.kills >= wanted
    assert tally.jobs >= 1
