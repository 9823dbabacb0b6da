import random
from pathlib import Path

from tests.conftest import Effort
from tests.faults import drops
from tests.faults.plans import HANDSHAKE, Fault, Moment

CYCLES, MANY_CYCLES = 48, 2000


async def test_followers_that_are_cut_off_at_random_moments_are_told_one_legal_story_to_its_one_ending(
    tmp_path: Path, effort: Effort
) -> None:
    wanted = effort.of(CYCLES, MANY_CYCLES)
    tally = await drops.run(tmp_path, cycles=wanted, seed=effort.seed)
    assert tally.cycles == wanted
    assert tally.heard.statuses[401] == tally.heard.undecodable == 0
    assert tally.followers >= wanted
    assert sum(tally.recoveries.tries.values()) > wanted / 2


def test_over_many_cycles_every_fault_comes_at_every_moment_and_no_client_is_kept_out_until_it_gives_up() -> None:
    dice = random.Random(1)  # noqa: S311 - repeatable, not secret
    followers = [drops.random_plans(dice) for _ in range(2000)]
    seen = {(plan.fault, plan.moment) for plans in followers for plan in plans}
    for moment in Moment:
        halves = set() if moment in HANDSHAKE else {Fault.HALF_TO_CLIENT, Fault.HALF_TO_SERVER}
        assert {(fault, moment) for fault in {Fault.RESET, Fault.CLOSE, Fault.SILENCE} | halves} <= seen
    for plans in followers:
        for start in range(len(plans) - drops.MAX_MUTE):
            assert not all(plan.mutes for plan in plans[start : start + drops.MAX_MUTE + 1])
