from collections import Counter, defaultdict
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.protocol.job import CLAIMED_TURN, next_turn

CALLERS = "abc"
JOINS = [f"join {caller}" for caller in CALLERS]
Job = tuple[int, int, str]


@given(st.lists(st.sampled_from([*JOINS, "claim"]), max_size=80))
def test_each_other_caller_has_at_most_two_turns_more_than_one_who_waits(
    steps: Sequence[str],
) -> None:
    queue: list[Job] = []
    taken = CLAIMED_TURN
    ahead: dict[Job, int] = {}
    since: defaultdict[Job, Counter[str]] = defaultdict(Counter)
    for number, step in enumerate(steps):
        if step != "claim":
            own = [job for job in queue if job[2] == step[-1]]
            job = next_turn(taken, max((turn for turn, _, _ in own), default=None)), number, step[-1]
            ahead[job] = len(own)
            queue.append(job)
        elif queue:
            first = min(queue)
            queue.remove(first)
            assert first[0] >= taken, "turns go on, never back"
            taken = first[0]
            others = since.pop(first, Counter())
            assert all(count <= ahead[first] + 2 for caller, count in others.items() if caller != first[2])
            for job in queue:
                since[job][first[2]] += 1
