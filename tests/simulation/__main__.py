"""Replays a history: `python -m tests.simulation MODE SEED`, with `--trace` or `--shrink`; see CONTRIBUTING.md."""

import argparse
import sys
from typing import Final

import msgspec

from tests.simulation.histories import Tally, run_many
from tests.simulation.plans import MODES, Plan, make_plan
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import shrink
from tests.simulation.world import run

CHUNK: Final = 200
"""Histories after which to say how far it is."""


def main() -> int:
    modes = "; ".join(f"{letter}: {meaning}" for letter, meaning in MODES.items())
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("mode", help=f"{modes}; or the name of a scenario")
    parser.add_argument("seed", nargs="?", type=int, default=1, help="the seed, or the first of --histories")
    parser.add_argument("--histories", type=int, help="run this many seeds, over all letters of the mode in turn")
    parser.add_argument("--trace", action="store_true", help="print rows, messages, acts and faults")
    parser.add_argument("--shrink", action="store_true", help="print the smallest plan that breaks the same promise")
    given = parser.parse_args()
    if given.histories is not None:
        tally = Tally()
        for first in range(given.seed, given.seed + given.histories, CHUNK):
            run_many(given.mode, range(first, min(first + CHUNK, given.seed + given.histories)), tally)
            print(f"{tally.histories} histories, {tally.hours:.1f} h, broken: {tally.broken}", flush=True)
            print("never reached:", ", ".join(tally.unreached) or "nothing", flush=True)
        print(msgspec.json.format(msgspec.json.encode(tally, order="sorted"), indent=2).decode())
        return bool(tally.broken)
    scenario = SCENARIOS.get(given.mode)
    return _replay(make_plan(given.mode, given.seed) if scenario is None else scenario, given)


def _replay(plan: Plan, given: argparse.Namespace) -> int:
    outcome = run(plan, print if given.trace else None)
    print(f"{outcome.steps} steps, {outcome.seconds:.0f} s, signature {outcome.signature}")
    for violation in outcome.violations:
        print(f"{violation.at:.3f} s: {violation.kind}: {violation.text}")
    if given.shrink and outcome.violations:
        smallest = shrink(plan, lambda smaller: print(f"{len(smaller.acts)} acts, {len(smaller.followers)} followers"))
        print(msgspec.json.format(msgspec.json.encode(smallest), indent=1).decode())
    return bool(outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
