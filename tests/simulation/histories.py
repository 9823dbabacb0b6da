"""Many histories in a row, and what they reached together."""

import contextlib
import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tests.simulation.oracles import Violation
from tests.simulation.plans import MODES, make_plan
from tests.simulation.world import run

BETWEEN_COLLECTIONS: Final = 40
"""Histories after which memory is collected: to do so within one would take a quarter of its time."""

RARE: Final = (
    "a client replaced its token",
    "a commit was sent again",
    "a follower left and came back",
    "a hint was lost",
    "a job was erased while another node followed it",
    "a job was taken over from a node that lives",
    "a job was taken over from another process",
    "a frame went to a direct follower",
    "a token was revoked while its connection was full",
    "an answer was paid for twice",
    "an id was made again",
    "an older row was offered after the ending",
    "canceling -> canceled",
    "canceling -> complete",
    "canceling -> failed",
    "close 1000",
    "close 1008",
    "close 1012",
    "owner: cancel was cut off",
    "owner: delete was cut off",
    "paused -> canceled",
    "paused -> queued",
    "queued -> canceled",
    "queued -> paused",
    "running -> failed",
    "running -> paused",
    "running -> queued",
    "running pausing -> canceled",
    "running pausing -> canceling",
    "running pausing -> complete",
    "running pausing -> paused",
    "running pausing -> running",
    "something was sent before a node heard of a revocation",
    "stalled",
    "the clock was set back",
    "the clock was set forward",
    "the disk: loses",
    "the network: silence",
)
"""States in which faults were found, or that few histories reach. Many histories must reach each of them."""


class Tally(msgspec.Struct):
    """What histories came to.

    Attributes:
        histories: their number.
        hours: of virtual time.
        broken: by mode and seed, the first violation.
        seen: how often each state was reached.
    """

    histories: int = 0
    hours: float = 0.0
    broken: dict[str, Violation] = msgspec.field(default_factory=dict)
    seen: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def unreached(self) -> list[str]:
        """The rare states that no history reached."""
        return [state for state in RARE if not self.seen[state]]


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Collect no memory but by hand, and count no coverage: both would take more time than the histories."""
    tracing = sys.gettrace()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracing)
        gc.enable()
        gc.unfreeze()


def run_many(mode: str, seeds: Iterable[int], tally: Tally | None = None) -> Tally:
    """Run the histories of these seeds.

    Args:
        mode: one or several of `MODES`, which take turns.
        seeds: the seeds.
        tally: what came before.
    """
    tally = Tally() if tally is None else tally
    modes = [letter for letter in MODES if letter in mode]
    with undisturbed():
        for seed in seeds:
            of = modes[seed % len(modes)]
            outcome = run(make_plan(of, seed))
            tally.histories += 1
            tally.hours += outcome.seconds / 3600
            tally.seen += outcome.seen
            if outcome.violations:
                tally.broken[f"{of} {seed}"] = outcome.violations[0]
            if tally.histories % BETWEEN_COLLECTIONS == 0:
                gc.collect()
    return tally
