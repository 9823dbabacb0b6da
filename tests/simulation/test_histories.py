"""Random histories. `python -m tests.simulation MODE SEED` replays one that failed; see CONTRIBUTING.md."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Effort
from tests.simulation.histories import run_many
from tests.simulation.plans import MODES

ROOT = Path(__file__).parents[2]
USUALLY = {"s": 500, "u": 150, "x": 150, "c": 150, "l": 150, "2": 500, "3": 400}
MANY = 20_000
ALIKE = 8


@pytest.mark.parametrize("mode", USUALLY)
def test_nothing_that_is_promised_is_broken_in_any_history(mode: str, effort: Effort) -> None:
    if effort.long:
        pytest.skip("the long run takes all modes in turn")
    tally = run_many(mode, range(1, 1 + USUALLY[mode]))
    assert tally.broken == {}
    assert tally.histories == USUALLY[mode]


def test_over_very_many_histories_nothing_is_broken_and_every_rare_state_is_reached(effort: Effort) -> None:
    if not effort.long:
        pytest.skip("it takes a quarter of an hour; see `make test-long`")
    first = effort.seed * MANY
    tally = run_many("".join(MODES), range(first, first + MANY))
    assert tally.broken == {}
    assert tally.unreached == []


def test_a_seed_makes_the_same_history_in_every_process() -> None:
    code = (
        "from tests.simulation.histories import undisturbed\n"
        "from tests.simulation.plans import MODES, make_plan\n"
        "from tests.simulation.world import run\n"
        "with undisturbed():\n"
        f"    print([run(make_plan(mode, seed)).signature for mode in MODES for seed in range({ALIKE})])"
    )
    signatures = {
        subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(signatures) == 1
