from pathlib import Path

from tests.faults import enrichment_kills

SUITE_KILLS = 3


async def test_no_book_is_lost_or_doubled_and_none_asked_for_again_when_the_server_is_killed_at_random_moments(
    tmp_path: Path,
) -> None:
    tally = await enrichment_kills.hunt(tmp_path, kills=SUITE_KILLS, seed=20260)
    assert tally.kills >= SUITE_KILLS
    assert tally.jobs >= 1
